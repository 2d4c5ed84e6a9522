"""The model card of a run: what the model is, what it may be used for, how good it is, and what binds whoever uses it. Markdown."""

import re
from collections.abc import Mapping
from typing import Any

from ser.corpora.licences import model_licence, short_title
from ser.corpora.registry import CORPORA
from ser.evaluation.fairness import measure_fairness
from ser.features.registry import any_backbone
from ser.report.build import headline
from ser.report.facts import RunFacts
from ser.report.model import told_of_temperature, told_of_threshold
from ser.report.page import render
from ser.report.scores import backbone_name, distinct_parts, essentials
from ser.splits.certificate import SPLIT_NAMES
from ser.wording import counted, listed, percent, signed, with_interval

ACCENTS = {"crema": "North American", "ravdess": "North American", "savee": "British", "tess": "North American"}
"""Of the English in each corpus."""
RECOGNISES = {
    "labels": "what actors were asked to express, not what anybody feels",
    "votes": "what listeners heard in CREMA-D, and what actors were asked to express elsewhere, not what anybody feels",
}
"""By the targets of training."""
SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def model_card(facts: RunFacts, robustness: Mapping[str, Any] | str) -> str:
    """
    Args:
        robustness: what was measured, or why it was not.
    """
    config = facts.config
    about = essentials(facts)
    return render(
        "model_card.md.j2",
        autoescape=False,
        plain=plain,
        name=facts.name,
        model=config.model.name,
        features=listed(config.model.features),
        classes=listed(facts.test.classes),
        headline=headline(facts),
        licence=model_licence(facts.chose_with),
        corpora=[(short_title(corpus), CORPORA[corpus]) for corpus in facts.corpora(*SPLIT_NAMES)],
        data=[(name, told_of_data(facts, name)) for name in SPLIT_NAMES],
        about=[(key, about[key]) for key in ("training", "targets", "labels merged", "altered copies", "protocol")],
        recognises=RECOGNISES[config.train.targets],
        accents=listed(sorted({ACCENTS[corpus] for corpus in facts.corpora(*SPLIT_NAMES)})),
        longest=config.audio.duration,
        val_corpora=listed([short_title(corpus) for corpus in facts.corpora("val")]),
        backbone=backbone_name(facts) if any_backbone(config.model.features) else None,
        selection=facts.outcome.selection,
        best_epoch=facts.outcome.best_epoch,
        scores=[(part, of.get("n", ""), of.get("speakers", ""), *metrics(of)) for part, of in distinct_parts(facts.scores)],
        emotions=[(emotion, *class_cells(facts.scores["per_class"][emotion])) for emotion in facts.test.classes],
        calibration=[told_of_temperature(facts), told_of_threshold(facts)],
        fairness=fairness_lines(measure_fairness(facts.test)),
        robustness=robustness if isinstance(robustness, str) else None,
        conditions=[] if isinstance(robustness, str) else condition_rows(robustness),
        heard="" if isinstance(robustness, str) else f"{counted(robustness['n'], 'clip')} of {counted(robustness['speakers'], 'speaker')}",
        weights=facts.outcome.weights,
        certificate=facts.certificate,
        versions=facts.environment,
        rate=config.audio.sampling_rate,
        calibrated_file=not facts.calibrated_now,
    )


def told_of_data(facts: RunFacts, name: str) -> str:
    """What stands in train, val or test."""
    entries = facts.entries[name]
    if not entries:
        return "nothing"
    corpora = listed([f"{short_title(corpus)} ({CORPORA[corpus].licence})" for corpus in facts.corpora(name)])
    return f"{counted(len(entries), 'clip')} of {counted(len({entry.speaker for entry in entries}), 'speaker')}, {corpora}"


def plain(text: object) -> str:
    """Text in which Markdown finds nothing to format.

    >>> print(plain("a_b | <script>"))
    a\\_b \\| \\<script\\>
    """
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def metrics(scores: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(with_interval(scores, metric) for metric in ("uar", "wa", "macro_f1"))


def class_cells(scores: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(scores["support"]), *(percent(scores[of]) for of in ("recall", "precision", "f1")))


def fairness_lines(measured: Mapping[str, Any]) -> list[str]:
    """A sentence for each grouping over all corpora, and one for each corpus with women and men."""
    lines = [
        f"By {name}, UAR in per cent: "
        + "; ".join(
            f"{group} {with_interval(of, 'uar')} ({counted(of['speakers'], 'speaker')})" for group, of in measured[name]["all"].items()
        )
        + "."
        for name in ("gender", "age")
    ]
    gaps = [
        f"{corpus} {signed(gap)} ({gap['female']} women, {gap['male']} men)"
        for corpus, gap in measured["female_minus_male"].items()
        if gap["uar"] is not None
    ]
    return [
        *lines,
        f"Women minus men within a corpus, UAR in per cent points: {'; '.join(gaps)}."
        if gaps
        else "No corpus of test has both women and men.",
    ]


def condition_rows(measured: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    first = next(iter(measured["conditions"]))
    return [(name, with_interval(of, "uar"), "" if name == first else signed(of["change"])) for name, of in measured["conditions"].items()]
