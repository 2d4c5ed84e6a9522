"""A figure as SVG text that stands inside a page: its own ids, no metadata, text that stays text, the same bytes each time."""

import html
import io
import re
from typing import TYPE_CHECKING

from ser.report.style import house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = re.compile(r'(?:url\(|href=")#([^)"]+)')
IDENTITY = re.compile(r' id="([^"]+)"')


def inline_svg(figure: "Figure", name: str, description: str) -> str:
    """
    Args:
        name: unique on the page; the ids inside begin with it, because equal ids of two drawings would take the clip path of the wrong one.
        description: of what is to be seen, for those who do not see it.
    """
    import matplotlib

    buffer = io.StringIO()
    unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with house_style(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=unsaid)
    drawing = buffer.getvalue()
    return for_page(drawing[drawing.index("<svg") :], name, description)


def for_page(drawing: str, name: str, description: str) -> str:
    """An `<svg>` of matplotlib without what only a file needs, with a size that the page decides and a label.

    >>> for_page('<svg width="7pt" viewBox="0 0 7 9"><g id="a"><g id="b"/><use href="#b"/></g></svg>', "x", "1 < 2")
    '<svg viewBox="0 0 7 9" role="img" aria-label="1 &lt; 2"><g><g id="x-b"/><use href="#x-b"/></g></svg>'
    """
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<defs>\s*<style type="text/css">.*?</style>\s*</defs>\s*', "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"font-family: [^;\"]*;? ?", "", drawing)  # the page's own
    drawing = with_own_ids(drawing.replace("xlink:href=", "href="), name)
    box = re.search(r'viewBox="([^"]*)"', drawing)
    size = f'viewBox="{box[1]}" ' if box else ""
    opening = f'<svg {size}role="img" aria-label="{html.escape(description)}">'
    return opening + drawing[drawing.index(">") + 1 :].strip()


def with_own_ids(drawing: str, name: str) -> str:
    """Ids that something refers to begin with `name`; the others, a word for each line and tick, are left out."""
    used = set(REFERENCE.findall(drawing))
    drawing = IDENTITY.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", drawing)
    return re.sub(r'(url\(|href=")#', rf"\1#{name}-", drawing)
