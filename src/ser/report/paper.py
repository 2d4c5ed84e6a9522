"""Figures with a title, as files and in windows. Requires the extra `viz`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser.report.style import WIDTH, house_style, new_figure
from ser.system.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 192
"""Dots per inch, twice those of 600 pixels, so that figures are sharp on high-resolution screens."""


def titled(height: float, title: str, width: float = WIDTH) -> "Figure":
    """An empty figure; width and height in inches."""
    figure = new_figure(height, width)
    figure.suptitle(drawable(title), fontsize=10)
    return figure


def drawable(text: str) -> str:
    """The text with characters that the font lacks written as escapes.

    >>> drawable("a\\x00b\\udcff")
    'a\\\\x00b\\\\udcff'
    """
    lines = text.encode("ascii", "backslashreplace").decode().split("\n")
    return "\n".join("".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in line) for line in lines)


def save_figure(path: Path, figure: "Figure") -> None:
    """Write a PNG without date and program name, so that equal figures are equal files."""
    with house_style(), atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def open_windows(figures: Sequence["Figure"]) -> bool:
    """Show the figures until their windows are closed; False without a display."""
    from matplotlib import pyplot
    from matplotlib.backends.registry import BackendFilter, backend_registry

    try:
        windows = backend_registry.list_builtin(BackendFilter.INTERACTIVE)  # type: ignore[no-untyped-call]
        if pyplot.get_backend().lower() not in windows:
            return False
        for figure in figures:
            pyplot.figure(figure)
        pyplot.show()
    except ImportError:  # the toolkit is installed, but there is no display
        return False
    return True
