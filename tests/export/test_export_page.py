"""The page without a server says what `ser predict` says, refuses what it refuses, and asks no other machine."""

import base64
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

import browser
from backbones import tiny_backbone
from browser import Watched, watched
from conftest import Ser
from places import PACKAGE
from real_speech import real_clips
from ser.errors import AudioError, ConfigError, DataError
from ser.export import page as web_export
from ser.export.browser_runtime import MEMBERS, VERSION, read_runtime
from ser.export.onnx_file import export_run
from ser.export.page import PAGE, write_page
from ser.inference.formats import Outcome, record
from ser.inference.predictor import Predictor
from ser.runs.run import Run
from ser.system.files import exclusive_lock
from trees import write_trees
from workspace import make_workspace

pytestmark = pytest.mark.timing

SAMPLE = PACKAGE / "sample"
TOLERANCE = 1e-3
"""Between probabilities."""
TOLERANCE_OPUS = 2e-2
"""Below 48 kHz, where libopus and the browser make other samples of the same bytes."""
TOLERANCE_ZEROS = 2e-2
"""Where a frame of a resampled recording holds no sound at all: its chroma is that of what soxr rounds, 1e-9 of full scale."""
RUNTIME = dict.fromkeys(MEMBERS, b"not looked at")
HEAR = """async ({content, name}) => {
  const { predict } = await import("./predictor.js");
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const fractions = [];
  try {
    const record = await predict(new File([bytes], name), { progress: (fraction) => fractions.push(fraction) });
    return { record, fractions };
  } catch (error) {
    return { error: { name: error.name, reason: error.reason, detail: error.detail } };
  }
}"""
RESAMPLE = """async ({content, rate}) => {
  const { resample } = await import("./local/resample.js");
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  return Array.from(resample(new Float32Array(bytes.buffer), rate, 16000));
}"""
CANCEL = """async (content) => {
  const { predict } = await import("./predictor.js");
  const file = () => new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], "a.wav");
  const control = new AbortController();
  const cancelled = await predict(file(), { signal: control.signal, progress: () => control.abort() }).catch((error) => error.name);
  return { cancelled, record: await predict(file()) };
}"""

Samples = NDArray[np.float32]
Hear = Callable[[bytes, str], Any]


# -- the folder ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_what_a_page_needs_and_nothing_else(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "page"
    size = write_page(model, folder, RUNTIME)
    own = {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.*")} - {"service.js", "local.js", "docs.css"}
    voice = {"silero/silero.onnx", "silero/LICENSE.txt"} if Predictor.load(model).silero else set()
    beside = {"predictor.js", "model.onnx", "model.json", *(f"onnxruntime/{name}" for name in MEMBERS)}
    assert names(folder) == own | beside | voice | {"onnxruntime/LICENSE.txt", "onnxruntime/ThirdPartyNotices.txt"}
    assert size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()
    assert (folder / "predictor.js").read_bytes() == (PAGE / "local.js").read_bytes()
    assert b"opened.js" in (folder / "index.html").read_bytes()
    assert [path.name for path in folder.parent.iterdir()] == ["page"]


def test_the_page_hears_with_the_lengths_of_ser_predict(model: Path, tmp_path: Path) -> None:
    write_page(model, tmp_path / "page", RUNTIME)
    facts, predictor = json.loads((tmp_path / "page" / "model.json").read_text()), Predictor.load(model)
    assert (facts["window"], facts["hop"]) == (predictor.window, predictor.hop)
    assert facts["classes"] == list(predictor.classes)
    assert facts["audio"] == predictor.model.audio.model_dump(mode="json")


def test_a_page_takes_the_place_of_a_page(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    write_page(model, folder, RUNTIME)
    (folder / "model.onnx").write_bytes(b"older")
    write_page(model, folder, RUNTIME)
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {"index.html": "<p>mine"}, {"model.json": "[]", "index.html": ""}])
def test_a_folder_with_anything_else_stays_as_it_is(model: Path, tmp_path: Path, content: dict[str, str]) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    with pytest.raises(ConfigError, match="is not part of a page"):
        write_page(model, folder, RUNTIME)
    assert names(folder) == set(content)


