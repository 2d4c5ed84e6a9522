"""How the service starts, is overloaded, and ends: one line and a code where it cannot start, and never a process left behind."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import httpx
import psutil
import pytest

pytest.importorskip("fastapi")

from conftest import Ser
from processes import FOR_EVER, PATIENCE, eventually, is_alive, slowness, start
from ser.commands import serve as serve_module
from ser.export.onnx_file import export_run
from ser.runs.run import Run
from ser.serve.pool import Pool
from ser.serve.problems import Refused
from ser.serve.server import started
from ser.serve.uploads import MOST_AT_ONCE, Door
from ser.system.optional import install_hint
from services import Held, Service, free_port, noise, patch, serving, wav

if TYPE_CHECKING:
    import uvicorn

pytestmark = pytest.mark.timing

GOOD = wav(noise(1.0))
MP3 = bytearray(wav(noise(2.0), form="MP3", subtype="MPEG_LAYER_III"))
MP3[2_000::50] = b"\xff" * len(MP3[2_000::50])
SPOILED = bytes(MP3)


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "model.onnx"
    export_run(finished, path)
    return path


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path / "gate")


def in_flight(service: Service, count: int) -> bool:
    """With this request itself."""
    return any(line == f"ser_requests_in_flight {count}.0" for line in service.get("/metrics").text.splitlines())


# -- the end ------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_answers_what_is_in_flight_and_leaves_no_process(exported: Path, held: Held, sent: signal.Signals, code: int) -> None:
    with serving(exported, "--workers", "2", "--timeout", str(FOR_EVER)) as service, ThreadPoolExecutor() as threads:
        workers = [worker.pid for worker in service.workers()]
        answer = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        service.process.send_signal(sent)
        assert eventually(lambda: is_closed(service))
        held.let_go()
        assert answer.result().status_code == 200
        _, complaint = service.process.communicate(timeout=PATIENCE)
        assert service.process.returncode == code
        assert complaint == f"ser: stopped by {'Ctrl-C' if sent == signal.SIGINT else 'SIGTERM'}; what was finished is kept\n"
        assert not any(map(is_alive, workers))
        with pytest.raises(httpx.ConnectError):
            httpx.get(service.url)


def is_closed(service: Service) -> bool:
    """Whether it takes no more connections: the first that it does when it ends."""
    try:
        service.connect().close()
    except OSError:
        return True
    return False


def test_what_hangs_does_not_keep_it_from_ending(exported: Path, held: Held) -> None:
    with serving(exported, "--workers", "1", "--timeout", f"{slowness():.1f}") as service, ThreadPoolExecutor() as threads:
        answer = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        assert service.stop() == 143
        assert answer.result().json()["reason"] == "timeout"


def test_a_second_ctrl_c_waits_for_nothing(exported: Path, held: Held) -> None:
    with serving(exported, "--workers", "1", "--timeout", str(FOR_EVER)) as service, ThreadPoolExecutor() as threads:
        workers = [worker.pid for worker in service.workers()]
        answer = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        service.process.send_signal(signal.SIGINT)
        assert eventually(lambda: is_closed(service))
        service.process.send_signal(signal.SIGINT)
        _, complaint = service.process.communicate(timeout=PATIENCE)
        assert (service.process.returncode, complaint) == (130, "ser: stopped by Ctrl-C; what was finished is kept\n")
        assert not any(map(is_alive, workers))
        assert answer.exception() or answer.result().status_code >= 400


def test_no_worker_outlives_a_service_that_is_killed(exported: Path, held: Held) -> None:
    with serving(exported, "--workers", "1") as service, ThreadPoolExecutor() as threads:
        workers = service.workers()
        answer = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        service.process.kill()
        assert not psutil.wait_procs(workers, timeout=PATIENCE)[1]
        assert answer.exception()


def test_a_signal_before_the_model_is_there_ends_it_too(exported: Path) -> None:
    process = start(["serve", exported, "--port", "0"], patch(f"import time; time.sleep({FOR_EVER})"))
    assert eventually(lambda: bool(psutil.Process(process.pid).children()))
    time.sleep(0.2)
    children = psutil.Process(process.pid).children()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]


INTERRUPTED = """
import os
import ser.serve.server as server
make = server.make_server
def slow(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return make(*arguments)
server.make_server = slow
"""


def test_one_ctrl_c_while_it_loads_ends_it(exported: Path) -> None:
    process = start(["serve", exported, "--port", "0"], patch() + INTERRUPTED)
    _, complaint = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaint) == (130, "ser: stopped by Ctrl-C; what was finished is kept\n")


def test_an_end_before_the_model_is_there_leaves_no_process() -> None:
    begun, ended = [], []

    class Endless:
        async def start(self) -> None:
            begun.append(1)
            try:
                await asyncio.sleep(FOR_EVER)
            finally:
                ended.append(1)

    async def interrupted() -> None:
        task = asyncio.create_task(started(cast(Pool, Endless()), cast("uvicorn.Server", SimpleNamespace(should_exit=False))))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (begun, ended) == ([1], [1])

    asyncio.run(interrupted())


# -- too much, and too little -------------------------------------------------------------


def test_silent_connections_make_room_for_others(exported: Path) -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))\n"
    with serving(exported, "--workers", "1", more=few) as service, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(service.connect())
        assert httpx.get(f"{service.url}/healthz", timeout=PATIENCE).status_code == 200
        service.process.terminate()
        assert service.process.communicate(timeout=PATIENCE)[1].count("\n") == 1


def test_who_leaves_gives_up_the_place_in_the_queue(exported: Path, held: Held, tmp_path: Path) -> None:
    never = Held(tmp_path / "never")
    with serving(exported, "--workers", "1", "--timeout", str(FOR_EVER)) as service, ThreadPoolExecutor() as threads:
        first = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        with ExitStack() as stack:
            for _ in range(4):
                send(stack.enter_context(service.connect()), never.content)
            assert eventually(lambda: in_flight(service, 6))
        assert eventually(lambda: 'status="499"} 4.0' in service.get("/metrics").text)
        assert "ser_refusals_total{" not in service.get("/metrics").text
        held.let_go()
        assert first.result().status_code == service.post(GOOD).status_code == 200


def send(connection: socket.socket, content: bytes) -> None:
    connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content) + content)


FULL = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (%d, %d))
"""


@pytest.mark.parametrize("room", [2_000_000, 100_000])
def test_without_room_for_uploads_they_are_asked_to_come_again(exported: Path, room: int) -> None:
    # 100 kB: the server keeps it in memory, the worker has no room
    content = wav(noise(10.0, 16_000 if room < 1 << 20 else 192_000))
    with serving(exported, "--workers", "1", more=FULL % (room, room)) as service:
        (worker,) = service.workers()
        answers = [service.post(content), service.client.post("/v1/predict", content=content)]
        assert [(answer.status_code, answer.json()["reason"]) for answer in answers] == [(429, "busy")] * 2
        assert int(answers[0].headers["retry-after"]) >= 1
        assert service.post(GOOD).status_code == 200
        assert service.workers() == [worker]
        service.process.terminate()
        complaint = service.process.communicate(timeout=PATIENCE)[1]
    assert complaint.count("no space for temporary files") == 1
    assert "Traceback" not in complaint


def test_an_upload_is_not_blamed_for_a_worker_that_the_system_killed(exported: Path, held: Held, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(exported.read_bytes())
    with serving(model, "--workers", "1", "--timeout", f"{slowness():.1f}") as service, ThreadPoolExecutor() as threads:
        model.unlink()
        answer = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        service.workers()[0].kill()
        assert (answer.result().status_code, answer.result().json()["reason"]) == (429, "busy")
        service.process.terminate()
        assert "died (exit code -9)" in service.process.communicate(timeout=PATIENCE)[1]


def test_more_than_may_wait_are_asked_to_come_again(exported: Path, held: Held) -> None:
    limit = "import ser.serve.pool as workers; workers.WAITING_FOR_EACH = 2"
    with serving(exported, "--workers", "1", "--timeout", str(FOR_EVER), more=limit) as service, ThreadPoolExecutor() as threads:
        first = threads.submit(service.post, held.content)
        assert eventually(held.begun)
        others = [threads.submit(service.post, held.content) for _ in range(4)]
        assert eventually(lambda: sum(other.done() for other in others) == 2)
        held.let_go()
        answers = [answer.result() for answer in (first, *others)]
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
        busy = next(answer for answer in answers if answer.status_code == 429)
        assert busy.json()["reason"] == "busy"
        assert int(busy.headers["retry-after"]) >= 1


def test_without_its_model_it_is_not_healthy_and_refuses_uploads(exported: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(exported.read_bytes())
    with serving(model, "--workers", "1", "--timeout", f"{slowness():.1f}") as service:
        model.unlink()
        service.workers()[0].kill()
        assert eventually(lambda: service.get("/healthz").status_code == 503)
        assert service.get("/healthz").json()["reason"] == "not-ready"
        assert service.post(GOOD).status_code == 429
        model.write_bytes(exported.read_bytes())
        assert eventually(lambda: service.get("/healthz").status_code == 200)
        assert service.post(GOOD).status_code == 200


# -- the start ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0"], "--workers 0: give at least 1"),
        (["--max-mb", "0"], "--max-mb 0: give at least"),
        (["--max-seconds", "nan"], "--max-seconds nan"),
        (["--timeout", "inf"], "--timeout inf"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: this machine does not have such an address"),
        (["--host", "192.0.2.1"], "192.0.2.1:"),
        (["--allow-host", "http://example.org"], "--allow-host http://example.org: give a host name"),
        (["--allow-host", "*"], "--allow-host *: give a host name"),
        (["--allow-host", ""], "--allow-host : give a host name"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(ser: Ser, exported: Path, options: list[str], words: str) -> None:
    answer = ser("serve", exported, "--port", str(free_port()), *options)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert words in answer.err


def test_a_port_that_is_taken_is_told(ser: Ser, exported: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = ser("serve", exported, "--port", str(taken.getsockname()[1]))
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "the port is in use" in answer.err


@pytest.mark.parametrize(("content", "code"), [(None, 3), (b"no model", 4)])
def test_a_model_that_is_none_is_told(ser: Ser, tmp_path: Path, content: bytes | None, code: int) -> None:
    model = tmp_path / "model.onnx"
    if content is not None:
        model.write_bytes(content)
    answer = ser("serve", model, "--port", "0")
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert str(model) in answer.err


def test_a_worker_that_cannot_even_start_is_told(ser: Ser, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "worker_command", lambda *_: ["/bin/sh", "-c", "exit 7"])
    answer = ser("serve", exported, "--port", "0")
    assert (answer.code, answer.err) == (3, "ser: a worker process ended while it loaded the model (exit code 7)\n")


def test_the_extra_is_named_where_it_is_missing(ser: Ser, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "NEEDED", ("fastapi", "no_such_module"))
    answer = ser("serve", exported)
    assert (answer.code, install_hint("serve") in answer.err) == (2, True)


def test_it_answers_under_the_names_that_it_was_given(exported: Path) -> None:
    with serving(exported, "--workers", "1", "--host", "::", "--allow-host", "Emotions.example.org:8443", "--allow-host", "::2") as service:
        for host in ("emotions.example.org", "emotions.example.org:8443", "[::2]", "[0::2]:80", "[::1]"):
            assert service.get("/healthz", headers={"host": host}).status_code == 200
        assert httpx.get(f"http://127.0.0.2:{service.port}/healthz").status_code == 200  # by its address alone


def test_an_address_that_others_reach_comes_with_a_warning(ser: Ser, tmp_path: Path) -> None:
    answer = ser("serve", tmp_path / "model.onnx", "--host", "0.0.0.0", "--port", "0")
    assert "no authentication" in answer.err.splitlines()[0]
    assert "no authentication" not in ser("serve", tmp_path / "model.onnx", "--port", "0").err


# -- the log ------------------------------------------------------------------------------


def test_a_log_has_a_line_for_each_request_and_nothing_of_what_was_sent(exported: Path) -> None:
    with serving(exported, "--workers", "1", "-v") as service:
        service.client.post("/v1/predict", files={"file": ("secret.wav", GOOD)})
        service.client.post("/v1/predict", content=b"secret", headers={"content-type": "multipart/form-data; boundary=x"})
        service.client.post("/v1/predict", content=SPOILED)  # of which the decoder complains
        service.client.request("SECRET", "/secret")
        read_nothing(service)
        service.process.terminate()
        _, log = service.process.communicate(timeout=PATIENCE)
    said = [line.partition(" INFO ")[2] for line in log.splitlines() if "/healthz" not in line]
    expected = ["POST /v1/predict 200 32044 bytes, 1.0 s of audio", "POST /v1/predict 400 bad-request"]
    expected += [f"POST /v1/predict 422 truncated, {len(SPOILED)} bytes", "other other 404 not-found"]
    assert [line.rpartition(", ")[0] for line in said[:-2]] == expected
    assert said[-2:] == ["other other 400 bad-request", ""]
    assert "secret" not in log.lower()


def read_nothing(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"secret\r\n\r\n")
        assert connection.recv(99).startswith(b"HTTP/1.1 400 ")


# -- alone --------------------------------------------------------------------------------


def test_the_server_itself_loads_neither_model_nor_decoder() -> None:
    program = "import sys, ser.commands.serve, ser.serve.app; print(*{'torch', 'numpy', 'onnxruntime', 'soundfile'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_door_lets_so_many_in_at_once() -> None:
    door = Door()
    with ExitStack() as stack:
        for _ in range(MOST_AT_ONCE):
            stack.enter_context(door.passing())
        with pytest.raises(Refused, match="busy: 256 uploads") as refused, door.passing():
            pass
        assert refused.value.headers["Retry-After"] == "5"
    with door.passing():
        assert door.inside == 1
