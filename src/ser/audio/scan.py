"""First pass over a recording: screening, loudness and speech. A second pass cuts the spans that a model processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser.audio.recording import Recording
from ser.audio.screening import Screener
from ser.audio.vad_silero import Silero
from ser.audio.waveform import TRIM_HOP_SECONDS, Waveform, hop_energy, mix_down
from ser.errors import AudioError
from ser.units import samples_to_seconds, seconds_to_samples

KEPT_SECONDS = 60.0
"""Up to this duration a recording is decoded once and kept in memory; longer ones are decoded twice."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Results of the first pass over a recording."""

    num_samples: int
    sample_rate: int
    channels: int
    container: str
    warnings: tuple[str, ...]
    """Codes of `ser.reasons`."""
    hop: int
    """Number of samples between consecutive energies."""
    energy: NDArray[np.float64]
    """(hops + 1,) energies of the mean over the channels, see `ser.audio.waveform.hop_energy`."""
    voiced: NDArray[np.bool_] | None
    """(hops + 1,) whether each hop is speech, by `ser.audio.vad_silero`; None if speech is detected by energy."""
    kept: Waveform | None
    """The whole recording in mono if it is short, otherwise None."""

    @property
    def seconds(self) -> float:
        return samples_to_seconds(self.num_samples, self.sample_rate)


def scan(recording: Recording, silero: Silero | None = None) -> Scan:
    """Read a recording once: screen it, measure its energy, and detect speech.

    Args:
        silero: speech detector; None to detect speech later by energy.

    Raises:
        AudioError: too-short, too-long, not-finite, silent, and the errors of the decoder.
    """
    hop, screener = seconds_to_samples(TRIM_HOP_SECONDS, recording.sample_rate), Screener(recording)
    stream = silero.start(recording.sample_rate) if silero else None
    energies: list[NDArray[np.float64]] = []
    rest = np.zeros(1)
    kept: list[Waveform] = []
    for block in recording.blocks():
        mono = mix_down(block)
        screener.add(block, mono)
        if stream:
            stream.add(mono)
        *_, rest = energy = hop_energy(mono, hop)
        energies.append(energy[:-1])
        if screener.seconds <= KEPT_SECONDS:
            kept.append(mono)
        else:
            kept.clear()
    warnings = screener.finish()
    voiced = stream.speech(hop, sum(map(len, energies)) + 1) if stream else None
    silent = voiced is not None and not voiced.any()
    return Scan(
        num_samples=screener.num_samples,
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        container=recording.container,
        warnings=(*warnings, "no-speech") if silent else warnings,
        hop=hop,
        energy=np.append(np.concatenate(energies), rest),
        voiced=voiced,
        kept=np.concatenate(kept) if kept else None,
    )


def cut(recording: Recording, found: Scan, spans: Sequence[tuple[int, int]]) -> Iterator[Waveform]:
    """Yield the mono samples of each span (first, last). Spans are sorted by start, and none extends past the end of the recording.

    Raises:
        AudioError: as of `scan`, if the file changed since the first pass.
    """
    pieces = iter([found.kept]) if found.kept is not None else (mix_down(block) for block in recording.blocks())
    buffer, offset = np.zeros(0, np.float32), 0
    for first, last in spans:
        while offset + len(buffer) < last:
            piece = next(pieces, None)
            if piece is None:
                raise AudioError("truncated", "the file changed while it was read")
            dropped = min(max(first - offset, 0), len(buffer))
            buffer, offset = np.concatenate([buffer[dropped:], piece]), offset + dropped
        yield buffer[first - offset : last - offset]
