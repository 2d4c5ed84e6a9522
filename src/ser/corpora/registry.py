"""Registry of the supported corpora."""

from ser.corpora.base import Corpus
from ser.corpora.crema import CREMA
from ser.corpora.ravdess import RAVDESS
from ser.corpora.savee import SAVEE
from ser.corpora.tess import TESS

CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in (CREMA, RAVDESS, SAVEE, TESS)}


def how_to_get_votes() -> str:
    """Instructions to obtain the vote table of each corpus, and where to put it."""
    tables = ((corpus.name, corpus.votes.how_to_get) for corpus in CORPORA.values() if corpus.votes)
    return "; ".join(f"{how_to_get}; put it anywhere below {name} in project.raw_dir" for name, how_to_get in tables)
