"""ssl_spectral_moe on the speaker-independent folds of EmoBox, with its ablations, paired over the folds.

    python benchmarks/emobox.py prepare --corpus ravdess [--backbone ../shared/models/whisper-base-encoder]
    python benchmarks/emobox.py run   --corpus ravdess [--seeds 1,2,3] [--variants moe,ssl,concat]
    python benchmarks/emobox.py table --corpus ravdess [--out table.md]

Needs data/raw with RAVDESS and SAVEE, and a backbone. `run` leaves one file for each variant, fold and seed below data/emobox/results,
named also after all settings and the backbone, and goes on where it stopped; several may run side by side, each on one core.

Every fold is written as explicit speakers and certified before anything is fitted. Its test speakers take part in nothing but the one
reading at the end. What is left to choose (`CANDIDATES`) is chosen for each fold by cross-validation over its training speakers, with the
SSL expert alone and one seed: each speaker is left out for validation in turn, the score is the UAR after the last epoch. Then the model
is fitted on all training speakers for the epochs of its config, and the last one counts.
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from ser.config import ExperimentConfig, RuntimeConfig, SslConfig
from ser.config_file import load_config
from ser.corpora.manifest import read_manifest
from ser.errors import LockedError
from ser.evaluation.metrics import uar
from ser.features.backbone_files import find_backbone
from ser.pipeline import paths
from ser.pipeline.extract import extract
from ser.pipeline.load import Loaded, load
from ser.pipeline.train import make_trainer, predictions_of
from ser.pipeline.transform import transform
from ser.runs.create import create_run
from ser.splits.protocols import find_protocol
from ser.splits.split import make_split, write_split
from ser.system.device import prepare_process
from ser.system.files import digest_json, exclusive_lock, read_json, write_json
from ser.training.predict_split import predict_dataset
from ser.training.trainer import Trainer

ROOT = Path("data/emobox")
CLASSES = {
    "ravdess": "neutral, calm, happy, sad, angry, fear, disgust, surprise",
    "savee": "neutral, happy, sad, angry, fear, disgust, surprise",
}
VARIANTS = {
    "moe": [],
    "concat": ["model.ssl_spectral_moe.fusion=concat"],
    "ssl": ["model.features=[ssl]"],
    "spectral": ["model.features=[mel, mfcc, chroma]"],
}
MIX, LAST = "mix of all states", "last state"
NOT_IN_KEY: dict[str, Any] = {
    **dict.fromkeys(("project", "protocol", "calibration", "tracking", "runtime"), True),
    "ssl": {"model_id"},
    "train": {"targets"},
}
"""What changes no result, or came after the first ones were stored and has its default here."""
CANDIDATES = {"ravdess": [MIX], "savee": [MIX, LAST]}
"""For RAVDESS there is nothing left to choose: its settings are those of the shipped config."""


def config_of(arguments: argparse.Namespace, variant: str, candidate: str, seed: int, split: Sequence[str]) -> ExperimentConfig:
    last = find_backbone(SslConfig(model_id=arguments.backbone)).num_states - 1
    common = [
        f"project.processed_dir={ROOT}",
        f"project.runs_dir={ROOT}/runs",
        "project.corpora=[ravdess, savee]",
        f"project.seed={seed}",
        f"ssl.model_id={arguments.backbone}",
        f"split.corpora=[{arguments.corpus}]",
        f"labels.keep=[{CLASSES[arguments.corpus]}]",
        "train.sampler=shuffle",
        "train.patience=10000",
        "runtime.threads=1",
    ]
    return load_config(
        "ssl_spectral_moe.yaml",
        [*common, *arguments.set, *VARIANTS[variant], f"ssl.layers={'all' if candidate == MIX else [last]}", *split],
    )


def split_settings(name: str, test: Sequence[str], val: Sequence[str] = ()) -> list[str]:
    """Explicit speakers; every speaker of the corpus that is not named trains."""
    lists = [f"split.test_speakers=[{', '.join(test)}]", f"split.val_speakers=[{', '.join(val)}]"]
    return ["split.rule=explicit-speakers", f"split.name={name}", *lists]


def published_folds(corpus: str) -> list[list[str]]:
    """Test speakers of each fold."""
    return [list(fold.test_speakers) for fold in find_protocol(f"{corpus}/emobox").folds]


def result_file(config: ExperimentConfig, name: str) -> Path:
    """A result of other settings, another backbone or another seed has another name."""
    values = config.model_dump(mode="json", exclude=NOT_IN_KEY)
    key = digest_json({**values, "seed": config.project.seed, "backbone": find_backbone(config.ssl).identity})[:12]
    return ROOT / "results" / f"{name}-{key}.json"


class Bench:
    """The folds of one corpus; keeps what it has loaded last, which all variants and seeds of a fold share."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.corpus = arguments, arguments.corpus
        self.folds = published_folds(arguments.corpus)
        self.key: tuple[str, str] | None = None
        self.loaded: Loaded | None = None

    def transform_all(self) -> None:
        """The features of every fold, over all cores."""
        for fold in range(len(self.folds)):
            for candidate in CANDIDATES[self.corpus]:
                self.prepare(config_of(self.arguments, "moe", candidate, 1, self.outer(fold)))

    def run(self, variants: Sequence[str], seeds: Sequence[int]) -> None:
        """Every fold, variant and seed that has no result yet."""
        for fold in range(len(self.folds)):
            candidate = self.choose(fold)
            for variant in variants:
                for seed in seeds:
                    if not self.result(fold, variant, seed).exists():
                        self.measure(fold, variant, candidate, seed)

    def choose(self, fold: int) -> str:
        """The candidate with the highest mean val UAR over the inner folds; the test speakers are declared and left alone."""
        candidates = CANDIDATES[self.corpus]
        if len(candidates) == 1:
            return candidates[0]
        path = self.choice(fold)
        if not path.exists():
            on_val = {candidate: [self.inner(fold, step, candidate) for step in range(1, len(self.folds))] for candidate in candidates}
            best = max(on_val, key=lambda candidate: float(np.mean(on_val[candidate])))
            write_json(path, {"chosen": best, "val_uar": on_val})
        return str(read_json(path)["chosen"])

    def inner(self, fold: int, step: int, candidate: str) -> float:
        """UAR on the speakers of another fold, without those of `fold`, after the last epoch."""
        val = self.folds[(fold + step) % len(self.folds)]
        trainer, _ = self.fit("ssl", candidate, 1, split_settings(f"{self.corpus}-{fold + 1}-inner-{step}", self.folds[fold], val))
        val_uar = trainer.progress.history[-1]["val_uar"]
        assert val_uar is not None
        return val_uar

    def choice(self, fold: int) -> Path:
        config = config_of(self.arguments, "ssl", MIX, 1, self.outer(fold))
        return result_file(config, f"{self.corpus}-{fold + 1}-choice")

    def outer(self, fold: int) -> list[str]:
        return split_settings(f"{self.corpus}-{fold + 1}", self.folds[fold])

    def result(self, fold: int, variant: str, seed: int) -> Path:
        """Of the candidate that was chosen; nothing is there before the choice."""
        chosen = str(read_json(self.choice(fold))["chosen"]) if self.choice(fold).exists() else MIX
        config = config_of(self.arguments, variant, chosen, seed, self.outer(fold))
        return result_file(config, f"{self.corpus}-{variant}-{fold + 1}-seed{seed}")

    def measure(self, fold: int, variant: str, candidate: str, seed: int) -> None:
        """Fit on all training speakers and read the test speakers once."""
        trainer, config = self.fit(variant, candidate, seed, self.outer(fold))
        assert self.loaded is not None
        dataset = self.loaded.dataset(config, "test")
        assert dataset is not None
        found = predictions_of(config, dataset.entries, self.loaded.split.classes, predict_dataset(trainer.model, dataset, trainer.device))
        gates = {name: float(weights.mean()) for name, weights in found.gates.items()}
        facts = {"n": len(found.ids), "train": len(self.loaded.split.splits["train"]), "candidate": candidate, "gates": gates}
        write_json(self.result(fold, variant, seed), {"uar": float(uar(found.confusion)), **facts, "confusion": found.confusion.tolist()})

    def fit(self, variant: str, candidate: str, seed: int, split: Sequence[str]) -> tuple[Trainer, ExperimentConfig]:
        """A model after the last of its epochs."""
        config = config_of(self.arguments, variant, candidate, seed, split)
        if self.key != (config.split.name, candidate):
            whole = config_of(self.arguments, "moe", candidate, seed, split)
            self.loaded, self.key = patiently(lambda: self.prepare(whole)), (config.split.name, candidate)
        assert self.loaded is not None
        torch.manual_seed(seed)
        trainer = make_trainer(config, self.loaded)
        trainer.fit(create_run(config, None))
        return trainer, config

    def prepare(self, config: ExperimentConfig) -> Loaded:
        """The split written and certified, missing features computed, the normalisers fitted on its training speakers."""
        if not paths.manifest_file(config.project).exists():
            extract(config)
        with exclusive_lock(paths.lock_file(config.project)):
            split = make_split(read_manifest(paths.manifest_file(config.project)), config.split, config.labels)
            write_split(paths.split_folder(config), split)
        transform(config)
        return load(config)


