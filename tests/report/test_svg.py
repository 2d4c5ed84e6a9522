"""Figures as text inside a page."""

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from ser.report.style import house_style, new_figure
from ser.report.svg import inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

matplotlib = pytest.importorskip("matplotlib", reason="the extra viz draws")


class Ids(HTMLParser):
    """Of all elements, and what refers to them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references = re.findall(r"url\(#([^)]*)\)", text)
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in {"href", "xlink:href"} and (value or "").startswith("#"):
                self.references.append((value or "")[1:])


def figure(title: str = "a title") -> "Figure":
    """With markers and a clip path, which are referred to by id."""
    with house_style():
        drawn = new_figure(2)
        axes = drawn.subplots()
        axes.plot([1, 2, 3], marker="o")
        axes.set_title(title)
        return drawn


def test_two_drawings_on_a_page_share_no_id_and_miss_none() -> None:
    page = Ids(inline_svg(figure(), "one", "") + inline_svg(figure(), "two", ""))
    assert len(set(page.ids)) == len(page.ids) > 0
    assert set(page.references) == set(page.ids)
    assert all(name.startswith(("one-", "two-")) for name in page.ids)


def test_equal_figures_give_equal_text() -> None:
    assert inline_svg(figure(), "one", "x") == inline_svg(figure(), "one", "x")


def test_text_stays_text_in_the_font_of_the_page() -> None:
    text = inline_svg(figure(), "one", "")
    assert ">a title</text>" in text
    assert "font-family" not in text
    assert "<style" not in text


def test_nothing_is_said_of_who_made_it_and_when_and_nothing_is_loaded() -> None:
    text = inline_svg(figure(), "one", "")
    assert "metadata" not in Ids(text).tags
    assert "http" not in text


@pytest.mark.parametrize("title", ["</text><script>alert(1)</script>", 'a & b "c"', "$x$", "é\N{SNOWMAN}"])
def test_what_is_written_cannot_break_out(title: str) -> None:
    text = inline_svg(figure(title), "one", f'"><script>{title}')
    assert "script" not in Ids(text).tags
    assert text.startswith('<svg viewBox="')
    assert text.endswith("</svg>")


def test_the_settings_of_matplotlib_are_what_they_were() -> None:
    before = dict(matplotlib.rcParams)
    inline_svg(figure(), "one", "")
    assert dict(matplotlib.rcParams) == before
