"""RAVDESS, speech part: 24 actors say two statements in eight emotions, most of them at two intensities."""

import re
from collections.abc import Container
from pathlib import PurePath

from ser.corpora.base import Corpus, Label, ParsedName, Speaker, bad_name, check_folder
from ser.errors import AudioError

MODALITIES = {"01": "audio and video", "02": "video only", "03": "audio only"}
CHANNELS = {"01": "speech", "02": "song"}
LABELS = {
    "01": Label("neutral", "neutral", 96),
    "02": Label("calm", "calm", 192),
    "03": Label("happy", "happy", 192),
    "04": Label("sad", "sad", 192),
    "05": Label("angry", "angry", 192),
    "06": Label("fear", "fearful", 192),
    "07": Label("disgust", "disgust", 192),
    "08": Label("surprise", "surprised", 192),
}
NEUTRAL = "01"
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
REPETITIONS = ("01", "02")
# Odd actors are men, even ones women.
SPEAKERS = {f"{number:02}": Speaker("male" if number % 2 else "female") for number in range(1, 25)}

NAME = re.compile("-".join([r"(\d\d)"] * 7), re.ASCII)
FOLDER = re.compile(r"actor[_ -]?(\d{1,2})", re.IGNORECASE | re.ASCII)
EXAMPLE = "Actor_12/03-01-06-01-02-01-12.wav"


def parse(path: PurePath) -> ParsedName:
    """Parse modality, channel, emotion, intensity, statement, repetition and actor.

    >>> parse(PurePath(EXAMPLE)).id
    'ravdess_03-01-06-01-02-01-12'

    Raises:
        AudioError: bad-name, wrong-modality, wrong-channel or speaker-mismatch.
    """
    match = NAME.fullmatch(path.stem)
    if match is None:
        raise bad_name(path, EXAMPLE)
    modality, channel, code, intensity, statement, _repetition, actor = match.groups()
    tables: tuple[Container[str], ...] = (MODALITIES, CHANNELS, LABELS, INTENSITIES, STATEMENTS, REPETITIONS, SPEAKERS)
    if any(part not in table for part, table in zip(match.groups(), tables, strict=True)) or (code, intensity) == (NEUTRAL, "02"):
        raise AudioError("bad-name", f"{path.name!r} has a code that the corpus does not use")
    if modality != "03":
        raise AudioError("wrong-modality", f"{MODALITIES[modality]}; only audio-only recordings are used")
    if channel != "01":
        raise AudioError("wrong-channel", "song; only speech is used")
    check_folder(path, actor, folder_actor(path))
    label = LABELS[code]
    return ParsedName(
        id=f"ravdess_{match[0]}",
        speaker=f"ravdess/{actor}",
        gender=SPEAKERS[actor].gender,
        emotion=label.emotion,
        source_label=label.source_label,
        intensity=INTENSITIES[intensity],
        statement=statement,
    )


def folder_actor(path: PurePath) -> str | None:
    """Number of the actor in the name of the innermost folder that has one.

    >>> folder_actor(PurePath("audio_speech_actors_01-24/actor_7/x.wav"))
    '07'
    """
    folders = [match for part in path.parts[:-1] if (match := FOLDER.fullmatch(part))]
    return f"{int(folders[-1][1]):02}" if folders else None


RAVDESS = Corpus(
    name="ravdess",
    title="RAVDESS: Ryerson Audio-Visual Database of Emotional Speech and Song (speech)",
    licence="CC BY-NC-SA 4.0",
    citation=(
        "S. R. Livingstone, F. A. Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): A dynamic, multimodal "
        "set of facial and vocal expressions in North American English. PLoS ONE 13(5): e0196391, 2018. doi:10.1371/journal.pone.0196391"
    ),
    url="https://zenodo.org/records/1188976",
    how_to_get="download Audio_Speech_Actors_01-24.zip from https://zenodo.org/records/1188976 and unpack it",
    example=EXAMPLE,
    example_meaning="audio only (03), speech (01), fearful (06), normal intensity (01), the dogs' statement (02), first time, actor 12",
    num_files=1440,
    num_clips=1439,
    accent="North American",
    speakers=SPEAKERS,
    labels=LABELS,
    parse=parse,
)
