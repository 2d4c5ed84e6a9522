"""A recording as it comes: a form's file, or the body itself. In memory up to a megabyte, beyond that in a file without a name."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from ser.serve.problems import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD = "file"
FORM = "multipart/form-data"
RAW = ("application/octet-stream", "")
"""Besides audio/*; whoever says nothing of it sends bytes."""
MORE_FIELDS, FIELD_BYTES = 4, 4096
"""Of a form, besides its file."""
SPOOL_BYTES = 1 << 20
MOST_AT_ONCE = 256
LATER = {"Retry-After": "5"}


class Door:
    """How many uploads may come in at the same time; each holds up to a megabyte of memory, and the rest on disk."""

    def __init__(self) -> None:
        self.inside = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """
        Raises:
            Refused: busy.
        """
        if self.inside >= MOST_AT_ONCE:
            raise Refused("busy", f"{self.inside} uploads are on their way", LATER)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


@asynccontextmanager
async def received(request: "Request", max_bytes: int) -> AsyncIterator[tuple[IO[bytes], int]]:
    """The whole recording, at its start, and its size.

    Raises:
        Refused: wrong-type, bad-request, too-large, or what `ser.serve.limits.Body` finds.
        starlette.exceptions.HTTPException: the form is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        async with request.form(max_files=1, max_fields=MORE_FIELDS, max_part_size=FIELD_BYTES) as form:
            found = form.get(FIELD)
            if found is None or isinstance(found, str):
                raise Refused("bad-request", f"the form has no file in its field `{FIELD}`")
            yield found.file, checked(found.size or 0, max_bytes)
    elif kind.startswith("audio/") or kind in RAW:
        with SpooledTemporaryFile(max_size=SPOOL_BYTES) as file:
            async for piece in request.stream():
                file.write(piece)
            yield file, checked(file.tell(), max_bytes)
    else:
        raise Refused("wrong-type", f"send a form ({FORM}), or audio as audio/* or application/octet-stream")


def checked(size: int, max_bytes: int) -> int:
    """
    Raises:
        Refused: too-large.
    """
    if size > max_bytes:
        raise Refused("too-large", f"{size} bytes; at most {max_bytes} are taken")
    return size
