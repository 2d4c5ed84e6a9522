"""The process of the service: a socket, workers, and a shutdown that leaves nothing behind."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ser.errors import ConfigError
from ser.serve.limits import LINGER_SECONDS, Limits
from ser.serve.pool import TRIES, Pool

if TYPE_CHECKING:
    import uvicorn

CHATTY = ("uvicorn", "python_multipart")
"""Loggers that warn of every malformed request, so that strangers could fill the log."""
KEEP_ALIVE = 10
"""Seconds that a connection may be idle between two requests."""
BACKLOG = 256
PHASES = 1 + 2 * TRIES
"""The number of time limits that one upload can use up: its transfer, and a wait and a prediction for each try."""
POLL = 0.05
"""Seconds between two checks for a signal."""


def listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        ConfigError: the port is in use, or not permitted; or the host is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"--host {host}: this machine does not have such an address") from None
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        busy = error.errno == errno.EADDRINUSE
        what = "the port is in use: choose another --port, or 0 for any free one" if busy else error.strerror
        raise ConfigError(f"{host}:{port}: {what}") from None
    return server


def run(pool: Pool, limits: Limits, server: socket.socket, announce: Callable[[], None]) -> None:
    """Serve until a signal arrives; then finish the open requests and end all workers.

    Args:
        announce: called once the service accepts requests.

    Raises:
        SerError: no worker can load the model.
        KeyboardInterrupt, ser.commands.exit_codes.Terminated: raised again for the signal, after the shutdown.
    """
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(is_no_end)
    logging.getLogger("asyncio").addFilter(is_no_shortage)
    http = make_server(pool, limits)  # before the event loop runs, in which Ctrl-C would not interrupt this import
    asyncio.run(serve(pool, http, server, announce))


async def serve(pool: Pool, http: "uvicorn.Server", server: socket.socket, announce: Callable[[], None]) -> None:
    """See `run`."""
    with http.capture_signals():
        try:
            if await started(pool, http):
                announce()
                await http.serve([server])
        finally:
            await pool.close()
            server.close()


def is_no_end(record: logging.LogRecord) -> bool:
    """Hides the error of requests that a second Ctrl-C has cancelled, which is intended."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def is_no_shortage(record: logging.LogRecord) -> bool:
    """Hides the error of the loop that no more files can be opened: it tries again, and strangers could fill the log."""
    return "out of system resource" not in record.getMessage()


async def started(pool: Pool, http: "uvicorn.Server") -> bool:
    """Wait for a worker with the model; False if a signal arrived first."""
    start = asyncio.create_task(pool.start())
    try:
        while not start.done() and not http.should_exit:
            await asyncio.wait({start}, timeout=POLL)
        if start.done():
            await start
            return True
        return False
    finally:
        start.cancel()
        await asyncio.wait({start})


def make_server(pool: Pool, limits: Limits) -> "uvicorn.Server":
    import uvicorn

    from ser.serve.app import make_app
    from ser.serve.connection import limited_protocol

    app = make_app(pool, limits)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=limited_protocol(limits.timeout, app),
            backlog=BACKLOG,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=round(PHASES * limits.timeout + LINGER_SECONDS + 1),
        )
    )
