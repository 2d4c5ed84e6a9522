"""The service as a process: a socket, workers, and an end that leaves nothing behind."""

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
"""They warn of every request that is none: a log that strangers fill."""
KEEP_ALIVE = 10
"""Seconds that a connection may rest between two requests."""
BACKLOG = 256
PHASES = 1 + 2 * TRIES
"""Of an upload: it comes, and waits and is heard as often as there are tries; each has its clock."""
POLL = 0.05
"""Seconds between two looks whether a signal came."""


def listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        ConfigError: the port is taken, or not for this user; or no address here goes by that name.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"--host {host}: no such address") from None
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        busy = error.errno == errno.EADDRINUSE
        what = "something else listens there: choose another --port, or 0 for any that is free" if busy else error.strerror
        raise ConfigError(f"{host}:{port}: {what}") from None
    return server


def run(pool: Pool, limits: Limits, server: socket.socket, announce: Callable[[], None]) -> None:
    """Until a signal comes: then what is in flight is answered, and all workers are ended.

    Args:
        announce: called once the service answers.

    Raises:
        SerError: no worker can have the model.
        KeyboardInterrupt, ser.commands.exit_codes.Terminated: the signal, again, once all is done.
    """
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(is_no_end)
    logging.getLogger("asyncio").addFilter(is_no_shortage)
    http = make_server(pool, limits)  # before there is a loop, in which Ctrl-C would not end what this loads
    asyncio.run(serve(pool, http, server, announce))


async def serve(pool: Pool, http: "uvicorn.Server", server: socket.socket, announce: Callable[[], None]) -> None:
    """As `run`."""
    with http.capture_signals():
        try:
            if await started(pool, http):
                announce()
                await http.serve([server])
        finally:
            await pool.close()
            server.close()


def is_no_end(record: logging.LogRecord) -> bool:
    """Who presses Ctrl-C twice ends what is in flight; that is no error to be told of."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def is_no_shortage(record: logging.LogRecord) -> bool:
    """Strangers who open more connections than there are files would fill the log; the loop tries again."""
    return "out of system resource" not in record.getMessage()


async def started(pool: Pool, http: "uvicorn.Server") -> bool:
    """Whether there is a worker with the model; not if a signal came first."""
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
