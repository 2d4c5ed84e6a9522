"""Training targets from the votes of listeners."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ser.config import LabelMapping
from ser.corpora.manifest import original_id
from ser.corpora.votes import HEARD, Votes, on_classes
from ser.splits.certificate import Entry


def vote_targets(entries: Iterable[Entry], votes: Votes, classes: Sequence[str], labels: LabelMapping) -> NDArray[np.float32]:
    """What to learn, (n, C): the shares of the answers, of altered copies those of their original.

    A clip without votes for any of the classes has its label as target.
    """
    targets = []
    for entry in entries:
        counts = on_classes(votes.get(original_id(entry.id), np.zeros(len(HEARD), np.int64)), classes, labels)
        targets.append(counts / counts.sum() if counts.any() else np.eye(len(classes))[entry.label])
    return np.array(targets, np.float32)
