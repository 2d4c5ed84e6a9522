"""Confidence intervals by a bootstrap over speakers.

Utterances of one speaker are not independent, so whole speakers are drawn with replacement (cluster bootstrap: Davison and Hinkley 1997,
section 3.8), and the interval runs between percentiles of the resampled scores. It needs speakers: over 24 a nominal 95 % interval covers
about 95 %, over 10 about 90 %, over 4 about 81 %. Under five there is none, with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ser.metrics import Counts, Floats

Metric = Callable[[Floats], Floats]
"""Confusion matrices (..., C, C) -> scores (...)."""

MIN_SPEAKERS = 5
LEVEL = 0.95
RESAMPLES = 2000
SEED = 42


@dataclass(frozen=True)
class Interval:
    """`low` and `high` are None where `reason` says why there is no interval."""

    low: float | None
    high: float | None
    speakers: int
    """That were resampled: an interval is worth no more than their number."""
    reason: str | None = None
    level: float = LEVEL
    resamples: int = RESAMPLES
    method: str = "percentile bootstrap over speakers"


def bootstrap(matrices: Counts, metric: Metric, seed: int = SEED, resamples: int = RESAMPLES) -> Interval:
    """95 % percentile interval of a score over speakers.

    Args:
        matrices: (speakers, C, C) confusion matrix of each speaker.

    >>> always_right = np.tile(np.diag([3, 3]), (6, 1, 1))
    >>> from ser.metrics import uar
    >>> interval = bootstrap(always_right, uar)
    >>> interval.low, interval.high, interval.speakers
    (1.0, 1.0, 6)
    >>> bootstrap(always_right[:4], uar).reason
    '4 speakers: an interval over fewer than 5 means nothing'
    """
    speakers = len(matrices)
    if speakers < MIN_SPEAKERS:
        reason = f"{speakers} speaker{'' if speakers == 1 else 's'}: an interval over fewer than {MIN_SPEAKERS} means nothing"
        return Interval(None, None, speakers, reason, resamples=resamples)
    return percentiles(metric(resample(matrices, np.random.default_rng(seed), resamples)), speakers)


def bootstrap_mean(corpora: Mapping[str, Counts], metric: Metric, seed: int = SEED, resamples: int = RESAMPLES) -> Interval:
    """95 % percentile interval of the mean over corpora, speakers resampled within each corpus.

    A corpus with fewer than five speakers would count as certain, and the interval would be too narrow: then there is none, and the
    reason names the corpora.

    Args:
        corpora: corpus -> (speakers, C, C) confusion matrix of each of its speakers.
    """
    speakers = sum(map(len, corpora.values()))
    few = [f"{corpus} has {len(of)}" for corpus, of in sorted(corpora.items()) if len(of) < MIN_SPEAKERS]
    if few or not corpora:
        reason = f"fewer than {MIN_SPEAKERS} speakers: {', '.join(few) or 'no corpus'}"
        return Interval(None, None, speakers, reason, resamples=resamples)
    scores = [
        metric(resample(corpora[corpus], np.random.default_rng([seed, index]), resamples)) for index, corpus in enumerate(sorted(corpora))
    ]
    return percentiles(np.mean(scores, axis=0), speakers)


def resample(matrices: Counts, generator: np.random.Generator, resamples: int) -> Floats:
    """Sums over speakers drawn with replacement, (speakers, C, C) -> (resamples, C, C)."""
    speakers = len(matrices)
    drawn = generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=resamples)
    flat = drawn.astype(np.float64) @ matrices.reshape(speakers, -1).astype(np.float64)
    return flat.reshape(resamples, *matrices.shape[1:])


def percentiles(scores: Floats, speakers: int) -> Interval:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(scores, [tail, 100 - tail])
    return Interval(float(low), float(high), speakers, resamples=len(scores))
