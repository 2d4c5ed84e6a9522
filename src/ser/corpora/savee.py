"""SAVEE: four men, seven emotions."""

import re
from pathlib import PurePath

from ser.corpora.base import Corpus, Label, ParsedName, Speaker, bad_name, check_folder

LABELS = {
    "a": Label("angry", "anger", 60),
    "d": Label("disgust", "disgust", 60),
    "f": Label("fear", "fear", 60),
    "h": Label("happy", "happiness", 60),
    "n": Label("neutral", "neutral", 120),
    "sa": Label("sad", "sadness", 60),
    "su": Label("surprise", "surprise", 60),
}
SPEAKERS = {name: Speaker("male") for name in ("DC", "JE", "JK", "KL")}

NAME = re.compile(rf"(?:({'|'.join(SPEAKERS)})_)?(({'|'.join(LABELS)})\d\d)", re.IGNORECASE | re.ASCII)
EXAMPLE = "ALL/DC_a01.wav"


def parse(path: PurePath) -> ParsedName:
    """Parse speaker, emotion and number: `ALL/DC_a01.wav` from Kaggle, or `AudioData/DC/a01.wav` from the original archive.

    >>> parse(PurePath(EXAMPLE)).id, parse(PurePath("AudioData/DC/a01.wav")).id
    ('savee_DC_a01', 'savee_DC_a01')

    Raises:
        AudioError: bad-name or speaker-mismatch.
    """
    match = NAME.fullmatch(path.stem)
    folders = [part.upper() for part in path.parts[:-1] if part.upper() in SPEAKERS]
    speaker = match[1].upper() if match and match[1] else folders[-1] if folders else None
    if match is None or speaker is None:
        raise bad_name(path, EXAMPLE)
    check_folder(path, speaker, folders[-1] if folders else None)
    label, clip = LABELS[match[3].lower()], match[2].lower()
    return ParsedName(
        id=f"savee_{speaker}_{clip}",
        speaker=f"savee/{speaker}",
        gender=SPEAKERS[speaker].gender,
        emotion=label.emotion,
        source_label=label.source_label,
        intensity="",
        statement=clip,
    )


SAVEE = Corpus(
    name="savee",
    title="SAVEE: Surrey Audio-Visual Expressed Emotion",
    licence="research use, after registration",
    citation=(
        "S. Haq, P. J. B. Jackson: Multimodal Emotion Recognition. In W. Wang (ed.): Machine Audition: Principles, Algorithms and Systems, "
        "IGI Global, 398-423, 2010. doi:10.4018/978-1-61520-919-4.ch017"
    ),
    url="http://kahlan.eps.surrey.ac.uk/savee/",
    how_to_get="register at http://kahlan.eps.surrey.ac.uk/savee/, download the audio and unpack it",
    example=EXAMPLE,
    example_meaning="speaker DC, anger (a), sentence 01 of that emotion",
    num_files=480,
    num_clips=480,
    accent="British",
    speakers=SPEAKERS,
    labels=LABELS,
    parse=parse,
)
