"""The sections with examples from test: attention in clear cases, and the most confident errors."""

from collections.abc import Sequence

from ser.corpora.licences import sound_licence
from ser.errors import DataError
from ser.evaluation.predictions import Predictions
from ser.report.examples import Recordings, clear_cases, sound_uri, worst_confusions
from ser.report.facts import RunFacts
from ser.report.figures.traces import utterance_figure
from ser.report.page import Example, Item, Note, Section, Table
from ser.report.sections.calibration import calibrated
from ser.report.sections.parts import picture
from ser.report.sentences import sentence


def attention_section(facts: RunFacts, recordings: Recordings, why_not: str | None) -> Section:
    """
    Args:
        why_not: the reason why the model is not available.
    """
    title = "Attention"
    if why_not is not None:
        return Section("attention", title, [Note(f"Not shown: {why_not}", missing=True)])
    test = calibrated(facts)
    shown = [example_of(test, index, recordings, f"attention-{number}") for number, index in enumerate(clear_cases(test))]
    note = Note(
        "The most confident correct answer for each emotion. Attention is the weight of each moment in the pooled vector: 1 is an even "
        "share. It shows what the network uses, not why it decides."
    )
    return Section("attention", title, collapsed(note, shown))


def mistakes_section(facts: RunFacts, recordings: Recordings, audio: bool) -> Section:
    title = "Most confident errors"
    test = calibrated(facts)
    chosen = worst_confusions(test)
    if not chosen:
        return Section("mistakes", title, [Note("All answers on test are correct.", missing=True)])
    shown = [example_of(test, index, recordings, f"mistake-{number}", audio) for number, index in enumerate(chosen)]
    note = Note("The wrong answers with the highest confidence, at most one for each pair of emotions.")
    corpora = {test.corpora[index] for index, example in zip(chosen, shown, strict=True) if example.sound}
    return Section("mistakes", title, [*collapsed(note, shown), *sound_notes(corpora, audio)])


def example_of(test: Predictions, index: int, recordings: Recordings, name: str, audio: bool = False) -> Example:
    """One utterance, with its sound if `audio` is set; without its recording, the reason."""
    utterance, truth, answer = test.ids[index], test.classes[test.truth[index]], test.classes[test.prediction[index]]
    line = sentence("mistake", test=test, index=index)
    title = truth if truth == answer else f"{truth}, predicted as {answer}"
    try:
        traces = recordings.traces(utterance)
    except DataError as error:
        return Example(title, [line], missing=f"Not shown: {error}.")
    seconds = len(traces.waveform) / traces.sample_rate
    label = f"{title}: waveform, log-mel{' and attention' if traces.attention else ''} of {utterance} over {seconds:.1f} s."
    drawn = picture(utterance_figure(traces), name, label)
    return Example(title, [line], drawn, sound_uri(traces.waveform, traces.sample_rate) if audio else None)


def collapsed(note: Note, shown: Sequence[Example]) -> list[Item]:
    """The examples; if all are missing for one reason, that reason once, and the examples as a table."""
    reasons = {example.missing for example in shown}
    if len(reasons) == 1 and (reason := reasons.pop()):
        table = Table("Utterances", ["emotion", "utterance"], [[example.title, *example.lines] for example in shown], text_columns=2)
        return [note, Note(reason, missing=True), table]
    return [note, *shown]


def sound_notes(corpora: set[str], audio: bool) -> list[Item]:
    if not audio:
        return [Note("No sound: it was turned off for this report.", missing=True)]
    if not corpora:
        return [Note("No sound: no recording could be read.", missing=True)]
    return [Note(f"The players contain the model's input: trimmed, mono, peak 1. {sound_licence(corpora)}")]
