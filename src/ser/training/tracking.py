"""The training history as a file of events for TensorBoard. Needs an extra."""

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
"""What a file of events has to begin with."""


def check_installed(config: TrackingConfig) -> None:
    """
    Raises:
        ConfigError: TensorBoard is asked for and is not installed.
    """
    if config.tensorboard:
        require("this config", ["tensorboard"], "track", "--set tracking.tensorboard=false")


class EventFile:
    """The scalars of each epoch as a file that TensorBoard reads while it grows.

    A training that goes on begins a new file from its history and removes the old one, so no epoch stands there twice, wherever the first
    attempt was stopped. Written without torch's SummaryWriter, whose thread prints a traceback of its own where the disk is full.
    """

    def __init__(self, folder: Path, history: Iterable[Mapping[str, object]]) -> None:
        before = list(folder.glob("*tfevents*"))
        self.path = folder / f"events.out.tfevents.{time.time_ns()}"
        with atomic_write(self.path) as file:
            append(file, [event(file_version=FORMAT), *map(scalars, history)])
        for path in before:
            path.unlink()

    def add(self, row: Mapping[str, object]) -> None:
        """One more epoch, a row of history.csv."""
        with self.path.open("ab") as file:
            append(file, [scalars(row)])


def scalars(row: Mapping[str, object]) -> "Event":
    """The event of an epoch: every number of the row under its own name, at the step of the epoch's number."""
    values = [{"tag": name, "simple_value": value} for name, value in row.items() if name != "epoch" and value is not None]
    return event(step=row["epoch"], summary={"value": values})


def event(**fields: Any) -> "Event":
    """TensorBoard's message of this moment."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time.time(), **fields)


def append(file: IO[bytes], events: Sequence["Event"]) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    writer = RecordWriter(file)
    for message in events:
        writer.write(message.SerializeToString())
