"""The reasons for refusing a request and their statuses: one table for the program, its OpenAPI schema and docs/serve.md."""

import json
import logging
import time
from collections.abc import Mapping

from ser.reasons import SKIP_REASONS

log = logging.getLogger(__name__)

UNUSABLE = 422
"""Status of an upload that was received and cannot be used, unless `STATUS` has another."""

REQUEST_REASONS = {
    "bad-request": "not a request that this service understands",
    "wrong-host": "the Host header names another host",
    "wrong-origin": "it was sent by a page of another site",
    "not-found": "no such path",
    "wrong-method": "this path requires another method",
    "slow-upload": "the upload took too long",
    "too-large": "more bytes than are accepted",
    "wrong-type": "the Content-Type is neither that of a form nor of audio",
    "busy": "the service is busy; try again later",
    "not-ready": "no worker has loaded the model",
    "defect": "an internal error",
}
"""Reasons for refusing a request, in addition to those for recordings (`ser.reasons`)."""

OTHER_WORDS = {"too-long": "longer than is accepted", "timeout": "the prediction took too long", "unreadable": "it cannot be decoded"}
"""Texts that replace those of `ser.reasons`, which are about the files of a corpus."""

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
"""Codes of `ser.reasons` that apply to the bytes of a recording; the others apply to files and corpora."""
CONTENT_TYPE = "application/problem+json"
LATER = {"Retry-After": "5"}


class Refused(Exception):
    """A request that is refused, with a reason that is a code of `REQUEST_REASONS` or `ser.reasons`."""

    def __init__(self, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.headers = reason, detail, dict(headers or {})

    @property
    def status(self) -> int:
        return status_of(self.reason)


class Seldom:
    """Log a warning at most once a minute, for something that may happen with every request."""

    PAUSE = 60.0

    def __init__(self) -> None:
        self.next = 0.0

    def warn(self, message: str, *values: object) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + self.PAUSE
            log.warning(message, *values)


of_room = Seldom()


def no_room(error: object) -> Refused:
    """The error for an upload that cannot be stored while it is predicted."""
    of_room.warn("no space for temporary files: %s", error)
    return Refused("busy", "no space to store the upload", LATER)


def status_of(reason: str) -> int:
    """
    >>> status_of("not-audio"), status_of("truncated")
    (415, 422)
    """
    return STATUS.get(reason, UNUSABLE)


def title_of(reason: str) -> str:
    """
    >>> title_of("silent"), title_of("too-long")
    ('level below -80 dBFS after the mean is removed', 'longer than is accepted')
    """
    return (REQUEST_REASONS | OTHER_WORDS).get(reason) or SKIP_REASONS[reason]


def problem(reason: str, detail: str) -> dict[str, object]:
    """The problem document (RFC 9457), with the code as `reason`."""
    return {"title": title_of(reason), "status": status_of(reason), "reason": reason, "detail": detail}


def problem_bytes(reason: str, detail: str) -> bytes:
    return json.dumps(problem(reason, detail), allow_nan=False).encode()
