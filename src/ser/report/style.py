"""The style of every figure of the project: size, colours and fonts, independent of the user's matplotlibrc. Requires the extra `viz`.

Made for a column of 600 px. Colours after Okabe and Ito 2008, and cividis: they can be distinguished with colour vision deficiencies.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

WIDTH = 6.25
"""Width of a figure in inches: 600 px."""
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
VERMILION = "#D55E00"
SKY = "#56B4E9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)
INK = "#222222"
"""Colour of text and axes."""
GREY = "#767676"
"""Colour of reference lines and hatches."""
PALE = "#D9D9D9"
"""Colour of grids and areas."""
HEAT = "cividis"

STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # a speaker may be called $x$
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "figure.dpi": 96,
    "image.cmap": HEAT,
}


@contextmanager
def house_style() -> Iterator[None]:
    """A context for drawing or saving a figure; matplotlib's settings are restored afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams  # typed by the names of all its keys
        settings.update(STYLE)
        yield


def styled(draw: Callable[P, "Figure"]) -> Callable[P, "Figure"]:
    """A decorator for a function that draws a figure."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        with house_style():
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure; width and height in inches, with a layout that adjusts itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
