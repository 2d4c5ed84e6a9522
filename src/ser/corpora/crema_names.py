"""File names of CREMA-D: actors, sentences, emotions and levels of intensity, and the parser."""

import re
from pathlib import PurePath

from ser.corpora.base import Label, ParsedName, Speaker, bad_name
from ser.errors import AudioError

URL = "https://github.com/CheyneyComputerScience/CREMA-D"
VOTE_TABLE = "tabulatedVotes.csv"
"""Name of the published table of votes, in any case."""
HOW_TO_GET_VOTES = f"{VOTE_TABLE} is in the folder processedResults of {URL}"
"""Instructions to obtain the table, one sentence."""

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}

LABELS = {
    "ANG": Label("angry", "anger", 1271),
    "DIS": Label("disgust", "disgust", 1271),
    "FEA": Label("fear", "fear", 1271),
    "HAP": Label("happy", "happy", 1271),
    "NEU": Label("neutral", "neutral", 1087),
    "SAD": Label("sad", "sad", 1271),
}

LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": ""}

FIRST_SPEAKER = 1001
# Sex and age of the actors 1001 to 1091, from the corpus's VideoDemographics.csv (ODbL 1.0, Cao et al.)
DEMOGRAPHICS = """
M51 F21 F21 F42 M29 F58 F38 F46 F24 F27 M32 F23 F22 M24 M32 M61 M42 F25 M29 F61 F30 M22 M22 F59 F48
M33 M44 F57 F33 F42 M31 M30 M31 M74 M48 M49 F45 M21 M51 M42 M42 M37 F25 M40 M22 F22 F22 M38 F25 M62
M56 F33 F35 F36 F57 F52 M25 F36 M21 F28 F51 M56 F33 M53 M38 M25 M66 M34 M27 M25 M41 F33 F24 F31 F40
F25 M20 F21 F21 M21 M30 F20 M45 F46 M34 M33 M62 M23 F24 M50 F29
"""
SPEAKERS = {
    str(number): Speaker("male" if entry[0] == "M" else "female", int(entry[1:]))
    for number, entry in enumerate(DEMOGRAPHICS.split(), start=FIRST_SPEAKER)
}

NAME = re.compile(rf"(\d{{4}})_({'|'.join(SENTENCES)})_({'|'.join(LABELS)})_({'|'.join(LEVELS)})", re.ASCII)
EXAMPLE = "AudioWAV/1001_DFA_ANG_XX.wav"


def parse(path: PurePath) -> ParsedName:
    """Parse actor, sentence, emotion and level.

    >>> parse(PurePath(EXAMPLE)).id
    'crema_1001_DFA_ANG_XX'

    Raises:
        AudioError: bad-name.
    """
    match = NAME.fullmatch(path.stem.upper())
    if match is None:
        raise bad_name(path, EXAMPLE)
    actor, sentence, code, level = match.groups()
    if actor not in SPEAKERS:
        raise AudioError("bad-name", f"{path.name!r}: the corpus has no actor {actor}")
    label = LABELS[code]
    return ParsedName(
        id=f"crema_{match[0]}",
        speaker=f"crema/{actor}",
        gender=SPEAKERS[actor].gender,
        emotion=label.emotion,
        source_label=label.source_label,
        intensity=LEVELS[level],
        statement=sentence,
    )
