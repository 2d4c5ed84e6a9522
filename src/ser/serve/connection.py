"""Limits on a connection where the framework has none: it waits for ever for the end of a request's headers, and for a client that does
not read its answer; it takes as many connections as come, and bodies in pieces of one byte.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from ser.serve.metrics import OTHER, Measure
from ser.serve.problems import CONTENT_TYPE, problem_bytes, status_of

MOST_CONNECTIONS = 4096
SLICE = 4096
"""Bytes that are taken apart at once, before one looks whether they are worth it."""
FRAMING, WASTE_BYTES = 4, 16_384
"""Bytes on the wire for one of a body, and how many more a request may send."""
REFUSED = "bad-request"


def most_connections() -> int:
    """A third of the files that the system lets this process open: a connection may hold one for its upload, and there are others."""
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 3)


def clocked(seconds: float, app: Measure) -> Any:
    """Uvicorn's protocol over h11, which ends a connection that rests for so long without a whole request, or with an unread answer; or
    where there are too many, the one that rests longest.
    """
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    most = most_connections()

    class Clocked(H11Protocol):
        clock: asyncio.TimerHandle | None = None
        waste = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                self.make_room()
            self.wind()

        def make_room(self) -> None:
            resting = [(of.clock.when(), of) for of in cast(Sequence[Clocked], self.connections) if of.clock]
            longest = min(resting, key=lambda of: of[0])[1] if resting else self
            self.connections.discard(longest)  # which it does itself only later
            longest.transport.abort()

        def data_received(self, data: bytes) -> None:
            for start in range(0, len(data), SLICE):
                if not self.transport.is_closing():
                    self.take(data[start : start + SLICE])
            self.wind()

        def take(self, data: bytes) -> None:
            cycle = self.cycle
            inside = cycle is not None and cycle.more_body and not cycle.response_complete
            before = len(cycle.body) if inside else 0
            super().data_received(data)
            if not inside or self.cycle is not cycle or not cycle.more_body:
                self.waste = 0
                return
            self.waste = max(0, self.waste + len(data) - FRAMING * (len(cycle.body) - before))
            if self.waste > WASTE_BYTES:
                self.transport.abort()

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the words of the framework
            """Of what is no HTTP; as other refusals, if no answer has begun."""
            if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                app.count(OTHER, OTHER, [status_of(REFUSED)], REFUSED, [])
                content = problem_bytes(REFUSED, "this is no HTTP")
                headers = [*app.headers, (b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(content)).encode())]
                headers += [(b"cache-control", b"no-store"), (b"connection", b"close")]
                answer = h11.Response(status_code=status_of(REFUSED), headers=headers, reason=b"Bad Request")
                for event in (answer, h11.Data(data=content), h11.EndOfMessage()):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self.wind()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.wind()

        def resume_writing(self) -> None:
            super().resume_writing()
            self.wind()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop()
            super().connection_lost(exc)

        def stalls(self) -> bool:
            """Nobody works for the client; it is its turn."""
            return self.cycle is None or self.cycle.response_complete or self.flow.write_paused

        def wind(self) -> None:
            """A clock that runs goes on: a drop now and then is no request."""
            if not self.stalls():
                self.stop()
            elif self.clock is None:
                self.clock = self.loop.call_later(seconds, self.ring)

        def stop(self) -> None:
            if self.clock:
                self.clock.cancel()
                self.clock = None

        def ring(self) -> None:
            self.clock = None
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                self.transport.close()

    return Clocked
