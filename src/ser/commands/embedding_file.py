"""The file of `ser predict --embedding`: one vector for each recording."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ser.errors import ConfigError
from ser.inference.formats import Outcome, csv_row
from ser.inference.prediction import Embedding
from ser.system.files import atomic_write, refuse_place
from ser.wording import printable

SUFFIXES = (".npy", ".csv")


class EmbeddingFile:
    """Collects embeddings, (D,) each, and writes them as `.npy` (recordings, D) float32 or as `.csv` with the column `path`.

    There is one row for each recording, in their order. The row of a recording that cannot be used is NaN, or empty in CSV.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ConfigError: the suffix of the name is another, or the file cannot be written.
        """
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(printable(f"--embedding {path}: give a name that ends in {' or '.join(SUFFIXES)}"))
        refuse_place(path, "--embedding")
        self.path = path
        self.rows: list[tuple[str, Embedding | None]] = []

    def collect(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Pass the outcomes on and keep their embeddings."""
        for outcome in outcomes:
            self.rows.append((printable(outcome.name), outcome.embedding))
            yield outcome

    def write(self) -> None:
        """Atomically."""
        size = next((len(vector) for _, vector in self.rows if vector is not None), 0)
        with atomic_write(self.path) as file:
            if self.path.suffix.lower() == ".npy":
                absent = np.full(size, np.nan, np.float32)
                vectors = [absent if vector is None else vector for _, vector in self.rows]
                np.save(file, np.array(vectors, np.float32).reshape(len(vectors), size), allow_pickle=False)
                return
            file.write(csv_row(["path", *(f"e{number}" for number in range(size))]).encode())
            for name, vector in self.rows:
                file.write(csv_row([name, *([None] * size if vector is None else vector.tolist())]).encode())
