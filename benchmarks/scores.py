"""The scores of finished runs as one table in Markdown, computed again from their predictions.csv.

python benchmarks/scores.py runs/eight runs/six [--out table.md]
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ser.evaluation.predictions import read_predictions
from ser.evaluation.scores import score
from ser.system.files import read_json
from ser.system.tables import read_table
from ser.wording import score_parts, with_interval

METRICS = ("uar", "wa", "macro_f1")


def rows(folder: Path) -> Iterator[str]:
    """One row overall, one for each corpus, one for the mean over corpora."""
    metrics = read_json(folder / "test_metrics.json") | score(read_predictions(folder / "predictions.csv")["test"])
    minutes = sum(float(row["seconds"]) for row in read_table(folder / "history.csv", ("seconds",))) / 60
    label = f"{folder.name}: {len(metrics['classes'])} classes, seed {metrics['seed']}, {metrics['epochs']} epochs in {minutes:.0f} min"
    for name, scores in score_parts(metrics):
        yield row(f"**{label}**" if name == "all" else name, scores)


def row(name: str, scores: Mapping[str, Any]) -> str:
    cells = [str(scores.get("n", "")), str(scores.get("speakers", "")), *(with_interval(scores, metric) for metric in METRICS)]
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
