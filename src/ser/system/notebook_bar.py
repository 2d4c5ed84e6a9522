"""Progress in a notebook: one output of the cell that is updated in place, by the display mechanism of IPython."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

UPDATE_SECONDS = 0.25
"""Shortest time between two updates, which are messages to the browser."""

State = Callable[[float, float], str]
"""(units done, seconds since the start) -> text"""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. IPython is never imported: a kernel has done so.

    A shell in a terminal has no kernel, and rich draws its bar there.
    """
    ipython = sys.modules.get("IPython")
    return hasattr(ipython.get_ipython(), "kernel") if ipython is not None and hasattr(ipython, "get_ipython") else False


@contextmanager
def notebook_bar(description: str, total: float, show_state: State) -> Iterator[Callable[[float], None]]:
    """Show a bar during the block; yield a function that advances it. The last state remains in the notebook."""
    from IPython.display import display

    start = last_shown = time.monotonic()
    done = 0.0
    handle = display(as_output(description, 0.0, total, "starting"), raw=True, display_id=True)

    def advance(count: float) -> None:
        nonlocal done, last_shown
        done += count
        now = time.monotonic()
        if now - last_shown >= UPDATE_SECONDS:
            last_shown = now
            show(now)

    def show(now: float) -> None:
        handle.update(as_output(description, done, total, show_state(done, now - start)), raw=True)

    try:
        yield advance
    finally:
        show(time.monotonic())


def as_output(description: str, done: float, total: float, state: str) -> dict[str, str]:
    """The bar as HTML, and as text for programs that show no HTML, such as nbconvert.

    >>> as_output("epoch 1", 40, 100, "40 of 100, 5 clips/s")["text/plain"]
    'epoch 1: 40 of 100, 5 clips/s'
    """
    text = f"{description}: {state}"
    bar = f'<progress value="{done:g}" max="{total:g}" style="width: 20em; vertical-align: middle"></progress>'
    return {"text/html": f"<div>{bar} {escape(text)}</div>", "text/plain": text}
