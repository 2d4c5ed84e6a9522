"""visualize: one utterance of a split as figures, from its audio, the feature store and, where one is named, a trained run."""

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
"""As many as augmentations.copies may be."""
LONGEST_NAME = 100
"""Of a folder: the name of a file in it says split and figure besides."""


@dataclass(frozen=True)
class Subject:
    """The utterance that is shown, and where its features are."""

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
        """The title, with another word on the split that it is seen from."""
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
    """Draw the figures, write them below reports/vis, open windows; the files that were written.

    Args:
        split: whose row is meant; `utterance_id` is looked for in every split.
        ssl_dims: how many dimensions of the last stored hidden state of a backbone are shown.
        prenorm: the features as stored stand beside the normalised ones.
        previews: altered copies, made as the transform step makes them.
        run: folder of a run, whose attention, gates and probabilities are added.

    Raises:
        ConfigError: an unknown split, row or id; nothing to do; an extra is not installed; the run hears other audio.
        DataError: a step has not run for this config; the file has changed since; no such run, or one without its split.
        ArtefactError: the store, the normaliser or the run is corrupted.
        LeakageError: the split's certificate does not hold, or that of the run was edited.
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
        ConfigError: naming what is wrong.
    """
    if not is_installed("matplotlib"):
        raise ConfigError(f"figures need matplotlib: {install_hint('viz')}")
    if split not in SPLIT_NAMES:
        raise ConfigError(f"--split {split}: no such split{suggestion(split, SPLIT_NAMES)}; splits: {', '.join(SPLIT_NAMES)}")
    if not 0 <= previews <= MOST_PREVIEWS:
        raise ConfigError(f"--preview-aug {previews} is out of range: 0 to {MOST_PREVIEWS} copies")
    if not save and not show:
        raise ConfigError("--no-show without --save leaves nothing to do")


def find_subject(config: ExperimentConfig, split: str, row_idx: int, utterance_id: str | None) -> Subject:
    """With its audio decoded, and the shards that hold its features compared with their checksums. Errors as of `visualize`."""
    loaded, source = open_all(config)
    name, entry = find_entry(loaded, split, row_idx, utterance_id)
    normalisers = read_normalisers(config, source, loaded)
    for stores in source.groups.values():
        stores.home(entry.id).verify(entry.id)
    utterance = read_manifest(paths.manifest_file(config.project))[entry.id]
    return Subject(name, entry, utterance, stages_of(config, utterance), source, normalisers)


def find_entry(split: Split, name: str, row_idx: int, utterance_id: str | None) -> tuple[str, Entry]:
    """The row, with the name of its split.

    Raises:
        ConfigError: there is none; with the number of rows, or the nearest id.
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
    """A name for a folder that stays where it is put. An id that needs a change gets a digest, so that two of them never meet.

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
    """Every feature in the stores that the model draws on, the spectral ones first."""
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
    """The vertical axis of a feature of which `number` rows are shown; numbers, but for mel bands and pitch classes."""
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
    """The clip, and its first copies. An alteration that the config makes with a library needs the extra `augment`."""
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
    """With a word where training never hears these copies."""
    if subject.split != "train":
        remark = "for a look only: nothing but train clips is altered in training"
    elif not config.augmentations.copies:
        remark = "for a look only: augmentations.copies is 0"
    else:
        remark = f"training has the first {config.augmentations.copies}"
    return f"{subject.title}\naltered copies ({remark})"


# -- what a run heard ---------------------------------------------------------------------


def place_in(run: Run, utterance_id: str) -> str:
    """Where an utterance stands for a run, which may have been trained on another split than that of the config.

    Raises:
        DataError: the run does not hold its split.
        ArtefactError, LeakageError: its certificate is corrupted or edited.
    """
    path = run.split / CERTIFICATE_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: it alone tells whether the run was trained on this utterance")
    parts = read_certificate(path).splits
    home = next((name for name, part in parts.items() if utterance_id in part.samples), None)
    return f"{home} split of the run" if home else "in no part of the run's split"


def model_view(config: ExperimentConfig, subject: Subject, run: str) -> ModelView:
    """What the run's model makes of the same audio; its features are computed anew, as for a recording that no store has.

    Raises:
        ConfigError: the run prepares audio otherwise, so its times are not those of the figure; the backbone is another one.
        DataError: no such run; the backbone is not here.
        ArtefactError: its weights are corrupted.
    """
    from ser.inference.recogniser import Recogniser

    best = Run(Path(run)).best
    if not best.is_file():
        raise DataError(f"{run} is no folder of a trained run: it has no {best.name}")
    recogniser = Recogniser.load(best, backbone_of(config))
    differing = [key for key, value in recogniser.audio if value != getattr(config.audio, key)]
    if differing:
        raise ConfigError(f"{run} was trained with other audio.{', audio.'.join(differing)} than this config: their times do not fit")
    output = recogniser.infer(subject.stages.raw, subject.stages.raw_rate)
    return ModelView(
        attention=output.attention,
        attention_rate=output.attention_rate,
        gates=output.gates,
        probabilities=dict(zip(recogniser.classes, output.probabilities.tolist(), strict=True)),
        truth=subject.entry.emotion,
    )
