"""CREMA-D: 91 actors of many ages and origins say twelve sentences in six emotions."""

from pathlib import Path
from typing import TYPE_CHECKING

from ser.corpora.base import Corpus, VoteTable
from ser.corpora.crema_names import EXAMPLE, HOW_TO_GET_VOTES, LABELS, SPEAKERS, URL, parse

if TYPE_CHECKING:
    from ser.corpora.votes import Votes


def find_votes(folder: Path) -> "Votes | None":
    """Call `ser.corpora.crema_votes.find_votes`; that module is imported late because it imports numpy."""
    from ser.corpora.crema_votes import find_votes

    return find_votes(folder)


CREMA = Corpus(
    name="crema",
    title="CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
    licence="ODbL 1.0",
    citation=(
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma: CREMA-D: Crowd-Sourced Emotional Multimodal Actors "
        "Dataset. IEEE Transactions on Affective Computing 5(4), 377-390, 2014. doi:10.1109/TAFFC.2014.2336244"
    ),
    url=URL,
    how_to_get=(
        "install git-lfs, run git clone https://github.com/CheyneyComputerScience/CREMA-D and git lfs pull inside, and take its folder "
        "AudioWAV (a zip of the repository has no audio, only pointers to it)"
    ),
    example=EXAMPLE,
    example_meaning="actor 1001 says 'Don't forget a jacket' angrily; the level of intensity is not specified (XX)",
    num_files=7442,
    num_clips=7435,
    accent="North American",
    speakers=SPEAKERS,
    labels=LABELS,
    parse=parse,
    votes=VoteTable(find_votes, HOW_TO_GET_VOTES),
    requires_attribution_only=True,
)
