"""The limits of a request, checked before it is read: where it comes from (Host, Origin), how many bytes it has, and how slow it may be."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ser.serve.problems import CONTENT_TYPE, Refused, problem_bytes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REASON = "ser.reason"
"""Key of a request's scope: the reason why it was refused, for metrics and logs."""
NOTE = "ser.note"
"""Key of a request's scope: its content, for metrics and logs."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
FORM_BYTES = 16 * 1024
"""Bytes around the file of a form: boundaries and headers of its parts."""
LINGER_SECONDS = 2.0
"""Seconds in which a refused request is still received: a client that reads only after it has sent everything would not get the reason."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a request."""

    max_bytes: int
    """Bytes of a recording."""
    max_seconds: float
    """Seconds of audio."""
    timeout: float
    """Seconds each for an upload, its wait for a worker, and its prediction."""
    hosts: frozenset[str] = LOOPBACK
    """Accepted values of the Host header, in the form of `plain_name`."""


class Guard:
    """ASGI middleware that passes requests within the limits on, and ends those that exceed them."""

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        body = Body(receive, self.limits.max_bytes + FORM_BYTES, self.limits.timeout, has_body(headers))
        answer = Answer(send, body)
        try:
            self.check(scope, headers)
        except Refused as refused:
            scope[REASON] = refused.reason
            await refuse(refused, answer.send)
        else:
            await self.app(scope, body.receive, answer.send)

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """
        Raises:
            Refused: wrong-host, wrong-origin or too-large.
        """
        host = text(headers, b"host")
        name = plain_name(host)
        if name not in self.limits.hosts and name != own_address(scope):
            raise Refused("wrong-host", "this service does not accept that host name; see --allow-host")
        foreign = text(headers, b"sec-fetch-site") == "cross-site" or not same_origin(text(headers, b"origin"), host)
        if scope["method"] not in {"GET", "HEAD", "OPTIONS"} and foreign:
            raise Refused("wrong-origin", "only this service's own page, or a program, may send recordings")
        length = text(headers, b"content-length")
        if length.isdecimal() and int(length) > self.limits.max_bytes + FORM_BYTES:
            raise Refused("too-large", f"{int(length)} bytes; at most {self.limits.max_bytes} are accepted")


class Body:
    """The body of a request as it arrives, counted and timed."""

    def __init__(self, receive: Receive, most: int, seconds: float, expected: bool) -> None:
        self.raw, self.most, self.seconds = receive, most, seconds
        self.count = 0
        self.deadline: float | None = None
        self.complete, self.late = not expected, False

    async def receive(self) -> Message:
        """
        Raises:
            Refused: too-large or slow-upload.
        """
        loop = asyncio.get_running_loop()
        if self.deadline is None:
            self.deadline = loop.time() + self.seconds
        try:
            # the message after the body is a disconnect, which a long response may wait for
            async with asyncio.timeout_at(None if self.complete else self.deadline):
                message = await self.raw()
        except TimeoutError:
            self.late = True
            raise Refused("slow-upload", f"it did not arrive within {self.seconds:g} s") from None
        self.note(message)
        if self.count > self.most:
            raise Refused("too-large", f"more than {self.most} bytes")
        return message

    def note(self, message: Message) -> None:
        self.count += len(message.get("body", b""))
        self.complete = self.complete or not message.get("more_body", False)

    async def drain(self) -> None:
        """Discard the rest of the body for a while, unless the time of the request is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self.late else LINGER_SECONDS):
                while not self.complete:
                    self.note(await self.raw())


class Answer:
    """Send the response. If it was sent before the end of the request, the connection is closed after it."""

    def __init__(self, send: Send, body: Body) -> None:
        self.raw, self.body = send, body
        self.early = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.early = not self.body.complete
            if self.early:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        if self.early and message["type"] == "http.response.body" and not message.get("more_body", False):
            await self.raw({**message, "more_body": True})
            await self.body.drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self.raw(message)


def text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip().lower()


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """
    >>> has_body({b"content-length": b"0"}), has_body({b"transfer-encoding": b"chunked"})
    (False, True)
    """
    return text(headers, b"content-length") not in {"", "0"} or b"transfer-encoding" in headers


def host_name(host: str) -> str:
    """A Host header without its port.

    >>> host_name("localhost:8000"), host_name("[::1]:8000"), host_name("[::1]")
    ('localhost', '[::1]', '[::1]')
    """
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and (":" not in name or name.endswith("]")) else host


def plain_name(host: str) -> str:
    """The normal form of a Host header, a host name, or the address of a socket.

    >>> plain_name("Example.org:8443"), plain_name("::1"), plain_name("[0::1]:80"), plain_name("::ffff:192.0.2.1")
    ('example.org', '[::1]', '[::1]', '192.0.2.1')
    """
    name = host_name(host.strip().lower())
    try:
        address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return name
    return url_name(str(getattr(address, "ipv4_mapped", None) or address))


def url_name(host: str) -> str:
    """A host as it is written in a URL.

    >>> url_name("::1"), url_name("127.0.0.1")
    ('[::1]', '127.0.0.1')
    """
    return f"[{host}]" if ":" in host else host


def own_address(scope: Scope) -> str | None:
    """The IP address that the connection arrived at: a name server cannot make a page of another site use it."""
    server = scope.get("server")
    return plain_name(str(server[0])) if server else None


def same_origin(origin: str, host: str) -> bool:
    """
    >>> same_origin("", "localhost:8000"), same_origin("http://localhost:8000", "localhost:8000"), same_origin("null", "localhost:8000")
    (True, True, False)
    """
    return not origin or origin in {f"http://{host}", f"https://{host}"}


async def refuse(refused: Refused, send: Send) -> None:
    content = problem_bytes(refused.reason, refused.detail)
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
