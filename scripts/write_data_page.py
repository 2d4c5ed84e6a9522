#!/usr/bin/env python3
"""Writes docs/data.md from the facts of ser.corpora, the reason codes and the columns of the manifest.

    python scripts/write_data_page.py [--check]

With --check it writes nothing and fails where the page is not what it would write.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ser.audio.containers import SUFFIX_CONTAINERS
from ser.commands.config import field_texts
from ser.corpora.base import Corpus
from ser.corpora.census import SKIPPED_COLUMNS, UNREADABLE_REASONS
from ser.corpora.crema_names import VOTE_TABLE
from ser.corpora.manifest import COLUMNS, Utterance
from ser.corpora.registry import CORPORA
from ser.corpora.votes import COLUMNS as VOTES_COLUMNS
from ser.emotions import EMOTIONS, SHARED_EMOTIONS
from ser.reasons import SKIP_REASONS, WARN_REASONS
from write_configuration import table, write_page

PAGE = Path(__file__).parent.parent / "docs" / "data.md"


class Defect(NamedTuple):
    corpus: str
    what: str
    outcome: str
    code: str = ""
    """Of ser.reasons."""
    skipped: int = 0
    """Clips of the complete corpus."""


DEFECTS = (
    Defect("crema", "`1076_MTI_SAD_XX` is digital silence", "skipped", "silent", 1),
    Defect(
        "crema",
        "three pairs of equal samples under two labels: `1006_TIE_HAP_XX` / `1006_TIE_NEU_XX`, `1013_WSI_DIS_XX` / `1013_WSI_SAD_XX`, "
        "`1017_IWW_ANG_XX` / `1017_IWW_FEA_XX`",
        "both of each pair skipped: nobody knows which label is right",
        "conflicting-label",
        6,
    ),
    Defect("crema", "every clip also as MP3, three of them bad only there", "the WAV is used, one file for each id", "duplicate-samples"),
    Defect(
        "crema",
        "a zip of the repository holds pointers of git-LFS instead of audio",
        "the step stops and says how to get it",
        "lfs-pointer",
    ),
    Defect("ravdess", "`03-01-03-01-02-02-07` has the samples of `03-01-03-01-02-01-07`", "the first is used", "duplicate-samples", 1),
    Defect("ravdess", "five files have two channels", "mixed down", "stereo"),
    Defect("ravdess", "many files hold another chunk before their samples", "read as the format says, not from byte 44 on"),
    Defect("ravdess", "songs beside speech", "skipped by their names", "wrong-channel"),
    Defect("ravdess", "videos beside audio", "skipped by their names", "wrong-modality"),
    Defect("tess", "`YAF_germ_angry.wav` and `YAF_neat_fear.wav` are AIFF files", "read by content", "name-content-mismatch"),
    Defect("tess", "`OAF_food_fear.wav` has 96 kHz, the others 24 414 Hz", "resampled, as every file is"),
    Defect("tess", "`OA_bite_neutral.wav` is a misnamed file of OAF", "used as `tess_OAF_bite_neutral`"),
    Defect("savee", "two layouts: `ALL/DC_a01.wav` and `AudioData/DC/a01.wav`", "both give the id `savee_DC_a01`"),
    Defect("all", "Kaggle's archives hold whole trees twice", "each clip is used once", "duplicate-samples"),
    Defect("all", "`._*`, `.DS_Store`, `__MACOSX`", "not even counted"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    return write_page(PAGE, page(), check=parser.parse_args().check)


def page() -> str:
    check_counts()
    parts = [
        head(),
        corpora_table(),
        layout(),
        *(corpus_section(corpus) for corpus in CORPORA.values()),
        labels(),
        listeners(),
        defects(),
        reasons(),
        tables(),
    ]
    return "\n".join(parts)


def check_counts() -> None:
    """The defects above must explain every clip that a complete corpus loses, with codes that exist."""
    for name, corpus in CORPORA.items():
        assert corpus.num_files - corpus.num_clips == sum(defect.skipped for defect in DEFECTS if defect.corpus == name), name
    assert {defect.code for defect in DEFECTS} <= {"", *SKIP_REASONS, *WARN_REASONS}


def head() -> str:
    files, clips = (sum(getattr(corpus, name) for corpus in CORPORA.values()) for name in ("num_files", "num_clips"))
    return f"""\
# Data

<!-- Written by scripts/write_data_page.py from src/ser/corpora, reasons.py and manifest.py: change those, then run the script. -->

Four corpora of acted emotional speech. The complete trees hold {files} audio files, of which {clips} are used. None comes with the
package, but for a sample of CREMA-D (its notice: `src/ser/sample/LICENSE.md`): you get them from their owners, under their licences, and
cite them.
"""


def short_name(corpus: Corpus) -> str:
    """Also the heading of its section, whose anchor is this in small letters."""
    return corpus.title.partition(": ")[0]


def corpora_table() -> str:
    rows = [
        (
            f"[{short_name(corpus)}](#{short_name(corpus).lower()})",
            f"`{name}`",
            corpus.num_files,
            corpus.num_clips,
            describe_speakers(corpus),
            len(corpus.labels),
            corpus.licence,
        )
        for name, corpus in CORPORA.items()
    ]
    return "\n".join([*table([("corpus", "name here", "files", "used", "speakers", "emotions", "licence"), *rows]), ""])


def describe_speakers(corpus: Corpus) -> str:
    genders = Counter[str](speaker.gender for speaker in corpus.speakers.values())
    ages = [speaker.age for speaker in corpus.speakers.values() if speaker.age is not None]
    years = f", {min(ages)} to {max(ages)} years old" if ages else ""
    parts = [f"{genders[gender]} {plural if genders[gender] > 1 else gender}" for gender, plural in GENDERS.items() if genders[gender]]
    return f"{len(corpus.speakers)} ({', '.join(parts)}{years})"


GENDERS = {"female": "women", "male": "men"}


def layout() -> str:
    tree = "\n".join(f"data/raw/{name}/{corpus.example}" for name, corpus in CORPORA.items())
    suffixes = ", ".join(f"`{suffix}`" for suffix in SUFFIX_CONTAINERS)
    return f"""\
