"""The page, as people use it: with a mouse, with keys alone, on a phone, in the dark, with a microphone, and with bad luck."""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from browser import MILLISECONDS, chromium, launched, until, watched
from places import PACKAGE, SAMPLE
from ser.audio.decode import read_audio
from ser.export.onnx_file import export_run
from ser.reasons import SKIP_REASONS, WARN_REASONS
from ser.runs.run import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from services import Service

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="the service is not installed")

pytestmark = pytest.mark.timing

PREDICT = "**/v1/predict"
AT_LEAST_ONE_SECOND, AT_LEAST_TWO_SECONDS = re.compile("0:0[1-9]|[1-9]"), re.compile("0:0[2-9]|0:[1-9]|[1-9]:")
"""Of the recording's clock, which on a busy machine leaves seconds out."""
Open = Callable[..., "Page"]


# -- a service, a browser, a page ----------------------------------------------------------


@pytest.fixture(scope="module")
def service(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Service"]:
    from services import serving

    model = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, model)
    with serving(model, "--workers", "1", "--allow-host", "page.test") as running:
        yield running


@pytest.fixture(scope="module")
def speech() -> tuple[NDArray[np.float32], int]:
    """Somebody of CREMA-D."""
    audio = read_audio(min(SAMPLE.glob("*_ANG_*")))
    return audio.samples.reshape(len(audio.samples), -1)[:, 0], audio.sample_rate


