"""The pictures of the page in docs/img, drawn by Chromium on a running service.

ser serve RUN_OR_FILE --port 8000
python scripts/make_page_screenshots.py http://127.0.0.1:8000 RECORDING
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PLACE = Path(__file__).parents[1] / "docs/img"
SIZES = {"page-desktop.png": (1000, 1180, "light"), "page-phone.png": (390, 1180, "dark")}
"""{file: width, height in pixels of CSS, theme}"""


def main(url: str, recording: str) -> None:
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


if __name__ == "__main__":
    main(*sys.argv[1:])
