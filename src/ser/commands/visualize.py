"""`ser visualize`: figures of one utterance of a split, from its audio, the feature store and, optionally, a trained run."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser.audio.augment import Augmenter
from ser.audio.waveform import Stages
from ser.config import ExperimentConfig
from ser.config_file import suggestion
from ser.corpora.manifest import Utterance, read_manifest
from ser.errors import ConfigError, DataError
from ser.features.normaliser import Normalisers
from ser.features.registry import backbone_of, family_of
from ser.features.source import FeatureSource
from ser.features.spectral import SpectralExtractor
from ser.home import user_path
from ser.pipeline import paths
from ser.pipeline.load import open_all, read_normalisers
from ser.pipeline.transform import Item, stages_of, waveform_of
from ser.report.figures.copies import Copy, copies_figure
from ser.report.figures.features import ModelView, features_figure
from ser.report.figures.panel import DEVIATIONS, Panel
from ser.report.figures.rows import Rows, chroma_rows, mel_rows, mfcc_rows, numbered
from ser.report.figures.stages import stage_views, waveforms_figure
from ser.report.paper import open_windows, save_figure
from ser.runs.run import Run
from ser.splits.certificate import SPLIT_NAMES, Entry, read_certificate
from ser.splits.split import CERTIFICATE_FILE, Split
from ser.system.console import say
from ser.system.optional import install_hint, is_installed
from ser.units import samples_to_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PREVIEWS = 20
"""The highest number of copies, as for augmentations.copies."""
LONGEST_NAME = 100
"""The longest name of a folder, in characters; the names of its files also contain split and figure."""


@dataclass(frozen=True)
class Subject:
    """The utterance that is drawn, and the place of its features."""

    split: str
    entry: Entry
    utterance: Utterance
    stages: Stages
    source: FeatureSource
    normalisers: Normalisers

    @property
    def title(self) -> str:
        return self.standing(f"{self.split} split")

    def standing(self, where: str) -> str:
        """The title, with a given description of the split."""
        corpus, _, speaker = self.entry.speaker.partition("/")
        return f"{self.entry.id}\n{corpus}, speaker {speaker}, {self.entry.emotion}, {where}"


def visualize(  # noqa: PLR0913 - the options of the command
    config: ExperimentConfig,
    *,
    split: str = "test",
    row_idx: int = 0,
    utterance_id: str | None = None,
    ssl_dims: int = 64,
    prenorm: bool = False,
    previews: int = 0,
    run: str | None = None,
    save: bool = False,
    show: bool = True,
) -> list[Path]:
    """Draw the figures, write them below reports/vis, open windows, and return the written files.

    Args:
        split: the split of `row_idx`; `utterance_id` is searched in every split.
        ssl_dims: number of dimensions of the last stored hidden state of a backbone to draw.
        prenorm: draw the features as stored beside the normalised ones.
        previews: number of altered copies, made as in the transform step.
        run: folder of a run, whose attention, gates and probabilities are added.

    Raises:
        ConfigError: an unknown split, row or id; nothing to do; an extra is not installed; the run prepares audio in another way.
        DataError: a step has not run for this config; the file has changed since; there is no such run, or it has no split.
        ArtefactError: the store, the normaliser or the run is corrupted.
        LeakageError: the split's certificate is not valid, or that of the run was edited.
    """
    refuse_options(split, previews, save, show)
    run = run and str(user_path(run))
    subject = find_subject(config, split, row_idx, utterance_id)
    columns = [list(panels(config, subject, ssl_dims, normalised)) for normalised in ((True, False) if prenorm else (True,))]
    seconds = samples_to_seconds(len(subject.stages.prepared), config.audio.sampling_rate)
    view = model_view(config, subject, run) if run is not None else None
    title = subject.title if run is None else subject.standing(place_in(Run(Path(run)), subject.entry.id))
    figures = {
        "waveforms": waveforms_figure(title, stage_views(subject.stages, config.audio)),
        "features_disk": features_figure(title, columns, seconds, view),
    }
    if previews:
        figures["augmented"] = copies_figure(copies_title(config, subject), list(copies(config, subject, previews)))
    written = write_figures(config, subject, figures) if save else []
    if show and not open_windows(list(figures.values())) and not save:
        say("there is no display to open a window on: --save writes the figures to files")
    return written


def write_figures(config: ExperimentConfig, subject: Subject, figures: Mapping[str, "Figure"]) -> list[Path]:
    """{kind: figure} -> reports/vis/<id>/<split>_<id>_<kind>.png"""
    name = safe_name(subject.entry.id)
    folder = Path(config.project.reports_dir) / "vis" / name
    written = []
    for kind, figure in figures.items():
        written.append(folder / f"{subject.split}_{name}_{kind}.png")
        save_figure(written[-1], figure)
        say(str(written[-1]))
    return written


def refuse_options(split: str, previews: int, save: bool, show: bool) -> None:
    """
    Raises:
        ConfigError: an option is not valid.
    """
    if not is_installed("matplotlib"):
        raise ConfigError(f"figures require matplotlib: {install_hint('viz')}")
    if split not in SPLIT_NAMES:
        raise ConfigError(f"--split {split}: there is no such split{suggestion(split, SPLIT_NAMES)}; splits: {', '.join(SPLIT_NAMES)}")
    if not 0 <= previews <= MOST_PREVIEWS:
        raise ConfigError(f"--preview-aug {previews} is out of range: 0 to {MOST_PREVIEWS} copies")
    if not save and not show:
        raise ConfigError("--no-show without --save leaves nothing to do")


def find_subject(config: ExperimentConfig, split: str, row_idx: int, utterance_id: str | None) -> Subject:
    """Find the utterance, decode its audio, and verify the checksums of the shards with its features. Raises the errors of `visualize`."""
    loaded, source = open_all(config)
    name, entry = find_entry(loaded, split, row_idx, utterance_id)
    normalisers = read_normalisers(config, source, loaded)
    for stores in source.groups.values():
        stores.home(entry.id).verify(entry.id)
    utterance = read_manifest(paths.manifest_file(config.project))[entry.id]
    return Subject(name, entry, utterance, stages_of(config, utterance), source, normalisers)


def find_entry(split: Split, name: str, row_idx: int, utterance_id: str | None) -> tuple[str, Entry]:
    """The row and the name of its split.

    Raises:
        ConfigError: there is none; the message has the number of rows, or the nearest id.
    """
    rows = split.splits[name]
    if utterance_id is None:
        if not 0 <= row_idx < len(rows):
            raise ConfigError(f"--row-idx {row_idx}: {name} has {len(rows)} rows, counted from 0")
        return name, rows[row_idx]
    places = {entry.id: (home, entry) for home in SPLIT_NAMES for entry in split.splits[home]}
    if utterance_id not in places:
        nearest = get_close_matches(utterance_id, sorted(places), n=1, cutoff=0)
        raise ConfigError(f"--id {utterance_id}: not in the split {split.certificate.name!r}; nearest is {nearest[0]}")
    return places[utterance_id]


def safe_name(utterance_id: str) -> str:
    """A folder name without separators or special characters. A changed id gets a digest, so that two ids never share a folder.

    >>> safe_name("tess_OAF_pad_disgust"), safe_name("../x")
    ('tess_OAF_pad_disgust', '_x-d6b96a97')
    """
    name = re.sub(r"[^A-Za-z0-9._~-]", "_", utterance_id)[:LONGEST_NAME]
    if name and name == utterance_id and not name.startswith((".", "-", "~")):
        return name
    digest = hashlib.sha256(utterance_id.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{name.lstrip('.-~')}-{digest}"


# -- features -----------------------------------------------------------------------------


def panels(config: ExperimentConfig, subject: Subject, ssl_dims: int, normalised: bool) -> Iterator[Panel]:
    """Every feature in the stores that the model uses, the spectral ones first."""
    groups = subject.source.groups
    for name in sorted(subject.source.shapes, key=lambda feature: family_of(feature).loads_torch):
        extractor, group = next((extractor, group) for extractor, group in groups.items() if name in group.features)
        rows = np.array(group.rows(subject.entry.id), np.float32)
        if normalised:
            subject.normalisers[extractor].apply(group.rows(subject.entry.id), rows)
        first, last = group.features[name]
        view = family_of(name).view(name, group.stores[0].spec, ssl_dims)
        values = rows[:, first:last][:, slice(*view.rows)]
        yield Panel(
            title=f"{view.title}, {'normalised' if normalised else 'as stored'}",
            values=values,
            frame_rate=group.frame_rate,
            first=-0.5 / group.frame_rate if view.centred else 0.0,
            rows=axis_of(config, name, view.row_label, values.shape[1]),
            unit="std. dev." if normalised else view.unit,
            limits=DEVIATIONS if normalised else None,
            height=view.height,
        )


def axis_of(config: ExperimentConfig, name: str, label: str, number: int) -> Rows:
    """The vertical axis of a feature with `number` rows: numbers, except for mel bands and pitch classes."""
    match name:
        case "mel":
            return mel_rows(config.features.mel, config.audio.sampling_rate)
        case "mfcc":
            return mfcc_rows(number)
        case "chroma":
            return chroma_rows(number)
    return numbered(label, number)


# -- altered copies -----------------------------------------------------------------------


def copies(config: ExperimentConfig, subject: Subject, number: int) -> Iterator[Copy]:
    """The clip and its first copies. An alteration that the config makes with a library requires the extra `augment`."""
    augmenter = Augmenter(config.augmentations, config.audio.sampling_rate)
    spectral = config.features.model_copy(update={"types": ("mel",)})
    extractor = SpectralExtractor(config.audio, spectral)
    rows = mel_rows(config.features.mel, config.audio.sampling_rate, gap=0.2)
    for copy in range(number + 1):
        waveform = waveform_of(config, Item(subject.utterance, copy), augmenter if copy else None)
        (mel,) = extractor.extract([waveform])
        panel = Panel("", mel, extractor.frame_rate, -0.5 / extractor.frame_rate, rows, "dB")
        name, done = (f"copy {copy}", augmenter.last_changes()) if copy else ("the clip itself", "")
        yield Copy(name, waveform, config.audio.sampling_rate, panel, done)


def copies_title(config: ExperimentConfig, subject: Subject) -> str:
    """The title of the figure, with a remark if training does not use these copies."""
    if subject.split != "train":
        remark = "preview only: training alters only clips of train"
    elif not config.augmentations.copies:
        remark = "preview only: augmentations.copies is 0"
    else:
        remark = f"training uses the first {config.augmentations.copies}"
    return f"{subject.title}\naltered copies ({remark})"


# -- the model of a run -------------------------------------------------------------------


def place_in(run: Run, utterance_id: str) -> str:
    """The part of a run's split that contains an utterance; the run may have another split than the config.

    Raises:
        DataError: the run has no copy of its split.
        ArtefactError, LeakageError: its certificate is corrupted or edited.
    """
    path = run.split / CERTIFICATE_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: without it, it is not known whether the run was trained on this utterance")
    parts = read_certificate(path).splits
    home = next((name for name, part in parts.items() if utterance_id in part.samples), None)
    return f"{home} split of the run" if home else "not in the run's split"


def model_view(config: ExperimentConfig, subject: Subject, run: str) -> ModelView:
    """The outputs of the run's model for the same audio, with features computed again, as for a recording outside the store.

    Raises:
        ConfigError: the run prepares audio in another way, so its times differ from those of the figure; or it has another backbone.
        DataError: there is no such run, or its backbone is missing.
        ArtefactError: its weights are corrupted.
    """
    from ser.inference.recogniser import Recogniser

    best = Run(Path(run)).best
    if not best.is_file():
        raise DataError(f"{run} is not the folder of a trained run: it has no {best.name}")
    recogniser = Recogniser.load(best, backbone_of(config))
    differing = [key for key, value in recogniser.audio if value != getattr(config.audio, key)]
    if differing:
        raise ConfigError(f"{run} was trained with other audio.{', audio.'.join(differing)} than this config, so their times differ")
    output = recogniser.infer(subject.stages.raw, subject.stages.raw_rate)
    return ModelView(
        attention=output.attention,
        attention_rate=output.attention_rate,
        gates=output.gates,
        probabilities=dict(zip(recogniser.classes, output.probabilities.tolist(), strict=True)),
        truth=subject.entry.emotion,
    )
