"""The sections of a report that look into the model: what its confidence is worth, what it weighs, what it attends to, where it errs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ser.corpora.licences import sound_licence
from ser.errors import DataError
from ser.evaluation.calibration import reliability, risk_coverage
from ser.evaluation.predictions import Predictions
from ser.evaluation.scores import summarise_gates
from ser.report import plots
from ser.report.examples import Listener, clear_cases, sound_uri, worst_confusions
from ser.report.facts import RunFacts
from ser.report.page import Example, Item, Note, Section, Table
from ser.report.scores import picture
from ser.wording import listed, percent

FEW_LEFT_OUT = f"Test; bins with fewer than {plots.FEWEST_IN_BIN} clips are left out of the upper part."
QUALITIES = {"ece": "ECE (%)", "brier": "Brier score", "log_loss": "log loss (nats)", "aurc": "AURC (%)"}


def calibrated(facts: RunFacts) -> Predictions:
    """The test split with the confidences that the run stands for."""
    return replace(facts.test, probabilities=facts.calibration.apply(facts.test.probabilities))


# -- calibration ----------------------------------------------------------------------------------


def calibration_section(facts: RunFacts) -> Section:
    calibration, effect = facts.calibration, facts.calibration_effect
    bins = facts.config.calibration.bins
    after = calibrated(facts)
    before = reliability(facts.test.probabilities, facts.test.truth, bins)
    diagram = plots.reliability_diagram(
        before, None if calibration.temperature is None else reliability(after.probabilities, after.truth, bins)
    )
    chosen = None
    if calibration.threshold is not None and effect["test"]["error"] is not None:
        chosen = plots.CurvePoint(effect["test"]["coverage"], effect["test"]["error"], calibration.threshold)
    curve = plots.risk_coverage_curve(risk_coverage(after.probabilities, after.truth), chosen, calibration.max_error)
    return Section(
        "calibration",
        "What its confidence is worth",
        [
            Note(told_of_temperature(facts)),
            Note(told_of_threshold(facts)),
            picture(diagram, "reliability", f"Reliability diagram on test. {told_of_temperature(facts)}", FEW_LEFT_OUT),
            picture(curve, "risk", f"Risk over coverage on test. {told_of_threshold(facts)}", whose_confidence(facts)),
            Table("Quality of the probabilities", ["", "clips", *QUALITIES.values()], quality_rows(effect)),
        ],
    )


def whose_confidence(facts: RunFacts) -> str:
    return "Test, with the network's own confidence." if facts.calibration.temperature is None else "Test, with the calibrated confidence."


def told_of_temperature(facts: RunFacts) -> str:
    calibration, effect = facts.calibration, facts.calibration_effect["test"]
    if calibration.temperature is None:
        return f"The probabilities are the network's own: {calibration.reason}."
    if calibration.temperature_reason is not None:
        return f"The probabilities are the network's own, as with a temperature of 1: {calibration.temperature_reason}."
    now = " for this report, because the run has no calibration.json" if facts.calibrated_now else ""
    before, after = effect["before"]["ece"], effect["after"]["ece"]
    verdict = "" if after < before else ", so it did not help on the speakers of test"
    return (
        f"A temperature of {calibration.temperature:.2f} was fitted on val{now}; it changes confidences, never an answer. "
        f"The expected calibration error on test goes from {percent(before)} to {percent(after)} %{verdict}."
    )


def told_of_threshold(facts: RunFacts) -> str:
    calibration, effect = facts.calibration, facts.calibration_effect["test"]
    if calibration.temperature is None:
        return "So there is no confidence either below which it would rather not answer."
    if calibration.threshold is None:
        return f"There is no confidence below which it would rather not answer: {calibration.reason}."
    said = "nothing"
    if effect["error"] is not None:
        said = f"{percent(effect['coverage'], 0)} % of the clips, and errs in {percent(effect['error'])} % of its answers"
    return (
        f'Below a confidence of {percent(calibration.threshold)} % the answer is "unknown". This threshold keeps the errors among the '
        f"answers on val at {100 * calibration.max_error:g} % or less; on test the model then answers {said}."
    )


def quality_rows(effect: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for split in ("val", "test"):
        for when in ("before", "after"):
            of = (effect[split] or {}).get(when)
            if of is not None:
                label = split if (effect[split] or {}).get("after") is None else f"{split}, {when}"
                rows.append([label, str(effect[split]["n"]), *(quality_cell(name, of[name]) for name in QUALITIES)])
    return rows


def quality_cell(name: str, value: float) -> str:
    return percent(value) if "%" in QUALITIES[name] else f"{value:.3f}"


# -- gates ------------------------------------------------------------------------------------------


def gates_section(facts: RunFacts) -> Section:
    items = [*gate_items(facts.test), *state_items(facts.outcome.ssl_layer_weights)]
    nothing = Note("This model weighs neither experts nor hidden states of a backbone.", missing=True)
    return Section("gates", "Which expert counts", items or [nothing])


def gate_items(test: Predictions) -> list[Item]:
    if len(test.gates) < 2:
        return []
    gates = summarise_gates(test)
    by_emotion = {emotion: gates["per_emotion"][emotion] for emotion in test.classes if emotion in gates["per_emotion"]}
    by_corpus = {"corpus": gates["per_corpus"]} if len(gates["per_corpus"]) > 1 else {}
    parts = {"": {"all": gates["mean"]}, **by_corpus, "emotion": by_emotion}
    means = listed([f"{expert} {percent(weight)} %" for expert, weight in gates["mean"].items()])
    collapsed = f" The gate has collapsed onto {gates['collapsed_onto']}: the others hardly count." if gates["collapsed_onto"] else ""
    entropy = (
        f"Entropy of the weights: {percent(gates['entropy'], 0)} % of the highest possible in a single clip, "
        f"{percent(gates['entropy_of_mean'], 0)} % over all of test (100 %: all experts alike, 0 %: one alone)."
    )
    return [
        Note(f"Mean weights on test: {means}.{collapsed} {entropy}"),
        picture(plots.gate_shares(parts), "gates", f"Mean weight of each expert, by corpus and emotion. Overall {means}."),
    ]


def state_items(weights: Mapping[str, float] | None) -> list[Item]:
    if not weights or len(weights) < 2:
        return []
    most = max(weights, key=lambda state: weights[state])
    said = f"Of the backbone's {len(weights)} hidden states, number {most} has the most weight, {percent(weights[most], 0)} %."
    return [picture(plots.state_weights(weights), "states", said, f"{said} The dashed line is an even share.")]


# -- attention --------------------------------------------------------------------------------------


def attention_section(facts: RunFacts, listener: Listener, why_not: str | None) -> Section:
    """
    Args:
        why_not: why the model could not be asked.
    """
    title = "Where it listens"
    if why_not is not None:
        return Section("attention", title, [Note(f"Not shown: {why_not}", missing=True)])
    test = calibrated(facts)
    shown = [look(test, index, listener, f"attention-{number}") for number, index in enumerate(clear_cases(test))]
    note = Note(
        "The surest right answer for each emotion. The attention says how much each moment counts in the pooled vector: 1 is an even "
        "share. It shows what the network weighs, not why it decides."
    )
    return Section("attention", title, collapsed(note, shown))


def mistakes_section(facts: RunFacts, listener: Listener, audio: bool) -> Section:
    title = "Surest mistakes"
    test = calibrated(facts)
    chosen = worst_confusions(test)
    if not chosen:
        return Section("mistakes", title, [Note("There is no wrong answer on test.", missing=True)])
    shown = [look(test, index, listener, f"mistake-{number}", audio) for number, index in enumerate(chosen)]
    note = Note("The wrong answers of highest confidence, at most one for each pair of emotions.")
    heard = {test.corpora[index] for index, example in zip(chosen, shown, strict=True) if example.sound}
    return Section("mistakes", title, [*collapsed(note, shown), *sound_notes(heard, audio)])


def look(test: Predictions, index: int, listener: Listener, name: str, audio: bool = False) -> Example:
    """One utterance, with its sound where `audio` asks for it; where its recording is not to be had, why."""
    utterance, truth, answer = test.ids[index], test.classes[test.truth[index]], test.classes[test.prediction[index]]
    confidence = percent(test.probabilities[index].max(), 0)
    line = f"{utterance}, confidence {confidence} %"
    title = truth if truth == answer else f"{truth}, taken for {answer}"
    if truth != answer:
        line += f"; {truth} got {percent(test.probabilities[index, test.truth[index]], 0)} %"
    try:
        heard = listener.hear(utterance)
    except DataError as error:
        return Example(title, [line], missing=f"Not shown: {error}.")
    seconds = len(heard.waveform) / heard.sample_rate
    label = f"{title}: waveform, log-mel{' and attention' if heard.attention else ''} of {utterance} over {seconds:.1f} s."
    drawn = picture(plots.utterance(heard), name, label)
    return Example(title, [line], drawn, sound_uri(heard.waveform, heard.sample_rate) if audio else None)


def collapsed(note: Note, shown: Sequence[Example]) -> list[Item]:
    """The examples; where none can be shown for one and the same reason, that reason once, and the examples as a table."""
    reasons = {example.missing for example in shown}
    if len(reasons) == 1 and (reason := reasons.pop()):
        table = Table("Utterances", ["emotion", "utterance"], [[example.title, *example.lines] for example in shown], text_columns=2)
        return [note, Note(reason, missing=True), table]
    return [note, *shown]


def sound_notes(corpora: set[str], audio: bool) -> list[Item]:
    if not audio:
        return [Note("No sound: the report was asked for without.", missing=True)]
    if not corpora:
        return [Note("No sound: no recording could be read.", missing=True)]
    return [Note(f"The players hold what the model was given: trimmed, mono, peak 1. {sound_licence(corpora)}")]
