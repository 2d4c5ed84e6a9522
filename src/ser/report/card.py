"""The model card of a run in Markdown: the model, its intended use, its scores and its licences."""

import re
from typing import TYPE_CHECKING

from ser.corpora.licences import model_licence, short_title, voted_corpora
from ser.corpora.registry import CORPORA
from ser.evaluation.fairness import Fairness, measure_fairness
from ser.evaluation.records import ClassScores
from ser.features.registry import any_backbone
from ser.report.build import headline
from ser.report.facts import RunFacts
from ser.report.page import render
from ser.report.sections.calibration import temperature_note, threshold_note
from ser.report.sections.data import backbone_name, essentials
from ser.report.sections.parts import distinct_parts, score_cells
from ser.report.sentences import sentence
from ser.splits.certificate import SPLIT_NAMES
from ser.wording import counted, join_words, percent

if TYPE_CHECKING:
    from ser.report.robustness import Robustness

RECOGNISES = {
    "labels": "what actors were asked to express, not what people feel",
    "votes": "what listeners perceived in {corpora}, and what actors were asked to express elsewhere, not what people feel",
}
"""The meaning of the labels for each kind of training targets; {corpora} are those with votes."""
SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def model_card(facts: RunFacts, robustness: "Robustness | str") -> str:
    """
    Args:
        robustness: the measurement, or the reason why there is none.
    """
    config = facts.config
    about = essentials(facts)
    return render(
        "model_card.md.j2",
        autoescape=False,
        plain=plain,
        name=facts.name,
        model=config.model.name,
        features=join_words(config.model.features),
        classes=join_words(facts.test.classes),
        headline=headline(facts),
        licence=model_licence(facts.chose_with),
        corpora=[(short_title(corpus), CORPORA[corpus]) for corpus in facts.corpora(*SPLIT_NAMES)],
        data=[(name, contents(facts, name)) for name in SPLIT_NAMES],
        about=[(key, about[key]) for key in ("training", "targets", "labels merged", "altered copies", "protocol")],
        recognises=RECOGNISES[config.train.targets].format(corpora=voted_corpora()),
        accents=join_words(sorted({CORPORA[corpus].accent for corpus in facts.corpora(*SPLIT_NAMES)})),
        longest=config.audio.duration,
        val_corpora=join_words([short_title(corpus) for corpus in facts.corpora("val")]),
        backbone=backbone_name(facts) if any_backbone(config.model.features) else None,
        selection=facts.outcome.selection,
        best_epoch=facts.outcome.best_epoch,
        scores=[(name, *score_cells(part)) for name, part in distinct_parts(facts.scores)],
        emotions=[(emotion, *class_cells(facts.scores.per_class[emotion])) for emotion in facts.test.classes],
        calibration=[temperature_note(facts), threshold_note(facts)],
        fairness=fairness_lines(measure_fairness(facts.test)),
        robustness=robustness if isinstance(robustness, str) else None,
        conditions=[] if isinstance(robustness, str) else condition_rows(robustness),
        heard="" if isinstance(robustness, str) else f"{counted(robustness.n, 'clip')} of {counted(robustness.speakers, 'speaker')}",
        weights=facts.outcome.weights,
        certificate=facts.certificate,
        versions=facts.environment,
        rate=config.audio.sampling_rate,
        calibrated_file=not facts.calibrated_now,
    )


def contents(facts: RunFacts, name: str) -> str:
    """The content of train, val or test."""
    entries = facts.entries[name]
    if not entries:
        return "nothing"
    corpora = join_words([f"{short_title(corpus)} ({CORPORA[corpus].licence})" for corpus in facts.corpora(name)])
    return f"{counted(len(entries), 'clip')} of {counted(len({entry.speaker for entry in entries}), 'speaker')}, {corpora}"


def plain(text: object) -> str:
    """Escape the characters that have a meaning in Markdown.

    >>> print(plain("a_b | <script>"))
    a\\_b \\| \\<script\\>
    """
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def class_cells(scores: ClassScores) -> tuple[str, ...]:
    return (str(scores.support), percent(scores.recall.value), percent(scores.precision), percent(scores.f1.value))


def fairness_lines(measured: Fairness) -> list[str]:
    """A sentence for each grouping over all corpora, and one for each corpus with women and men."""
    gaps = {corpus: gap for corpus, gap in measured.female_minus_male.items() if gap.uar.value is not None}
    return [
        sentence("fairness", name="gender", groups=measured.gender.all),
        sentence("fairness", name="age", groups=measured.age.all),
        sentence("gender_gaps", gaps=gaps),
    ]


def condition_rows(measured: "Robustness") -> list[tuple[str, str, str]]:
    first = next(iter(measured.conditions))
    return [
        (name, scores.uar.in_percent(), "" if name == first else scores.change.uar.in_points())
        for name, scores in measured.conditions.items()
    ]
