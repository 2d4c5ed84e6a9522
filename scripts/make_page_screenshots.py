"""The pictures of the page in docs/img, drawn by Chromium on a running service: one angry speaker of CREMA-D.

    ser serve MODEL --port 8000
    python scripts/make_page_screenshots.py http://127.0.0.1:8000 data/raw/crema

The model of the pictures is the network of demo.yaml on log-mel and MFCC, trained for 8 epochs on CREMA-D. Its val speakers are 1002, 1015,
1021, 1034, 1046, 1052, 1066, 1079 and 1084, its test speakers 1007, 1011, 1023, 1030, 1042, 1058, 1061, 1075 and 1088 (UAR 54.7 %).
The recording is one for which its confidence exceeds its threshold of 79 %, which it seldom does.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from playwright.sync_api import sync_playwright

from ser.audio.decode import read_audio

PLACE = Path(__file__).parents[1] / "docs/img"
SIZES = {"page-desktop.png": (1000, 1180, "light"), "page-phone.png": (390, 1180, "dark")}
"""{file: width, height in pixels of CSS, theme}"""

CLIPS = [f"1030_{statement}_ANG_XX" for statement in ("DFA", "ITS", "IWW", "TAI", "WSI", "IWL")]
"""Of a speaker whom the model does not know."""
PAUSE = 2.0
"""Seconds of silence after each clip."""


def record(corpus: Path, path: Path) -> None:
    """The clips one after the other, all equally loud, as a WAV file."""
    parts = []
    for clip in CLIPS:
        (source,) = corpus.rglob(f"{clip}.wav")
        audio = read_audio(source)
        rate = audio.sample_rate
        voice = audio.samples.reshape(len(audio.samples), -1)[:, 0]
        parts += [voice / (2 * np.abs(voice).max()), np.zeros(round(PAUSE * rate))]
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


def main(url: str, corpus: str) -> None:
    with TemporaryDirectory() as folder:
        recording = Path(folder) / "one-speaker.wav"
        record(Path(corpus), recording)
        draw(url, recording)


if __name__ == "__main__":
    main(*sys.argv[1:])
