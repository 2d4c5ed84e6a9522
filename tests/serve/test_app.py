"""The service over HTTP: its answers are the predictor's, and whatever else comes gets a reason and no 5xx."""

import io
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
from prometheus_client.parser import text_string_to_metric_families

from conftest import Ser
from places import ROOT
from processes import PATIENCE, eventually, slowness
from ser.export.onnx_file import export_run
from ser.inference.formats import Outcome, record
from ser.inference.predictor import Predictor
from ser.runs.run import Run
from ser.serve.app import DOCS, HEADERS, HEALTH, METRICS, MODEL, OF_ALL, OF_PREDICT, PREDICT, SCHEMA
from ser.serve.assets import load_assets
from ser.serve.problems import CONTENT_TYPE, OF_UPLOADS, REQUEST_REASONS, status_of
from ser.serve.schema import Answer, Model, Problem
from services import RATE, Held, Service, noise, serving, wav

pytestmark = pytest.mark.timing

SECONDS, BYTES = 20.0, 1 << 20
GOOD = wav(noise(1.0))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "model.onnx"
    export_run(finished, path)
    return path


@pytest.fixture(scope="module")
def service(exported: Path) -> Iterator[Service]:
    with serving(exported, "--workers", "2", "--max-mb", "1", "--max-seconds", str(SECONDS)) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(exported: Path) -> Iterator[Service]:
    with serving(exported, "--workers", "1", "--timeout", f"{slowness():.1f}") as running:
        yield running


def refused(response: httpx.Response, reason: str, status: int | None = None) -> Problem:
    """Its problem, which has this reason."""
    assert response.headers["content-type"] == CONTENT_TYPE, response.text
    found = Problem.model_validate_json(response.text)
    assert (found.reason, found.status, response.status_code) == (reason, status_of(reason), status or status_of(reason))
    return found


def counted(service: Service, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(service.get(METRICS).text)
    return sum(
        sample.value for family in families for sample in family.samples if sample.name == name and labels.items() <= sample.labels.items()
    )


# -- answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "rate", "form", "subtype"),
    [(0.2, 16_000, "WAV", "PCM_16"), (2.0, 48_000, "FLAC", "PCM_16"), (19.0, 8_000, "OGG", "OPUS"), (3.0, 44_100, "AIFF", "PCM_24")],
)
def test_an_answer_is_the_predictors(service: Service, exported: Path, seconds: float, rate: int, form: str, subtype: str) -> None:
    content = wav(noise(seconds, rate), rate, subtype=subtype, form=form)
    response = service.post(content)
    assert response.status_code == 200, response.text
    found = response.json()
    expected = record(Outcome("", Predictor.load(exported).predict(io.BytesIO(content))))
    model = found.pop("model")
    assert found == {key: value for key, value in expected.items() if key != "path"}
    assert model == {key: service.get(MODEL).json()[key] for key in model}
    Answer.model_validate_json(response.text)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", ["audio/wav", "audio/x-anything; rate=1", "application/octet-stream", None])
