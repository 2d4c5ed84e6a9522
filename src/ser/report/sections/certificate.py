"""The leakage certificate."""

from ser.report.facts import RunFacts
from ser.report.page import Facts, Note, Section, Table
from ser.wording import counted

KINDS = {
    "speaker-disjoint": "No speaker and no recording of one of train, val and test stands in another.",
    "sample-disjoint": "No recording of one of train, val and test stands in another. Speakers may: the split does not promise otherwise.",
    "none": "The split promises only that no clip stands in two of train, val and test. Speakers and equal recordings may.",
}


def certificate_section(facts: RunFacts) -> Section:
    certificate = facts.certificate
    about = {
        "declared kind": certificate.kind,
        "digest": certificate.digest,
        "split": f"{certificate.name}: rule {certificate.rule}, seed {certificate.seed}",
        **{name: f"{counted(part.n, 'clip')} of {counted(len(part.speakers), 'speaker')}" for name, part in certificate.splits.items()},
        "test speakers heard in training": str(facts.shared_speakers),
    }
    fitted = [[known.what, known.fitted_on, str(known.n)] for known in certificate.statistics]
    speakers = {name: ", ".join(part.speakers) or "none" for name, part in certificate.splits.items()}
    return Section(
        "certificate",
        "Leakage certificate",
        [
            Note(f"{KINDS[certificate.kind]} For this report it was checked again, on all that the run's tables list."),
            Facts(about),
            Table("Statistics, and where each was fitted", ["statistic", "fitted on", "clips, with copies"], fitted, text_columns=2)
            if fitted
            else Note("No statistic was noted.", missing=True),
            Facts(speakers, folded="Who speaks in train, val and test"),
        ],
    )
