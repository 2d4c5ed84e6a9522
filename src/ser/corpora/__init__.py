"""The corpora. A fifth one costs one file of facts, one line here and one in `ser.config.Corpus`."""

from ser.corpora.base import Corpus, ParsedName
from ser.corpora.crema import CREMA
from ser.corpora.ravdess import RAVDESS
from ser.corpora.savee import SAVEE
from ser.corpora.tess import TESS

CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in (CREMA, RAVDESS, SAVEE, TESS)}

__all__ = ["CORPORA", "Corpus", "ParsedName"]
