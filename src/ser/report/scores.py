"""The sections of a report that tell what was trained and how well it does, from the run's facts and measurements alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.corpora.votes import HEARD
from ser.errors import ConfigError
from ser.evaluation.fairness import UNKNOWN, measure_fairness
from ser.evaluation.metrics import METRICS
from ser.evaluation.predictions import Predictions
from ser.evaluation.scores import gender_of
from ser.features.registry import any_backbone, masked_features
from ser.report import plots
from ser.report.facts import RunFacts
from ser.report.page import Facts, Item, Note, Picture, Section, Table
from ser.report.svg import inline_svg
from ser.splits.certificate import SPLIT_NAMES
from ser.splits.protocols import Fold, Protocol, find_protocol
from ser.wording import counted, listed, percent, score_parts, signed, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"uar": "UAR", "wa": "WA", "macro_f1": "macro-F1"}
SCORES = ("clips", "speakers", *NAMES.values())


def picture(figure: "Figure", name: str, label: str, caption: str = "", title: str = "") -> Picture:
    """
    Args:
        name: unique on the page.
        label: what is to be seen, for those who do not see it.
    """
    return Picture(inline_svg(figure, name, label), caption, title)


def score_cells(scores: Mapping[str, Any]) -> list[str]:
    """Clips, speakers, and each metric in per cent with its interval."""
    return [str(scores.get("n", "")), str(scores.get("speakers", "")), *(with_interval(scores, metric) for metric in METRICS)]


def dot(label: str, scores: Mapping[str, Any], group: str = "", metric: str = "uar") -> plots.Dot:
    value, interval = scores[metric], scores["intervals"][metric]
    low, high = (None if end is None else 100 * end for end in (interval["low"], interval["high"]))
    return plots.Dot(label, None if value is None else 100 * value, low, high, group)


# -- what was trained on what ---------------------------------------------------------------


def data_section(facts: RunFacts) -> Section:
    return Section(
        "data",
        "What was trained on what",
        [
            Facts(essentials(facts)),
            Table("Clips by corpus and split, with the number of speakers in brackets", ["", *SPLIT_NAMES], corpus_rows(facts)),
            Table("Clips by emotion and split", ["", *SPLIT_NAMES], emotion_rows(facts)),
        ],
    )


TARGETS = {"labels": "the emotion that the speaker was asked for", "votes": "the votes of CREMA-D's listeners, else the label"}


def essentials(facts: RunFacts) -> dict[str, str]:
    """Of the config, in words."""
    config, outcome, merged = facts.config, facts.outcome, facts.config.labels.merge
    return {
        "model": f"{config.model.name} on {listed(config.model.features)}",
        "backbone": backbone_name(facts) if any_backbone(config.model.features) else "none",
        "classes": listed(facts.test.classes),
        "labels merged": listed([f"{source} counts as {target}" for source, target in merged.items()]) if merged else "none",
        "training": training(facts),
        "targets": TARGETS[config.train.targets],
        "altered copies": f"{config.augmentations.copies} of every training clip" if config.augmentations.copies else "none",
        "seed": f"{outcome.seed} (one training)",
        "protocol": protocol_name(facts),
        "ran on": ", ".join(f"{key} {value}" for key, value in outcome.ran_on.items()) if outcome.ran_on else "not noted",
        "versions": ", ".join(f"{name} {version}" for name, version in facts.environment.items()),
        "weights": f"sha256 {outcome.weights}",
    }


def training(facts: RunFacts) -> str:
    train = facts.config.train
    return (
        f"{facts.outcome.epochs} epochs, batches of {train.batch_size}, {train.optimizer}, learning rate {train.learning_rate:g}, "
        f"{train.loss.replace('_', ' ')}, label smoothing {train.label_smoothing:g}, class weights {train.class_weights}, "
        f"sampler {train.sampler}"
    )


def backbone_name(facts: RunFacts) -> str:
    """The hub's name of it, or the last part of its folder: where it stands on somebody's disk is nobody's business."""
    model_id = facts.config.ssl.model_id
    return model_id if model_id.count("/") == 1 and not model_id.startswith((".", "/")) else model_id.rstrip("/").rpartition("/")[2]


LEAKY = "-leaky"
"""Ends the name of the random split that `ser protocol run --leak-delta` makes beside that of a fold."""