def test_a_body_alone_is_heard_as_a_form_is(service: Service, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    response = service.client.post(PREDICT, content=GOOD, headers=headers)
    assert response.json() == service.post(GOOD).json()


def test_the_model_tells_of_itself_and_of_the_limits(service: Service, exported: Path) -> None:
    found = Model.model_validate_json(service.get(MODEL).text)
    model = Predictor.load(exported)
    assert found.classes == list(model.classes)
    assert (found.max_bytes, found.max_seconds, found.window) == (BYTES, SECONDS, model.window)
    assert found.weights == model.model.facts.weights  # type: ignore[attr-defined]


def test_it_is_healthy_while_a_worker_has_the_model(service: Service) -> None:
    assert service.get(HEALTH).json() == {"status": "ready"}
    assert service.client.head(HEALTH).status_code == 200


def test_a_run_is_served_as_its_export_is(finished: Run, service: Service) -> None:
    with serving(finished.folder) as of_run:
        assert len(of_run.workers()) == 1
        said, known = of_run.post(GOOD).json(), service.post(GOOD).json()
        assert list(said["probabilities"].values()) == pytest.approx(list(known["probabilities"].values()), abs=1e-4)
        assert said["model"] == known["model"]


# -- what cannot be used ------------------------------------------------------------------

BROKEN = {
    "empty": b"",
    "header-only": wav(np.zeros(0, np.float32)),
    "truncated": GOOD[: len(GOOD) // 2],
    "bad-header": GOOD[:22] + b"\0\0" + GOOD[24:],
    "not-audio": b"hello, world" * 99,
    "lfs-pointer": LFS,
    "unsupported-codec": wav(noise(1), form="AU"),
    "too-short": wav(noise(0.05)),
    "too-long": wav(noise(SECONDS + 1)),
    "rate-too-low": wav(noise(1, 2_000), 2_000),
    "silent": wav(np.zeros(RATE, np.float32)),
    "not-finite": wav(np.full(RATE, np.nan, np.float32), subtype="FLOAT"),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_recording_is_refused_with_its_reason(service: Service, reason: str) -> None:
    before = counted(service, "ser_refusals_total", reason=reason)
    refused(service.post(BROKEN[reason]), reason)
    assert counted(service, "ser_refusals_total", reason=reason) == before + 1


def test_every_reason_of_a_request_is_tried_somewhere() -> None:
    here = Path(__file__)
    tried = here.read_text(encoding="utf-8") + here.with_name("test_serve_stop.py").read_text(encoding="utf-8")
    assert [reason for reason in (*REQUEST_REASONS, *OF_UPLOADS) if f'"{reason}"' not in tried and reason != "defect"] == []


PARAMETERS = st.one_of(
    st.sampled_from([" boundary=x", " charset=undefined", " charset=punycode", " charset=idna", " charset=hex", " boundary*=undefined''x"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
KINDS = st.one_of(
    st.just("audio/wav"), st.lists(PARAMETERS, max_size=3).map(lambda parameters: ";".join(["multipart/form-data", *parameters]))
)
BODIES = st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda tail: GOOD[:30] + tail))


@given(body=BODIES, kind=KINDS)
@settings(max_examples=50, deadline=None)
def test_garbage_never_is_the_services_fault(service: Service, body: bytes, kind: str) -> None:
    response = service.client.post(PREDICT, content=body, headers={"content-type": kind.strip()})
    assert 400 <= response.status_code < 500
    Problem.model_validate_json(response.text)


@pytest.mark.parametrize("parameter", ["charset=undefined", "charset=punycode"])
def test_a_parameter_of_a_form_that_cannot_be_read_is_refused(service: Service, parameter: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary=x; {parameter}"}
    refused(
        service.client.post(PREDICT, content=part("a", b"\xff") + part("file", GOOD, FILE) + b"--x--\r\n", headers=headers), "bad-request"
    )


# -- requests -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "", "localhost.", "[::2]", "127.0.0.1:x"])
def test_another_host_is_refused(service: Service, host: str) -> None:
    for path in ("/", MODEL, METRICS):
        refused(service.get(path, headers={"host": host}), "wrong-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8000"])
def test_its_own_names_are_taken(service: Service, host: str) -> None:
    assert service.get(HEALTH, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://example.org", "null", "http://localhost:1", "file://"])
def test_a_page_of_another_site_sends_nothing(service: Service, origin: str) -> None:
    refused(service.post(GOOD, headers={"origin": origin}), "wrong-origin")


def test_a_form_of_another_site_sends_nothing(service: Service) -> None:
    refused(service.post(GOOD, headers={"sec-fetch-site": "cross-site"}), "wrong-origin")


def test_its_own_page_sends(service: Service) -> None:
    assert service.post(GOOD, headers={"origin": service.url, "sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json", "video/mp4"])
def test_another_type_is_refused(service: Service, kind: str) -> None:
    refused(service.client.post(PREDICT, content=GOOD, headers={"content-type": kind}), "wrong-type")


def part(name: str, content: bytes, file: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


FILE = '; filename="a.wav"'
FORMS = {
    "no part": b"--x--\r\n",
    "no end": part("file", GOOD, FILE)[:-99],
    "another field": part("sound", GOOD, FILE) + b"--x--\r\n",
    "no file": part("file", b"a.wav") + b"--x--\r\n",
    "two files": 2 * part("file", GOOD, FILE) + b"--x--\r\n",
    "many fields": 9 * part("a", b"b") + part("file", GOOD, FILE) + b"--x--\r\n",
    "a long field": part("a", b"b" * 9_999) + part("file", GOOD, FILE) + b"--x--\r\n",
    "no name": b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--\r\n",
    "other boundary": b"--y\r\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_none_is_refused(service: Service, name: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    refused(service.client.post(PREDICT, content=FORMS[name], headers=headers), "bad-request")


def test_a_name_leads_nowhere(service: Service) -> None:
    files = {"file": ("../../etc/passwd\r\nx: \x1b[31m", GOOD)}
    assert service.client.post(PREDICT, files=files).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/..%2f..%2fetc/passwd", "//etc/passwd", "/web/app.js", "/app.py", "/%00", "/v1/predict/"])
def test_nothing_else_is_there(service: Service, path: str) -> None:
    refused(service.get(path), "not-found")


@pytest.mark.parametrize(("method", "path"), [("GET", PREDICT), ("DELETE", "/"), ("PUT", MODEL), ("OPTIONS", PREDICT)])
def test_other_methods_are_refused(service: Service, method: str, path: str) -> None:
    response = service.client.request(method, path)
    refused(response, "wrong-method")
    assert "access-control-allow-origin" not in response.headers


HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "wrong-host"),
        (b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n", "wrong-host"),
        (HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", "bad-request"),
        (HEAD + b"Content-Length: -1\r\n\r\n", "bad-request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n", "bad-request"),
        (b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 20_000 + b"\r\n\r\n", "bad-request"),
        (b"\x16\x03\x01\x02\0\n", "bad-request"),
        (b"GET /v1/predict/ HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n", "not-found"),
    ],
)
def test_what_is_hardly_http_is_refused_as_the_rest(hasty: Service, request_line: bytes, reason: str) -> None:
    before = counted(hasty, "ser_refusals_total", reason=reason)
    with hasty.connect() as connection:
        connection.sendall(request_line)
        head, _, content = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status_of(reason)} ".encode())
    assert all(f"\r\n{name}: {value}".encode() in head for name, value in {**HEADERS, "content-type": CONTENT_TYPE}.items())
    assert Problem.model_validate_json(content).reason == reason
    assert counted(hasty, "ser_refusals_total", reason=reason) == before + 1


def test_a_body_in_pieces_of_one_byte_is_cut_off(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        assert eventually(lambda: not takes(connection, b"1\r\nx\r\n" * 9_000))
    with service.connect() as connection:
        pieces = b"".join(b"14\r\n" + GOOD[start : start + 20] + b"\r\n" for start in range(0, len(GOOD) - 19, 20))
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 (200|422) ", connection.recv(99))


# -- sizes and clocks ---------------------------------------------------------------------


def chunks(size: int) -> Iterator[bytes]:
    yield from (b"x" * 4096 for _ in range(size // 4096))


def test_a_body_may_be_as_long_as_that_and_no_longer(service: Service) -> None:
    refused(service.post(GOOD.ljust(BYTES + 1, b"\0")), "too-large")
    refused(service.client.post(PREDICT, content=b"x" * BYTES), "not-audio")
    refused(service.client.post(PREDICT, content=b"x" * (BYTES + 1)), "too-large")


@pytest.mark.parametrize("size", [2 * BYTES, 40 * BYTES])
def test_a_longer_one_is_refused_however_it_comes(service: Service, size: int) -> None:
    refused(service.client.post(PREDICT, content=b"x" * size), "too-large")
    refused(service.client.post(PREDICT, content=chunks(size)), "too-large")
    refused(service.post(b"x" * size), "too-large")


def test_one_that_says_so_first_is_not_even_sent(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(99).startswith(b"HTTP/1.1 413 ")


def test_an_upload_that_stalls_is_cut_off(hasty: Service) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nRIFF")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["reason"] == "slow-upload"


def test_a_request_that_never_is_one_is_cut_off(hasty: Service) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(hasty.connect()) for _ in range(3)]
        for connection, sent in zip(connections, (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\n"), strict=True):
            connection.sendall(sent)
        assert [read_all(connection) for connection in connections] == [b""] * 3


def test_a_drop_at_a_time_is_cut_off_too(hasty: Service) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(9999).startswith(b"HTTP/1.1 200")
        assert eventually(lambda: not takes(connection, b"G"))


def takes(connection: socket.socket, drop: bytes) -> bool:
    time.sleep(0.1)
    try:
        connection.sendall(drop)
    except (ConnectionResetError, BrokenPipeError):
        return False
    return True


def read_all(connection: socket.socket) -> bytes:
    """Until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_client_that_leaves_costs_nothing(service: Service) -> None:
    for _ in range(3):
        with service.connect() as connection:
            connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nRIFF")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert service.post(GOOD).status_code == 200
    assert eventually(lambda: counted(service, "ser_requests_in_flight") == 1)


def test_a_decoder_that_hangs_is_killed(hasty: Service, tmp_path: Path) -> None:
    (worker,) = hasty.workers()
    refused(hasty.post(Held(tmp_path / "never").content), "timeout")
    # in this order: for a moment the killed worker still counts as one
    assert eventually(lambda: counted(hasty, "ser_workers_restarted_total") == 1)
    assert eventually(lambda: counted(hasty, "ser_workers") == 1)
    assert hasty.workers() != [worker]
    assert hasty.post(GOOD).status_code == 200


# -- workers that die ---------------------------------------------------------------------


@pytest.mark.parametrize(("order", "reason"), [("die /dev/null", "unreadable"), ("stumble x", "unreadable"), ("fill", "too-long")])
def test_a_recording_that_kills_its_worker_is_refused_alone(service: Service, order: str, reason: str) -> None:
    refused(service.post(wav(noise(1), order=order)), reason)
    assert service.post(GOOD).status_code == 200


def test_one_whose_worker_died_of_something_else_is_heard_by_another(service: Service, tmp_path: Path) -> None:
    order = f"die-once {tmp_path}/died"
    assert service.post(wav(noise(1), order=order)).status_code == 200
    assert (tmp_path / "died").exists()


def test_a_worker_that_ends_with_its_answer_gets_no_other(service: Service, tmp_path: Path) -> None:
    refused(service.post(wav(noise(1), order="fill")), "too-long")
    assert service.post(wav(noise(1), order=f"die-once {tmp_path}/died")).status_code == 200


def test_it_goes_on_when_all_workers_are_killed(service: Service) -> None:
    workers = service.workers()
    for worker in workers:
        worker.kill()
    assert not psutil.wait_procs(workers, timeout=PATIENCE)[1]  # a killed process may live on for a moment
    assert service.post(GOOD).status_code == 200


# -- pages --------------------------------------------------------------------------------


def test_every_file_of_the_page_is_served_and_may_be_kept(service: Service) -> None:
    for path, asset in load_assets().items():
        response = service.get(path)
        assert (response.content, response.headers["content-type"]) == (asset.content, asset.media_type)
        assert {*HEADERS.items()} <= {*response.headers.items()}
        again = service.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert service.get("/predictor.js").content == service.get("/service.js").content


def test_the_policy_allows_no_other_host(service: Service) -> None:
    policy = service.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "unsafe" not in policy


def test_the_docs_tell_of_every_address_without_another_host(service: Service) -> None:
    page = service.get(DOCS).text
    assert all(f" {path}</code>" in page for path in (PREDICT, MODEL, HEALTH, METRICS))
    assert "<script" not in page
    assert "src=" not in page
    assert "href='http" not in page


def test_the_command_in_the_docs_works_here(service: Service) -> None:
    """With the port that was chosen, and by the name under which the browser came."""
    assert f"curl -F file=@recording.wav {service.url}{PREDICT}" in service.get(DOCS).text
    assert f"http://localhost{PREDICT}" in service.get(DOCS, headers={"Host": "localhost"}).text


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from ([schema["$ref"]] if "$ref" in schema else [])
        schema = list(schema.values())
    for each in schema if isinstance(schema, list) else ():
        yield from references(each)


def test_the_schema_is_whole(service: Service) -> None:
    schema = service.get(SCHEMA).json()
    assert schema["openapi"].startswith("3.1")
    assert {*schema["paths"]} == {PREDICT, MODEL, HEALTH, METRICS}
    for reference in references(schema):
        assert reference.removeprefix("#/components/schemas/") in schema["components"]["schemas"]
    said = schema["paths"][PREDICT]["post"]["responses"]
    assert {int(status) for status in said} == {200} | {status_of(reason) for reason in (*OF_ALL, *OF_PREDICT)}
    for status, answer in said.items():
        (media,) = answer["content"]
        assert media == ("application/json" if status == "200" else CONTENT_TYPE)
        assert answer["content"][media]["schema"]["$ref"].endswith("Answer" if status == "200" else "Problem")
    assert all(reason in said[str(status_of(reason))]["description"] for reason in OF_PREDICT)


def test_requests_are_counted(service: Service) -> None:
    names = ("ser_audio_seconds_total", "ser_prediction_seconds_count", "ser_waiting_seconds_count")
    before = [counted(service, name) for name in names]
    routes = [counted(service, "ser_requests_total", route=route) for route in (PREDICT, "other")]
    service.post(wav(noise(2.5)))
    service.get("/a")
    service.get("/b")
    assert [counted(service, name) for name in names] == pytest.approx([before[0] + 2.5, before[1] + 1, before[2] + 1])
    assert [counted(service, "ser_requests_total", route=route) for route in (PREDICT, "other")] == [routes[0] + 1, routes[1] + 2]
    assert counted(service, "ser_resident_memory_bytes", process="workers") > 10_000_000
    assert counted(service, "ser_resident_memory_bytes", process="server") > 10_000_000
    families = text_string_to_metric_families(service.get(METRICS).text)
    assert sum(len(family.samples) for family in families) < 300


def test_a_client_that_does_not_read_is_cut_off(hasty: Service) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with hasty.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(50):
                connection.send(100 * request)
        assert eventually(lambda: counted(hasty, "ser_requests_in_flight") == 2)
        assert eventually(lambda: counted(hasty, "ser_requests_in_flight") == 1)


def test_the_page_of_the_docs_tells_every_reason_and_status() -> None:
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z][^|]+) \| (\d{3}) \|", page, re.MULTILINE)
    told = {reason: int(status) for reasons, status in rows for reason in re.findall(r"`([\w-]+)`", reasons)}
    assert told == {reason: status_of(reason) for reason in {*REQUEST_REASONS, *OF_UPLOADS}}


def test_the_page_of_the_docs_tells_every_address_and_option(ser: Ser) -> None:
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    assert all(f" {path}`" in page for path in (PREDICT, MODEL, HEALTH, METRICS, SCHEMA, DOCS))
    help_text = ser("serve", "--help").out
    assert {*re.findall(r"--[a-z][a-z-]+", page)} - {"--format"} == {*re.findall(r"--[a-z][a-z-]+", help_text)} - {"--help", "--verbose"}
