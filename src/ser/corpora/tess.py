"""TESS: two women, one older (OAF) and one younger (YAF), say 'Say the word ...' with 200 words in seven emotions."""

import re
from pathlib import PurePath

from ser.corpora.base import Corpus, Label, ParsedName, Speaker, bad_name, check_folder

LABELS = {
    "angry": Label("angry", "angry", 400),
    "disgust": Label("disgust", "disgust", 400),
    "fear": Label("fear", "fear", 400),
    "happy": Label("happy", "happy", 400),
    "neutral": Label("neutral", "neutral", 400),
    "ps": Label("surprise", "pleasant surprise", 400),
    "sad": Label("sad", "sad", 400),
}
SPEAKERS = {"OAF": Speaker("female", 64), "YAF": Speaker("female", 26)}

# `OA_bite_neutral.wav` is a misnamed file of OAF in Kaggle's archive.
NAME = re.compile(rf"(OAF?|YAF)_([a-z]+)_({'|'.join(LABELS)})", re.IGNORECASE | re.ASCII)
FOLDER = re.compile(r"(OAF|YAF)(_.*)?", re.IGNORECASE | re.ASCII)
EXAMPLE = "OAF_Fear/OAF_back_fear.wav"


def parse(path: PurePath) -> ParsedName:
    """Parse speaker, word and emotion.

    >>> parse(PurePath(EXAMPLE)).id, parse(PurePath("OAF_neutral/OA_bite_neutral.wav")).id
    ('tess_OAF_back_fear', 'tess_OAF_bite_neutral')

    Raises:
        AudioError: bad-name or speaker-mismatch.
    """
    match = NAME.fullmatch(path.stem)
    if match is None:
        raise bad_name(path, EXAMPLE)
    speaker = "YAF" if match[1].upper() == "YAF" else "OAF"
    word, code = match[2].lower(), match[3].lower()
    folders = [folder[1].upper() for part in path.parts[:-1] if (folder := FOLDER.fullmatch(part))]
    check_folder(path, speaker, folders[-1] if folders else None)
    label = LABELS[code]
    return ParsedName(
        id=f"tess_{speaker}_{word}_{code}",
        speaker=f"tess/{speaker}",
        gender=SPEAKERS[speaker].gender,
        emotion=label.emotion,
        source_label=label.source_label,
        intensity="",
        statement=word,
    )


TESS = Corpus(
    name="tess",
    title="TESS: Toronto Emotional Speech Set",
    licence="CC BY-NC-ND 4.0",
    citation="M. K. Pichora-Fuller, K. Dupuis: Toronto emotional speech set (TESS). Borealis, 2020. doi:10.5683/SP2/E8H2MF",
    url="https://doi.org/10.5683/SP2/E8H2MF",
    how_to_get="download the archive from https://doi.org/10.5683/SP2/E8H2MF and unpack it",
    example=EXAMPLE,
    example_meaning="the older woman (OAF) says 'Say the word back' fearfully",
    num_files=2800,
    num_clips=2800,
    accent="North American",
    speakers=SPEAKERS,
    labels=LABELS,
    parse=parse,
    licence_clause=", which forbids altered copies of its audio as well",
)
