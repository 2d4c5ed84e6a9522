"""Receive a recording: the file of a form, or the body itself. It is kept in memory up to a megabyte, beyond that in an unnamed file."""

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
"""The media type that is accepted besides audio/*, and the default."""
MORE_FIELDS = 4
"""The highest number of fields of a form besides its file."""
FIELD_BYTES = 4096
"""The highest number of bytes of such a field."""
SPOOL_BYTES = 1 << 20
MOST_AT_ONCE = 256


class Door:
    """Limits the number of simultaneous uploads; each uses up to a megabyte of memory, and the disk beyond that."""

    def __init__(self) -> None:
        self.inside = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """
        Raises:
            Refused: busy.
        """
        if self.inside >= MOST_AT_ONCE:
            raise Refused("busy", f"{self.inside} uploads are being received", LATER)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


@asynccontextmanager
async def received(request: "Request", max_bytes: int) -> AsyncIterator[tuple[IO[bytes], int]]:
    """Receive the whole recording: a file, positioned at its start, and its size.

    Raises:
        Refused: wrong-type, bad-request, too-large, busy (no space for it), or a reason of `ser.serve.limits.Body`.
        starlette.exceptions.HTTPException: the form is malformed.
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
    """Raises the errors of `received`, and OSError."""
    try:
        form = await request.form(max_files=1, max_fields=MORE_FIELDS, max_part_size=FIELD_BYTES)
    except UnicodeError:  # the parser accepts any charset, such as `undefined`
        raise Refused("bad-request", "the form cannot be decoded with its charset") from None
    found = form.get(FIELD)
    if found is None or isinstance(found, str):
        await form.close()
        raise Refused("bad-request", f"the form has no file in its field `{FIELD}`")
    return found.file, found.size or 0


async def of_body(request: "Request") -> tuple[IO[bytes], int]:
    """Raises the errors of `received`, and OSError."""
    file = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        async for piece in request.stream():
            file.write(piece)
        size = file.tell()
        file.seek(0)
    except BaseException:
        with suppress(OSError):  # without space on the disk, the buffered rest cannot be written on closing either
            file.close()
        raise
    return file, size


def checked(size: int, max_bytes: int) -> int:
    """
    Raises:
        Refused: too-large.
    """
    if size > max_bytes:
        raise Refused("too-large", f"{size} bytes; at most {max_bytes} are accepted")
    return size
