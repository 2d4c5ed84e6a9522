"""Clocks on a connection where the framework has none: it waits for ever for the end of a request's headers, and for a client that does
not read its answer.
"""

import asyncio
from typing import Any


def clocked(seconds: float) -> Any:
    """Uvicorn's protocol over h11, which ends a connection that rests for so long without a whole request, or with an unread answer."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Clocked(H11Protocol):
        clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.wind()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.wind()

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
