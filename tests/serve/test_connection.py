"""What `ser.serve.connection` relies on in uvicorn and h11, an attribute a test; and the clock and the meter on their own.

When a new minor version of uvicorn passes these, the upper bound in pyproject.toml can be raised.
"""

import asyncio
import re
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from places import ROOT
from ser.serve.connection import FRAMING, SLICE, WASTE_BYTES, Clock, WasteMeter, limited_protocol
from ser.serve.metrics import Measure

pytest.importorskip("uvicorn")
if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

HEAD = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """A connection without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.unsent = 0
        self.ended: str | None = None

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def is_closing(self) -> bool:
        return self.ended is not None

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def answers(_scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Counter:
    """As much of `Measure` as a connection calls."""

    headers: tuple[tuple[bytes, bytes], ...] = ((b"x-content-type-options", b"nosniff"),)

    def __init__(self) -> None:
        self.counted: list[tuple[Any, ...]] = []

    def count(self, *values: Any) -> None:
        self.counted.append(values)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def connect(
    loop: asyncio.AbstractEventLoop, kind: "type[H11Protocol] | None" = None, state: "ServerState | None" = None
) -> tuple[Any, Wire]:
    """A connection, and its wire; of uvicorn itself where no kind is named."""
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    protocol = (kind or H11Protocol)(Config(answers, log_config=None, lifespan="off"), state or ServerState(), {}, loop)
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


def spin(loop: asyncio.AbstractEventLoop, rounds: int = 10) -> None:
    for _ in range(rounds):
        loop.run_until_complete(asyncio.sleep(0))


# -- the contract with uvicorn -----------------------------------------------------------


def test_connection_made_takes_a_transport_and_keeps_it(loop: asyncio.AbstractEventLoop) -> None:
    protocol, wire = connect(loop)
    assert protocol.transport is wire


def test_connections_are_those_of_the_server_and_hold_a_new_one(loop: asyncio.AbstractEventLoop) -> None:
    from uvicorn.server import ServerState

    state = ServerState()
    protocol, _ = connect(loop, state=state)
    assert protocol.connections is state.connections
    assert state.connections == {protocol}


def test_connection_lost_takes_it_out_again(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _ = connect(loop)
    protocol.connection_lost(None)
    assert protocol.connections == set()


def test_loop_is_that_of_the_server(loop: asyncio.AbstractEventLoop) -> None:
    assert connect(loop)[0].loop is loop


def test_cycle_is_none_before_the_first_request_and_begins_with_its_headers(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _ = connect(loop)
    assert protocol.cycle is None
    protocol.data_received(HEAD[:-2])
    assert protocol.cycle is None
    protocol.data_received(HEAD[-2:])
    assert protocol.cycle is not None


def test_data_received_puts_the_body_into_cycle_body(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _ = connect(loop)
    protocol.data_received(HEAD + b"12345")
    assert bytes(protocol.cycle.body) == b"12345"


def test_cycle_more_body_is_true_until_the_body_is_whole(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _ = connect(loop)
    protocol.data_received(HEAD + b"12345")
    assert protocol.cycle.more_body
    protocol.data_received(b"67890")
    assert not protocol.cycle.more_body


def test_cycle_response_complete_is_true_once_all_is_answered(loop: asyncio.AbstractEventLoop) -> None:
    protocol, wire = connect(loop)
    protocol.data_received(GET)
    assert not protocol.cycle.response_complete
    spin(loop)
    assert protocol.cycle.response_complete
    assert wire.sent.startswith(b"HTTP/1.1 204")


def test_a_second_request_has_a_cycle_of_its_own(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _ = connect(loop)
    protocol.data_received(GET)
    first = protocol.cycle
    spin(loop)
    protocol.data_received(GET)
    assert protocol.cycle is not first


def test_on_response_complete_is_called_when_all_is_answered(loop: asyncio.AbstractEventLoop) -> None:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    called: list[bool] = []

    class Noting(H11Protocol):
        def on_response_complete(self) -> None:
            called.append(self.cycle.response_complete)
            super().on_response_complete()

    protocol, _ = connect(loop, Noting)
    protocol.data_received(GET)
    assert called == []
    spin(loop)
    assert called == [True]


def test_pause_writing_and_resume_writing_set_flow_write_paused(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _ = connect(loop)
    assert not protocol.flow.write_paused
    protocol.pause_writing()
    assert protocol.flow.write_paused
    protocol.resume_writing()
    assert not protocol.flow.write_paused


def test_send_400_response_is_called_for_what_is_no_http(loop: asyncio.AbstractEventLoop) -> None:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    called: list[str] = []

    class Noting(H11Protocol):
        def send_400_response(self, msg: str) -> None:
            called.append(msg)

    protocol, _ = connect(loop, Noting)
    protocol.data_received(b"hello\r\n\r\n")
    assert len(called) == 1


def test_conn_is_of_h11_and_can_answer_before_a_request_was_understood(loop: asyncio.AbstractEventLoop) -> None:
    import h11

    protocol, _ = connect(loop)
    assert isinstance(protocol.conn, h11.Connection)
    assert protocol.conn.our_state is h11.IDLE
    assert protocol.conn.send(h11.Response(status_code=400, headers=[(b"connection", b"close")])).startswith(b"HTTP/1.1 400")


def test_the_version_that_is_tested_is_the_last_that_is_taken() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = [text for text in project["optional-dependencies"]["serve"] if text.startswith("uvicorn")]
    (exact,) = re.findall(r"^uvicorn==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    major, minor, *_ = map(int, exact.split("."))
    assert bound.endswith(f",<{major}.{minor + 1}")


# -- the limits --------------------------------------------------------------------------


def limited(loop: asyncio.AbstractEventLoop, seconds: float = 60.0, **named: Any) -> tuple[Any, Wire, Counter]:
    counter = Counter()
    return *connect(loop, limited_protocol(seconds, cast(Measure, counter)), **named), counter


def test_the_clock_runs_while_the_client_is_to_act_and_a_drop_does_not_wind_it(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _, _ = limited(loop)
    seen = [protocol.clock.deadline]
    for data in (HEAD[:5], HEAD[5:], b"1234567890"):
        protocol.data_received(data)
        seen.append(protocol.clock.deadline)
    spin(loop)
    seen.append(protocol.clock.deadline)
    protocol.connection_lost(None)
    seen.append(protocol.clock.deadline)
    connected, drop, head, body, answered, lost = seen
    assert connected is not None
    assert drop == connected
    assert (head, body, lost) == (None, None, None)
    assert answered is not None


def test_the_clock_runs_while_an_answer_is_not_read(loop: asyncio.AbstractEventLoop) -> None:
    protocol, _, _ = limited(loop)
    protocol.data_received(HEAD)
    protocol.pause_writing()
    paused = protocol.clock.deadline
    protocol.resume_writing()
    assert paused is not None
    assert protocol.clock.deadline is None


@pytest.mark.parametrize(("unsent", "ended"), [(0, "closed"), (1, "aborted")])
def test_at_the_end_a_connection_is_closed_and_with_an_unread_answer_aborted(
    loop: asyncio.AbstractEventLoop, unsent: int, ended: str
) -> None:
    wire = Wire()
    wire.unsent = unsent
    connection = SimpleNamespace(transport=wire, cycle=None, loop=loop)
    clock = Clock(cast("H11Protocol", connection), 0.0)
    clock.update()
    loop.run_until_complete(asyncio.sleep(0.01))
    assert wire.ended == ended
    assert clock.deadline is None


def test_where_there_are_too_many_the_one_that_rests_longest_is_ended(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uvicorn.server import ServerState

    monkeypatch.setattr("ser.serve.connection.MOST_CONNECTIONS", 2)
    kind, state = limited_protocol(60.0, cast(Measure, Counter())), ServerState()
    (_, busy), (_, oldest), (_, newest) = (connect_busy(loop, kind, state), connect(loop, kind, state), connect(loop, kind, state))
    assert (busy.ended, oldest.ended, newest.ended) == (None, "aborted", None)
    assert len(state.connections) == 2


def connect_busy(loop: asyncio.AbstractEventLoop, kind: "type[H11Protocol]", state: "ServerState") -> tuple[Any, Wire]:
    """With a request under way, so that the server is to act."""
    protocol, wire = connect(loop, kind, state)
    protocol.data_received(HEAD)
    return protocol, wire


def test_where_all_are_busy_the_new_one_is_ended(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    from uvicorn.server import ServerState

    monkeypatch.setattr("ser.serve.connection.MOST_CONNECTIONS", 1)
    kind, state = limited_protocol(60.0, cast(Measure, Counter())), ServerState()
    (_, busy), (_, newest) = connect_busy(loop, kind, state), connect(loop, kind, state)
    assert (busy.ended, newest.ended) == (None, "aborted")


def test_what_is_no_http_is_counted_and_answered_as_other_refusals(loop: asyncio.AbstractEventLoop) -> None:
    protocol, wire, counter = limited(loop)
    protocol.data_received(b"hello\r\n\r\n")
    assert wire.sent.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"nosniff" in wire.sent
    assert b'"reason": "bad-request"' in wire.sent
    assert wire.ended == "closed"
    assert counter.counted == [("other", "other", [400], "bad-request", [])]


def meter_of(body: bytearray) -> tuple[WasteMeter, Wire]:
    cycle = SimpleNamespace(more_body=True, response_complete=False, body=body)
    wire = Wire()
    return WasteMeter(cast("H11Protocol", SimpleNamespace(cycle=cycle, transport=wire))), wire


def test_bytes_that_become_no_body_are_waste_and_too_many_end_the_connection() -> None:
    body = bytearray()
    meter, wire = meter_of(body)
    for _ in range(WASTE_BYTES):
        meter.measure(b"0", lambda _: None)
    before = wire.ended
    meter.measure(b"0", lambda _: None)
    assert (before, wire.ended) == (None, "aborted")


def test_a_body_with_some_framing_is_no_waste() -> None:
    body = bytearray()
    meter, wire = meter_of(body)
    for _ in range(1000):
        meter.measure(bytes(100), lambda data: body.extend(data[: 100 // FRAMING]))
    assert (meter.waste, wire.ended) == (0, None)


def test_bytes_are_parsed_in_slices_and_none_behind_the_end_of_the_connection(loop: asyncio.AbstractEventLoop) -> None:
    protocol, wire, _ = limited(loop)
    head = HEAD.replace(b"10", b"1000000")
    protocol.data_received(head + bytes(3 * SLICE))
    assert len(protocol.cycle.body) == 3 * SLICE
    wire.abort()
    protocol.data_received(bytes(SLICE))
    assert len(protocol.cycle.body) == 3 * SLICE