def test_a_file_that_was_put_into_a_page_is_not_lost(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    write_page(model, folder, RUNTIME)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        write_page(model, folder, RUNTIME)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("below", ["", "local"])
def test_a_folder_or_a_link_to_one_inside_a_page_is_not_lost(model: Path, tmp_path: Path, below: str) -> None:
    folder = tmp_path / "page"
    write_page(model, folder, RUNTIME)
    (folder / below / "mine").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ConfigError, match="mine, which is not part"):
        write_page(model, folder, RUNTIME)
    (folder / below / "mine").unlink()
    (folder / below / "mine").mkdir()
    with pytest.raises(ConfigError, match="mine, which is not part"):
        write_page(model, folder, RUNTIME)


@pytest.mark.parametrize("at", [0, 1])
def test_an_interruption_while_it_takes_its_place_leaves_the_old_page(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    folder = tmp_path / "page"
    write_page(model, folder, RUNTIME)
    (folder / "model.onnx").write_bytes(b"older")
    rename, calls = Path.rename, itertools.count()

    def interrupted(path: Path, target: Path) -> Path:
        if next(calls) == at:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_page(model, folder, RUNTIME)
    assert (folder / "model.onnx").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def leave_killed(folder: Path) -> None:
    """What an export leaves that was killed while it put a page in the place of an older one."""
    (folder / web_export.LOCK).parent.mkdir()
    (folder / web_export.LOCK).touch()
    (folder / "new").mkdir()
    (folder / "old").mkdir()
    (folder / "old" / "model.json").write_text("{}")


def test_what_a_killed_export_left_is_removed_and_what_a_living_one_has_is_not(model: Path, tmp_path: Path) -> None:
    folder, dead, alive = tmp_path / "page", tmp_path / ".page.dead.tmp", tmp_path / ".page.alive.tmp"
    leave_killed(dead)
    leave_killed(alive)
    with exclusive_lock(alive / web_export.LOCK):
        write_page(model, folder, RUNTIME)
    assert {path.name for path in tmp_path.iterdir()} == {"page", alive.name}
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()


def test_a_killed_export_gives_the_old_page_back(tmp_path: Path) -> None:
    leave_killed(tmp_path / ".page.dead.tmp")
    web_export.clear(tmp_path / ".page.dead.tmp", tmp_path / "page")
    assert names(tmp_path) == {"page/model.json"}


def test_a_page_reaches_the_disk_with_all_its_folders(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(web_export, "sync_folder", lambda folder: synced.append(folder.name))
    write_page(model, tmp_path / "page", RUNTIME)
    assert {"new", "local", "onnxruntime", tmp_path.name} <= set(synced)


def test_where_nothing_can_be_put_beside_the_folder_is_said(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_page(model, tmp_path / "page", RUNTIME)


@pytest.mark.parametrize("before", [False, True])
def test_a_full_disk_leaves_what_was_there(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    folder = tmp_path / "page"
    if before:
        write_page(model, folder, RUNTIME)
    there, write = names(tmp_path), web_export.write
    written: list[str] = []

    def full(path: Path, content: bytes) -> None:
        if len(written) == 5:
            raise OSError(28, "No space left on device", str(path))
        written.append(path.name)
        write(path, content)

    monkeypatch.setattr(web_export, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_page(model, folder, RUNTIME)
    assert names(tmp_path) == there
    assert folder.exists() is before


def test_a_file_is_no_folder_for_a_page(model: Path, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("mine")
    with pytest.raises(ConfigError, match="a folder that does not exist yet"):
        write_page(model, tmp_path / "page", RUNTIME)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runtime", "somewhere"], "--runtime is for --web"),
        (["--web", "page", "--head-only"], "a page needs the whole model"),
        (["--web", "page", "--int8"], "is an exported file"),
        (["--web", "page", "--runtime", "nowhere"], "--runtime nowhere does not exist"),
    ],
)
def test_what_does_not_go_together_is_one_line(ser: Ser, model: Path, arguments: list[str], said: str) -> None:
    answer = ser("export", model, *arguments)
    assert answer.code in (2, 3)
    assert said in answer.err
    assert answer.err.count("\n") == 1


# -- in a browser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runtime() -> dict[str, bytes]:
    try:
        return read_runtime()
    except (ConfigError, DataError) as error:
        pytest.skip(f"no onnxruntime-web {VERSION}: {error}")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """Address of a page, handed out as `python -m http.server` does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def address(model: Path, runtime: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("web") / "page"
    write_page(model, folder, runtime)
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def seen(chromium: Any, address: str) -> Iterator[Watched]:
    with watched(chromium, address.rstrip("/")) as seen:
        seen.page.goto(address)
        yield seen


@pytest.fixture
def page(seen: Watched, address: str) -> Iterator[Any]:
    """One for all tests; after each nothing has gone wrong on it."""
    yield seen.page
    seen.check(address.rstrip("/"))


def hear_in(page: Any, content: bytes, name: str) -> Any:
    """The record, or the error, of a file of that name."""
    return page.evaluate(HEAR, {"content": base64.b64encode(content).decode(), "name": name})


@pytest.fixture
def hear(page: Any) -> Hear:
    return partial(hear_in, page)


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.load(model)


@contextmanager
def opened(chromium: Any, folder: Path) -> Iterator[Any]:
    """A page of its own."""
    with served(folder) as address, watched(chromium, address.rstrip("/")) as seen:
        seen.page.goto(address)
        yield seen.page


def encode(samples: Samples, rate: int, form: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def speech(seed: int, seconds: float, rate: int, channels: int = 1, hush: float = 1e-4) -> Samples:
    """Clips of the sample with noise as loud as `hush` between them, (samples, channels)."""
    generator = np.random.default_rng(seed)
    paths = sorted(path for path in (SAMPLE / "crema").rglob("*.*") if path.suffix in (".wav", ".flac", ".ogg", ".opus"))
    pieces: list[Samples] = []
    while sum(map(len, pieces)) < seconds * rate:
        samples, own = soundfile.read(paths[generator.integers(len(paths))], dtype="float32")
        noise = (hush * generator.normal(size=int(generator.uniform(0.1, 4) * rate))).astype(np.float32)
        pieces += [soxr.resample(samples, own, rate).astype(np.float32) if own != rate else samples, noise]
    mono = np.concatenate(pieces)[: round(seconds * rate)]
    return np.stack([mono * factor for factor in (1, 0.7)[:channels]], axis=1).astype(np.float32)


def compare(found: Any, expected: dict[str, Any], tolerance: float = TOLERANCE) -> None:
    """Of two records; what is no probability is the same, but for the answers where two classes are as likely."""
    for key in ("seconds", "speech_seconds", "sample_rate", "channels", "container", "warnings", "voice", "reason", "detail"):
        assert found[key] == expected[key], key
    assert [(entry["start"], entry["end"]) for entry in found["timeline"]] == [
        (entry["start"], entry["end"]) for entry in expected["timeline"]
    ]
    for one, other in zip([found, *found["timeline"]], [expected, *expected["timeline"]], strict=True):
        np.testing.assert_allclose([*one["probabilities"].values()], [*other["probabilities"].values()], rtol=0, atol=tolerance)
        assert [*one["probabilities"]] == [*other["probabilities"]]
        assert one["emotion"] == other["emotion"]
    compare_segments(found["segments"], expected["segments"], tolerance)
    assert found["attention"].keys() == expected["attention"].keys()
    for name, curve in expected["attention"].items():
        assert found["attention"][name]["rate"] == curve["rate"]
        weights = np.array(curve["weights"])
        bound = max(0.02, 10 * tolerance) * max(1, weights.max())
        np.testing.assert_allclose(found["attention"][name]["weights"], weights, rtol=0, atol=bound)


def compare_segments(found: Sequence[Any], expected: Sequence[Any], tolerance: float) -> None:
    assert [(entry["start"], entry["end"], entry["emotion"]) for entry in found] == [
        (entry["start"], entry["end"], entry["emotion"]) for entry in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one["confidence"] == pytest.approx(other["confidence"], abs=tolerance)


def expect(predictor: Predictor, content: bytes, name: str, folder: Path) -> dict[str, Any]:
    """What Python says of a file of that name, in the shape of the page."""
    path = folder / name
    path.write_bytes(content)
    values = record(Outcome(name, predictor.predict(path)))
    del values["path"]
    return values


WAVES = [
    (16_000, 1, "WAV", "PCM_16"),
    (48_000, 1, "WAV", "PCM_24"),
    (48_000, 2, "WAV", "PCM_16"),
    (44_100, 1, "WAVEX", "PCM_16"),
    (44_100, 2, "WAVEX", "FLOAT"),
    (24_414, 1, "WAV", "PCM_16"),
    (22_050, 1, "WAV", "PCM_32"),
    (8_000, 2, "WAV", "ALAW"),
    (11_025, 1, "WAV", "ULAW"),
    (32_000, 1, "WAV", "DOUBLE"),
    (16_000, 3, "WAV", "PCM_U8"),
    (96_000, 1, "WAV", "PCM_16"),
    (16_000, 1, "AIFF", "PCM_16"),
    (44_100, 2, "AIFF", "PCM_24"),
    (48_000, 1, "AIFF", "FLOAT"),
    (8_000, 1, "AIFF", "ULAW"),
    (48_000, 2, "FLAC", "PCM_16"),
    (24_414, 1, "FLAC", "PCM_24"),
    (16_000, 1, "MP3", None),
    (44_100, 2, "MP3", None),
    (44_100, 1, "OGG", "VORBIS"),
    (48_000, 2, "OGG", "OPUS"),
]


@pytest.mark.parametrize(("rate", "channels", "form", "subtype"), WAVES)
def test_every_format_and_rate_is_heard_as_python_hears_it(
    hear: Hear, predictor: Predictor, tmp_path: Path, rate: int, channels: int, form: str, subtype: str | None
) -> None:
    content = encode(speech(rate + channels, 3.3, rate, channels), rate, form, subtype)
    name = f"a.{ {'WAVEX': 'wav'}.get(form, form.lower()) }"
    compare(hear(content, name)["record"], expect(predictor, content, name, tmp_path))


@pytest.mark.parametrize(
    "rate", [4_000, 6_000, 8_000, 11_025, 12_000, 22_050, 24_000, 24_414, 32_000, 37_800, 44_100, 48_000, 64_000, 88_200, 96_000, 192_000]
)
def test_any_rate_is_resampled_as_soxr_does_it_from_the_first_sample_on(page: Any, rate: int) -> None:
    noise = np.random.default_rng(rate).normal(scale=0.2, size=int(0.3 * rate)).astype(np.float32)
    found = page.evaluate(RESAMPLE, {"content": base64.b64encode(noise.tobytes()).decode(), "rate": rate})
    np.testing.assert_allclose(found, soxr.resample(noise, rate, 16_000, quality="HQ"), rtol=0, atol=3e-5 if rate >= 64_000 else 5e-6)


@pytest.mark.parametrize(("rate", "tolerance"), [(16_000, 1e-5), (32_000, TOLERANCE_ZEROS), (44_100, TOLERANCE_ZEROS)])
def test_pauses_without_any_noise_are_heard_nearly_the_same(
    hear: Hear, predictor: Predictor, tmp_path: Path, rate: int, tolerance: float
) -> None:
    content = encode(speech(rate, 15, rate, hush=0), rate, "WAV", "PCM_16")
    compare(hear(content, "a.wav")["record"], expect(predictor, content, "a.wav", tmp_path), tolerance)


@pytest.mark.parametrize("rate", [11_025, 22_050, 24_414, 44_100, 96_000])
def test_a_clip_cut_out_of_speech_is_heard_the_same(hear: Hear, predictor: Predictor, tmp_path: Path, rate: int) -> None:
    content = encode(clean(rate)[rate // 2 : -rate // 3], rate, "WAV", "PCM_16")
    compare(hear(content, "a.wav")["record"], expect(predictor, content, "a.wav", tmp_path))


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_opus_below_48_khz_is_nearly_the_same(hear: Hear, predictor: Predictor, tmp_path: Path, rate: int) -> None:
    content = encode(speech(rate, 3, rate), rate, "OGG", "OPUS")
    found, expected = hear(content, "a.opus")["record"], expect(predictor, content, "a.opus", tmp_path)
    assert (found["sample_rate"], found["seconds"]) == (expected["sample_rate"], expected["seconds"])
    np.testing.assert_allclose([*found["probabilities"].values()], [*expected["probabilities"].values()], rtol=0, atol=TOLERANCE_OPUS)


@pytest.mark.parametrize(("rate", "seconds"), [(16_000, 40), (44_100, 20), (8_000, 21), (24_414, 12)])
def test_a_long_recording_has_the_same_timeline(hear: Hear, predictor: Predictor, tmp_path: Path, rate: int, seconds: float) -> None:
    content = encode(speech(int(seconds), seconds, rate), rate, "WAV", "PCM_16")
    answer, expected = hear(content, "a.wav"), expect(predictor, content, "a.wav", tmp_path)
    assert len(expected["timeline"]) > 2
    compare(answer["record"], expected)
    assert answer["fractions"] == sorted(answer["fractions"])
    assert answer["fractions"][-1] == 1


def test_by_energy_a_recording_has_the_same_timeline_too(chromium: Any, model: Path, runtime: dict[str, bytes], tmp_path: Path) -> None:
    write_page(model, tmp_path / "page", runtime, voice="energy")
    assert not (tmp_path / "page" / "silero").exists()
    predictor = Predictor.load(model, voice="energy")
    with opened(chromium, tmp_path / "page") as page:
        content = encode(speech(2, 12, 22_050), 22_050, "WAV", "PCM_16")
        compare(hear_in(page, content, "a.wav")["record"], expect(predictor, content, "a.wav", tmp_path))


@pytest.mark.parametrize("seconds", [2, 8, 70])
def test_noise_in_which_nobody_speaks_is_the_same(hear: Hear, predictor: Predictor, tmp_path: Path, seconds: int) -> None:
    noise = (0.1 * np.random.default_rng(0).normal(size=seconds * 16_000)).astype(np.float32)
    content = encode(noise, 16_000, "WAV", "PCM_16")
    compare(hear(content, "a.wav")["record"], expect(predictor, content, "a.wav", tmp_path))


def test_a_voice_behind_minutes_of_hush_is_found_too(hear: Hear, predictor: Predictor, tmp_path: Path) -> None:
    hush = (3e-3 * np.random.default_rng(0).normal(size=(120 * 16_000, 1))).astype(np.float32)
    content = encode(np.concatenate([hush, speech(3, 2, 16_000)]), 16_000, "WAV", "FLOAT")
    expected = expect(predictor, content, "a.wav", tmp_path)
    assert expected["warnings"] == []
    compare(hear(content, "a.wav")["record"], expected)


def test_a_ring_that_drowns_quiet_speech_is_not_all_that_is_heard(hear: Hear, predictor: Predictor, tmp_path: Path) -> None:
    samples = 0.1 * speech(3, 20, 16_000)
    samples[5 * 16_000 : 6 * 16_000, 0] += 0.9 * np.sin(2 * np.pi * 900 * np.arange(16_000) / 16_000).astype(np.float32)
    content = encode(samples, 16_000, "WAV", "FLOAT")
    expected = expect(predictor, content, "a.wav", tmp_path)
    assert len(expected["timeline"]) > 2
    compare(hear(content, "a.wav")["record"], expected)


def test_speech_between_two_silences_is_one_span(hear: Hear, predictor: Predictor, tmp_path: Path) -> None:
    hush = np.full((4 * 16_000, 1), 1e-5, np.float32)
    content = encode(np.concatenate([hush, speech(3, 2, 16_000), hush]), 16_000, "WAV", "FLOAT")
    expected = expect(predictor, content, "a.wav", tmp_path)
    assert len(expected["timeline"]) == 1
    compare(hear(content, "a.wav")["record"], expected)


def clean(rate: int = 16_000) -> Samples:
    return speech(7, 1.5, rate)[:, 0]


def spoiled(value: float) -> Samples:
    samples = clean()
    samples[500] = value
    return samples


def patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


WAV, FLAC = encode(clean(), 16_000, "WAV"), encode(clean(), 16_000, "FLAC")
OGG, MP3 = encode(clean(), 16_000, "OGG", "VORBIS"), encode(clean(), 16_000, "MP3")
OPUS, AIFF = encode(clean(), 16_000, "OGG", "OPUS"), encode(clean(), 16_000, "AIFF")
TAG = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
BROKEN = {
    "empty": ("a.wav", b""),
    "a placeholder": ("a.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n"),
    "text": ("a.wav", b"so it goes " * 50),
    "a page": ("a.mp3", b"<!doctype html><html>" * 50),
    "zeros": ("a.wav", bytes(5000)),
    "a header": ("a.wav", WAV[:44]),
    "8 bytes": ("a.wav", WAV[:8]),
    "40 bytes": ("a.wav", WAV[:40]),
    "half": ("a.wav", WAV[: len(WAV) // 2]),
    "half an aiff": ("a.aiff", AIFF[: len(AIFF) // 2]),
    "half a flac": ("a.flac", FLAC[: len(FLAC) // 2]),
    "half an ogg": ("a.ogg", OGG[: len(OGG) // 2]),
    "half an opus": ("a.opus", OPUS[: len(OPUS) // 2]),
    "half an mp3": ("a.mp3", MP3[: len(MP3) // 2]),
    "30 bytes of flac": ("a.flac", FLAC[:30]),
    "200 bytes of flac": ("a.flac", FLAC[:200]),
    "no channels": ("a.wav", patched(WAV, 22, b"\0\0")),
    "no rate": ("a.wav", patched(WAV, 24, bytes(4))),
    "bits that do not fit": ("a.wav", patched(WAV, 34, b"\x20\0")),
    "another riff": ("a.wav", patched(WAV, 8, b"AVI ")),
    "no data": ("a.wav", WAV.replace(b"data", b"junk", 1)),
    "no format": ("a.wav", WAV.replace(b"fmt ", b"junk", 1)),
    "adpcm": ("a.wav", encode(clean(), 16_000, "WAV", "MS_ADPCM")),
    "au": ("a.wav", encode(clean(), 16_000, "AU")),
    "wave64": ("a.wav", encode(clean(), 16_000, "W64")),
    "rf64": ("a.wav", encode(clean(), 16_000, "RF64")),
    "mp4": ("a.mp3", b"\0\0\0\x20ftypM4A " + bytes(300)),
    "webm": ("a.webm", b"\x1aE\xdf\xa3" + bytes(300)),
    "aac": ("a.mp3", b"\xff\xf1\x50\x80" + bytes(300)),
    "a tag alone": ("a.mp3", TAG),
    "a tag before nothing known": ("a.mp3", TAG + b"so it goes " * 50),
    "too short": ("a.wav", encode(clean()[8000:9500], 16_000, "WAV")),
    "silent": ("a.wav", encode(np.zeros(16_000, np.float32), 16_000, "WAV")),
    "nearly silent": ("a.wav", encode(1e-5 * clean(), 16_000, "WAV", "FLOAT")),
    "a constant": ("a.wav", encode(np.full(16_000, 0.5, np.float32), 16_000, "WAV", "FLOAT")),
    "silent mp3": ("a.mp3", encode(np.zeros(16_000, np.float32), 16_000, "MP3")),
    "no number": ("a.wav", encode(spoiled(np.nan), 16_000, "WAV", "FLOAT")),
    "infinite": ("a.wav", encode(spoiled(np.inf), 16_000, "WAV", "FLOAT")),
    "huge": ("a.wav", encode(spoiled(1e20), 16_000, "WAV", "FLOAT")),
    "a low rate": ("a.wav", encode(clean(), 3_000, "WAV")),
    "a wild rate": ("a.wav", patched(WAV, 24, b"\xff\xff\xff\x7f")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_python_refuses_the_page_refuses_with_the_same_code(hear: Hear, predictor: Predictor, tmp_path: Path, name: str) -> None:
    file, content = BROKEN[name]
    with pytest.raises(AudioError) as refusal:
        expect(predictor, content, file, tmp_path)
    assert hear(content, file)["error"]["reason"] == refusal.value.reason


STRANGE = {
    "no sizes": ("a.wav", patched(patched(WAV, 4, b"\xff" * 4), 40, b"\xff" * 4)),
    "sizes never filled in": ("a.wav", patched(patched(WAV, 4, bytes(4)), 40, bytes(4))),
    "a few bytes short": ("a.wav", WAV[:-100]),
    "loud": ("a.wav", encode(np.clip(80 * clean(), -1, 1), 16_000, "WAV")),
    "an offset": ("a.wav", encode(clean() + 0.1, 16_000, "WAV", "FLOAT")),
    "a telephone": ("a.wav", encode(clean(8_000), 8_000, "WAV")),
    "a wrong name": ("a.flac", WAV),
    "a tag before flac": ("a.flac", TAG + FLAC),
    "a tag behind mp3": ("a.mp3", MP3 + b"TAG" + bytes(125)),
    "hardly long enough": ("a.wav", encode(clean()[8000:9700], 16_000, "WAV")),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_python_hears_with_a_warning_or_none_the_page_hears_too(hear: Hear, predictor: Predictor, tmp_path: Path, name: str) -> None:
    file, content = STRANGE[name]
    compare(hear(content, file)["record"], expect(predictor, content, file, tmp_path))


def test_work_can_be_cancelled_and_the_next_goes_on(page: Any) -> None:
    content = encode(speech(4, 30, 16_000), 16_000, "WAV", "PCM_16")
    answer = page.evaluate(CANCEL, base64.b64encode(content).decode())
    assert answer["cancelled"] == "AbortError"
    assert answer["record"]["emotion"]


def test_after_the_first_answer_the_page_asks_nobody(hear: Hear, address: str, seen: Watched) -> None:
    hear(WAV, "a.wav")
    asked = {url.removeprefix(address).partition("?")[0] for url in seen.asked}
    assert {"model.onnx", "model.json", "onnxruntime/onnxruntime.wasm"} <= asked
    before = len(seen.asked)
    hear(MP3, "a.mp3")
    assert seen.asked[before:] == []


class Kept(Quiet):
    """Of a server that lets browsers keep everything."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()


def test_who_comes_back_to_a_new_page_hears_its_new_model(
    chromium: Any, finished: Run, model: Path, runtime: dict[str, bytes], tmp_path: Path
) -> None:
    folder, newer = tmp_path / "page", tmp_path / "int8.onnx"
    export_run(finished, newer, int8=True)
    with served(folder, Kept) as address, watched(chromium, address.rstrip("/")) as seen:
        for path in (model, newer):
            write_page(path, folder, runtime)
            seen.page.goto(address)
            answer = hear_in(seen.page, WAV, "a.wav")["record"]
            compare(answer, expect(Predictor.load(path), WAV, "a.wav", tmp_path), 1e-5)
    digests = json.loads((folder / "model.json").read_text())["digests"]
    assert {f"{address}{name}?v={digest}" for name, digest in digests.items()} <= set(seen.asked)


def test_the_page_tells_what_model_it_has(page: Any, model: Path) -> None:
    told, predictor = page.evaluate("async () => (await import('./predictor.js')).about()"), Predictor.load(model)
    assert told["classes"] == list(predictor.classes)
    assert told["where"] == "browser"
    assert told["threshold"] == predictor.model.calibration.threshold


@pytest.mark.parametrize(("part", "damage"), [("model.onnx", b"cut"), ("onnxruntime/onnxruntime.js", None)])
def test_a_part_that_is_missing_or_damaged_is_said_plainly(
    chromium: Any, model: Path, runtime: dict[str, bytes], tmp_path: Path, part: str, damage: bytes | None
) -> None:
    write_page(model, tmp_path / "page", runtime)
    (tmp_path / "page" / part).unlink() if damage is None else (tmp_path / "page" / part).write_bytes(damage)
    with opened(chromium, tmp_path / "page") as page:
        for _ in range(2):
            assert hear_in(page, WAV, "a.wav")["error"]["reason"] == "unavailable"


def test_people_see_the_answer_of_a_file_and_why_another_has_none(chromium: Any, address: str) -> None:
    with watched(chromium, address.rstrip("/")) as seen:
        page: Any = seen.page
        page.goto(address)
        page.set_input_files("#file", [{"name": "a.wav", "mimeType": "audio/wav", "buffer": WAV}])
        page.wait_for_selector("#result:not([hidden])")
        assert "a.wav" in page.inner_text("#result-title")
        assert "never leaves" in page.inner_text("#runs")
        page.set_input_files("#file", [{"name": "b.wav", "mimeType": "audio/wav", "buffer": WAV[:44]}])
        page.wait_for_selector("#alert .problem")
        assert "header-only" in page.inner_text("#alert")


def test_opened_as_a_file_the_page_says_what_it_needs(chromium: Any, model: Path, tmp_path: Path) -> None:
    write_page(model, tmp_path / "page", RUNTIME)
    page = chromium.new_page()
    page.goto((tmp_path / "page" / "index.html").as_uri())
    text = page.inner_text("main")
    page.close()
    assert "python -m http.server" in text


@pytest.mark.slow
def test_a_mixture_with_its_backbone_inside_is_heard_the_same(chromium: Any, runtime: dict[str, bytes], tmp_path: Path) -> None:
    write_trees(tmp_path / "raw", ["savee"], takes=1)
    space = make_workspace(tmp_path, tmp_path / "raw", tiny_backbone("wavlm"))
    space.run("extract,transform,load")
    run, content = space.train("moe"), encode(speech(5, 6, 44_100), 44_100, "WAV", "PCM_16")
    export_run(run, tmp_path / "model.onnx")
    write_page(tmp_path / "model.onnx", tmp_path / "page", runtime)
    with opened(chromium, tmp_path / "page") as page:
        compare(hear_in(page, content, "a.wav")["record"], expect(Predictor.load(tmp_path / "model.onnx"), content, "a.wav", tmp_path))
    export_run(run, tmp_path / "head.onnx", head_only=True)
    with pytest.raises(ConfigError, match="was exported with --head-only"):
        write_page(tmp_path / "head.onnx", tmp_path / "other", runtime)


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["crema", "ravdess", "savee", "tess"])
def test_real_clips_of_every_corpus_are_heard_as_python_hears_them(hear: Hear, predictor: Predictor, tmp_path: Path, corpus: str) -> None:
    for samples, rate in real_clips(corpus, 10):
        content = encode(samples, rate, "WAV", "FLOAT")
        compare(hear(content, "a.wav")["record"], expect(predictor, content, "a.wav", tmp_path))


def test_the_command_writes_a_page_and_says_how_to_look_at_it(ser: Ser, model: Path, runtime: dict[str, bytes], tmp_path: Path) -> None:
    package = tmp_path / "package"
    for name, member in MEMBERS.items():
        (package / member.path).parent.mkdir(parents=True, exist_ok=True)
        (package / member.path).write_bytes(runtime[name])
    answer = ser("export", model, "--web", tmp_path / "page", "--runtime", package)
    assert answer.code == 0, answer.err
    assert "python -m http.server" in answer.out
    assert (tmp_path / "page" / "index.html").is_file()
