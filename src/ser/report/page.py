"""The parts of a page, and their rendering as one self-contained HTML file. Requires the extra `viz`.

All text is plain text and escaped by the template; only `Picture.svg`, which holds our own drawings, is inserted as it is.
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
    """A replacement for a missing part, with the reason why it is missing."""

    kind = "note"


@dataclass(frozen=True)
class Facts:
    """A list of names and values."""

    rows: Mapping[str, str]
    folded: str = ""
    """Collapsed under this title until the reader opens it."""

    kind = "facts"


@dataclass(frozen=True)
class Table:
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False
    """Collapsed until the reader opens it."""
    text_columns: int = 1
    """The number of first columns with text; the others hold numbers."""

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
    """One utterance with its text, picture and sound."""

    title: str
    lines: Sequence[str]
    picture: Picture | None = None
    sound: str | None = None
    """A `data:` URI."""
    missing: str = ""
    """The reason why there is no picture or sound."""

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
    """The main score, such as 69.0 %."""
    number_name: str
    between: str
    """Its interval, or the reason why there is none."""
    sentence: str
    sections: Sequence[Section]
    footer: Sequence[str] = field(default_factory=tuple)


def render_page(page: Page) -> str:
    """The page as HTML, with all text escaped."""
    return render("report.html.j2", autoescape=True, page=page)


def render(template: str, *, autoescape: bool, **context: object) -> str:
    """Load a template from `ser/report/templates`; an undefined name in it raises an error."""
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
    """Insert no-break spaces, so that a number and its unit, and the ends of an interval, stay on one line.

    >>> unbroken("of 20 % [1.0, 2.0]")
    'of 20\\xa0% [1.0,\\xa02.0]'
    """
    return INTERVAL.sub("\\1,\u00a0", value.replace(" %", "\u00a0%")) if type(value) is str else value
