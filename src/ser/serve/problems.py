"""What is refused, why, and with which status: one table for the program, its OpenAPI schema and docs/serve.md."""

import json
import logging
import time
from collections.abc import Mapping

from ser.reasons import SKIP_REASONS

log = logging.getLogger(__name__)

UNUSABLE = 422
"""Of every upload that was received and cannot be used, but for those named in `STATUS`."""

REQUEST_REASONS = {
    "bad-request": "no request that this service understands",
    "wrong-host": "the Host header names another machine",
    "wrong-origin": "a page of another site sent it",
    "not-found": "nothing is here",
    "wrong-method": "this address takes another method",
    "slow-upload": "the upload took too long",
    "too-large": "more bytes than are taken",
    "wrong-type": "neither a form nor audio, by its Content-Type",
    "busy": "it cannot be taken now; try again later",
    "not-ready": "no process has the model",
    "defect": "an error of the program itself",
}
"""What can be wrong with a request, besides what can be wrong with a recording (`ser.reasons`)."""

OTHER_WORDS = {"too-long": "longer than is taken", "timeout": "hearing it took too long", "unreadable": "it cannot be decoded"}
"""Of reasons that `ser.reasons` words for the files of a corpus."""

STATUS = {
    "bad-request": 400,
    "wrong-host": 400,
    "wrong-origin": 403,
    "not-found": 404,
    "wrong-method": 405,
    "slow-upload": 408,
    "too-large": 413,
    "wrong-type": 415,
    "not-audio": 415,
    "unsupported-codec": 415,
    "busy": 429,
    "defect": 500,
    "not-ready": 503,
}
OF_UPLOADS = (
    "empty",
    "header-only",
    "truncated",
    "bad-header",
    "not-audio",
    "lfs-pointer",
    "unsupported-codec",
    "too-short",
    "too-long",
    "rate-too-low",
    "silent",
    "not-finite",
    "unreadable",
    "timeout",
)
"""Codes of `ser.reasons` that the bytes of a recording can earn; the others are of files and corpora."""
CONTENT_TYPE = "application/problem+json"
LATER = {"Retry-After": "5"}


class Refused(Exception):
    """A request that gets no answer but its reason, a code of `REQUEST_REASONS` or `ser.reasons`."""

    def __init__(self, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.headers = reason, detail, dict(headers or {})

    @property
    def status(self) -> int:
        return status_of(self.reason)


class Seldom:
    """A warning of what may happen with every request, at most once a minute."""

    PAUSE = 60.0

    def __init__(self) -> None:
        self.next = 0.0

    def warn(self, message: str, *values: object) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + self.PAUSE
            log.warning(message, *values)


of_room = Seldom()


def no_room(error: object) -> Refused:
    """Of an upload that cannot be kept while it is heard."""
    of_room.warn("there is no room for temporary files: %s", error)
    return Refused("busy", "there is no room for it now", LATER)


def status_of(reason: str) -> int:
    """
    >>> status_of("not-audio"), status_of("truncated")
    (415, 422)
    """
    return STATUS.get(reason, UNUSABLE)


def title_of(reason: str) -> str:
    """
    >>> title_of("silent"), title_of("too-long")
    ('level below -80 dBFS after the mean is removed', 'longer than is taken')
    """
    return (REQUEST_REASONS | OTHER_WORDS).get(reason) or SKIP_REASONS[reason]


def problem(reason: str, detail: str) -> dict[str, object]:
    """RFC 9457, with the code as `reason`."""
    return {"title": title_of(reason), "status": status_of(reason), "reason": reason, "detail": detail}


def problem_bytes(reason: str, detail: str) -> bytes:
    return json.dumps(problem(reason, detail), allow_nan=False).encode()
