"""Recordings of people, where they are at hand: the corpora in $SER_REAL_DATA or data/raw, else in archives beside the project."""

import io
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from places import SHARED
from ser.audio.decode import Audio, read_audio
from ser.audio.recording import ArrayRecording
from ser.audio.scan import scan
from ser.corpora.folders import find_corpus_folder
from ser.errors import AudioError
from ser.inference.clip_output import Clip

RAW = Path(os.environ.get("SER_REAL_DATA", "data/raw"))
ARCHIVES = SHARED / "data"


def real_clips(corpus: str, count: int) -> list[Clip]:
    """Some that the program would use, the same on every call; the test is skipped where there are none."""
    clips: list[Clip] = []
    for _, audio in readable(corpus):
        try:
            scan(ArrayRecording(audio.samples, audio.sample_rate))
        except AudioError:
            continue
        clips.append((audio.samples, audio.sample_rate))
        if len(clips) == count:
            break
    return clips


def readable(corpus: str) -> Iterator[tuple[Path, Audio]]:
    folder, archive = find_corpus_folder(RAW, corpus), ARCHIVES / f"{corpus}.tar"
    if folder is not None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".wav")
        return ((path, read_audio(path)) for path in random.Random(1).sample(paths, len(paths)))
    if archive.is_file():
        return members(archive)
    pytest.skip(f"neither {RAW} nor {archive} holds {corpus}")


def members(archive: Path) -> Iterator[tuple[Path, Audio]]:
    with tarfile.open(archive) as content:
        files = [member for member in content if member.isfile()]
        for member in random.Random(1).sample(files, len(files)):
            file = content.extractfile(member)
            assert file is not None
            samples, rate = soundfile.read(io.BytesIO(file.read()), dtype="float32", always_2d=True)
            yield Path(member.name), Audio(samples, rate, "ogg")
