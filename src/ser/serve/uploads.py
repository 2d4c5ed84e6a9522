"""A recording as it comes: a form's file, or the body itself. In memory up to a megabyte, beyond that in a file without a name."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from ser.serve.problems import LATER, Refused, no_room

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD = "file"
FORM = "multipart/form-data"
RAW = ("application/octet-stream", "")
"""Besides audio/*; whoever says nothing of it sends bytes."""
MORE_FIELDS = 4
"""Of a form, besides its file."""
FIELD_BYTES = 4096
"""Of such a field."""
SPOOL_BYTES = 1 << 20
MOST_AT_ONCE = 256


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
        Refused: wrong-type, bad-request, too-large, busy (no room for it), or what `ser.serve.limits.Body` finds.
        starlette.exceptions.HTTPException: the form is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and not kind.startswith("audio/") and kind not in RAW:
        raise Refused("wrong-type", f"send a form ({FORM}), or audio as audio/* or application/octet-stream")
    try:
        file, size = await (of_form(request) if kind == FORM else of_body(request))
    except OSError as error:
        raise no_room(error) from None
    with file:
        yield file, checked(size, max_bytes)


async def of_form(request: "Request") -> tuple[IO[bytes], int]:
    """Errors as of `received`, and OSError."""
    try:
        form = await request.form(max_files=1, max_fields=MORE_FIELDS, max_part_size=FIELD_BYTES)
    except UnicodeError:  # of a charset that the parser takes at its word, as `undefined`
        raise Refused("bad-request", "the form cannot be read in its charset") from None
    found = form.get(FIELD)
    if found is None or isinstance(found, str):
        await form.close()
        raise Refused("bad-request", f"the form has no file in its field `{FIELD}`")
    return found.file, found.size or 0


async def of_body(request: "Request") -> tuple[IO[bytes], int]:
    """Errors as of `received`, and OSError."""
    file = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        async for piece in request.stream():
            file.write(piece)
        size = file.tell()
        file.seek(0)
    except BaseException:
        with suppress(OSError):  # where there is no room, what was not written yet cannot be written now either
            file.close()
        raise
    return file, size


def checked(size: int, max_bytes: int) -> int:
    """
    Raises:
        Refused: too-large.
    """
    if size > max_bytes:
        raise Refused("too-large", f"{size} bytes; at most {max_bytes} are taken")
    return size
