"""Compare the outputs of an exported model with those of its original, on waveforms that every model accepts."""

from collections.abc import Sequence

import numpy as np

from ser.audio.waveform import Stages, Waveform, normalise_peak
from ser.export.original import Original
from ser.features.base import Frames
from ser.inference.clip_output import ClipOutput
from ser.inference.exported import Exported
from ser.units import seconds_to_samples

TRIED_SECONDS = (0.02, 0.1, 0.73, 2.4, 5.1)
"""Durations of the test waveforms in seconds: less than one step, about a syllable, a word, a sentence, the longest in training."""


def largest_difference(exported: Exported, original: Original) -> float:
    """The largest difference between the calibrated probabilities of torch and those of the file, for each clip alone and all in a
    batch."""
    waveforms = trial_waveforms(original.recogniser.audio.sampling_rate)
    expected = original.calibration.apply(np.stack([output.probabilities for output in by_torch(original, waveforms)]))
    together = by_file(exported, original, waveforms)
    alone = [output for waveform in waveforms for output in by_file(exported, original, [waveform])]
    return float(max(np.abs(np.stack([output.probabilities for output in outputs]) - expected).max() for outputs in (together, alone)))


def by_torch(original: Original, waveforms: Sequence[Waveform]) -> list[ClipOutput]:
    """The outputs of torch for prepared waveforms, not calibrated."""
    rate = original.recogniser.audio.sampling_rate
    stages = [Stages(waveform, rate, waveform, waveform, waveform, waveform) for waveform in waveforms]
    return [trace.output for trace in original.recogniser.trace_batch(stages)]


def by_file(exported: Exported, original: Original, waveforms: Sequence[Waveform]) -> list[ClipOutput]:
    """The outputs of the file; without a backbone it gets the frames of the original's."""
    return list(exported.run(waveforms, None if exported.missing is None else backbone_frames(original, waveforms)))


def backbone_frames(original: Original, waveforms: Sequence[Waveform]) -> list[Frames]:
    """The backbone's frames for each waveform, (frames, states x dim)."""
    assert original.backbone is not None
    return original.backbone.extractor.extract(waveforms)


def trial_waveforms(sample_rate: int) -> list[Waveform]:
    """Noise with syllable-like swells of 60 dB, each with some digital silence in its middle."""
    generator = np.random.default_rng(0)
    waveforms = []
    for seconds in TRIED_SECONDS:
        time = np.arange(seconds_to_samples(seconds, sample_rate)) / sample_rate
        loudness = 10 ** (1.5 * (np.sin(2 * np.pi * 4 * time) - 1))
        noise = loudness * generator.normal(size=len(time)) * (np.abs(time - seconds / 2) > seconds / 20)
        waveforms.append(normalise_peak(noise.astype(np.float32)))
    return waveforms