def protocol_name(facts: RunFacts) -> str:
    known = protocol_title(facts)
    if not known:
        return f"split {facts.certificate.name}, rule {facts.certificate.rule}, seed {facts.certificate.seed}"
    found = find_fold(facts)
    return f"{known}: one fold of {len(found[0].folds)}, not the protocol's result" if found and len(found[0].folds) > 1 else known


def protocol_title(facts: RunFacts) -> str:
    """Of a run of `ser protocol run`, else empty."""
    protocol = facts.config.protocol
    if protocol.name is None or protocol.fold is None:
        return ""
    beside = "a random split beside " if facts.certificate.name.endswith(LEAKY) else ""
    return f"{beside}{protocol.name}, fold {protocol.fold}{'' if complete(facts) else ' (its corpora were not complete)'}"


def find_fold(facts: RunFacts) -> tuple[Protocol, Fold] | None:
    """The protocol and the fold that the run names; None where this version of the program knows no such thing."""
    try:
        protocol = find_protocol(facts.config.protocol.name or "")
        (fold,) = protocol.choose([facts.config.protocol.fold or ""])
    except ConfigError:
        return None
    return (protocol, fold) if facts.certificate.name.removesuffix(LEAKY) == protocol.split_name(fold) else None


def complete(facts: RunFacts) -> bool:
    """Whether the split has as many clips as the protocol states; also where that is not known."""
    found = find_fold(facts)
    return found is None or sum(of.n for of in facts.certificate.splits.values()) == sum(found[1].counts.model_dump().values())


def corpus_rows(facts: RunFacts) -> list[list[str]]:
    corpora = facts.corpora(*SPLIT_NAMES)
    table = []
    for corpus in [*corpora, "all"] if len(corpora) > 1 else corpora:
        cells = [corpus]
        for name in SPLIT_NAMES:
            own = [entry for entry in facts.entries[name] if corpus in {entry.corpus, "all"}]
            cells.append(f"{len(own)} ({len({entry.speaker for entry in own})})")
        table.append(cells)
    return table


def emotion_rows(facts: RunFacts) -> list[list[str]]:
    counts = {name: Counter(entry.emotion for entry in facts.entries[name]) for name in SPLIT_NAMES}
    return [[emotion, *(str(counts[name][emotion]) for name in SPLIT_NAMES)] for emotion in facts.test.classes]


# -- certificate ------------------------------------------------------------------------------

KINDS = {
    "speaker-disjoint": "No speaker and no recording of one of train, val and test stands in another.",
    "sample-disjoint": "No recording of one of train, val and test stands in another. Speakers may: the split does not promise otherwise.",
    "none": "The split promises only that no clip stands in two of train, val and test. Speakers and equal recordings may.",
}


def certificate_section(facts: RunFacts) -> Section:
    certificate = facts.certificate
    known = {
        "declared kind": certificate.kind,
        "digest": certificate.digest,
        "split": f"{certificate.name}: rule {certificate.rule}, seed {certificate.seed}",
        **{f"{name}": f"{counted(of.n, 'clip')} of {counted(len(of.speakers), 'speaker')}" for name, of in certificate.splits.items()},
        "test speakers heard in training": str(facts.shared_speakers),
    }
    fitted = [[of.what, of.fitted_on, str(of.n)] for of in certificate.statistics]
    who = [[name, ", ".join(of.speakers)] for name, of in certificate.splits.items()]
    return Section(
        "certificate",
        "Leakage certificate",
        [
            Note(f"{KINDS[certificate.kind]} For this report it was checked again, on all that the run's tables list."),
            Facts(known),
            Table("Statistics, and where each was fitted", ["statistic", "fitted on", "clips, with copies"], fitted, text_columns=2)
            if fitted
            else Note("No statistic was noted.", missing=True),
            Facts({name: speakers or "none" for name, speakers in who}, folded="Who speaks in train, val and test"),
        ],
    )


# -- learning curves --------------------------------------------------------------------------