## Layout
One folder for each corpus below `project.raw_dir`. Its audio may lie at any depth, so an unpacked archive can stay as it is, and names
may be in any case. A corpus whose folder is absent is left out with a warning. Files are never changed.

```
{tree}
```

Files ending in {suffixes} are looked at, in any case, and read as
what their content is. Folders and files may be links; what a link leads to is counted once. For every corpus, found = used + skipped.
"""


def corpus_section(corpus: Corpus) -> str:
    rows = [(f"`{code}`", label.source_label, label.emotion, label.num_files) for code, label in corpus.labels.items()]
    lines = [
        f"## {short_name(corpus)}",
        "",
        f"{corpus.title.partition(': ')[2]}.",
        "",
        f"- Licence: {corpus.licence}",
        f"- Cite: {corpus.citation}",
        f"- Home: <{corpus.url}>",
        f"- To get it: {corpus.how_to_get}",
        f"- `{corpus.example}`: {corpus.example_meaning}",
        "",
        *table([("code", "the corpus's word", "emotion", "files"), *rows]),
        "",
    ]
    return "\n".join(lines)


def labels() -> str:
    rows = [(f"`{emotion}`", *(count_of(corpus, emotion) for corpus in CORPORA.values())) for emotion in EMOTIONS]
    return "\n".join(
        [
            "## Labels",
            f"One vocabulary in one order, which is the order of class indices. All four corpora share {', '.join(SHARED_EMOTIONS)}",
            "(`spectral_crnn_six.yaml`). `labels.merge` and `labels.keep` choose other classes.",
            "",
            *table([("emotion", *CORPORA), *rows]),
            "",
        ]
    )


def count_of(corpus: Corpus, emotion: str) -> int | str:
    return sum(label.num_files for label in corpus.labels.values() if label.emotion == emotion) or "-"


def listeners() -> str:
    crema, rows = CORPORA["crema"], "\n".join(table(LISTENERS))
    return f"""\
## What listeners heard
The owners of CREMA-D asked about ten people for each clip which of six emotions they heard. Their table, `{VOTE_TABLE}`, lies in the folder
processedResults of [the corpus's repository]({crema.url}). Like the corpus it is under {crema.licence}: keep the notice, and cite the
paper above. It may lie anywhere below `data/raw/crema`; without it everything but this works.

With it a run also compares its model with the votes of listeners (`perceived` in `test_metrics.json`), beside the listeners themselves,
and `train.targets: votes` learns the shares of their answers instead of the actor's label. The extract step leaves what it read in
`data/processed/votes.csv`: {listed(VOTES_COLUMNS)}.

Rows 1xxxxx of the table are answers to the voice alone, and only these count; 2xxxxx are to the face, 3xxxxx to both.

{rows}

The paper reports 40.9 % for the first row, over more answers (219 870 of all three kinds; the table keeps 212 000). With fewer classes than
these six the answers on the others are dropped, which lifts every row; `answers_kept` then says which share is left.
"""


LISTENERS = [
    ("all 7442 clips, voice alone", "against", "WA (%)", "UAR (%)"),
    ("one answer (68 568)", "the emotion that the actor was asked for", "40.0", "40.7"),
    ("the plurality of a clip's answers; of k that are tied each counts 1/k", "the emotion that the actor was asked for", "44.6", "45.9"),
    ("one answer (62 140): the ceiling of a listener", "the plurality of the clip's other answers, where none is tied", "59.2", "53.0"),
]
"""tests/test_perception.py computes them from the table."""


def defects() -> str:
    rows = [(d.corpus, d.what, d.outcome, f"`{d.code}`" if d.code else "", d.skipped or "") for d in DEFECTS]
    head = ("corpus", "defect", "what happens", "code", "clips lost")
    return "\n".join(["## Known defects", *table([head, *rows]), ""])


def reasons() -> str:
    skips = [(f"`{code}`", text, "yes" if code in UNREADABLE_REASONS else "") for code, text in SKIP_REASONS.items()]
    warns = [(f"`{code}`", text) for code, text in WARN_REASONS.items()]
    return "\n".join(
        [
            "## Reason codes",
            "A file with one of these is not used, and stands in `skipped.csv`. Those that count as unreadable stop the extract step when",
            "they are more than `project.max_unreadable` of a corpus.",
            "",
            *table([("code", "meaning", "unreadable"), *skips]),
            "",
            "With one of these it is used, and the log counts it (`-vv` names the files).",
            "",
            *table([("code", "meaning"), *warns]),
            "",
        ]
    )


def tables() -> str:
    meanings = MEANINGS | field_texts(Utterance)
    return "\n".join(
        [
            "## Tables of the extract step",
            "`data/processed/manifest.csv`, one row for each clip that is used:",
            "",
            *table([("column", "meaning"), *((f"`{name}`", meanings[name]) for name in COLUMNS)]),
            "",
            f"`data/processed/skipped.csv`, one row for each that is not: {listed(SKIPPED_COLUMNS)}.",
            "",
        ]
    )


MEANINGS = {
    "corpus": "Its name here.",
    "emotion": "In the common vocabulary.",
    "channels": "Of the file; several are mixed down.",
    "source_label": "The corpus's own word.",
    "intensity": "low, medium, normal, high, strong, or empty where the corpus does not tell.",
    "statement": "The corpus's code of what is said.",
}


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.exit(main())
