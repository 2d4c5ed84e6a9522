"""The parts of a page, and the page from its parts: one self-contained HTML file. Needs the extra `viz`.

Text is plain text everywhere and escaped by the template; only what `Picture.svg` holds, our own drawings, stands in the page as it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

INTERVAL = re.compile(r"(\[[-+]?[\d.]+), ")


@dataclass(frozen=True)
class Note:
    """One or more sentences."""

    text: str
    missing: bool = False
    """It stands where something would be shown, and says why it is not."""

    kind = "note"


@dataclass(frozen=True)
class Facts:
    """Names with their values, one below the other."""

    rows: Mapping[str, str]
    folded: str = ""
    """Shown only when asked for, under this title."""

    kind = "facts"


@dataclass(frozen=True)
class Table:
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False
    """Shown only when asked for."""
    text_columns: int = 1
    """The first columns are text, the others are numbers."""

    kind = "table"


@dataclass(frozen=True)
class Picture:
    svg: str
    """An `<svg>` of `ser.report.svg`."""
    caption: str = ""
    title: str = ""

    kind = "picture"


@dataclass(frozen=True)
class Example:
    """One utterance: what it is, what it looks like, how it sounds."""

    title: str
    lines: Sequence[str]
    picture: Picture | None = None
    sound: str | None = None
    """A `data:` URI."""
    missing: str = ""
    """Why there is no picture or sound."""

    kind = "example"


Item = Note | Facts | Table | Picture | Example


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    items: Sequence[Item]


@dataclass(frozen=True)
class Page:
    title: str
    number: str
    """The headline figure, as 69.0 %."""
    number_name: str
    between: str
    """Its interval, or why there is none."""
    sentence: str
    sections: Sequence[Section]
    footer: Sequence[str] = field(default_factory=tuple)


def render_page(page: Page) -> str:
    """HTML, everything escaped."""
    return render("report.html.j2", autoescape=True, page=page)


def render(template: str, *, autoescape: bool, **context: object) -> str:
    """A template of `ser/report/templates`; a name that it does not know is an error of ours."""
    return make_environment(autoescape=autoescape).get_template(template).render(context)


def make_environment(*, autoescape: bool) -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("ser.report"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=unbroken if autoescape else None,
    )


def unbroken(value: object) -> object:
    """A number and its sign stay on one line, and so do the ends of an interval.

    >>> unbroken("of 20 % [1.0, 2.0]")
    'of 20\\xa0% [1.0,\\xa02.0]'
    """
    return INTERVAL.sub("\\1,\u00a0", value.replace(" %", "\u00a0%")) if type(value) is str else value
