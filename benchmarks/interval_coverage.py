"""How often an interval over speakers holds the truth: simulated speakers, known truth, several methods.

    python benchmarks/interval_coverage.py [--simulations 1000] [--out table.md]

The populations resemble what a run on CREMA-D and RAVDESS showed: speakers differ in all their recalls together (normal on the logit scale,
deviation 0.3) and in each class by itself (beta, as part of a Dirichlet row of the confusion matrix with precision 5); a recall then has a
standard deviation of some 0.2 over speakers. Clips are multinomial given that. The truth is the score of the expected confusion matrix over
200 000 speakers. About two minutes of one core.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from ser.evaluation.intervals import Score, difference_of, interval_of, jackknife, mean_of, pooled, student, value_of
from ser.evaluation.metrics import Counts, Floats, macro_f1, uar, wa

SPEAKERS = (5, 10, 15, 24, 48, 91)
RESAMPLES = 500
NESTED = 150
"""Resamples of the bootstrap-t, which leaves each speaker out of every one of them."""
FOLD = 5
"""Speakers of a fold."""


@dataclass(frozen=True)
class Population:
    """Speakers, and how two systems A and B hear them; B is a little worse and agrees with A in part."""

    name: str
    classes: int
    clips: int
    """A speaker, on average."""
    unequal: bool = False
    """Speakers with 15 to 400 clips, classes that differ fourfold, and 15 % of the classes of a speaker missing."""
    large: bool = False
    """One speaker has a third of all clips."""
    lowest: float = 0.42
    highest: float = 0.87
    """Recall of the classes, evenly between."""

    def draw(self, generator: np.random.Generator, speakers: int) -> tuple[Counts, Floats, Floats]:
        """Clips of each class (S, C), and probabilities of each prediction under A and B, each (S, C, C)."""
        ability = generator.normal(0, 0.3, (speakers, 1))
        a = self.hearing(generator, ability)
        return self.counts(generator, speakers), a, 0.6 * a + 0.4 * self.hearing(generator, 0.7 * ability - 0.3)

    def hearing(self, generator: np.random.Generator, ability: Floats) -> Floats:
        recall = expit(logit(np.linspace(self.lowest, self.highest, self.classes)) + ability)[..., None]
        right = np.eye(self.classes)
        wrong = np.random.default_rng(0).dirichlet(np.full(self.classes, 2.0), self.classes) * (1 - right)
        mean = right * recall + wrong / wrong.sum(axis=1, keepdims=True) * (1 - recall)
        gamma = generator.standard_gamma(5 * mean)
        rows: Floats = gamma / gamma.sum(axis=-1, keepdims=True)
        return rows

    def counts(self, generator: np.random.Generator, speakers: int) -> Counts:
        if not self.unequal:
            return np.full((speakers, self.classes), self.clips // self.classes)
        sizes = np.clip(np.exp(generator.normal(np.log(self.clips), 0.6, (speakers, 1))), 15, 400)
        share = np.linspace(0.5, 2, self.classes)
        clips: Counts = generator.poisson(sizes * share / share.sum()) * (generator.random((speakers, self.classes)) > 0.15)
        clips[:, -1] = np.maximum(clips[:, -1], 1)  # nobody says nothing
        return clips

    def expected(self, speakers: int = 200_000, at_once: int = 20_000) -> tuple[Floats, Floats]:
        """Confusion matrices of A and B over the whole population."""
        generator, total = np.random.default_rng(1), np.zeros((2, self.classes, self.classes))
        for _ in range(speakers // at_once):
            clips, *both = self.draw(generator, at_once)
            total += [(clips[..., None] * draws).sum(axis=0) for draws in both]
        return total[0], total[1]


POPULATIONS = (
    Population("alike", classes=6, clips=72),
    Population("near 1", classes=6, clips=60, lowest=0.9, highest=0.99),
    Population("unequal", classes=8, clips=70, unequal=True),
    Population("one large", classes=6, clips=72, large=True),
)


@dataclass(frozen=True)
class Case:
    """A score of one simulated table, and what is known of it."""

    score: Score
    strata: Sequence[str]
    truth: float
    difference: bool = False


def cases(population: Population, speakers: int, generator: np.random.Generator, truths: tuple[Floats, Floats]) -> dict[str, Case]:
    """The scores of one table."""
    clips, a, b = population.draw(generator, speakers)
    if population.large:
        clips[0] *= speakers // 2
    of_a, of_b = generator.multinomial(clips, a), generator.multinomial(clips, b)
    folds = [list(range(first, min(first + FOLD, speakers))) for first in range(0, speakers, FOLD)]
    if len(folds[-1]) == 1:
        folds[-2:] = [folds[-2] + folds[-1]]
    one, by_fold = ["all"] * speakers, [str(fold) for fold, members in enumerate(folds) for _ in members]
    return {
        "UAR": Case(pooled(of_a, uar), one, float(uar(truths[0]))),
        "WA": Case(pooled(of_a, wa), one, float(wa(truths[0]))),
        "macro-F1": Case(pooled(of_a, macro_f1), one, float(macro_f1(truths[0]))),
        f"UAR, mean over folds of {FOLD}": Case(mean_of([pooled(of_a[fold], uar, fold) for fold in folds]), by_fold, float(uar(truths[0]))),
        "UAR, A minus B": Case(
            difference_of(pooled(of_a, uar), pooled(of_b, uar)), one, float(uar(truths[0]) - uar(truths[1])), difference=True
        ),
    }


Ends = tuple[float, float]
Method = Callable[[Case, np.random.Generator], Ends]


def shipped(case: Case, _generator: np.random.Generator) -> Ends:
    found = interval_of(case.score, case.strata, difference=case.difference)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def plain_t(case: Case, _generator: np.random.Generator) -> Ends:
    error, degrees = jackknife(case.score, case.strata)
    return student(value_of(case.score, len(case.strata)), error, degrees, difference=True)


def drawn(case: Case, generator: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    speakers = len(case.strata)
    return generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=resamples).astype(np.float64)


def percentile(case: Case, generator: np.random.Generator) -> Ends:
    low, high = np.nanpercentile(case.score(drawn(case, generator)), [2.5, 97.5])
    return float(low), float(high)


def bca(case: Case, generator: np.random.Generator) -> Ends:
    """Bias-corrected and accelerated (Efron 1987)."""
    speakers = len(case.strata)
    resampled, value = case.score(drawn(case, generator)), value_of(case.score, speakers)
    left_out = case.score(np.ones((speakers, speakers)) - np.eye(speakers))
    pull = left_out.mean() - left_out
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    below = np.mean(resampled < value) + np.mean(resampled == value) / 2
    bias = ndtri(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    moved = bias + ndtri(np.array([0.025, 0.975]))
    low, high = np.percentile(resampled, 100 * ndtr(bias + moved / (1 - acceleration * moved)))
    return float(low), float(high)


def bootstrap_t(case: Case, generator: np.random.Generator) -> Ends:
    """Studentised by the jackknife of every resample (Efron and Tibshirani 1993, section 12.5), on the logit scale but for a difference."""
    speakers = len(case.strata)
    there, back = (np.asarray, np.asarray) if case.difference else (lambda x: logit(np.clip(x, 1e-6, 1 - 1e-6)), expit)
    draws = drawn(case, generator, NESTED)
    left_out = np.maximum(draws[:, None, :] - np.eye(speakers), 0).reshape(-1, speakers)  # who was not drawn has no weight below
    of_each = there(case.score(left_out)).reshape(NESTED, speakers)
    mean = (draws * of_each).sum(axis=1, keepdims=True) / speakers
    errors = np.sqrt((speakers - 1) / speakers * (draws * (of_each - mean) ** 2).sum(axis=1))
    value, own = there(value_of(case.score, speakers)), there(case.score(np.ones((speakers, speakers)) - np.eye(speakers)))
    error = np.sqrt((speakers - 1) / speakers * ((own - own.mean()) ** 2).sum())
    high, low = np.nanpercentile((there(case.score(draws)) - value) / np.maximum(errors, 1e-9), [2.5, 97.5])
    return float(back(value - low * error)), float(back(value - high * error))


METHODS: dict[str, tuple[Method, int]] = {
    "shipped": (shipped, 1),
    "percentile": (percentile, 4),
    "t, no logit": (plain_t, 1),
    "BCa": (bca, 4),
    "bootstrap-t": (bootstrap_t, 8),
}
"""Each with the share of the simulations that it takes part in: one in so many."""


def wanted(population: Population, score: str, method: str) -> bool:
    """All methods meet on one population. WA is UAR where classes are equally many, and a difference knows no logit."""
    if score == "WA":
        return population.unequal and method == "shipped"
    if score == "UAR, A minus B" and method == "t, no logit":
        return False
    return method in {"shipped", "percentile"} or (population.unequal and score.startswith("UAR") and "folds" not in score)


Key = tuple[str, str]
"""Score and method."""


def measure(population: Population, speakers: int, simulations: int, truths: tuple[Floats, Floats]) -> dict[Key, str]:
    """`94.6 (12.3)` for each: coverage and mean width in per cent."""
    data, own = np.random.default_rng(speakers), np.random.default_rng(0)
    found: dict[Key, list[tuple[bool, float]]] = {}
    for number in range(simulations):
        for score, case in cases(population, speakers, data, truths).items():
            for label, (method, one_in) in METHODS.items():
                if wanted(population, score, label) and number % one_in == 0:
                    low, high = method(case, own)
                    found.setdefault((score, label), []).append((low <= case.truth <= high, high - low))
    means = {key: 100 * np.mean(np.array(values, np.float64), axis=0) for key, values in found.items()}
    return {key: f"{coverage:.1f} ({width:.1f})" for key, (coverage, width) in means.items()}


def rows(simulations: int) -> Iterator[str]:
    for population in POPULATIONS:
        truths = population.expected()
        by_speakers = [measure(population, speakers, simulations, truths) for speakers in SPEAKERS]
        for score, method in by_speakers[0]:
            times = -(-simulations // METHODS[method][1])
            yield f"| {population.name} | {score} | {method} | {times} | {' | '.join(result[score, method] for result in by_speakers)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000, help="of the shipped method; fewer of slow ones")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    error = 100 * np.sqrt(0.95 * 0.05 / arguments.simulations)
    lines = [
        "Coverage of 95 % intervals in %, in brackets their mean width in points, by number of speakers. Standard error where coverage",
        f"is 95 %: {error:.1f} with {arguments.simulations} simulations, twice that with a quarter of them, nearly three times with an "
        "eighth.",
        "",
        f"| population | score | method | simulations | {' | '.join(map(str, SPEAKERS))} |",
        "|---" * (4 + len(SPEAKERS)) + "|",
    ]
    text = "\n".join([*lines, *rows(arguments.simulations), ""])
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
