"""Who tells speech from silence better: silero-vad or energy, on real clips in noise; and what silero costs.

    python benchmarks/voice.py [data/raw] [--clips 240] [--out table.md]

Each clip stands between three seconds of noise on either side, and in the same noise itself. Speech to be found are the moments of the clip
alone that are less than 10 dB below its loudest ones; that noise is called speech is counted beside the clip. Needs the extra `voice`.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from real_clips import arguments, choose_evenly, report
from ser.audio.decode import read_audio
from ser.audio.recording import ArrayRecording
from ser.audio.scan import scan
from ser.audio.vad_energy import find_speech
from ser.audio.vad_silero import RATE, Silero, detector, find_stretches, in_doubt
from ser.audio.waveform import TRIM_HOP_SECONDS, Waveform, frame_power, hop_energy, mix_down, normalise_peak, resample
from ser.config import AudioConfig
from ser.corpora.manifest import Utterance
from ser.errors import ConfigError

AROUND = 3.0
RATIOS = (40, 20, 10, 5, 0)
"""Decibels of the speech above the noise."""
TOP_DB = AudioConfig().trim_top_db
CLEAR_DB = 10.0
"""The noise of CREMA-D's own rooms begins 15 dB below its loudest moments."""
HOP = round(TRIM_HOP_SECONDS * RATE)
TIMED_SECONDS = 300
TIMED_RATES = (16_000, 44_100)

Hops = NDArray[np.bool_]
Way = Callable[[Waveform], Hops]


def power_of(samples: Waveform) -> NDArray[np.float64]:
    return frame_power(hop_energy(samples, HOP), HOP)


def by_energy(samples: Waveform) -> Hops:
    return find_speech(power_of(samples), TOP_DB)


def by_silero(silero: Silero) -> Way:
    def tell(samples: Waveform) -> Hops:
        voiced = scan(ArrayRecording(samples, RATE), silero).voiced
        return by_energy(samples) if voiced is None else voiced

    return tell


def waveforms(clips: Sequence[Utterance], raw: Path) -> Iterator[Waveform]:
    """At 16 kHz with a peak of 1."""
    for clip in clips:
        audio = read_audio(raw / clip.path)
        yield normalise_peak(resample(mix_down(audio.samples), audio.sample_rate, RATE))


def white(generator: np.random.Generator, length: int) -> NDArray[np.float64]:
    return generator.normal(0, 1, length)


def pink(generator: np.random.Generator, length: int) -> NDArray[np.float64]:
    """As much power in each octave, as rooms and streets have it; from 20 Hz up."""
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    spectrum = np.fft.rfft(white(generator, length)) / np.sqrt(np.maximum(frequencies, 20))
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / noise.std())


NOISES = {"white": white, "pink": pink}


def mixed(clip: Waveform, noise: str, ratio: float, seed: int) -> tuple[Waveform, Hops]:
    """The clip in noise, and which of its hops are to be found."""
    clear = find_speech(power_of(clip), CLEAR_DB)
    level = np.sqrt(power_of(clip)[clear].mean()) / 10 ** (ratio / 20)
    around = round(AROUND / TRIM_HOP_SECONDS) * HOP
    whole = level * NOISES[noise](np.random.default_rng(seed), len(clip) + 2 * around)
    whole[around : around + len(clip)] += clip
    wanted = np.zeros(len(whole) // HOP + 1, bool)
    wanted[around // HOP : around // HOP + len(clear)] = clear
    return whole.astype(np.float32), wanted


def shares(clips: Sequence[Waveform], noise: str, ratio: float, way: Way) -> tuple[float, float, float]:
    """Of speech that is found, of noise that is called speech, and of clips in which nothing is found. In per cent."""
    found = wanted = called = beside = missed = 0
    for seed, clip in enumerate(clips):
        samples, true = mixed(clip, noise, ratio, seed)
        told, far = way(samples), round((AROUND - 0.1) / TRIM_HOP_SECONDS)
        found, wanted = found + int((told & true).sum()), wanted + int(true.sum())
        called, beside = called + int(told[:far].sum() + told[-far:].sum()), beside + 2 * far
        missed += not (told & true).any()
    return 100 * found / wanted, 100 * called / beside, 100 * missed / len(clips)


def noise_table(clips: Sequence[Waveform], ways: dict[str, Way]) -> Iterator[str]:
    yield f"{len(clips)} clips, {AROUND:g} s of noise before and behind each. Per cent of the speech that is found, and of the noise that"
    yield "is called speech; in brackets clips in which no speech is found."
    yield ""
    yield f"| noise | speech above it, dB | {' | '.join(f'{name}: found | called speech' for name in ways)} |"
    yield "|---|---|" + "---|---|" * len(ways)
    for noise in NOISES:
        for ratio in RATIOS:
            cells = [shares(clips, noise, ratio, way) for way in ways.values()]
            texts = (f"{found:.1f} ({missed:.1f}) | {called:.1f}" for found, called, missed in cells)
            yield f"| {noise} | {ratio} | {' | '.join(texts)} |"


def clip_table(utterances: Sequence[Utterance], clips: Sequence[Waveform], silero: Silero) -> Iterator[str]:
    """How many clips silero finds no speech in, and is sure that there is none."""
    counts: dict[str, Counter[str]] = {}
    for utterance, clip in zip(utterances, clips, strict=True):
        stream = silero.start(RATE)
        stream.add(clip)
        probabilities = stream.finish()
        none = not find_stretches(probabilities, stream.length)
        row = counts.setdefault(utterance.corpus, Counter())
        row.update(clips=1, none=none, refused=none and not in_doubt(probabilities, stream.length))
    yield "| corpus | clips | no speech by silero's rules | told to hold no speech |"
    yield "|---|---|---|---|"
    for corpus, row in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        yield f"| {corpus} | {row['clips']} | {row['none']} | {row['refused']} |"


def cost_lines(clips: Sequence[Waveform]) -> Iterator[str]:
    start = time.process_time()
    silero = Silero.load()
    yield f"Loaded in {1e3 * (time.process_time() - start):.1f} ms of processor time."
    speech = np.concatenate(clips)[: TIMED_SECONDS * RATE]
    for rate in TIMED_RATES:
        samples = resample(speech, RATE, rate)
        start = time.process_time()
        stream = silero.start(rate)
        stream.add(samples)
        stream.finish()
        yield f"{len(speech) / RATE / (time.process_time() - start):.0f} times as fast as real time at {rate} Hz."


def main() -> None:
    found: argparse.Namespace = arguments(__doc__, clips=240)
    try:
        silero = detector("silero")
    except ConfigError as error:
        print(f"skipped: {error}")
        sys.exit(0)
    assert silero is not None
    utterances = choose_evenly(found.manifest, found.clips)
    clips = list(waveforms(utterances, found.raw))
    tables = (
        noise_table(clips, {"silero": by_silero(silero), "energy": by_energy}),
        clip_table(utterances, clips, silero),
        cost_lines(clips),
    )
    report([line for table in tables for line in (*table, "")], found.out)


if __name__ == "__main__":
    main()
