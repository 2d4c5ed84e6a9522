"""A figure of learning curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ser.report.style import BLUE, INK, ORANGE, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def learning_curves(history: Sequence[Mapping[str, float | None]], best_epoch: int) -> "Figure":
    """Loss and UAR of train and val over the epochs, with the best epoch marked.

    Args:
        history: rows with epoch, train_loss, train_uar, val_loss, val_uar; None if there is no val.
    """
    figure = new_figure(4.4)
    upper, lower = figure.subplots(2, sharex=True)
    for axes, what, factor, label in ((upper, "loss", 1, "loss (nats)"), (lower, "uar", 100, "UAR (%)")):
        for split, colour, line in (("train", ORANGE, "--"), ("val", BLUE, "-")):
            points = [(row["epoch"], value * factor) for row in history if (value := row[f"{split}_{what}"]) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=line, marker=".", markersize=4, label=split)
        axes.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=":")
        axes.set_ylabel(label)
        axes.grid(axis="y")
    upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    upper.set_title(f"best epoch: {best_epoch} of {len(history)}")
    lower.set_xlabel("epoch")
    lower.xaxis.get_major_locator().set_params(integer=True)
    return figure
