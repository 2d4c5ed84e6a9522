"""One model, one answer: by torch, exported, in a batch, alone, or in a window over the same span of a longer recording."""

from collections.abc import Sequence

import numpy as np
import pytest

from real_speech import real_clips
from ser.audio.waveform import mix_down, resample
from ser.corpora.registry import CORPORA
from ser.export.onnx_file import export_run
from ser.inference.clip_output import Clip
from ser.inference.exported import Exported
from ser.inference.load_model import load_model
from ser.inference.prediction import Model
from ser.inference.predictor import Predictor
from ser.runs.run import Run

CLIPS = 12
TOLERANCE = 1e-4
WINDOW = 2.0
RATE = 22_050


@pytest.fixture(scope="module")
def by_torch(finished: Run) -> Model:
    return load_model(finished.folder, None)


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_run(finished, tmp_path_factory.mktemp("exported") / "model.onnx")


def probabilities(model: Model, clips: Sequence[Clip]) -> np.ndarray:
    return np.stack([spoken.probabilities for spoken in model.infer_clips(clips)])


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_clips_are_heard_alike_by_torch_and_exported_in_a_batch_and_alone(by_torch: Model, exported: Exported, corpus: str) -> None:
    clips = real_clips(corpus, CLIPS)
    assert len(clips) == CLIPS
    expected = probabilities(by_torch, clips)
    assert np.ptp(expected, axis=0).max() > 100 * TOLERANCE, "clips that all sound alike would prove nothing"
    for model in (by_torch, exported):
        alone = np.concatenate([probabilities(model, [clip]) for clip in clips])
        np.testing.assert_allclose(alone, expected, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(probabilities(model, clips[::-1])[::-1], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_clips_get_the_same_attention_from_torch_and_exported(by_torch: Model, exported: Exported, corpus: str) -> None:
    clips = real_clips(corpus, CLIPS)
    for one, other in zip(by_torch.infer_clips(clips), exported.infer_clips(clips), strict=True):
        np.testing.assert_allclose(other.attention["spectral"], one.attention["spectral"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_window_of_a_long_recording_is_heard_as_the_same_span_on_its_own(by_torch: Model, exported: Exported, corpus: str) -> None:
    """Windows that do not overlap, so that a cell of the timeline is one window and nothing is averaged."""
    long = np.concatenate([resample(mix_down(samples), rate, RATE) for samples, rate in real_clips(corpus, CLIPS)])
    answers = [Predictor(model, WINDOW, hop=WINDOW).predict(long, RATE).timeline for model in (by_torch, exported)]
    passages = [passage for passage in zip(*answers, strict=True) if passage[0].end - passage[0].start == pytest.approx(WINDOW)]
    assert len(passages) >= CLIPS / 2
    for together in passages[:-1]:  # the last window ends with the speech, and reaches into the cell before its own
        span = slice(round(together[0].start * RATE), round(together[0].end * RATE))
        for model in (by_torch, exported):
            alone = Predictor(model, WINDOW).predict(long[span], RATE).probabilities
            for passage in together:
                assert passage.probabilities == pytest.approx(alone, abs=TOLERANCE)
