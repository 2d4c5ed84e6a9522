"""A clock on what comes before a request is one: the framework waits for ever for the end of its headers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


def clocked(seconds: float) -> Any:
    """Uvicorn's protocol over h11, which closes a connection whose headers are not there in time."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Clocked(H11Protocol):
        clock: "asyncio.TimerHandle | None" = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.wind()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.resting():
                self.wind()
            else:
                self.stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop()
            super().connection_lost(exc)

        def resting(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def wind(self) -> None:
            self.clock = self.clock or self.loop.call_later(seconds, self.ring)

        def stop(self) -> None:
            if self.clock:
                self.clock.cancel()
                self.clock = None

        def ring(self) -> None:
            self.clock = None
            if self.resting() and not self.transport.is_closing():
                self.transport.close()

    return Clocked
