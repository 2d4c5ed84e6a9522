"""Limits on connections that the framework lacks: it waits for ever for the end of a request's headers, and for a client that does not
read its response; it accepts any number of connections, and bodies in chunks of one byte.

Uvicorn has no setting for these, so its protocol over h11 is extended. Every attribute of it that is used here has a contract test
(tests/serve/test_connection.py), and pyproject.toml excludes versions of uvicorn later than the one tested.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ser.serve.metrics import OTHER, Measure
from ser.serve.problems import CONTENT_TYPE, problem_bytes, status_of

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Clocked(H11Protocol):
        """The type that `limited_protocol` returns."""

        clock: "Clock"


MOST_CONNECTIONS = 4096
SLICE = 4096
"""Bytes that are parsed at a time, before their overhead is checked."""
FRAMING = 4
"""The highest ratio of bytes on the wire to bytes of a body."""
WASTE_BYTES = 16_384
"""Bytes that a request may send beyond that ratio."""
REFUSED = "bad-request"


def most_connections() -> int:
    """A third of the files that this process may open: a connection may use another one for its upload, and the process has more."""
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 3)


class Clock:
    """Closes a connection after so many seconds without progress while the client has to act: to send a request, or to read its
    response."""

    def __init__(self, connection: "H11Protocol", seconds: float) -> None:
        self.connection, self.seconds = connection, seconds
        self.timer: asyncio.TimerHandle | None = None

    @property
    def deadline(self) -> float | None:
        """When the connection will be closed, by the clock of the loop; None if the timer is not running."""
        return self.timer.when() if self.timer else None

    def update(self) -> None:
        """Start or stop the timer. A running timer is not restarted, so sending a byte now and then does not extend it."""
        if not self.waits_for_client():
            self.stop()
        elif self.timer is None:
            self.timer = self.connection.loop.call_later(self.seconds, self.end)

    def waits_for_client(self) -> bool:
        connection = self.connection
        return connection.cycle is None or connection.cycle.response_complete or connection.flow.write_paused

    def stop(self) -> None:
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def end(self) -> None:
        self.timer = None
        transport = self.connection.transport
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()


class WasteMeter:
    """Closes a connection that sends a body in chunks so small that their framing is most of the traffic."""

    def __init__(self, connection: "H11Protocol") -> None:
        self.connection = connection
        self.waste = 0

    def measure(self, data: bytes, parse: Callable[[bytes], None]) -> None:
        """Parse some bytes of the connection, and count those that are not part of a body."""
        cycle = self.connection.cycle
        in_body = cycle is not None and cycle.more_body and not cycle.response_complete
        before = len(cycle.body) if in_body else 0
        parse(data)
        if not in_body or self.connection.cycle is not cycle or not cycle.more_body:
            self.waste = 0
            return
        self.waste = max(0, self.waste + len(data) - FRAMING * (len(cycle.body) - before))
        if self.waste > WASTE_BYTES:
            self.connection.transport.abort()


def make_room(newest: "Clocked") -> None:
    """Close the connection that has been idle the longest; if none is idle, the newest."""
    others = cast("set[Clocked]", newest.connections)
    resting = [(deadline, other) for other in others if (deadline := other.clock.deadline) is not None]
    longest = min(resting, key=lambda pair: pair[0])[1] if resting else newest
    newest.connections.discard(longest)  # the protocol itself does so only later
    longest.transport.abort()


def refuse(connection: "H11Protocol", app: Measure) -> None:
    """Refuse bytes that are not HTTP like other requests, unless a response has begun, and close the connection."""
    import h11

    if connection.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
        app.count(OTHER, OTHER, [status_of(REFUSED)], REFUSED, [])
        content = problem_bytes(REFUSED, "this is not HTTP")
        headers = [*app.headers, (b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(content)).encode())]
        headers += [(b"cache-control", b"no-store"), (b"connection", b"close")]
        response = h11.Response(status_code=status_of(REFUSED), headers=headers, reason=b"Bad Request")
        for event in (response, h11.Data(data=content), h11.EndOfMessage()):
            connection.transport.write(connection.conn.send(event) or b"")
    connection.transport.close()


def limited_protocol(seconds: float, app: Measure) -> "type[H11Protocol]":
    """Uvicorn's protocol over h11 with limits: it closes a connection that is idle for too long with an incomplete request or an unread
    response; and, if there are too many connections, the one that has been idle the longest.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    most = most_connections()

    class LimitedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in H11Protocol
            self.clock, self.meter = Clock(self, seconds), WasteMeter(self)
            super().connection_made(transport)
            if len(self.connections) > most:
                make_room(cast("Clocked", self))
            self.clock.update()

        def data_received(self, data: bytes) -> None:
            for start in range(0, len(data), SLICE):
                if not self.transport.is_closing():
                    self.meter.measure(data[start : start + SLICE], super().data_received)
            self.clock.update()

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the words of the framework
            refuse(self, app)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self.clock.update()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.clock.update()

        def resume_writing(self) -> None:
            super().resume_writing()
            self.clock.update()

        def connection_lost(self, exc: Exception | None) -> None:
            self.clock.stop()
            super().connection_lost(exc)

    return LimitedProtocol
