"""The report of a run: from its facts, what was measured besides, and its recordings to one page."""

from collections.abc import Mapping
from typing import Any

from ser.corpora.licences import model_licence
from ser.corpora.registry import CORPORA
from ser.report.examples import Listener
from ser.report.facts import RunFacts
from ser.report.model import attention_section, calibration_section, gates_section, mistakes_section
from ser.report.page import Facts, Page, Section
from ser.report.scores import (
    certificate_section,
    confusion_section,
    curves_section,
    data_section,
    fairness_section,
    perceived_section,
    protocol_title,
    robustness_section,
    scores_section,
    speakers_section,
)
from ser.splits.certificate import SPLIT_NAMES
from ser.wording import counted, percent

WORDS = {
    "UAR": "Unweighted average recall: the share of right answers for each emotion, averaged over emotions.",
    "WA": "Weighted accuracy: the share of right answers among all clips.",
    "macro-F1": "F1 (the harmonic mean of precision and recall) of each emotion, averaged.",
    "interval": "Of intervals made like this, 19 in 20 hold the score that ever more speakers of the same kind would give. It says nothing "
    "of other corpora, microphones or spontaneous speech, nor of another training seed.",
    "ECE": "Expected calibration error: how far confidence and accuracy lie apart, averaged over clips.",
    "Brier score": "Squared distance between the probabilities and the truth, from 0 to 2; lower is better.",
    "AURC": "Area under the risk-coverage curve: the share of errors among the answers, averaged over how many are given; lower is better.",
}


def build_page(facts: RunFacts, listener: Listener, why_no_model: str | None, robustness: Mapping[str, Any] | str, audio: bool) -> Page:
    """
    Args:
        why_no_model: why the model could not be asked; None where it could.
        robustness: what was measured, or why it was not.
        audio: whether the page holds sound.
    """
    scores = facts.scores
    interval = scores["intervals"]["uar"]
    sections = [
        data_section(facts),
        certificate_section(facts),
        curves_section(facts),
        scores_section(facts),
        confusion_section(facts),
        speakers_section(facts),
        perceived_section(facts),
        calibration_section(facts),
        gates_section(facts),
        attention_section(facts, listener, why_no_model),
        mistakes_section(facts, listener, audio),
        robustness_section(robustness),
        fairness_section(facts),
        Section("words", "What the words mean", [Facts(WORDS)]),
    ]
    return Page(
        title=f"{facts.name}: {facts.config.model.name}" + (f" on {where}" if (where := protocol_title(facts)) else ""),
        number=f"{percent(scores['uar'])} %",
        number_name="UAR on test",
        between=interval["reason"] or f"95 % interval {percent(interval['low'])} to {percent(interval['high'])}",
        sentence=headline(facts),
        sections=sections,
        footer=footer(facts),
    )


def headline(facts: RunFacts) -> str:
    """What the number means, in plain words; "speaker-independent" only where the certificate proves it."""
    scores, emotions = facts.scores, len(facts.test.classes)
    return (
        f"Asked for one of {emotions} emotions, the model names the right one for {percent(scores['uar'], 0)} of 100 clips, averaged over "
        f"emotions, on {counted(scores['n'], 'test clip')} of {counted(scores['speakers'], 'speaker')}; guessing would give "
        f"{percent(1 / emotions)}. {kind_of_split(facts)} One training, seed {facts.outcome.seed}: how far other seeds would differ is not "
        "known from it."
    )


def kind_of_split(facts: RunFacts) -> str:
    if facts.outcome.speaker_independent:
        return "The result is speaker-independent: training heard none of these speakers, as the leakage certificate proves."
    heard, speakers, kind = facts.shared_speakers, facts.scores["speakers"], facts.certificate.kind
    declared = "The split declares nothing about speakers" if kind == "none" else f"The split declares to be {kind}, no more"
    if not heard:
        return f"{declared}, so the number is not claimed for new speakers."
    return f"{declared}: training heard {heard} of the {speakers} test speakers as well, so the number does not hold for new speakers."


def footer(facts: RunFacts) -> list[str]:
    return [
        f"Licence of the model: {model_licence(facts.chose_with)}",
        *(CORPORA[corpus].citation for corpus in facts.corpora(*SPLIT_NAMES)),
        "The scores on test, the calibration and the fairness were computed again from the run's predictions.csv for this page, and "
        "robustness, where it was measured, was measured for this page. The learning curves, what listeners heard and the weights of "
        "hidden states stand as the training wrote them.",
    ]
