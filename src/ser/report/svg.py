"""Convert a figure to SVG for a page: unique ids, no metadata, text as text, and the same bytes each time."""

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
        name: unique on the page; the ids inside start with it, because two drawings with equal ids would use each other's clip paths.
        description: alternative text of the figure.
    """
    import matplotlib

    buffer = io.StringIO()
    unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with house_style(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=unsaid)
    drawing = buffer.getvalue()
    return for_page(drawing[drawing.index("<svg") :], name, description)


def for_page(drawing: str, name: str, description: str) -> str:
    """An `<svg>` of matplotlib for a page: without the parts that only a file needs, without a fixed size, and with a label.

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
    """Prefix the ids that are referred to with `name`, and remove the others, of which every line and tick has one."""
    used = set(REFERENCE.findall(drawing))
    drawing = IDENTITY.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", drawing)
    return re.sub(r'(url\(|href=")#', rf"\1#{name}-", drawing)