def patiently(step: Callable[[], Loaded]) -> Loaded:
    """Wait while a run beside this one writes to the same folder."""
    while True:
        try:
            return step()
        except LockedError:
            time.sleep(5)


def scores(bench: Bench, variant: str, seeds: Sequence[int]) -> NDArray[np.float64] | None:
    """UAR in %, (folds, seeds); None where a result is missing."""
    files = [[bench.result(fold, variant, seed) for seed in seeds] for fold in range(len(bench.folds))]
    if not all(path.exists() for row in files for path in row):
        return None
    return 100 * np.array([[read_json(path)["uar"] for path in row] for row in files])


def table(bench: Bench, seeds: Sequence[int]) -> str:
    """Each variant: mean over folds of each seed, their mean, and the difference of the mixture to it, paired over the folds."""
    found = {variant: scores(bench, variant, seeds) for variant in VARIANTS}
    moe = found["moe"]
    heads = " | ".join(f"seed {seed}" for seed in seeds)
    lines = [f"| {bench.corpus} | {heads} | UAR %, mean | by fold | moe minus this, paired over folds |", "|---" * (len(seeds) + 4) + "|"]
    for variant, uars in found.items():
        if uars is not None:
            by_seed, by_fold = (" | ".join(f"{v:.1f}" for v in uars.mean(axis=0)), " ".join(f"{v:.1f}" for v in uars.mean(axis=1)))
            difference = "" if moe is None or variant == "moe" else with_interval(moe.mean(axis=1) - uars.mean(axis=1), "+")
            lines.append(f"| {variant} | {by_seed} | {with_interval(uars.mean(axis=1))} | {by_fold} | {difference} |")
    return "\n".join([*lines, "", *remarks(bench, seeds), ""])


