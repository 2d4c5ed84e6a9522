"""Comparison of two systems on the same test utterances, paired over speakers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from ser.errors import DataError
from ser.evaluation.folds import Folds, few_in_folds, fold_strata, mean_over_folds, one_set_of_classes, seed_matrices, speakers_of
from ser.evaluation.intervals import LEVEL, Interval, Score, difference_of, interval_of, no_interval, value_of
from ser.evaluation.metrics import METRICS
from ser.evaluation.predictions import Predictions
from ser.evaluation.scores import mean_over_seeds

POWER = 0.8

TITLES = {"uar": "UAR", "wa": "WA", "macro_f1": "macro-F1"}

SHOWN = 3
"""Maximum number of examples in a message."""

Ranking = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True)
class Comparison:
    """Comparison of system A with system B in one metric."""

    metric: str
    a: float
    b: float
    difference: float
    """A minus B."""
    interval: Interval
    """Interval of the difference over speakers."""
    detectable: float | None
    """Smallest difference that this test set can detect; None without an interval, or if all speakers have the same difference."""
    verdict: Ranking | None
    """Whether A is better or worse, which requires an interval without 0. None without an interval."""
    n: int
    speakers: int
    over: str = ""
    """How several folds are combined; empty for one fold."""


def compare(a: Predictions, b: Predictions, metric: str = "uar") -> Comparison:
    """Compare two runs on the same test utterances, see `compare_folds`."""
    return compare_folds({"test": [a]}, {"test": [b]}, metric)


def compare_folds(a: Folds, b: Folds, metric: str = "uar") -> Comparison:
    """Compare two systems on the same folds, each with any number of seeds.

    The score is that of all folds together, as the mean over seeds; if folds differ in classes, it is the mean over folds.

    Raises:
        DataError: the two differ in folds, test utterances, truths or classes.
    """
    require_pairs(a, b, ("the first", "the second"))
    speakers = speakers_of(a)
    one, other = (score_of(folds, speakers, metric) for folds in (a, b))
    strata = ["all"] * len(speakers) if one_set_of_classes(a) else fold_strata(a, speakers)
    reason = None if one_set_of_classes(a) else few_in_folds(a)
    difference = difference_of(one, other)
    interval = interval_of(difference, strata, difference=True) if reason is None else no_interval(len(speakers), reason)
    return Comparison(
        metric,
        value_of(one, len(speakers)),
        value_of(other, len(speakers)),
        value_of(difference, len(speakers)),
        interval,
        detectable_difference(interval),
        verdict_on(interval),
        sum(len(seeds[0].ids) for seeds in a.values()),
        len(speakers),
        over_folds(a),
    )


def over_folds(folds: Folds) -> str:
    """Description of how `score_of` combines several folds."""
    if len(folds) == 1:
        return ""
    return f"all {len(folds)} folds together" if one_set_of_classes(folds) else f"the mean over {len(folds)} folds"


def score_of(folds: Folds, speakers: Sequence[str], metric: str) -> Score:
    if one_set_of_classes(folds):
        return mean_over_seeds(seed_matrices(folds, speakers), METRICS[metric])
    return mean_over_folds(folds, speakers, METRICS[metric])


def verdict_on(interval: Interval) -> Ranking | None:
    """
    >>> verdict_on(Interval(0.01, 0.05, 24)), verdict_on(Interval(-0.01, 0.05, 24)), verdict_on(Interval(None, None, 4, "4 speakers"))
    ('better', 'not distinguishable', None)
    """
    if interval.low is None or interval.high is None:
        return None
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "not distinguishable"


def detectable_difference(interval: Interval) -> float | None:
    """The true difference that is detected at the two-sided 5 % level in 80 % of such test sets.

    (t_.975 + t_.8) times the standard error of the paired difference (Bloom 1995: minimum detectable effects). It depends on the standard
    error of this pair: smaller differences are detectable between systems that agree more with each other.

    >>> round(detectable_difference(Interval(-0.02, 0.03, 24, standard_error=0.01, degrees=23.0)), 4)
    0.0293
    """
    if not interval.standard_error or interval.degrees is None:
        return None
    quantiles = stdtrit(interval.degrees, [(1 + LEVEL) / 2, POWER])
    return float(quantiles.sum()) * interval.standard_error


def require_pairs(a: Folds, b: Folds, names: tuple[str, str]) -> None:
    """Check that two systems can be compared.

    Raises:
        DataError: they differ in folds, test utterances, truths or classes; the message has counts and examples.
    """
    require_same("folds", dict.fromkeys(a), dict.fromkeys(b), names)
    one, other = (facts(folds) for folds in (a, b))
    require_same("test utterances", one, other, names)
    differing = [f"{utterance} ({one[utterance]} / {other[utterance]})" for utterance in one if one[utterance] != other[utterance]]
    if differing:
        raise DataError(f"{names[0]} and {names[1]} differ in truth or speaker of {some(differing)}: they cannot be compared")
    for fold in a:
        require_same("classes", dict.fromkeys(a[fold][0].classes), dict.fromkeys(b[fold][0].classes), names)


def facts(folds: Folds) -> dict[str, str]:
    """{utterance, with its fold if there are several: truth and speaker}"""
    found = {}
    for fold, seeds in folds.items():
        table, prefix = seeds[0], f"{fold}: " if len(folds) > 1 else ""
        for utterance, truth, speaker in zip(table.ids, table.truth.tolist(), table.speakers, strict=True):
            found[prefix + utterance] = f"{table.classes[truth]} by {speaker}"
    return found


def require_same(what: str, one: Mapping[str, object], other: Mapping[str, object], names: tuple[str, str]) -> None:
    missing = [
        f"{some([key for key in own if key not in against])} only in {name}"
        for name, own, against in ((names[0], one, other), (names[1], other, one))
        if own.keys() - against.keys()
    ]
    if missing:
        raise DataError(f"{names[0]} and {names[1]} differ in {what}, so they cannot be compared: {'; '.join(missing)}")


def some(names: Iterable[str]) -> str:
    """
    >>> some(["a", "b"]), some("abcde")
    ('2 (a, b)', '5 (a, b, c, ...)')
    """
    every = list(names)
    return f"{len(every)} ({', '.join([*every[:SHOWN], *(['...'] if len(every) > SHOWN else [])])})"


def sentence(comparison: Comparison, name_a: str, name_b: str) -> str:
    """The result of a comparison in one sentence."""
    title, interval = TITLES[comparison.metric], comparison.interval
    on = f"on {comparison.n} utterances of {comparison.speakers} speaker{'' if comparison.speakers == 1 else 's'}"
    on += f" ({comparison.over})" if comparison.over else ""
    by = f"{100 * comparison.difference:+.1f} points of {title}"
    if interval.low is None or interval.high is None:
        return f"No verdict on {name_a} and {name_b}, which differ by {by} {on}: {interval.reason}."
    ends = sorted(100 * end for end in (interval.low, interval.high))
    if comparison.verdict == "not distinguishable":
        could = comparison.detectable
        tail = (
            "they score alike on every speaker"
            if could is None
            else f"this test set could show a difference of about {100 * could:.1f} points"
        )
        return f"{name_a} and {name_b} are not distinguishable: {by} [{ends[0]:+.1f}, {ends[1]:+.1f}] {on}; {tail}."
    low, high = sorted(abs(end) for end in ends)
    by = f"{100 * abs(comparison.difference):.1f} points of {title} [{low:.1f}, {high:.1f}]"
    return f"{name_a} is {comparison.verdict} than {name_b} by {by} {on}."
