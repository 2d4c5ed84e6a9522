"""The error tree. Each class carries the exit code that the command line returns for it.

SerError
├── ConfigError      2  usage or configuration
├── DataError        3  the user's data, or a step that has not run yet
│   ├── AudioError   3  one file; carries a reason code of `ser.reasons`
│   └── LeakageError 3  the certificate of a split is not valid
├── ArtefactError    4  something this program wrote is corrupted, or of another kind
└── LockedError      5  another process is writing the same output
"""


class SerError(Exception):
    """Base class of all errors that are not defects of the program. Printed as one line, never as a traceback."""

    exit_code = 1


class ConfigError(SerError):
    """A command line or configuration that is not valid."""

    exit_code = 2


class DataError(SerError):
    """Data that is missing, empty or contradictory."""

    exit_code = 3


class AudioError(DataError):
    """One audio file that cannot be used; `reason` is its code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["AudioError"], tuple[str, str], dict[str, object]]:
        """Pickle by the two arguments, because a worker process sends the error to its parent."""
        return type(self), (self.reason, self.detail), self.__dict__


class LeakageError(DataError):
    """Parts of a split share speakers or recordings although their certificate excludes it."""


class ArtefactError(SerError):
    """A stored artefact (feature store, checkpoint) that is corrupted or does not fit."""

    exit_code = 4


class LockedError(SerError):
    """Another process is writing to the same output."""

    exit_code = 5