def with_interval(values: NDArray[np.float64], sign: str = "") -> str:
    """Mean and 95 % interval of Student's t over the folds; each fold is the mean of its seeds."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():{sign}.1f} [{values.mean() - half:{sign}.1f}, {values.mean() + half:{sign}.1f}]"


def remarks(bench: Bench, seeds: Sequence[int]) -> Iterator[str]:
    """What the inner cross-validation chose, and the gate."""
    chosen = [read_json(path)["chosen"] for path in map(bench.choice, range(len(bench.folds))) if path.exists()]
    if chosen:
        yield f"Chosen for each fold: {', '.join(chosen)}."
    paths_of = [bench.result(fold, "moe", seed) for fold in range(len(bench.folds)) for seed in seeds]
    gates = [read_json(path)["gates"] for path in paths_of if path.exists()]
    if gates:
        yield "moe: mean gate " + ", ".join(f"{name} {np.mean([gate[name] for gate in gates]):.2f}" for name in gates[0]) + "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("prepare", "run", "table"))
    parser.add_argument("--corpus", choices=tuple(CLASSES), required=True)
    parser.add_argument("--backbone", default="../shared/models/whisper-base-encoder")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--variants", default="moe,ssl,concat")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.job == "prepare":
        Bench(arguments).transform_all()
        return
    if arguments.job == "run":
        logging.basicConfig(level=logging.WARNING)
        prepare_process(RuntimeConfig(threads=1))
        (ROOT / "results").mkdir(parents=True, exist_ok=True)
        Bench(arguments).run(arguments.variants.split(","), seeds)
    text = table(Bench(arguments), seeds)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
