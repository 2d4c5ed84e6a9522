"""The table of predictions of a run: rows, columns, or a pandas DataFrame."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from ser.evaluation.predictions import Predictions
from ser.system.optional import import_optional

if TYPE_CHECKING:
    import pandas

Cell = str | float
Row = dict[str, Cell]


class PredictionTable(Sequence[Row]):
    """The raw probabilities of a run for every utterance of val and test; a row for each utterance, in the order of `predictions.csv`.

    Columns: `split`, `id`, `corpus`, `speaker`, `truth`, `prediction`, `p_<class>` (probability, not calibrated) and, for a mixture of
    experts, `gate_<expert>` (weight).

    Attributes:
        columns: {name: values}, lists of str or arrays of float64, all of one length.

    Example:
        ```python
        table = ser.load_run("runs/NAME").predictions
        wrong = [row for row in table if row["prediction"] != row["truth"]]
        frame = table.to_pandas()
        ```
    """

    def __init__(self, splits: Mapping[str, Predictions]) -> None:
        self.columns: dict[str, list[str] | NDArray[np.float64]] = columns_of(splits)

    def __len__(self) -> int:
        return len(self.columns["id"])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        return {name: cell if isinstance(cell := values[number], str) else float(cell) for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[Row]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        return f"<PredictionTable {len(self)} rows: {', '.join(self.columns)}>"

    def to_pandas(self) -> "pandas.DataFrame":
        """The table as a DataFrame.

        Raises:
            ConfigError: pandas is not installed.
        """
        module = import_optional("pandas", "to_pandas() requires pandas: pip install pandas; without it use the rows, or .columns")
        frame: pandas.DataFrame = module.DataFrame(self.columns)
        return frame

    def _repr_html_(self) -> str | None:
        """For notebooks: the table of pandas, if pandas is imported."""
        from sys import modules

        return str(self.to_pandas()._repr_html_()) if "pandas" in modules else None


def columns_of(splits: Mapping[str, Predictions]) -> dict[str, list[str] | NDArray[np.float64]]:
    """Concatenate the splits; all have the same classes and experts."""
    tables = list(splits.values())
    first = tables[0]
    texts: dict[str, list[str]] = {
        "split": [split for split, table in splits.items() for _ in table.ids],
        "id": [name for table in tables for name in table.ids],
        "corpus": [name for table in tables for name in table.corpora],
        "speaker": [name for table in tables for name in table.speakers],
        "truth": [table.classes[label] for table in tables for label in table.truth.tolist()],
        "prediction": [table.classes[label] for table in tables for label in table.prediction.tolist()],
    }
    numbers = {
        f"p_{label}": np.concatenate([table.probabilities[:, index] for table in tables]) for index, label in enumerate(first.classes)
    }
    gates = {f"gate_{expert}": np.concatenate([table.gates[expert] for table in tables]) for expert in first.gates}
    return {**texts, **numbers, **gates}
