#!/usr/bin/env python3
"""Choose the embedded sample (src/ser/sample) from the whole of CREMA-D, always the same clips.

    python scripts/make_sample.py CREMA_TAR VIDEO_DEMOGRAPHICS_CSV [DEST]

CREMA_TAR holds every clip as Ogg Opus under its own name (`crema/AudioWAV/1001_DFA_ANG_XX.opus`), VIDEO_DEMOGRAPHICS_CSV is the table of
the corpus's repository that gives each actor's sex. The files are copied byte for byte.

Eight women and eight men, three clips for each of the six emotions, of three different sentences: 288 clips. Which ones is decided by the
sha256 of their names, so the choice is blind to how they sound and needs no random generator.
"""

import argparse
import csv
import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path

SPEAKERS_OF_EACH_SEX = 8
CLIPS_OF_EACH_EMOTION = 3
DEFECTIVE = {
    "1076_MTI_SAD_XX",  # digital silence
    # three pairs of identical recordings under different labels
    *("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"),
    *("1013_WSI_DIS_XX", "1013_WSI_SAD_XX"),
    *("1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, metavar="CREMA_TAR")
    parser.add_argument("demographics", type=Path, metavar="VIDEO_DEMOGRAPHICS_CSV")
    parser.add_argument("dest", type=Path, nargs="?", default=Path("src/ser/sample"))
    args = parser.parse_args()
    speakers = choose_speakers(read_sexes(args.demographics))
    with tarfile.open(args.archive) as archive:
        members = {Path(member.name).stem: member for member in archive if member.isfile()}
        names = [name for speaker in speakers for name in choose_clips(name for name in members if name.startswith(f"{speaker}_"))]
        folder = args.dest / "crema" / "AudioWAV"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.opus"):
            old.unlink()
        for name in names:
            content = archive.extractfile(members[name])
            assert content is not None  # the members are regular files
            (folder / f"{name}.opus").write_bytes(content.read())
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{len(names)} clips of {len(speakers)} speakers, {size / 1e6:.2f} MB: {folder}")


def read_sexes(path: Path) -> dict[str, str]:
    """Actor -> `Female` or `Male`."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["ActorID"]: row["Sex"] for row in csv.DictReader(file)}


def choose_speakers(sexes: dict[str, str]) -> list[str]:
    """As many women as men."""
    women, men = ([speaker for speaker in shuffled(sexes) if sexes[speaker] == sex][:SPEAKERS_OF_EACH_SEX] for sex in ("Female", "Male"))
    return sorted(women + men)


def choose_clips(names: Iterable[str]) -> list[str]:
    """One speaker's clips: equally many for each emotion, no sentence twice within one.

    >>> choose_clips(["1001_DFA_ANG_XX", "1001_IEO_ANG_HI", "1001_IEO_ANG_LO", "1001_TIE_SAD_XX"])
    ['1001_DFA_ANG_XX', '1001_IEO_ANG_LO', '1001_TIE_SAD_XX']
    """
    chosen: dict[str, dict[str, str]] = {}
    for name in shuffled(set(names) - DEFECTIVE):
        _, sentence, emotion, _ = name.split("_")
        of_emotion = chosen.setdefault(emotion, {})
        if len(of_emotion) < CLIPS_OF_EACH_EMOTION:
            of_emotion.setdefault(sentence, name)
    return sorted(name for of_emotion in chosen.values() for name in of_emotion.values())


def shuffled(names: Iterable[str]) -> list[str]:
    """In the order of their sha256: arbitrary, and the same for ever."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


if __name__ == "__main__":
    main()