def curves_section(facts: RunFacts) -> Section:
    outcome = facts.outcome
    row = next(row for row in facts.history if row["epoch"] == outcome.best_epoch)
    said = f"Epoch {outcome.best_epoch} of {outcome.epochs} was kept: {outcome.selection}."
    seen = (
        "" if row["val_uar"] is None else f" It has a UAR of {percent(row['val_uar'])} % on val and {percent(row['train_uar'])} % on train."
    )
    note = Note(f"{said}{seen}{caution(facts) if seen else ''}")
    figure = plots.learning_curves(facts.history, outcome.best_epoch)
    return Section("curves", "Learning curves", [note, picture(figure, "curves", f"Loss and UAR over the epochs. {said}{seen}")])


def caution(facts: RunFacts) -> str:
    """Why the curves of train and val are not to be compared."""
    config = facts.config
    masks = config.specaugment.freq_masks + config.specaugment.time_masks
    harder = {
        "masked features": masks and masked_features(config.model.features),
        "altered copies": config.augmentations.copies,
        "smoothed targets": config.train.label_smoothing,
    }
    on = [name for name, of in harder.items() if of]
    learning = f"train is measured while the network learns{f', with {listed(on)}' if on else ''}"
    return f" The two are not to be compared: {learning}; val when the epoch is over."


# -- scores -------------------------------------------------------------------------------------


def scores_section(facts: RunFacts) -> Section:
    scores, test = facts.scores, facts.test
    parts = distinct_parts(scores)
    rows = [dot(name, part, name if name in {"all", parts[-1][0]} else "corpus") for name, part in parts]
    chance = 100 / len(test.classes)
    return Section(
        "scores",
        "Scores on test",
        [
            picture(
                plots.dots(rows, "UAR (%)", chance, "guessing"),
                "scores",
                "UAR overall, by corpus and as the mean over corpora: " + told(parts),
                f"With 95 % intervals over speakers; an empty dot has none. Method: {scores['intervals']['uar']['method']}.",
            ),
            Table("In per cent, with 95 % interval over speakers", ["", *SCORES], [[name, *score_cells(part)] for name, part in parts]),
            *reasons(parts),
            Table(
                "By emotion, in per cent; recall with 95 % interval over speakers",
                ["", "clips", "speakers", "recall", "precision", "F1"],
                [emotion_cells(emotion, scores["per_class"][emotion]) for emotion in test.classes],
            ),
        ],
    )