@pytest.fixture(scope="module")
def clip(speech: tuple[NDArray[np.float32], int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "speech.wav"
    soundfile.write(path, *speech)
    return path


@pytest.fixture(scope="module")
def long_clip(speech: tuple[NDArray[np.float32], int], clip: Path) -> Path:
    """Three minutes: somebody speaks, and is silent, again and again, ever louder."""
    samples, rate = speech
    round_ = np.concatenate([samples, np.zeros(3 * rate, np.float32)])
    parts = [round_ * (number + 1) / 31 for number in range(31)]
    path = clip.with_name("long.wav")
    soundfile.write(path, np.concatenate(parts)[: 180 * rate], rate)
    return path


@pytest.fixture(scope="module")
def browser(clip: Path) -> Iterator["Browser"]:
    """Its microphone plays the clip once."""
    microphone = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={clip}%noloop",
    )
    with chromium(*microphone, "--host-resolver-rules=MAP page.test 127.0.0.1") as found:
        yield found


@pytest.fixture
def visit(browser: "Browser", service: "Service") -> Iterator[Open]:
    """Opens the page, at most once in a test; afterwards nothing may have gone wrong, and nobody else been asked."""
    opened: list[AbstractContextManager[Any]] = []

    def open_page(width: int = 1280, height: int = 900, host: str = "", **options: Any) -> "Page":
        url = service.url.replace("127.0.0.1", host) if host else service.url
        opened.append(watched(browser, url, viewport={"width": width, "height": height}, **options))
        page: Page = opened[0].__enter__().page
        page.goto(url)
        page.locator("#licence:not(:empty)").wait_for()
        return page

    yield open_page
    if opened:
        opened[0].__exit__(None, None, None)


def give(page: "Page", *paths: Path) -> None:
    """Choose these files, and wait until all are answered."""
    page.get_by_label("Choose a file").set_input_files(paths)
    page.locator("#choose").wait_for()


def shown(page: "Page") -> dict[str, str]:
    """{emotion: probability as it stands in the table}"""
    rows = page.get_by_role("table", name="Probability of each emotion").locator("tbody tr")
    return {row.locator("th").inner_text().strip(): row.locator("td.number").first.inner_text() for row in rows.all()}


def percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def saved(page: "Page", button: str) -> tuple[str, bytes]:
    """Name and content of what the button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def heights(page: "Page", lane: str) -> NDArray[np.float64]:
    """Of a lane of the chart, as a share of the highest: the columns' inked pixels, (width,)."""
    count = """canvas => {
      const {width, height} = canvas;
      const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
      return Array.from({length: width}, (_, x) => {
        let inked = 0;
        for (let y = 0; y < height; y++) inked += pixels[4 * (y * width + x) + 3] > 0;
        return inked;
      });
    }"""
    inked = np.array(page.locator(f"#chart canvas{lane}").first.evaluate(count), np.float64)
    share: NDArray[np.float64] = inked / inked.max()
    return share


# -- a recording is answered ---------------------------------------------------------------


def test_an_upload_shows_what_the_service_says(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    give(page, clip)
    said = service.post(clip.read_bytes()).json()
    assert page.locator("#result-title").inner_text() == "speech.wav"
    assert page.locator("#answer strong").inner_text() == said["emotion"]
    assert shown(page) == {name: percent(share) for name, share in said["probabilities"].items()}
    name, content = saved(page, "Save the answer")
    assert name == "speech.json"
    assert json.loads(content) == said


def test_the_sound_and_the_times_are_drawn_where_they_are(visit: Open, service: "Service", clip: Path, speech: tuple[Any, int]) -> None:
    page = visit()
    give(page, clip)
    said = service.post(clip.read_bytes()).json()
    wave = heights(page, ".wave")
    edges = np.linspace(0, len(speech[0]), len(wave) + 1).astype(int)
    envelope = np.array([np.ptp(speech[0][first:last]) for first, last in pairwise(edges)])
    alike = [np.corrcoef(np.roll(wave, shift), envelope)[0, 1] for shift in range(-5, 6)]
    assert max(alike) == alike[5] > 0.93
    (cell,) = said["timeline"]
    inked = np.flatnonzero(heights(page, ".emotion")) / len(wave) * said["seconds"]
    assert [inked.min(), inked.max()] == pytest.approx([cell["start"], cell["end"]], abs=0.02)
    (curve,) = said["attention"].values()
    most = np.argmax(heights(page, ".attention")) / len(wave) * said["seconds"]
    assert most == pytest.approx(np.argmax(curve["weights"]) / curve["rate"], abs=1.5 / curve["rate"])


def test_a_recording_may_be_dropped(visit: Open, clip: Path) -> None:
    page = visit()
    bytes_of = list(clip.read_bytes())
    transfer = page.evaluate_handle(
        "bytes => { const it = new DataTransfer(); it.items.add(new File([new Uint8Array(bytes)], 'dropped.wav')); return it; }", bytes_of
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    assert page.get_by_text("Drop to predict").is_visible()
    page.dispatch_event("#answer", "drop", {"dataTransfer": transfer})
    page.locator("#result").wait_for()
    assert page.locator("#result-title").inner_text() == "dropped.wav"
    assert page.get_by_text("Drop to predict").is_hidden()


def test_several_recordings_are_answered_in_order(visit: Open, service: "Service", clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "cut.wav"
    broken.write_bytes(clip.read_bytes()[:9000])
    quiet = tmp_path / "quiet.flac"
    soundfile.write(quiet, 0.1 * soundfile.read(clip)[0], soundfile.info(clip).samplerate)
    page = visit()
    give(page, clip, broken, quiet)
    items = page.get_by_role("navigation", name="Recordings").get_by_role("button")
    assert [text.split("\n")[0] for text in items.all_inner_texts()] == ["speech.wav", "cut.wav", "quiet.flac"]
    assert items.nth(1).inner_text().endswith("no answer")
    assert page.locator("#result-title").inner_text() == "speech.wav"
    items.nth(1).click()
    assert "cut off" in page.get_by_role("alert").inner_text()
    assert page.locator("#result").is_hidden()
    items.nth(2).click()
    assert page.locator("#answer strong").inner_text() == service.post(quiet.read_bytes()).json()["emotion"]
    assert page.get_by_role("alert").inner_text() == ""


def test_a_sound_that_the_browser_cannot_decode_is_answered_all_the_same(visit: Open, service: "Service", clip: Path) -> None:
    aiff = clip.with_suffix(".aiff")
    soundfile.write(aiff, *soundfile.read(clip))
    page = visit()
    give(page, aiff)
    assert page.locator("#answer strong").inner_text() == service.post(aiff.read_bytes()).json()["emotion"]
    assert page.get_by_text("This browser cannot show the sound of this file (aiff)").is_visible()
    page.get_by_text("This browser cannot play the file.").wait_for()
    assert page.get_by_role("button", name="Play").is_disabled()
    page.get_by_role("slider").press("End")
    assert page.locator("#clock").inner_text().startswith("0:03.5 ")


def test_warnings_are_told_in_words(visit: Open, speech: tuple[Any, int], tmp_path: Path) -> None:
    path = tmp_path / "telephone.wav"
    soundfile.write(path, np.stack([np.clip(40 * speech[0][::2], -1, 1)] * 2, 1), speech[1] // 2)
    page = visit()
    give(page, path)
    text = page.get_by_role("list", name="Warnings").inner_text()
    assert all(word in text for word in ("clipped", "several channels")), text
    assert ("telephone" in text) is (speech[1] == 16_000)


# -- time ----------------------------------------------------------------------------------


def position(page: "Page") -> float:
    return float(page.get_by_role("slider").get_attribute("aria-valuenow") or "nan")


def test_clicks_and_keys_choose_a_moment_and_its_probabilities_are_told(visit: Open, service: "Service", long_clip: Path) -> None:
    page = visit()
    give(page, long_clip)
    said = service.post(long_clip.read_bytes()).json()
    slider, cell = page.get_by_role("slider"), said["timeline"][5]
    box = slider.bounding_box()
    assert box
    middle = (cell["start"] + cell["end"]) / 2
    page.mouse.click(box["x"] + box["width"] * middle / said["seconds"], box["y"] + 20)
    assert position(page) == pytest.approx(middle, abs=180 / box["width"])
    here = {row.locator("th").inner_text().strip(): row.locator("td.here").inner_text() for row in page.locator(".bars tbody tr").all()}
    assert here == {name: percent(share) for name, share in cell["probabilities"].items()}
    likeliest = max(cell["probabilities"], key=cell["probabilities"].__getitem__)
    told = page.locator("#moment-status", has_text=f"{likeliest} {percent(cell['confidence'])}")
    told.wait_for(state="attached")
    assert told.get_attribute("role") == "status"
    slider.press("Home")
    assert position(page) == 0
    slider.press("ArrowRight")
    assert position(page) == 5
    slider.press("PageDown")
    assert position(page) == pytest.approx(min(segment["start"] for segment in said["segments"] if segment["start"] > 5), abs=0.01)
    slider.press("End")
    assert position(page) == pytest.approx(said["seconds"], abs=0.01)


VALUES = """() => {
  window.values = 0;
  new MutationObserver(() => values++).observe(document.querySelector(".slider"), { attributeFilter: ["aria-valuetext"] });
  window.labels = [];
  const play = document.querySelector("#play");
  new MutationObserver(() => labels.push(play.textContent)).observe(play, { childList: true, characterData: true, subtree: true });
}"""


def test_playing_moves_the_playhead(visit: Open, speech: tuple[Any, int], tmp_path: Path) -> None:
    clip = tmp_path / "second.wav"
    soundfile.write(clip, speech[0][speech[1] : 2 * speech[1]], speech[1])
    page = visit()
    give(page, clip)
    page.evaluate(VALUES)
    before = page.locator(".playhead").bounding_box()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => labels.includes('Pause') && labels.at(-1) === 'Play'")  # at the end
    after = page.locator(".playhead").bounding_box()
    assert before
    assert after
    assert after["x"] > before["x"] + 400
    assert position(page) == pytest.approx(1, abs=0.1)
    assert page.evaluate("values") <= 5, "a screen reader hears of it where the answer changes, and at the end"


def test_the_menu_of_the_right_button_moves_nothing(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    answer(page, service)
    give(page, clip)
    page.get_by_role("slider").click(button="right", position={"x": 300, "y": 30})
    assert position(page) == 0


def test_what_is_not_the_answer_has_an_edge_in_full_colour(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    answer(page, service, cells=2)
    give(page, clip)
    lanes = page.locator("#chart canvas.emotion").all()
    assert len(lanes) > 1
    for lane in lanes:
        top = """it => {
          const { width, height } = it;
          const pixels = it.getContext("2d").getImageData(0, 0, width, height).data;
          return [0.25, 0.75].map((share) => {
            const column = Math.round(share * width);
            for (let y = 0; y < height; y++) {
              const alpha = pixels[4 * (y * width + column) + 3];
              if (alpha) return alpha;
            }
          });
        }"""
        assert lane.evaluate(top) == [255, 255]


def test_the_timeline_is_a_table_too(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    answer(page, service)
    give(page, clip)
    page.get_by_text("The timeline as a table").click()
    table = page.get_by_role("region", name="The timeline as a table").locator("tbody")
    emotions = [row.split("\t")[2] for row in table.inner_text().splitlines()]
    assert emotions == [segment["emotion"] for segment in hours(service.get("/v1/model").json()["classes"], 36)["segments"]]


def test_three_minutes_are_drawn(visit: Open, long_clip: Path) -> None:
    page = visit()
    give(page, long_clip)
    wave = heights(page, ".wave")
    tenths = [part.max() for part in np.array_split(wave, 10)]
    assert tenths == sorted(tenths), "the recording becomes louder and louder"


def hours(classes: list[str], cells: int) -> dict[str, Any]:
    """An answer of many cells, five seconds each."""
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(len(classes)), cells).tolist()
    named = [dict(zip(classes, row, strict=True)) for row in shares]
    timeline = [
        {
            "start": 5.0 * i,
            "end": 5.0 * i + 5,
            "emotion": max(probabilities, key=probabilities.__getitem__),
            "confidence": max(probabilities.values()),
            "probabilities": probabilities,
        }
        for i, probabilities in enumerate(named)
    ]
    weights = rng.random(round(cells * 5 * 15.625)).tolist()
    facts = {
        "seconds": 5.0 * cells,
        "speech_seconds": 5.0 * cells,
        "sample_rate": 16_000,
        "channels": 1,
        "container": "wav",
        "voice": "energy",
    }
    first = {name: timeline[0][name] for name in ("emotion", "confidence", "probabilities")}
    model = {"classes": classes, "licence": "", "threshold": None, "weights": ""}
    parts = {"segments": timeline, "timeline": timeline, "attention": {"spectral": {"rate": 15.625, "weights": weights}}}
    return first | facts | parts | {"warnings": [], "reason": None, "detail": None, "model": model}


def answer(page: "Page", service: "Service", cells: int = 36, **changed: Any) -> None:
    """The service is asked nothing: this is what it says."""
    said = hours(service.get("/v1/model").json()["classes"], cells) | changed
    page.route(PREDICT, lambda route: route.fulfill(json=said))


def test_without_speech_no_emotion_is_shown(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    answer(page, service, emotion="unknown", timeline=[], segments=[], speech_seconds=0.0, warnings=["no-speech"])
    give(page, clip)
    text = page.locator("#result").inner_text()
    assert text.count("No speech was found") == 1
    assert not [word for word in ("Probability", "attention", "Choose a moment", "timeline", "%") if word in text]
    assert page.locator("#status").inner_text() == "speech.wav: no speech"
    page.get_by_role("slider").press("End")


def test_each_part_that_listened_has_its_lane_on_one_scale(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    attention = {"ssl": {"rate": 1.0, "weights": [1.0, 4.0]}, "mel": {"rate": 1.0, "weights": [1.0, 1.0]}}
    answer(page, service, cells=1, seconds=2.0, attention=attention)
    give(page, clip)
    assert page.locator(".lane-name.attention").all_inner_texts() == ["attention: ssl", "attention: mel"]
    inked = (
        """it => it.getContext("2d").getImageData(it.width / 4, 0, 1, it.height).data.filter((of, index) => index % 4 === 3 && of).length"""
    )
    lanes = page.locator("#chart canvas.attention")
    assert lanes.nth(0).evaluate(inked) == pytest.approx(lanes.nth(1).evaluate(inked), abs=1)
    assert "Each part of the model has its own attention" in page.locator("figcaption").inner_text()


def test_an_answer_just_missed_is_told_with_more_digits(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    classes = service.get("/v1/model").json()["classes"]
    shares = dict.fromkeys(classes, 0.314 / (len(classes) - 1)) | {classes[0]: 0.686}
    model = {"classes": classes, "licence": "", "threshold": 0.69, "weights": ""}
    answer(page, service, cells=1, emotion="unknown", confidence=0.686, probabilities=shares, model=model)
    give(page, clip)
    assert "68.6\u00a0%: less than the 69.0\u00a0%" in page.locator("#meaning").inner_text()


def test_many_hours_stay_few_elements(visit: Open, service: "Service", clip: Path) -> None:
    page, cells = visit(), 4000
    answer(page, service, cells)
    give(page, clip)
    assert page.locator("*").count() < 500
    assert heights(page, ".emotion").min() > 0, "each column of pixels holds cells of each emotion"
    page.get_by_role("slider").press("End")
    assert page.locator("#clock").inner_text() == "5:33:20.0 / 5:33:20.0"
    page.get_by_text("The timeline as a table").click()
    page.get_by_text("2000 more are in the saved answer").wait_for()
    assert page.locator("#passages tbody tr").count() == 2000


# -- the microphone ------------------------------------------------------------------------


def test_what_the_microphone_hears_is_answered(visit: Open, service: "Service", speech: tuple[NDArray[np.float32], int]) -> None:
    page = visit()
    page.get_by_role("button", name="Record", exact=True).click()
    page.locator("#recorded", has_text=AT_LEAST_TWO_SECONDS).wait_for()
    assert page.locator("#level").evaluate("it => it.getContext('2d').getImageData(0, 0, it.width, it.height).data.some(Boolean)")
    page.get_by_role("button", name="Stop and predict").click()
    page.locator("#result").wait_for()
    name, content = saved(page, "Save the recording")
    assert re.fullmatch(r"recording-\d\d-\d\d-\d\d\.wav", name)
    assert page.locator("#answer strong").inner_text() == service.post(content).json()["emotion"]
    samples, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    assert soundfile.info(io.BytesIO(content)).subtype == "PCM_16"
    assert samples.shape[1] == 1
    assert resemblance(samples[:, 0], rate, *speech) > 0.99


def resemblance(recorded: NDArray[Any], recorded_rate: int, clip: NDArray[Any], rate: int) -> float:
    """Highest normalised correlation of the recording with a second of the clip, at any delay."""
    there, second = soxr.resample(recorded, recorded_rate, rate), clip[rate // 2 : 3 * rate // 2]
    delay = int(np.correlate(there, second, "valid").argmax())
    part = there[delay : delay + rate]
    return float(part @ second / np.linalg.norm(part) / np.linalg.norm(second))


def test_a_recording_can_be_discarded(visit: Open) -> None:
    page = visit()
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Discard").click()
    page.locator("#choose").wait_for()
    assert page.locator("#result").is_hidden()


@pytest.mark.parametrize(
    ("error", "told"),
    [("NotAllowedError", "is not allowed"), ("NotFoundError", "There is no microphone"), ("NotReadableError", "another program has it")],
)
def test_a_microphone_that_is_not_to_be_had_is_told_in_words(visit: Open, error: str, told: str) -> None:
    page = visit()
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('as a browser says', name)); }", error
    )
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("alert").get_by_text(told).wait_for()
    assert page.get_by_label("Choose a file").is_enabled()


def test_a_refused_microphone_is_told_in_words(browser: "Browser", service: "Service") -> None:
    flags = ("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    with launched(browser.browser_type, *flags) as other, watched(other, service.url) as found:
        found.page.goto(service.url)
        found.page.get_by_role("button", name="Record", exact=True).click()
        found.page.get_by_role("alert").get_by_text("is not allowed").wait_for()


def test_a_page_that_may_not_record_says_why(visit: Open) -> None:
    page = visit(host="page.test")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("alert").get_by_text("https").wait_for()


LIVE = """slow => {
  window.tracks = [];
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    if (slow) await new Promise((resolve) => { window.allow = resolve; });
    const stream = await ask(wish);
    tracks.push(...stream.getTracks());
    return stream;
  };
}"""
"""Remembers what the page was given of the microphone; a slow one waits for `allow`."""

ENDED = "() => tracks.length && tracks.every((track) => track.readyState === 'ended')"


def drop(page: "Page", name: str, content: bytes) -> None:
    transfer = page.evaluate_handle(
        "([bytes, name]) => { const it = new DataTransfer(); it.items.add(new File([new Uint8Array(bytes)], name)); return it; }",
        [list(content), name],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def test_another_try_waits_until_the_recording_ends(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    page.evaluate(LIVE, False)
    page.route(PREDICT, lambda route: route.fulfill(status=429, json={"reason": "busy", "detail": ""}))
    give(page, clip)
    page.unroute(PREDICT)
    answer(page, service)
    page.get_by_role("button", name="Record", exact=True).click()
    page.locator("#recording").wait_for()
    page.get_by_role("button", name="Try again").click()
    drop(page, "dropped.wav", clip.read_bytes())
    page.locator("#recorded", has_text=AT_LEAST_ONE_SECOND).wait_for()
    assert page.locator("#recording").is_visible()
    assert page.get_by_role("navigation", name="Recordings").inner_text().count("waiting") == 2
    page.get_by_role("button", name="Discard").click()
    page.locator("#answer").wait_for()
    page.wait_for_function(ENDED)
    page.locator("#choose").wait_for()
    assert page.get_by_role("navigation", name="Recordings").inner_text().count("confident") == 2


def test_what_is_given_while_the_browser_asks_waits(visit: Open, service: "Service", clip: Path) -> None:
    page = visit()
    page.evaluate(LIVE, True)
    answer(page, service)
    page.get_by_role("button", name="Record", exact=True).click()
    drop(page, "dropped.wav", clip.read_bytes())
    assert page.get_by_text("Other recordings wait until then").is_visible()
    assert "waiting" in page.get_by_role("navigation", name="Recordings").inner_text()
    page.evaluate("allow()")
    page.locator("#recording").wait_for()
    assert page.locator("#choose").is_hidden()
    page.evaluate("document.querySelector('#record').click()")
    page.get_by_role("button", name="Discard").click()
    page.locator("#answer").wait_for()
    page.wait_for_function(ENDED)
    assert page.evaluate("tracks.length") == 1


@pytest.mark.parametrize("broken", ["AudioContext", "AudioWorkletNode"])
def test_a_browser_that_cannot_record_lets_go_of_the_microphone(visit: Open, broken: str) -> None:
    page = visit()
    page.evaluate(LIVE, False)
    page.evaluate("name => { window[name] = class { constructor() { throw new Error('no'); } }; }", broken)
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("alert").get_by_text("This browser cannot record").wait_for()
    page.wait_for_function(ENDED)


def test_what_plays_is_paused_while_the_microphone_listens(visit: Open, service: "Service", long_clip: Path) -> None:
    page = visit()
    answer(page, service)
    give(page, long_clip)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Play").wait_for()
    page.get_by_role("button", name="Discard").click()


def test_an_old_complaint_goes_when_recording_begins(visit: Open) -> None:
    page = visit()
    page.evaluate("""() => {
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = () => {
        navigator.mediaDevices.getUserMedia = ask;
        return Promise.reject(new DOMException("", "NotAllowedError"));
      };
    }""")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("alert").get_by_text("is not allowed").wait_for()
    page.get_by_role("button", name="Record", exact=True).click()
    page.locator("#recording").wait_for()
    assert page.get_by_role("alert").inner_text() == ""
    page.get_by_role("button", name="Discard").click()


# -- bad luck ------------------------------------------------------------------------------


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (cut, "The file is cut off"),
    "empty": (lambda _: b"", "The file is empty"),
    "not-audio": (lambda _: b"Dear diary, today I said nothing. " * 100, "This is not an audio file"),
    "header-only": (lambda content: content[:40] + bytes(4), "The file begins like audio, and then there is no sound"),
    "lfs-pointer": (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "This is a placeholder of git LFS"),
    "silent": (lambda content: content[:44] + bytes(len(content) - 44), "The recording is silent"),
}


def test_a_broken_file_is_told_in_words(visit: Open, clip: Path, tmp_path: Path) -> None:
    page = visit()
    for reason, (spoil, told) in BROKEN.items():
        path = tmp_path / f"{reason}.wav"
        path.write_bytes(spoil(clip.read_bytes()))
        give(page, path)
        alert = page.get_by_role("alert").inner_text()
        assert f"{path.name}: {told}" in alert
        assert reason in alert.splitlines()[-1]
        assert page.locator("#result").is_hidden()
    give(page, clip)
    assert page.get_by_role("alert").inner_text() == ""
    assert page.locator("#answer").is_visible()


def test_every_reason_has_words(visit: Open) -> None:
    from ser.serve.problems import REQUEST_REASONS

    page = visit()
    sentences = page.evaluate("async () => (await import('./errors.js')).SENTENCES")
    warnings = page.evaluate("async () => (await import('./words.js')).WARNINGS")
    assert set(SKIP_REASONS) | set(REQUEST_REASONS) <= set(sentences)
    assert set(WARN_REASONS) <= set(warnings)
    for text in [*sentences.values(), *warnings.values()]:
        assert re.fullmatch(r"[A-Z].{15,}\.", text), text


def test_a_new_reason_is_no_blank_page(visit: Open, clip: Path) -> None:
    page = visit()
    page.route(PREDICT, lambda route: route.fulfill(status=422, json={"reason": "struck-by-lightning", "detail": "twice"}))
    give(page, clip)
    assert page.get_by_role("alert").inner_text().endswith("struck-by-lightning: twice")


def test_an_answer_that_is_none_is_no_blank_page(visit: Open, clip: Path) -> None:
    page = visit()
    page.route(PREDICT, lambda route: route.fulfill(status=200, body="<html>a proxy's own page</html>"))
    give(page, clip)
    page.get_by_role("alert").get_by_text("An error occurred").wait_for()


def test_too_many_bytes_are_refused_before_they_are_sent(visit: Open, service: "Service", tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(service.get("/v1/model").json()["max_bytes"] + 1)
    page = visit()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    give(page, path)
    assert "too large" in page.get_by_role("alert").inner_text()
    assert not sent


def test_a_file_that_is_gone_is_not_blamed_on_the_service(visit: Open, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "gone.wav"
    path.write_bytes(clip.read_bytes())
    page = visit()
    held: list[Any] = []
    page.route(PREDICT, lambda route: held.extend([route]))
    page.get_by_label("Choose a file").set_input_files([clip, path])
    until(page, lambda: held)
    path.unlink()
    held[0].fulfill(status=422, json={"reason": "silent", "detail": ""})
    page.locator("#choose").wait_for()
    page.get_by_role("button", name="gone.wav").click()
    assert "could not be read" in page.get_by_role("alert").inner_text()


def test_a_folder_is_told_from_a_file(visit: Open, tmp_path: Path) -> None:
    page = visit()
    folder = tmp_path / "speech"
    folder.mkdir()
    protocol = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        protocol.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    page.get_by_role("alert").get_by_text("This is not a file").wait_for()


def test_the_focus_goes_with_another_try(visit: Open, clip: Path) -> None:
    page = visit()
    page.route(PREDICT, lambda route: route.fulfill(status=429, json={"reason": "busy", "detail": ""}))
    give(page, clip)
    page.unroute(PREDICT)
    page.route(PREDICT, lambda _: None)
    page.get_by_role("button", name="Try again").press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'cancel'")


def test_work_can_be_cancelled(visit: Open, clip: Path) -> None:
    page = visit()
    page.route(PREDICT, lambda _: None)
    page.get_by_label("Choose a file").set_input_files([clip, clip])
    page.get_by_role("button", name="Cancel").click()
    page.locator("#choose").wait_for()
    assert page.locator("#result").is_hidden()
    assert page.get_by_role("alert").inner_text() == ""
    assert page.get_by_role("navigation", name="Recordings").inner_text().count("cancelled") == 2
    page.unroute(PREDICT)
    give(page, clip)
    assert page.locator("#answer").is_visible()


def test_a_service_that_is_gone_can_be_asked_again(browser: "Browser", service: "Service", clip: Path) -> None:
    context = browser.new_context()
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    page.goto(service.url)
    page.route(PREDICT, lambda route: route.abort())
    give(page, clip)
    page.get_by_role("alert").get_by_text("The service does not answer").wait_for()
    page.unroute(PREDICT)
    page.get_by_role("button", name="Try again").click()
    page.locator("#answer").wait_for()
    context.close()


# -- for everybody -------------------------------------------------------------------------


def test_keys_alone_suffice(visit: Open, clip: Path) -> None:
    page = visit()
    page.on("filechooser", lambda _: None)  # Chromium needs a moment until it leaves the choice to us
    page.keyboard.press("Tab")
    assert focused(page) == "file"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(clip)
    page.locator("#choose").wait_for()
    page.locator("#result").wait_for()
    for _ in range(2):
        page.keyboard.press("Tab")
    assert focused(page) == "play"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert position(page) == pytest.approx(0.2, abs=0.001)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#passages tbody tr").wait_for()


def focused(page: "Page") -> Any:
    return page.evaluate("() => document.activeElement.id")


def test_the_focus_follows_the_work(visit: Open, clip: Path) -> None:
    page = visit()
    page.route(PREDICT, lambda _: None)
    page.get_by_label("Choose a file").focus()
    page.get_by_label("Choose a file").set_input_files(clip)
    page.get_by_role("button", name="Cancel").wait_for()
    assert focused(page) == "cancel"
    page.keyboard.press("Enter")
    page.locator("#choose").wait_for()
    assert focused(page) == "file"


def test_the_focus_is_seen(visit: Open, clip: Path) -> None:
    page = visit()
    give(page, clip)
    page.get_by_label("Choose a file").focus()  # else the first Tab starts where the browser has scrolled to, from Chromium 150 on
    outline = """() => {
      const it = document.activeElement;
      return getComputedStyle(it.id === "file" ? it.nextElementSibling : it).outlineStyle;
    }"""
    for key, last in (("Tab", "save"), ("Shift+Tab", "file")):
        for _ in range(6):
            page.keyboard.press(key)
            assert page.evaluate(outline) == "solid"
        assert focused(page) == last


NAMED = {
    "button",
    "slider",
    "textbox",
    "image",
    "img",
    "progressbar",
    "table",
    "region",
    "navigation",
    "group",
    "figure",
    "list",
    "DisclosureTriangle",
}


def test_all_controls_and_pictures_have_names(visit: Open, service: "Service", long_clip: Path, clip: Path) -> None:
    page = visit()
    answer(page, service)
    give(page, long_clip, clip)
    page.get_by_text("The timeline as a table").click()
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    assert {"button", "slider", "figure", "table"} <= {role for role, _ in nodes}
    assert not [role for role, name in nodes if role in NAMED - {"list", "group"} and not name]
    assert {"banner", "main", "contentinfo", "navigation"} <= {role for role, _ in nodes}
    assert page.locator("html").get_attribute("lang") == "en"


def test_nothing_is_wider_than_the_screen(visit: Open, service: "Service", long_clip: Path, tmp_path: Path) -> None:
    """320 px are also what is left of 640 at 200 %, and of 1280 at 400 %."""
    broken = tmp_path / f"{'a-very-long-name-' * 6}.wav"
    broken.write_bytes(b"no audio")
    page = visit(1280, 700)
    give(page, broken)
    answer(page, service)
    give(page, long_clip)
    page.get_by_text("The timeline as a table").click()
    page.get_by_text("About the recording").click()
    for name in (long_clip.name, broken.name):
        page.get_by_role("button", name=name).click()
        for width in (1280, 640, 390, 320):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_text_twice_as_large_fits(visit: Open, service: "Service", long_clip: Path) -> None:
    page = visit(640, 900)
    answer(page, service)
    page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    give(page, long_clip)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 640
    assert page.locator("#chart canvas").first.evaluate("it => it.clientWidth") > 200


CONTRAST = """() => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility({ visibilityProperty: true }) || element.closest("noscript")) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), node.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""
"""[contrast as of WCAG 2.2, text] of all text that is seen."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_themes(visit: Open, service: "Service", clip: Path, long_clip: Path, tmp_path: Path, scheme: str) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    page = visit(color_scheme=scheme)
    give(page, broken)
    answer(page, service, warnings=["stereo"])
    give(page, clip, long_clip)
    page.get_by_text("About the recording").click()
    contrasts = page.evaluate(CONTRAST)
    page.get_by_role("button", name="broken.wav").click()
    contrasts += page.evaluate(CONTRAST)
    assert len(contrasts) > 60
    assert not [found for found in contrasts if found[0] < 4.5]
    assert (page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 250)") is (scheme == "light")


def test_marks_stand_out_in_both_themes(visit: Open) -> None:
    """Swatches and bars need 3, as of WCAG 2.2, 1.4.11."""
    css = (PACKAGE / "web/style.css").read_text()
    for theme in css.split("@media (prefers-color-scheme: dark)")[:2]:
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", theme))
        for name in (
            "neutral",
            "calm",
            "happy",
            "sad",
            "angry",
            "fear",
            "disgust",
            "surprise",
            "unknown",
            "wave",
            "wave-pale",
            "attention",
            "edge",
        ):
            assert min(contrast(colours[name], colours[ground]) for ground in ("ground", "card")) >= 3, name


def contrast(one: str, other: str) -> float:
    """
    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_who_wants_no_motion_gets_none(visit: Open) -> None:
    page = visit(reduced_motion="reduce")
    assert page.locator(".dot").evaluate("it => getComputedStyle(it).animationName") == "none"


# -- small functions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("columns.highest([1, 3, 2, 0], 2, 4)", [3, 2, 0, 0]),
        ("columns.highest([1, 2], 4, 4)", [1, 1, 2, 2]),
        ("columns.highest([1, 2], 8, 4)", [1, 1, 1, 1]),
        ("columns.reached([{start: 1, end: 2}], () => 0.5, 4, 4)", [0, 0.5, 0, 0]),
        ("columns.reached([{start: 0.1, end: 0.2}, {start: 0.2, end: 0.3}], (of) => of.start * 10, 4, 4)", [2, 0, 0, 0]),
        ("columns.reached([{start: 3.99, end: 4}], () => 1, 4, 2)", [0, 1]),
        (
            "[0, 1.5, 2, 2.5, 3, 9].map((time) => columns.passageAt([{start: 1, end: 2}, {start: 2, end: 3}], time)?.start ?? null)",
            [None, 1, 2, 2, 2, None],
        ),
        ("[columns.passageAt([], 0) ?? null]", [None]),
        ("columns.ticks(2.3, 5)", [0, 0.5, 1, 1.5, 2]),
        ("columns.ticks(7200, 4)", [0, 1800, 3600, 5400, 7200]),
        ("columns.ticks(0.5, 1)", [0, 0.5]),
        ("[3.25, 59.96, 3723, 0].map((seconds) => words.clock(seconds))", ["0:03.3", "1:00.0", "1:02:03.0", "0:00.0"]),
        ("[59.6, 61].map((seconds) => words.clock(seconds, 0))", ["1:00", "1:01"]),
        ("[3.2, 61, 7325, 600].map(words.spoken)", ["3.2 seconds", "1 minute 1 second", "2 hours 2 minutes 5 seconds", "10 minutes"]),
        ("[1, 0.04, 59.97].map(words.spoken)", ["1 second", "0 seconds", "1 minute"]),
        (
            "[words.percentsApart(0.2, 0.69), words.percentsApart(0.686, 0.69), words.percentsApart(0.68999, 0.69)]",
            [["20\u00a0%", "69\u00a0%"], ["68.6\u00a0%", "69.0\u00a0%"], ["68.999\u00a0%", "69.000\u00a0%"]],
        ),
        ("[0, 0.004, 0.835, 1].map((share) => words.percent(share))", ["0\u00a0%", "0\u00a0%", "84\u00a0%", "100\u00a0%"]),
        ("[words.listed([]), words.listed(['a']), words.listed(['a', 'b', 'c'])]", ["", "a", "a, b and c"]),
        ("[1, 1024, 1 << 20, 1 << 25].map(words.size)", ["1 KiB", "1 KiB", "1 MiB", "32 MiB"]),
    ],
)
def test_known_answers(functions: "Page", call: str, expected: list[Any]) -> None:
    code = f"async () => {{ const columns = await import('./columns.js'), words = await import('./words.js'); return [...{call}]; }}"
    assert functions.evaluate(code) == expected


@pytest.fixture(scope="module")
def functions(browser: "Browser", service: "Service") -> "Page":
    page = browser.new_page()
    page.goto(service.url)
    return page


def test_samples_are_written_as_sixteen_bits(functions: "Page") -> None:
    code = """async () => {
      const { encodeWav } = await import("./wav.js");
      const blob = encodeWav([new Float32Array([0, 0.5, -1]), new Float32Array([2, -2])], 44100);
      return [...new Uint8Array(await blob.arrayBuffer())];
    }"""
    content = bytes(functions.evaluate(code))
    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    assert rate == 44_100
    assert samples.tolist() == [0, 16384, -32767, 32767, -32767]
