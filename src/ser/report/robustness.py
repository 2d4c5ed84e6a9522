"""Measure a recogniser on degraded recordings: noise, a narrow band, another gain, and truncated speech.

Every condition alters the decoded recording, mixed down to one channel, before it is prepared. Level and length of speech are
those of the recording without its quiet start and end: the clips of RAVDESS start with a second of silence.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser.audio.decode import audio_hash, read_audio
from ser.audio.waveform import Waveform, mix_down, resample, trim
from ser.config import AudioConfig
from ser.corpora.manifest import Manifest
from ser.errors import AudioError, DataError
from ser.evaluation.intervals import difference_of, pooled
from ser.evaluation.metrics import METRICS, Counts
from ser.evaluation.predictions import Predictions
from ser.evaluation.records import Estimates, GroupScores, Record
from ser.evaluation.scores import scores_of, speaker_matrices, summarise
from ser.inference.clip_output import Clip
from ser.inference.recogniser import Recogniser
from ser.splits.certificate import Entry
from ser.splits.draw import drawing_key
from ser.system.progress import track

Condition = Callable[[Waveform, int, np.random.Generator], Waveform]
"""(samples,), their rate in hertz and a random generator -> altered copy, (samples,)."""

NOISE_RATE = 16_000
"""Sample rate of the noise in hertz. It is white up to half of this for files of any rate, so that decibels are comparable between
corpora."""
NARROW_RATE = 8_000
"""Sample rate of a narrow-band telephone in hertz."""
TRIM_TOP_DB = AudioConfig().trim_top_db
"""Frames that are quieter than the loudest one by more decibels than this are not speech."""


def speech(samples: Waveform, rate: int) -> Waveform:
    """The recording without its quiet start and end."""
    return trim(samples, rate, TRIM_TOP_DB)


def power(samples: Waveform) -> float:
    """The mean square.

    >>> power(np.array([3, -4], np.float32))
    12.5
    """
    return float(np.mean(np.square(samples, dtype=np.float64)))


def white_noise(count: int, rate: int, generator: np.random.Generator) -> Waveform:
    """(count,) noise of mean power 1, up to 8 kHz, or up to half the rate if that is less."""
    drawn_at = min(rate, NOISE_RATE)
    drawn = generator.standard_normal(ceil(count * drawn_at / rate) + 1).astype(np.float32)
    noise = resample(drawn, drawn_at, rate)[:count]
    return noise / np.float32(np.sqrt(power(noise)))


def with_noise(snr_db: float) -> Condition:
    """Add white noise to the whole recording, so many decibels below the speech."""

    def alter(samples: Waveform, rate: int, generator: np.random.Generator) -> Waveform:
        level = np.sqrt(power(speech(samples, rate)) / 10 ** (snr_db / 10))
        return samples + np.float32(level) * white_noise(len(samples), rate, generator)

    return alter


def narrow(samples: Waveform, rate: int, _generator: np.random.Generator) -> Waveform:
    """Limit the band to 4 kHz, as at 8000 samples a second."""
    return samples if rate <= NARROW_RATE else resample(resample(samples, rate, NARROW_RATE), NARROW_RATE, rate)


def with_gain(decibels: float) -> Condition:
    """Change the gain; values beyond full scale are clipped."""
    factor = np.float32(10 ** (decibels / 20))
    return lambda samples, _rate, _generator: np.clip(factor * samples, -1, 1)


def first_second(samples: Waveform, rate: int, _generator: np.random.Generator) -> Waveform:
    """Truncate the recording to the first second of speech."""
    return speech(samples, rate)[:rate]


def first_half(samples: Waveform, rate: int, _generator: np.random.Generator) -> Waveform:
    """Truncate the recording to the first half of speech."""
    voiced = speech(samples, rate)
    return voiced[: ceil(len(voiced) / 2)]


CLEAN = "clean"
CONDITIONS: dict[str, Condition] = {
    CLEAN: lambda samples, _rate, _generator: samples,
    "noise, 20 dB": with_noise(20),
    "noise, 10 dB": with_noise(10),
    "noise, 0 dB": with_noise(0),
    "8 kHz": narrow,
    "20 dB quieter": with_gain(-20),
    "12 dB louder, clipped": with_gain(12),
    "first second": first_second,
    "first half": first_half,
}


class ConditionScores(GroupScores):
    change: Estimates
    """The difference of each metric to that of the clean recordings, with intervals paired over speakers."""


class Robustness(Record):
    """Scores under each of `CONDITIONS`, on the same utterances."""

    n: int
    """Number of utterances that were predicted."""
    speakers: int
    seed: int
    left_out: Mapping[str, int]
    """{reason: number of chosen utterances that could not be read}"""
    conditions: Mapping[str, ConditionScores]


def measure_robustness(
    recogniser: Recogniser, entries: Sequence[Entry], manifest: Manifest, raw_dir: Path, clips: int = 400, seed: int = 42
) -> Robustness:
    """Measure the scores under each of `CONDITIONS` on the same utterances.

    Args:
        entries: rows of the test split, whose labels are indices of the recogniser's classes.
        manifest: paths and hashes of their audio.
        clips: the highest number of clips.
        seed: seed of the choice and of the noise.

    Raises:
        DataError: none of the audio can be read.
    """
    chosen = choose_evenly(entries, clips, seed)
    predictions, left_out = predict_spoiled(recogniser, chosen, manifest, raw_dir, seed)
    if not predictions:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise DataError(f"none of {len(chosen)} test clips can be read below {raw_dir} ({reasons or 'the test split is empty'})")
    speakers, clean = speaker_matrices(predictions[CLEAN])
    matrices = {name: speaker_matrices(table, speakers)[1] for name, table in predictions.items()}
    return Robustness(
        n=len(predictions[CLEAN].ids),
        speakers=len(speakers),
        seed=seed,
        left_out=left_out,
        conditions={name: condition_scores(spoiled, clean) for name, spoiled in matrices.items()},
    )


def condition_scores(spoiled: Counts, clean: Counts) -> ConditionScores:
    """Compare the confusion matrices, (speakers, C, C) of both."""
    scores = scores_of(spoiled)
    return ConditionScores(**scores.by_metric(), n=scores.n, speakers=scores.speakers, change=change(spoiled, clean))


def predict_spoiled(
    recogniser: Recogniser, entries: Sequence[Entry], manifest: Manifest, raw_dir: Path, seed: int
) -> tuple[dict[str, Predictions], dict[str, int]]:
    """Predictions under each of `CONDITIONS` (empty if no recording can be read), and {reason: number of utterances that cannot be
    read}."""
    predicted: list[Entry] = []
    probabilities: dict[str, list[NDArray[np.float64]]] = {name: [] for name in CONDITIONS}
    left_out: Counter[str] = Counter()
    with track("robustness", len(entries), "clips") as advance:
        for entry in entries:
            clip = read_clip(entry.id, manifest, raw_dir)
            if isinstance(clip, str):
                left_out[clip] += 1
            else:
                predicted.append(entry)
                outputs = recogniser.infer_clips(spoil(*clip, drawing_key(seed, entry.id)))
                for name, output in zip(CONDITIONS, outputs, strict=True):
                    probabilities[name].append(output.probabilities)
            advance(1)
    if not predicted:
        return {}, dict(left_out)
    return {name: Predictions.from_entries(predicted, np.array(rows), recogniser.classes) for name, rows in probabilities.items()}, dict(
        left_out
    )


def choose_evenly(entries: Sequence[Entry], clips: int, seed: int) -> list[Entry]:
    """Draw at most so many utterances, balanced over speakers and over the classes of each speaker as far as possible."""
    drawn = sorted(entries, key=lambda entry: drawing_key(seed, entry.id))
    return in_turns(in_turns(drawn, lambda entry: (entry.speaker, entry.label)), lambda entry: entry.speaker)[:clips]


def in_turns(entries: Sequence[Entry], key: Callable[[Entry], Hashable]) -> list[Entry]:
    """Interleave: the first of every key, then the second of every key, and so on."""
    seen: Counter[Hashable] = Counter()
    turns = []
    for entry in entries:
        turns.append(seen[key(entry)])
        seen[key(entry)] += 1
    return [entries[index] for index in np.argsort(turns, kind="stable")]


def read_clip(utterance_id: str, manifest: Manifest, raw_dir: Path) -> tuple[Waveform, int] | str:
    """The recording, (samples,) and their rate in hertz, or the reason why it cannot be read."""
    if utterance_id not in manifest:
        return "not in the manifest"
    utterance = manifest[utterance_id]
    path = raw_dir / utterance.path
    if not path.exists():
        return "gone"
    try:
        audio = read_audio(path)
    except AudioError as error:
        return error.reason
    return (mix_down(audio.samples), audio.sample_rate) if audio_hash(audio) == utterance.audio_hash else "changed"


def spoil(samples: Waveform, rate: int, key: str) -> list[Clip]:
    """The recording under each of `CONDITIONS`; the noise is the same at every level.

    Args:
        key: hexadecimal digits that seed the noise.
    """
    return [(alter(samples, rate, np.random.default_rng(int(key, 16))), rate) for alter in CONDITIONS.values()]


def change(spoiled: Counts, clean: Counts) -> Estimates:
    """The difference of each metric to that of the clean recordings, from (speakers, C, C) of both, with paired intervals."""
    scores = {name: difference_of(pooled(spoiled, metric), pooled(clean, metric)) for name, metric in METRICS.items()}
    return summarise(scores, ["all"] * len(clean), difference=True)
