"""The section on confidence: calibration, and risk over coverage."""

from dataclasses import replace

from ser.evaluation.calibration import Effect, StoredCalibration
from ser.evaluation.confidence import reliability, risk_coverage
from ser.evaluation.predictions import Predictions
from ser.report.facts import RunFacts
from ser.report.figures.calibration import FEWEST_IN_BIN, CurvePoint, reliability_diagram, risk_coverage_curve
from ser.report.page import Note, Section, Table
from ser.report.sections.parts import picture
from ser.report.sentences import sentence
from ser.wording import percent

FEW_LEFT_OUT = f"Test; bins with fewer than {FEWEST_IN_BIN} clips are left out of the upper part."
QUALITIES = {"ece": "ECE (%)", "brier": "Brier score", "log_loss": "log loss (nats)", "aurc": "AURC (%)"}


def calibrated(facts: RunFacts) -> Predictions:
    """The test split with calibrated confidences."""
    return replace(facts.test, probabilities=facts.calibration.apply(facts.test.probabilities))


def calibration_section(facts: RunFacts) -> Section:
    calibration, bins = facts.calibration, facts.config.calibration.bins
    after = calibrated(facts)
    before = reliability(facts.test.probabilities, facts.test.truth, bins)
    diagram = reliability_diagram(before, None if calibration.temperature is None else reliability(after.probabilities, after.truth, bins))
    curve = risk_coverage_curve(risk_coverage(after.probabilities, after.truth), chosen_point(calibration), calibration.max_error)
    temperature, threshold = temperature_note(facts), threshold_note(facts)
    return Section(
        "calibration",
        "How reliable its confidence is",
        [
            Note(temperature),
            Note(threshold),
            picture(diagram, "reliability", f"Reliability diagram on test. {temperature}", FEW_LEFT_OUT),
            picture(curve, "risk", f"Risk over coverage on test. {threshold}", whose_confidence(facts)),
            Table("Quality of the probabilities", ["", "clips", *QUALITIES.values()], quality_rows(calibration)),
        ],
    )


def temperature_note(facts: RunFacts) -> str:
    return sentence("temperature", facts=facts)


def threshold_note(facts: RunFacts) -> str:
    return sentence("threshold", calibration=facts.calibration)


def chosen_point(calibration: StoredCalibration) -> CurvePoint | None:
    """The threshold on the curve of test; None if nothing or everything is answered."""
    test = calibration.test
    if calibration.threshold is None or test.coverage is None or test.error is None:
        return None
    return CurvePoint(test.coverage, test.error, calibration.threshold)


def whose_confidence(facts: RunFacts) -> str:
    return "Test, with the network's own confidence." if facts.calibration.temperature is None else "Test, with the calibrated confidence."


def quality_rows(calibration: StoredCalibration) -> list[list[str]]:
    effects = {"val": calibration.val, "test": calibration.test}
    return [row for split, effect in effects.items() if effect is not None for row in effect_rows(split, effect)]


def effect_rows(split: str, effect: Effect) -> list[list[str]]:
    qualities = {split: effect.before} if effect.after is None else {f"{split}, before": effect.before, f"{split}, after": effect.after}
    return [
        [label, str(effect.n), *(quality_cell(name, getattr(quality, name)) for name in QUALITIES)] for label, quality in qualities.items()
    ]


def quality_cell(name: str, value: float) -> str:
    return percent(value) if "%" in QUALITIES[name] else f"{value:.3f}"
