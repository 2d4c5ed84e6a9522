"""The pictures of the page in docs/img, drawn by Chromium on a running service, of one speaker of the shipped sample in four moods.

ser serve RUN_OR_FILE --port 8000
python scripts/make_page_screenshots.py http://127.0.0.1:8000
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from playwright.sync_api import sync_playwright

import ser
from ser.audio.decode import read_audio

PLACE = Path(__file__).parents[1] / "docs/img"
SIZES = {"page-desktop.png": (1000, 1180, "light"), "page-phone.png": (390, 1180, "dark")}
"""{file: width, height in pixels of CSS, theme}"""

SAMPLE = Path(ser.__file__).parent / "sample/crema/AudioWAV"
MOODS = [["1007_ITH_NEU_XX", "1007_TAI_NEU_XX"], ["1007_ITS_ANG_XX", "1007_IWW_ANG_XX"], ["1007_ITS_HAP_XX", "1007_IWW_HAP_XX"],
         ["1007_IWW_SAD_XX", "1007_IOM_SAD_XX"]]  # fmt: skip
PAUSE = 2.0
"""Seconds of silence after each mood."""


def record(path: Path) -> None:
    """The moods one after the other, all as loud, as a WAV file."""
    parts = []
    for clips in MOODS:
        found = [read_audio(SAMPLE / f"{clip}.opus") for clip in clips]
        rate = found[0].sample_rate
        voices = [audio.samples.reshape(len(audio.samples), -1)[:, 0] for audio in found]
        parts += [*(voice / (2 * np.abs(voice).max()) for voice in voices), np.zeros(round(PAUSE * rate))]
    soundfile.write(path, np.concatenate(parts), rate)


def draw(url: str, recording: Path) -> None:
    with sync_playwright() as program:
        browser = program.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, (width, height, theme) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
            page.goto(url)
            page.locator("#licence:not(:empty)").wait_for()
            page.get_by_label("Choose a file").set_input_files(recording)
            page.locator("#result").wait_for()
            page.locator("#choose").wait_for()
            page.get_by_role("slider").click(position={"x": 0.36 * page.get_by_role("slider").evaluate("it => it.clientWidth"), "y": 30})
            page.screenshot(path=PLACE / name)
        browser.close()


def main(url: str) -> None:
    with TemporaryDirectory() as folder:
        recording = Path(folder) / "four-moods.wav"
        record(recording)
        draw(url, recording)


if __name__ == "__main__":
    main(*sys.argv[1:])
