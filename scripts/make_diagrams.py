#!/usr/bin/env python3
"""Draw the two models for docs/models.md as SVG, without any library: columns of boxes, and arrows from column to column.

python scripts/make_diagrams.py
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

PLACE = Path(__file__).parents[1] / "docs/img"
WIDTH, LINE, GAP, PAD, EDGE = 150, 16, 30, 9, 10
"""Pixels: width of a box, height of a line of text, between boxes, inside a box, around the picture."""
CHARACTER = 6.6
"""Pixels that a character of text takes at most."""

Column = list[list[str]]
"""Boxes from top to bottom, each with its lines of text."""


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    height: float
    lines: list[str]

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def height_of(lines: list[str]) -> int:
    return len(lines) * LINE + 2 * PAD


def place(columns: list[Column]) -> list[list[Box]]:
    """Every column is centred on the tallest one."""
    heights = [sum(map(height_of, column)) + GAP * (len(column) - 1) for column in columns]
    placed = []
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        y, boxes = EDGE + (max(heights) - height) / 2, []
        for lines in column:
            boxes.append(Box(EDGE + number * (WIDTH + GAP), y, height_of(lines), lines))
            y += height_of(lines) + GAP
        placed.append(boxes)
    return placed


def arrows(left: list[Box], right: list[Box]) -> Iterator[tuple[Box, Box]]:
    """Row to row where both columns have as many boxes, else every box to every box."""
    yield from zip(left, right, strict=True) if len(left) == len(right) else ((a, b) for a in left for b in right)


def draw(columns: list[Column]) -> str:
    placed = place(columns)
    width = 2 * EDGE + len(columns) * (WIDTH + GAP) - GAP
    height = 2 * EDGE + max(box.y + box.height for column in placed for box in column) - EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" '
        'font-family="sans-serif" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{width}" height="{height:g}" rx="6" fill="#fff"/>',
    ]
    for left, right in pairwise(placed):
        for a, b in arrows(left, right):
            start, end = a.x + WIDTH, b.x - 1
            curve = f"M{start} {a.middle:g}C{start + GAP / 2:g} {a.middle:g} {end - GAP / 2:g} {b.middle:g} {end} {b.middle:g}"
            parts.append(f'<path d="{curve}" fill="none" stroke="#57606a" marker-end="url(#tip)"/>')
    for box in (box for column in placed for box in column):
        parts.append(f'<rect x="{box.x}" y="{box.y:g}" width="{WIDTH}" height="{box.height}" rx="5" fill="#eef3fb" stroke="#4a6fa5"/>')
        for number, line in enumerate(box.lines):
            parts.append(
                f'<text x="{box.x + WIDTH / 2:g}" y="{box.y + PAD + LINE * number + 12:g}" text-anchor="middle" fill="#1f2328">'
                f"{escape(line)}</text>"
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


SPECTRAL = [["log-mel", "128 x T"], ["MFCC", "40 x T"], ["chroma", "12 x T"]]
BRANCH = ["conv, norm, pool,", "ReLU, twice;", "linear, GELU"]
EXPERT = ["strided conv, norm,", "GELU, three times;", "attentive statistics,", "MLP"]
DIAGRAMS: dict[str, list[Column]] = {
    "spectral_crnn": [
        SPECTRAL, [BRANCH] * 3, [["concatenate,", "bottleneck, dropout,", "LayerNorm"]], [["bidirectional GRU,", "T / 4 steps"]],
        [["attention pooling", "over real frames"]], [["dropout, linear"]], [["emotion"]],
    ],
    "ssl_spectral_moe": [
        [["hidden states", "of the backbone", "13 x 768 x T"], *SPECTRAL],
        [["learned mean, linear,", "GELU, Transformer", "if configured;", "attentive statistics,", "MLP"], *[EXPERT] * 3],
        [["gate: MLP, softmax", "over the experts"], ["vectors of", "the experts"]],
        [["weighted sum"]], [["LayerNorm, MLP"]], [["emotion"]],
    ],
}  # fmt: skip


def main() -> None:
    for name, columns in DIAGRAMS.items():
        longest = max((line for column in columns for lines in column for line in lines), key=len)
        assert len(longest) * CHARACTER <= WIDTH, longest
        (PLACE / f"{name}.svg").write_text(draw(columns), encoding="utf-8")


if __name__ == "__main__":
    main()
