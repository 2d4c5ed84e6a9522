"""The score to beat: means and deviations of the MFCCs with a logistic regression, on the split of a config.

    python benchmarks/baseline.py --config spectral_crnn_six.yaml [--out table.md]

Needs the steps extract, transform and load of that config. The strength of the regularisation is chosen on val, test is read once.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ser.config_file import load_config
from ser.evaluation.metrics import uar
from ser.evaluation.predictions import Predictions
from ser.evaluation.records import size_cells
from ser.evaluation.scores import score
from ser.pipeline.load import read_loaded
from ser.training.batches import SpeechDataset
from ser.wording import percent

STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def statistics(dataset: SpeechDataset) -> NDArray[np.float64]:
    """Mean and deviation over time of each MFCC: (n, 2 n_mfcc)."""
    (group,) = (group for group in dataset.groups if "mfcc" in group.columns)
    first, last = group.columns["mfcc"]
    clips = (np.asarray(group.stores.rows(entry.id)[:, first:last], np.float64) for entry in dataset.entries)
    return np.stack([np.concatenate([clip.mean(axis=0), clip.std(axis=0)]) for clip in clips])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="spectral_crnn_six.yaml")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.settings)
    loaded = read_loaded(config)
    train, val, test = (loaded.dataset(config, name) for name in ("train", "val", "test"))
    if train is None or val is None or test is None:
        parser.error("this benchmark needs clips in train, val and test")
    inputs, classes = statistics(train), loaded.split.classes
    fitted = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000, class_weight="balanced")).fit(inputs, train.labels)
        for strength in STRENGTHS
    ]
    on_val = [
        float(uar(Predictions.from_entries(val.entries, model.predict_proba(statistics(val)), classes).confusion)) for model in fitted
    ]
    best = int(np.argmax(on_val))
    scores = score(Predictions.from_entries(test.entries, fitted[best].predict_proba(statistics(test)), classes))
    lines = [
        f"MFCC means and deviations, logistic regression (C = {STRENGTHS[best]} by val).",
        f"Split {config.split.name}, {len(classes)} classes.",
        "",
        "| test | clips | UAR % | WA % | macro-F1 % |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {size_cells(part)[0] or ''} | " + " | ".join(percent(found.value) for found in part.by_metric().values()) + " |"
            for name, part in scores.parts()
        ),
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out:
        arguments.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
