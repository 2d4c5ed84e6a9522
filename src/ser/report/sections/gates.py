"""The section on the weights of experts, and of the backbone's hidden states."""

from collections.abc import Mapping

from ser.evaluation.gates import summarise_gates
from ser.evaluation.predictions import Predictions
from ser.report.facts import RunFacts
from ser.report.figures.mixture import gate_shares, state_weights
from ser.report.page import Item, Note, Section
from ser.report.sections.parts import picture
from ser.report.sentences import sentence
from ser.wording import join_words, percent


def gates_section(facts: RunFacts) -> Section:
    items = [*gate_items(facts.test), *state_items(facts.outcome.ssl_layer_weights)]
    nothing = Note("This model has neither experts nor hidden states of a backbone.", missing=True)
    return Section("gates", "Weights of experts", items or [nothing])


def gate_items(test: Predictions) -> list[Item]:
    if len(test.gates) < 2:
        return []
    summary = summarise_gates(test)
    by_emotion = {emotion: summary.per_emotion[emotion] for emotion in test.classes if emotion in summary.per_emotion}
    by_corpus = {"corpus": summary.per_corpus} if len(summary.per_corpus) > 1 else {}
    parts = {"": {"all": summary.mean}, **by_corpus, "emotion": by_emotion}
    means = join_words([f"{expert} {percent(weight)} %" for expert, weight in summary.mean.items()])
    return [
        Note(sentence("gates", summary=summary, means=means)),
        picture(gate_shares(parts), "gates", f"Mean weight of each expert, by corpus and emotion. Overall {means}."),
    ]


def state_items(weights: Mapping[str, float] | None) -> list[Item]:
    if not weights or len(weights) < 2:
        return []
    heaviest = max(weights, key=lambda state: weights[state])
    note = sentence("states", weights=weights, heaviest=heaviest)
    return [picture(state_weights(weights), "states", note, f"{note} The dashed line is an even share.")]
