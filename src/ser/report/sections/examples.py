"""Utterances of test: where the model attends in clear cases, and its surest mistakes."""

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
        why_not: why the model could not be asked.
    """
    title = "Where it listens"
    if why_not is not None:
        return Section("attention", title, [Note(f"Not shown: {why_not}", missing=True)])
    test = calibrated(facts)
    shown = [example_of(test, index, recordings, f"attention-{number}") for number, index in enumerate(clear_cases(test))]
    note = Note(
        "The surest right answer for each emotion. The attention says how much each moment counts in the pooled vector: 1 is an even "
        "share. It shows what the network weighs, not why it decides."
    )
    return Section("attention", title, collapsed(note, shown))


def mistakes_section(facts: RunFacts, recordings: Recordings, audio: bool) -> Section:
    title = "Surest mistakes"
    test = calibrated(facts)
    chosen = worst_confusions(test)
    if not chosen:
        return Section("mistakes", title, [Note("There is no wrong answer on test.", missing=True)])
    shown = [example_of(test, index, recordings, f"mistake-{number}", audio) for number, index in enumerate(chosen)]
    note = Note("The wrong answers of highest confidence, at most one for each pair of emotions.")
    corpora = {test.corpora[index] for index, example in zip(chosen, shown, strict=True) if example.sound}
    return Section("mistakes", title, [*collapsed(note, shown), *sound_notes(corpora, audio)])


def example_of(test: Predictions, index: int, recordings: Recordings, name: str, audio: bool = False) -> Example:
    """One utterance, with its sound where `audio` asks for it; where its recording is not to be had, why."""
    utterance, truth, answer = test.ids[index], test.classes[test.truth[index]], test.classes[test.prediction[index]]
    line = sentence("mistake", test=test, index=index)
    title = truth if truth == answer else f"{truth}, taken for {answer}"
    try:
        traces = recordings.traces(utterance)
    except DataError as error:
        return Example(title, [line], missing=f"Not shown: {error}.")
    seconds = len(traces.waveform) / traces.sample_rate
    label = f"{title}: waveform, log-mel{' and attention' if traces.attention else ''} of {utterance} over {seconds:.1f} s."
    drawn = picture(utterance_figure(traces), name, label)
    return Example(title, [line], drawn, sound_uri(traces.waveform, traces.sample_rate) if audio else None)


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
