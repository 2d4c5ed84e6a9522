"""Export of the training history to TensorBoard, which is an optional dependency."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ser.config import TrackingConfig
from ser.system.files import atomic_write
from ser.system.optional import require

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

FORMAT = "brain.Event:2"
"""Version at the beginning of a file of events."""


def check_installed(config: TrackingConfig) -> None:
    """Check that TensorBoard is installed if the config uses it.

    Raises:
        ConfigError: it is not installed.
    """
    if config.tensorboard:
        require("this config", ["tensorboard"], "track", "--set tracking.tensorboard=false")


class EventFile:
    """File with the scalars of each epoch, which TensorBoard can read while it grows.

    A resumed training writes its history to a new file and removes the old one, so that no epoch is in it twice. torch's SummaryWriter is
    not used because its thread prints a traceback if the disk is full.
    """

    def __init__(self, folder: Path, history: Iterable[Mapping[str, object]]) -> None:
        before = list(folder.glob("*tfevents*"))
        self.path = folder / f"events.out.tfevents.{time.time_ns()}"
        with atomic_write(self.path) as file:
            append(file, [event(file_version=FORMAT), *map(scalars, history)])
        for path in before:
            path.unlink()

    def add(self, row: Mapping[str, object]) -> None:
        """Append an epoch, a row of history.csv."""
        with self.path.open("ab") as file:
            append(file, [scalars(row)])


def scalars(row: Mapping[str, object]) -> "Event":
    """Event of an epoch: every number of the row under its name, with the epoch as step."""
    values = [{"tag": name, "simple_value": value} for name, value in row.items() if name != "epoch" and value is not None]
    return event(step=row["epoch"], summary={"value": values})


def event(**fields: Any) -> "Event":
    """Build a TensorBoard event with the current time."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time.time(), **fields)


def append(file: IO[bytes], events: Sequence["Event"]) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    writer = RecordWriter(file)
    for message in events:
        writer.write(message.SerializeToString())
