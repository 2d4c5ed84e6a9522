"""The section that compares the model and single listeners with the votes of listeners."""

from ser.corpora.licences import voted_corpora
from ser.corpora.votes import HEARD
from ser.report.facts import RunFacts
from ser.report.page import Note, Section, Table
from ser.report.sentences import sentence
from ser.wording import percent


def perceived_section(facts: RunFacts) -> Section:
    title, found = "Agreement with listeners", facts.outcome.perceived
    if found is None:
        why = f"Not measured: it takes {voted_corpora()} in test, and its table of votes beside the audio when the model is trained."
        return Section("perceived", title, [Note(why, missing=True)])
    human = found.human
    rows = [
        ["the model", "votes of listeners", f"{found.n} clips", found.uar.in_percent(), found.wa.in_percent()],
        ["one listener", "votes of the others", f"{human.ceiling.n} answers", percent(human.ceiling.uar), percent(human.ceiling.wa)],
        ["one listener", "intended emotion", f"{human.answers} answers", percent(human.single.uar), percent(human.single.wa)],
        ["most listeners", "intended emotion", f"{found.clips} clips", percent(human.plurality.uar), percent(human.plurality.wa)],
    ]
    note = Note(sentence("perceived", lacking=lacking_classes(facts), kept=human.answers_kept))
    table = Table("In per cent, with 95 % interval over speakers", ["who", "against", "of", "UAR", "WA"], rows, text_columns=2)
    spread = Note(
        f"Against the shares of the votes its probabilities have a cross entropy of {number(found.cross_entropy)} nats; the votes' own "
        f"entropy, {number(found.entropy)}, is the least that any model can have."
    )
    return Section("perceived", title, [note, table, spread])


def lacking_classes(facts: RunFacts) -> list[str]:
    """The answers that listeners could give and the model cannot."""
    merged = {str(source): str(target) for source, target in facts.config.labels.merge.items()}
    return [emotion for emotion in HEARD if merged.get(emotion, emotion) not in facts.test.classes]


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
