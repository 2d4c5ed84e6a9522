"""Parity on real recordings of every corpus, where they are at hand: in $SER_REAL_DATA, or in data/raw."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from ser.corpora import CORPORA
from ser.decode import read_audio
from ser.errors import AudioError
from ser.export import export_run, read_original
from ser.restore import Clip
from ser.runs import Run
from ser.screening import screen
from ser.search import find_corpus_folder

RAW = Path(os.environ.get("SER_REAL_DATA", "data/raw"))
CLIPS = 12


def real_clips(folder: Path) -> list[Clip]:
    """Some that the program would use, the same on every call."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".wav")
    clips: list[Clip] = []
    for path in random.Random(1).sample(paths, len(paths)):
        try:
            audio = read_audio(path)
            screen(audio, path)
        except AudioError:
            continue
        clips.append((audio.samples, audio.sample_rate))
        if len(clips) == CLIPS:
            break
    return clips


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_clips_are_heard_as_torch_hears_them(finished: Run, tmp_path: Path, corpus: str) -> None:
    folder = find_corpus_folder(RAW, corpus)
    if folder is None:
        pytest.skip(f"{RAW} does not hold {corpus}")
    original, model = read_original(finished), export_run(finished, tmp_path / "model.onnx")
    clips = real_clips(folder)
    assert len(clips) == CLIPS
    heard, together = original.recogniser.hear_all(clips), model.hear_all(clips)
    for clip, one, other in zip(clips, heard, together, strict=True):
        expected = original.calibration.apply(one.probabilities)
        for spoken in (other, model.hear(*clip)):
            np.testing.assert_allclose(spoken.probabilities, expected, rtol=0, atol=1e-4)
            np.testing.assert_allclose(spoken.attention["spectral"], one.attention["spectral"], rtol=0, atol=1e-4)
