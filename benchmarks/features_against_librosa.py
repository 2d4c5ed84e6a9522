"""Do mel, MFCC and chroma of real clips agree with librosa's functions at equal settings?

    python benchmarks/features_against_librosa.py [data/raw] [--clips 200] [--out table.md]

Needs the extract step. Ends with exit code 1 where a difference is above its tolerance.
"""

import sys
from importlib import metadata

import librosa
import numpy as np
from numpy.typing import NDArray

from real_clips import arguments, choose_evenly, report
from ser.audio.decode import read_audio
from ser.audio.waveform import prepare
from ser.config import ExperimentConfig
from ser.features.spectral import SpectralExtractor

TOLERANCE = {"mel": 1e-2, "mfcc": 1e-2, "chroma": 1e-4}


def by_librosa(waveform: NDArray[np.float32], config: ExperimentConfig) -> NDArray[np.float32]:
    """(frames, dims): its three functions on the same waveform."""
    rate, features = config.audio.sampling_rate, config.features
    n_fft, hop_length = features.n_fft, features.hop_length
    mel = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=n_fft, hop_length=hop_length, n_mels=features.mel.n_mels)
    log_mel = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=None)
    mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=features.mfcc.n_mfcc)
    chroma = librosa.feature.chroma_stft(
        y=waveform, sr=rate, n_fft=n_fft, hop_length=hop_length, n_chroma=features.chroma.n_chroma, tuning=0
    )
    return np.concatenate([log_mel, mfcc, chroma]).T


def main() -> None:
    found = arguments(__doc__, clips=200)
    config = ExperimentConfig()
    extractor = SpectralExtractor(config.audio, config.features)
    clips = choose_evenly(found.manifest, found.clips)
    decoded = [read_audio(found.raw / clip.path) for clip in clips]
    waveforms = [prepare(audio.samples, audio.sample_rate, config.audio).prepared for audio in decoded]
    differences = [
        np.abs(ours - by_librosa(waveform, config)) for waveform, ours in zip(waveforms, extractor.extract(waveforms), strict=True)
    ]
    every = np.concatenate(differences)
    corpora = len({clip.corpus for clip in clips})
    lines = [
        f"{len(clips)} real clips of {corpora} corpora, {len(every)} frames, shipped settings, librosa {metadata.version('librosa')}.",
        "",
        "| feature | largest absolute difference | mean | tolerance |",
        "|---|---|---|---|",
    ]
    failed = False
    columns = np.split(every, np.cumsum(list(extractor.dims.values()))[:-1], axis=1)
    for name, difference in zip(extractor.dims, columns, strict=True):
        failed |= bool(difference.max() > TOLERANCE[name])
        lines.append(f"| {name} | {difference.max():.1e} | {difference.mean():.1e} | {TOLERANCE[name]:.0e} |")
    report(lines, found.out)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
