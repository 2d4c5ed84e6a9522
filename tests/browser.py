"""Chromium for tests of pages, and a page that remembers whatever went wrong on it. Skips where there is no browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from processes import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType, Page

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run", "--mute-audio")
MILLISECONDS = 1000 * PATIENCE
"""That a page waits for what must come."""
REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What Chromium writes of every 4xx; that one was meant, the test itself says."""


@contextmanager
def chromium(*flags: str) -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with playwright.sync_playwright() as program, launched(program.chromium, *flags) as browser:
        yield browser


@contextmanager
def launched(kind: "BrowserType", *flags: str) -> Iterator["Browser"]:
    browser = kind.launch(executable_path=str(CHROMIUM), args=[*QUIET, *flags], timeout=MILLISECONDS)
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Watched:
    """A page, what it asked for, and what went wrong on it."""

    page: "Page"
    asked: list[str] = field(default_factory=list)
    """Addresses."""
    wrong: list[str] = field(default_factory=list)
    """Errors and warnings of the console, where violations of the content security policy are told too, and uncaught errors."""

    def check(self, origin: str) -> None:
        """Nothing went wrong, and nobody else was asked anything."""
        assert not self.wrong
        assert {f"{url.scheme}://{url.netloc}" for url in map(urlsplit, self.asked) if url.scheme not in {"data", "blob"}} <= {origin}


@contextmanager
def watched(browser: "Browser", origin: str, **options: Any) -> Iterator[Watched]:
    """A page in a context of its own; at the end it is checked.

    Args:
        origin: the only one that may be asked, as http://127.0.0.1:8000
        options: of `Browser.new_context`
    """
    context = browser.new_context(**options)
    context.set_default_timeout(MILLISECONDS)
    found = Watched(context.new_page())
    context.on("request", lambda request: found.asked.append(request.url))
    context.on("weberror", lambda error: found.wrong.append(str(error.error)))
    found.page.on("console", lambda message: note(found, message))
    try:
        yield found
        found.check(origin)
        assert not context.cookies()
    finally:
        context.close()


def until(page: "Page", fact: Callable[[], object]) -> None:
    """Let the page go on until this is true, which then stays true."""
    for _ in range(round(PATIENCE / 0.02)):
        if fact():
            return
        page.wait_for_timeout(20)
    raise AssertionError("waited in vain")


def note(found: Watched, message: Any) -> None:
    if message.type in {"error", "warning"} and not message.text.startswith(REFUSED):
        found.wrong.append(message.text)
