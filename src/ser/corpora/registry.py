"""The corpora that this version knows."""

from ser.corpora.base import Corpus
from ser.corpora.crema import CREMA
from ser.corpora.ravdess import RAVDESS
from ser.corpora.savee import SAVEE
from ser.corpora.tess import TESS

CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in (CREMA, RAVDESS, SAVEE, TESS)}
