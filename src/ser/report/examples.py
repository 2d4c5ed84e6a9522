"""Examples from a test split: a clear case of each emotion and the most confident errors, with their pictures and sound."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from ser.audio.decode import Audio, audio_hash, read_audio
from ser.audio.waveform import Waveform, prepare
from ser.config import AudioConfig, FeaturesConfig
from ser.corpora.manifest import Manifest
from ser.errors import AudioError, DataError
from ser.evaluation.metrics import FloatArray
from ser.evaluation.predictions import Predictions
from ser.features.spectral import SpectralExtractor
from ser.report.figures.traces import Traces

if TYPE_CHECKING:
    from ser.inference.recogniser import Recogniser

WORST = 6


def clear_cases(predictions: Predictions) -> list[int]:
    """For each class the most confident correct answer, as positions in the table; classes without one are left out. Ties are broken by
    id."""
    order = by_confidence(predictions)
    right = predictions.prediction == predictions.truth
    firsts = (next((i for i in order if right[i] and predictions.truth[i] == label), None) for label in range(len(predictions.classes)))
    return [index for index in firsts if index is not None]


def worst_confusions(predictions: Predictions, count: int = WORST) -> list[int]:
    """The most confident wrong answers, as positions in the table, at most one for each pair of true and predicted class.

    >>> rows = np.array([[0.1, 0.9], [0.2, 0.8], [0.6, 0.4]])
    >>> worst_confusions(Predictions(["a", "b", "c"], ["tess"] * 3, ["tess/OAF"] * 3, np.array([0, 0, 1]), rows, ("sad", "happy")))
    [0, 2]
    """
    pairs: dict[tuple[int, int], int] = {}
    for index in by_confidence(predictions):
        truth, prediction = int(predictions.truth[index]), int(predictions.prediction[index])
        if truth != prediction:
            pairs.setdefault((truth, prediction), index)
    return list(pairs.values())[:count]


def by_confidence(predictions: Predictions) -> list[int]:
    """Positions, the most confident answer first; ties are broken by id."""
    order: list[int] = np.lexsort((np.asarray(predictions.ids, str), -predictions.probabilities.max(axis=1))).tolist()
    return order


@dataclass(frozen=True)
class Recordings:
    """The recordings of a corpus folder: finds that of an utterance, and computes what is drawn of it.

    Args:
        samples: id -> hash of the decoded samples that were certified.
        recogniser: None if the model is not available: then there is no attention.
    """

    manifest: Manifest | None
    raw: Path
    samples: Mapping[str, str]
    audio: AudioConfig
    features: FeaturesConfig
    recogniser: "Recogniser | None"

    def read(self, utterance_id: str) -> Audio:
        """Read the recording that the run was measured on.

        Raises:
            DataError: it is missing or not readable, or has changed.
        """
        if self.manifest is None or utterance_id not in self.manifest:
            raise DataError("the manifest with the place of its recording is missing")
        path = self.raw / self.manifest[utterance_id].path
        try:
            audio = read_audio(path)
        except AudioError as error:
            raise DataError(f"its recording is missing ({error.detail})") from None
        if audio_hash(audio) != self.samples.get(utterance_id):
            raise DataError("its recording has changed since the run")
        return audio

    def traces(self, utterance_id: str) -> Traces:
        """
        Raises:
            DataError: see `read`.
        """
        audio = self.read(utterance_id)
        waveform, attention, rates = self.attend(audio)
        extractor = SpectralExtractor(self.audio, self.features.model_copy(update={"types": ("mel",)}))
        mel = self.features.mel
        return Traces(
            waveform=waveform,
            sample_rate=self.audio.sampling_rate,
            log_mel=extractor.extract([waveform])[0],
            frame_rate=extractor.frame_rate,
            mel_range=(mel.fmin, mel.fmax or self.audio.sampling_rate / 2),
            attention=attention,
            attention_rate=rates,
        )

    def attend(self, audio: Audio) -> tuple[Waveform, Mapping[str, FloatArray], Mapping[str, float]]:
        """The prepared waveform and the attention over it."""
        if self.recogniser is None:
            return prepare(audio.samples, audio.sample_rate, self.audio).prepared, {}, {}
        trace = self.recogniser.trace(audio.samples, audio.sample_rate)
        return trace.stages.prepared, trace.output.attention, trace.output.attention_rate


def sound_uri(waveform: Waveform, sample_rate: int) -> str:
    """A `data:` URI of a WAV file, 16 bit, mono: 43 kB for each second at 16 kHz.

    >>> sound_uri(np.zeros(160, np.float32), 16_000)[:30]
    'data:audio/wav;base64,UklGRmQB'
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()
