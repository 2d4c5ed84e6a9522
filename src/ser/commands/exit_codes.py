"""The end of a command: one line on standard error, and the exit code of the error's class."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from ser.errors import ConfigError, DataError, SerError
from ser.system.memory import MEMORY_MESSAGE, is_out_of_memory
from ser.system.optional import install_hint

log = logging.getLogger("ser.cli")


class Terminated(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that no handler on the way catches it."""


def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


@contextmanager
def exit_codes() -> Iterator[None]:
    """Convert the errors of the block to one line and an exit code. A defect of the program keeps its traceback."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except SerError as error:
        log.debug("where it came from", exc_info=True)
        fail(str(error), error.exit_code)
    except OSError as error:
        log.debug("where it came from", exc_info=True)
        fail(str(error), DataError.exit_code)
    except (MemoryError, ImportError) as error:
        if not is_out_of_memory(error):
            if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("ser."):
                log.debug("where it came from", exc_info=True)
                fail(f"this command needs {error.name}, which is not installed: {install_hint()}", ConfigError.exit_code)
            raise
        log.debug("where it came from", exc_info=True)
        fail(MEMORY_MESSAGE, DataError.exit_code)
    except KeyboardInterrupt:
        fail("stopped by Ctrl-C; what was finished is kept", 128 + signal.SIGINT)
    except Terminated:
        fail("stopped by SIGTERM; what was finished is kept", 128 + signal.SIGTERM)


def fail(message: str, code: int) -> NoReturn:
    print(f"ser: {message}", file=sys.stderr)
    raise SystemExit(code) from None