def distinct_parts(scores: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """All, each corpus and their mean; of a single corpus the three are the same, and it stands alone."""
    parts = score_parts(scores)
    return parts if len(scores["per_corpus"]) > 1 else [part for part in parts if part[0] in scores["per_corpus"]]


def told(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    return "; ".join(f"{name} {with_interval(part, 'uar')} %" for name, part in parts)


def reasons(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Item]:
    """Why some have no interval, in one line."""
    why = [f"{name} ({part['intervals']['uar']['reason']})" for name, part in parts if part["intervals"]["uar"]["reason"]]
    return [Note(f"No interval for {listed(why)}.")] if why else []


def emotion_cells(emotion: str, scores: Mapping[str, Any]) -> list[str]:
    known = [scores["support"], scores["intervals"]["recall"]["speakers"], with_interval(scores, "recall")]
    return [emotion, *map(str, known), percent(scores["precision"]), percent(scores["f1"])]


# -- confusions ---------------------------------------------------------------------------------


def confusion_section(facts: RunFacts) -> Section:
    test = facts.test
    corpora = np.asarray(test.corpora)
    parts = {f"{corpus}, {counted(test.corpora.count(corpus), 'clip')}": corpora == corpus for corpus in sorted(set(test.corpora))}
    everything = {"All corpora": np.ones(len(corpora), bool)} if len(parts) > 1 else {}
    shown = [confusion_picture(test.select(mask), title, number) for number, (title, mask) in enumerate({**everything, **parts}.items())]
    note = Note(
        "Each row is one true emotion and adds up to 100 %: the large number is the share that was given each answer, the small one clips."
    )
    return Section("confusions", "Confusion matrices", [note, *shown])


def confusion_picture(predictions: Predictions, title: str, number: int) -> Picture:
    matrix, classes = predictions.confusion, predictions.classes
    return picture(plots.confusion(matrix, classes), f"confusion-{number}", f"{title}. {matrix_label(matrix, classes)}", title=title)


def matrix_label(matrix: Any, classes: Sequence[str]) -> str:
    """The largest confusion of each class, in words."""
    lines = []
    for label, row in enumerate(matrix):
        if row.sum():
            others = np.where(np.arange(len(row)) == label, 0, row)
            most = (
                f", most often taken for {classes[int(others.argmax())]} ({percent(others.max() / row.sum(), 0)} %)" if others.any() else ""
            )
            lines.append(f"{classes[label]} right in {percent(row[label] / row.sum(), 0)} %{most}")
    return "Confusion matrix: " + "; ".join(lines) + "."


# -- speakers -----------------------------------------------------------------------------------


def speakers_section(facts: RunFacts) -> Section:
    known = facts.scores["per_speaker"]
    points = [
        plots.SpeakerPoint(of["corpus"], speaker, gender.replace("unknown", ""), 100 * of["uar"], of["n"])
        for speaker, of in known.items()
        if (gender := gender_of(speaker)) and of["uar"] is not None
    ]
    said = ends(points)
    rows = [[name, of["corpus"], gender_of(name), str(of["n"]), percent(of["uar"]), percent(of["wa"])] for name, of in known.items()]
    return Section(
        "speakers",
        "Each speaker",
        [
            Note(f"One mark is one speaker of test. {said} How far they lie apart is what the intervals above are made of."),
            picture(plots.speaker_strip(points, "UAR (%)"), "speakers", f"UAR of each test speaker by corpus. {said}"),
            Table(
                "All test speakers, in per cent", ["speaker", "corpus", "gender", "clips", "UAR", "WA"], rows, folded=True, text_columns=3
            ),
        ],
    )


def ends(points: Sequence[plots.SpeakerPoint]) -> str:
    """
    >>> ends([plots.SpeakerPoint("tess", "tess/OAF", "female", 60, 9), plots.SpeakerPoint("tess", "tess/YAF", "female", 70, 9)])
    'From 60.0 % (tess/OAF) to 70.0 % (tess/YAF).'
    >>> ends([plots.SpeakerPoint("tess", "tess/OAF", "female", 60, 9)] * 2)
    'All have 60.0 %.'
    """
    low, high = (f"{choose(point.value for point in points):.1f} %" for choose in (min, max))
    if low == high:
        return f"All have {low}." if len(points) > 1 else f"{low}."
    least, most = (listed([point.speaker for point in points if f"{point.value:.1f} %" == end]) for end in (low, high))
    return f"From {low} ({least}) to {high} ({most})."


# -- fairness -------------------------------------------------------------------------------------

GROUPINGS = {"gender": "By gender", "age": "By age"}


def fairness_section(facts: RunFacts) -> Section:
    measured = measure_fairness(facts.test)
    items: list[Item] = [
        Note(
            "Corpora differ in how hard they are and in who speaks in them, so a difference over all corpora may be one between corpora: "
            "compare within a corpus. A group of fewer than five speakers has no interval, and says little of others like them."
        )
    ]
    for key, title in GROUPINGS.items():
        items += grouping(key, title, measured[key])
    return Section("fairness", "Fairness", [*items, *gender_gaps(measured["female_minus_male"])])


def grouping(key: str, title: str, measured: Mapping[str, Any]) -> list[Item]:
    if set(measured["all"]) == {UNKNOWN}:
        return [Note(f"{title}: not known of any speaker of test.", missing=True)]
    groups = [(name, of, place) for place, parts in places(measured) for name, of in parts.items()]
    rows = [dot(f"{place}: {name} ({of['speakers']})", of, place) for name, of, place in groups]
    said = f"UAR {title.lower()}: {told([(f'{place} {name}', of) for name, of, place in groups])}"
    cells = [[place, name, *score_cells(of)] for name, of, place in groups]
    caption = f"{title}, in per cent, with 95 % interval over speakers"
    return [
        picture(plots.dots(rows, "UAR (%)"), f"fairness-{key}", said, "Number of speakers in brackets.", title),
        Table(caption, ["corpus", "group", *SCORES], cells, folded=True, text_columns=2),
    ]


def places(measured: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """All corpora together, then each that has several groups; a single corpus alone."""
    per_corpus: Mapping[str, Any] = measured["per_corpus"]
    if len(per_corpus) == 1:
        return list(per_corpus.items())
    return [("all", measured["all"]), *((corpus, groups) for corpus, groups in per_corpus.items() if len(groups) > 1)]


def gender_gaps(gaps: Mapping[str, Mapping[str, Any]]) -> list[Item]:
    both = {corpus: gap for corpus, gap in gaps.items() if gap["uar"] is not None}
    if not both:
        return [Note("No corpus of test has both women and men, so nothing can be said of a difference between them.", missing=True)]
    rows = [[corpus, str(gap["female"]), str(gap["male"]), signed(gap), signed(gap, "wa")] for corpus, gap in both.items()]
    caption = "Women minus men, in per cent points, with 95 % interval over speakers"
    return [Table(caption, ["", "women", "men", "UAR", "WA"], rows), *reasons(list(both.items()))]


# -- perceived emotion ------------------------------------------------------------------------------


def perceived_section(facts: RunFacts) -> Section:
    title, found = "Against what listeners heard", facts.outcome.perceived
    if found is None:
        why = "Not measured: it takes CREMA-D in test, and its table of votes beside the audio when the model is trained."
        return Section("perceived", title, [Note(why, missing=True)])
    human, pairs = found.human, {"UAR": "uar", "WA": "wa"}
    rows = [
        ["the model", "what most listeners heard", f"{found.n} clips", *(with_interval(found.model_dump(), of) for of in pairs.values())],
        ["one listener", "what most others heard", f"{human.ceiling.n} answers", percent(human.ceiling.uar), percent(human.ceiling.wa)],
        ["one listener", "what was asked for", f"{human.answers} answers", percent(human.single.uar), percent(human.single.wa)],
        ["most listeners", "what was asked for", f"{found.clips} clips", percent(human.plurality.uar), percent(human.plurality.wa)],
    ]
    note = Note(
        "Actors were asked for an emotion; listeners often hear another. So the model is judged against its listeners, too, on the clips "
        f"where one emotion has more votes than any other; and beside it stands how well people do.{left_out(facts, human.answers_kept)}"
    )
    table = Table("In per cent, with 95 % interval over speakers", ["who", "against", "of", *pairs], rows, text_columns=2)
    spread = Note(
        f"Against the shares of the votes its probabilities have a cross entropy of {number(found.cross_entropy)} nats; the votes' own "
        f"entropy, {number(found.entropy)}, is the least that any model can have."
    )
    return Section("perceived", title, [note, table, spread])


def left_out(facts: RunFacts, kept: float | None) -> str:
    """CREMA-D's listeners could choose between six emotions."""
    merged = {str(source): str(target) for source, target in facts.config.labels.merge.items()}
    lacking = [emotion for emotion in HEARD if merged.get(emotion, emotion) not in facts.test.classes]
    if not lacking:
        return ""
    share = "" if kept is None else f", {percent(1 - kept)} % of them,"
    return (
        f" Answers that are none of the model's classes ({listed(lacking)}){share} are left out, so people look better than with all six."
    )


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


# -- robustness -----------------------------------------------------------------------------------


def robustness_section(measured: Mapping[str, Any] | str) -> Section:
    """
    Args:
        measured: what `measure_robustness` says, or why it was not asked.
    """
    title = "Robustness"
    if isinstance(measured, str):
        return Section("robustness", title, [Note(f"Not measured: {measured}", missing=True)])
    conditions = measured["conditions"]
    first = next(iter(conditions))
    rows = [dot(name, of, "clean" if name == first else "spoiled") for name, of in conditions.items()]
    left_out = ", ".join(f"{count} {reason}" for reason, count in measured["left_out"].items())
    cells = [[name, *score_cells(of)[2:4], "" if name == first else signed(of["change"])] for name, of in conditions.items()]
    clean = conditions[first]["uar"]
    return Section(
        "robustness",
        title,
        [
            Note(
                f"The same {counted(measured['n'], 'test clip')} of {counted(measured['speakers'], 'speaker')}, drawn evenly over speakers "
                "and emotions, were spoiled before anything else was done to them, and heard again. Noise is white, so many decibels below "
                "the speech. A change compares the same clips of the same speakers." + (f" Left out: {left_out}." if left_out else "")
            ),
            picture(
                plots.dots(rows, "UAR (%)", None if clean is None else 100 * clean, "as recorded"),
                "robustness",
                "UAR under each condition: " + told(list(conditions.items())),
            ),
            Table("In per cent, with 95 % interval over speakers", ["", "UAR", "WA", "change of UAR"], cells),
            *reasons([("any of them", conditions[first])]),
        ],
    )
