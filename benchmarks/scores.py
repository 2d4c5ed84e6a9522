"""The scores of finished runs as one table in Markdown, computed again from their predictions.csv.

python benchmarks/scores.py runs/eight runs/six [--out table.md]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from ser.evaluation.predictions import read_predictions
from ser.evaluation.records import Estimates, size_cells
from ser.evaluation.run_scores import read_run_scores
from ser.evaluation.scores import score
from ser.system.tables import read_table


def rows(folder: Path) -> Iterator[str]:
    """One row overall, one for each corpus, one for the mean over corpora."""
    run, scores = read_run_scores(folder / "test_metrics.json"), score(read_predictions(folder / "predictions.csv")["test"])
    minutes = sum(float(row["seconds"]) for row in read_table(folder / "history.csv", ("seconds",))) / 60
    label = f"{folder.name}: {len(scores.classes)} classes, seed {run.seed}, {run.epochs} epochs in {minutes:.0f} min"
    for name, part in scores.parts():
        yield row(f"**{label}**" if name == "all" else name, part)


def row(name: str, scores: Estimates) -> str:
    sizes = ("" if size is None else str(size) for size in size_cells(scores))
    cells = [*sizes, *(estimate.in_percent() for estimate in scores.by_metric().values())]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    header = ["| test | clips | speakers | UAR % | WA % | macro-F1 % |", "|---|---|---|---|---|---|"]
    text = "\n".join([*header, *(line for folder in arguments.runs for line in rows(folder))]) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
