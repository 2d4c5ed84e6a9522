"""Build the report of a run, one page, from its files, its recordings and further measurements."""

from typing import TYPE_CHECKING

from ser.corpora.licences import model_licence
from ser.corpora.registry import CORPORA
from ser.report.examples import Recordings
from ser.report.facts import RunFacts
from ser.report.page import Facts, Page, Section
from ser.report.sections.calibration import calibration_section
from ser.report.sections.certificate import certificate_section
from ser.report.sections.confusions import confusion_section
from ser.report.sections.curves import curves_section
from ser.report.sections.data import data_section, protocol_title
from ser.report.sections.examples import attention_section, mistakes_section
from ser.report.sections.fairness import fairness_section
from ser.report.sections.gates import gates_section
from ser.report.sections.perceived import perceived_section
from ser.report.sections.robustness import robustness_section
from ser.report.sections.scores import scores_section
from ser.report.sections.speakers import speakers_section
from ser.report.sentences import sentence
from ser.splits.certificate import SPLIT_NAMES
from ser.wording import percent

if TYPE_CHECKING:
    from ser.report.robustness import Robustness

WORDS = {
    "UAR": "Unweighted average recall: the share of correct answers for each emotion, averaged over emotions.",
    "WA": "Weighted accuracy: the share of correct answers among all clips.",
    "macro-F1": "F1 (the harmonic mean of precision and recall) of each emotion, averaged.",
    "interval": "19 of 20 intervals computed like this contain the score that infinitely many speakers of the same kind would give. "
    "They do not cover other corpora, microphones, spontaneous speech or other training seeds.",
    "ECE": "Expected calibration error: the difference between confidence and accuracy, averaged over clips.",
    "Brier score": "Squared distance between the probabilities and the truth, from 0 to 2; lower is better.",
    "AURC": "Area under the risk-coverage curve: the share of errors among the answers, averaged over all shares of clips "
    "that are answered; lower is better.",
}


def build_page(facts: RunFacts, recordings: Recordings, why_no_model: str | None, robustness: "Robustness | str", audio: bool) -> Page:
    """
    Args:
        why_no_model: the reason why the model is not available; None if it is.
        robustness: the measurement, or the reason why there is none.
        audio: whether the page contains sound.
    """
    uar = facts.scores.uar
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
        attention_section(facts, recordings, why_no_model),
        mistakes_section(facts, recordings, audio),
        robustness_section(robustness),
        fairness_section(facts),
        Section("words", "Glossary", [Facts(WORDS)]),
    ]
    return Page(
        title=f"{facts.name}: {facts.config.model.name}" + (f" on {where}" if (where := protocol_title(facts)) else ""),
        number=f"{percent(uar.value)} %",
        number_name="UAR on test",
        between=uar.reason or f"95 % interval {percent(uar.low)} to {percent(uar.high)}",
        sentence=headline(facts),
        sections=sections,
        footer=footer(facts),
    )


def headline(facts: RunFacts) -> str:
    """The meaning of the score in plain words; it is called speaker-independent only if the certificate proves it."""
    return sentence("headline", facts=facts)


def footer(facts: RunFacts) -> list[str]:
    return [
        f"Licence of the model: {model_licence(facts.chose_with)}",
        *(CORPORA[corpus].citation for corpus in facts.corpora(*SPLIT_NAMES)),
        "The scores on test, the calibration and the fairness were computed again from the run's predictions.csv for this page, and "
        "robustness, if shown, was measured for this page. The learning curves, the comparison with listeners and the weights of "
        "hidden states are shown as the training wrote them.",
    ]
