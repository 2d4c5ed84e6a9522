"""The results of protocols as tables in Markdown, from their protocol.json.

ser protocol run ravdess/emobox --config spectral_crnn.yaml --seeds 1 --epochs 15     # and others
python benchmarks/protocols.py runs/protocols/*/* [--out table.md]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from ser.evaluation.protocol_scores import ProtocolScores
from ser.pipeline.protocol_table import is_matrix, matrix_rows
from ser.system.files import read_json

COLUMNS = "| fold | train / val / test clips | test speakers | classes | UAR % | WA % | macro-F1 % |"
SUMMARY = (
    *("protocol", "folds", "test clips", "speakers", "classes", "seeds x epochs"),
    *("UAR %, mean over folds", "UAR %, all folds together", "WA %, mean over folds", "speaker-independent"),
)


def summary(results: ProtocolScores) -> str:
    """One line of the table of all protocols."""
    folds, scores = results.folds, results.mean_over_folds
    clips = sum(row.clips["test"] for row in folds)
    classes = sorted({len(row.classes) for row in folds})
    cells = (
        f"`{results.protocol.name}`{'' if results.complete and results.whole_corpora else ' (NOT COMPLETE)'}",
        len(folds),
        clips,
        len({speaker for row in folds for speaker in row.test_speakers}),
        "-".join(str(number) for number in dict.fromkeys((classes[0], classes[-1]))),
        f"{len(results.seeds)} x {results.train['epochs']}",
        scores.uar.in_percent(),
        "" if results.pooled is None else results.pooled.uar.in_percent(),
        scores.wa.in_percent(),
        "yes" if results.speaker_independent else "no",
    )
    return f"| {' | '.join(map(str, cells))} |"


def folds_table(results: ProtocolScores) -> Iterator[str]:
    """Every fold with its counts and scores."""
    yield f"\n**{results.protocol.name}**, version {results.protocol.version}: {results.protocol.title}.\n"
    yield COLUMNS
    yield "|---" * (COLUMNS.count("|") - 1) + "|"
    for row in results.folds:
        clips = " / ".join(str(count) for count in row.clips.values())
        if row.published:
            clips += f" (published {row.published['train']} / {row.published['test']})"
        scores = " | ".join(estimate.in_percent() for estimate in row.scores.by_metric().values())
        yield f"| {row.fold} | {clips} | {row.scores.speakers} | {len(row.classes)} | {scores} |"
    leak = results.leak_delta
    if leak:
        ends = f" [{100 * leak.interval.low:.1f}, {100 * leak.interval.high:.1f}]" if leak.interval else ""
        random, own = 100 * leak.uar_random_splits, 100 * leak.uar
        yield f"\nOn random splits of the same sizes: UAR {random:.1f} instead of {own:.1f}; leakage buys {100 * leak.delta:.1f}{ends}."


def matrix(results: ProtocolScores) -> Iterator[str]:
    """Training corpora in rows, test corpora in columns."""
    header, *rows = matrix_rows(results.folds)
    yield f"\n| UAR %, {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def tables(every: list[ProtocolScores]) -> Iterator[str]:
    yield f"| {' | '.join(SUMMARY)} |"
    yield "|---" * len(SUMMARY) + "|"
    yield from map(summary, every)
    for results in every:
        yield from folds_table(results)
        if is_matrix(results):
            yield from matrix(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    every = [
        ProtocolScores.from_json(read_json(folder / "protocol.json")) for folder in arguments.folders if (folder / "protocol.json").exists()
    ]
    text = "\n".join(tables(every)) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
