"""The section on the leakage certificate."""

from ser.report.facts import RunFacts
from ser.report.page import Facts, Note, Section, Table
from ser.wording import counted

KINDS = {
    "speaker-disjoint": "No speaker and no recording is in more than one of train, val and test.",
    "sample-disjoint": "No recording is in more than one of train, val and test. Speakers may be: the split does not exclude it.",
    "none": "No clip is in more than one of train, val and test. Speakers and identical recordings may be: the split does not exclude it.",
}


def certificate_section(facts: RunFacts) -> Section:
    certificate = facts.certificate
    about = {
        "declared kind": certificate.kind,
        "digest": certificate.digest,
        "split": f"{certificate.name}: rule {certificate.rule}, seed {certificate.seed}",
        **{name: f"{counted(part.n, 'clip')} of {counted(len(part.speakers), 'speaker')}" for name, part in certificate.splits.items()},
        "test speakers in train": str(facts.shared_speakers),
    }
    fitted = [[known.what, known.fitted_on, str(known.n)] for known in certificate.statistics]
    speakers = {name: ", ".join(part.speakers) or "none" for name, part in certificate.splits.items()}
    return Section(
        "certificate",
        "Leakage certificate",
        [
            Note(f"{KINDS[certificate.kind]} For this report it was checked again, on everything that the run's tables list."),
            Facts(about),
            Table("Statistics, and where each was fitted", ["statistic", "fitted on", "clips, with copies"], fitted, text_columns=2)
            if fitted
            else Note("No statistic is recorded.", missing=True),
            Facts(speakers, folded="Speakers of train, val and test"),
        ],
    )
