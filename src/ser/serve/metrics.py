"""The metrics of the service for Prometheus. The values of every label are fixed by the program."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser.serve.limits import NOTE, REASON, App, Message, Receive, Scope, Send
from ser.serve.pool import Pool, PoolAnswer

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PREDICTION_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
WAITING_SECONDS = (0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30)


class Metrics:
    """The metrics of one service."""

    def __init__(self, pool: Pool) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = registry = CollectorRegistry()
        self.requests = Counter("ser_requests", "Requests answered", ["route", "status"], registry=registry)
        self.refusals = Counter("ser_refusals", "Requests refused, by reason", ["reason"], registry=registry)
        self.audio = Counter("ser_audio_seconds", "Seconds of audio predicted", registry=registry)
        self.in_flight = Gauge("ser_requests_in_flight", "Requests not answered yet", registry=registry)
        self.predicting = Histogram(
            "ser_prediction_seconds",
            "Seconds from a free worker to its answer, of uploads that were predicted",
            buckets=PREDICTION_SECONDS,
            registry=registry,
        )
        self.waiting = Histogram(
            "ser_waiting_seconds",
            "Seconds until a worker was free, of uploads that were predicted",
            buckets=WAITING_SECONDS,
            registry=registry,
        )
        registry.register(Processes(pool))

    def count_audio(self, answer: PoolAnswer) -> None:
        self.audio.inc(answer.seconds)
        self.predicting.observe(answer.worked)
        self.waiting.observe(answer.waited)

    def text(self) -> tuple[bytes, str]:
        """The text of all metrics and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class Processes:
    """Values about the server and its workers, read at the time of the request."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield CounterMetricFamily("ser_workers_restarted", "Workers that were replaced", value=self.pool.restarts)
        yield GaugeMetricFamily("ser_workers", "Workers that have loaded the model", value=len(self.pool.workers))
        memory = GaugeMetricFamily("ser_resident_memory_bytes", "Resident memory of the server and all its workers", labels=["process"])
        memory.add_metric(["server"], resident_bytes(os.getpid()))
        memory.add_metric(["workers"], sum(resident_bytes(worker.process.pid) for worker in self.pool.workers))
        yield memory


def resident_bytes(pid: int) -> float:
    """Resident memory of a process in bytes: 0 if it has ended, NaN on systems without /proc.

    >>> resident_bytes(os.getpid()) > 1_000_000
    True
    """
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0 if Path("/proc/self/statm").exists() else float("nan")
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


class Measure:
    """ASGI middleware that counts every request, and logs it in one line at -v."""

    def __init__(self, app: App, metrics: Metrics, routes: frozenset[str], headers: list[tuple[bytes, bytes]]) -> None:
        """
        Args:
            routes: paths that are counted under their own name.
            headers: added to every response.
        """
        self.app, self.metrics, self.routes, self.headers = app, metrics, routes, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route = scope["path"] if scope["path"] in self.routes else OTHER
        statuses: list[int] = []

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                message["headers"] = [*message.get("headers", []), *self.headers]
            await send(message)

        begun = time.perf_counter()
        try:
            with self.metrics.in_flight.track_inprogress():
                await self.app(scope, receive, sent)
        finally:
            self.count(scope["method"], route, statuses, scope.get(REASON), [*scope.get(NOTE, []), f"{time.perf_counter() - begun:.3f} s"])

    def count(self, method: str, route: str, statuses: Sequence[int], reason: str | None, notes: Sequence[str]) -> None:
        """Count a request that got this response, or none."""
        for status in statuses:
            self.metrics.requests.labels(route, str(status)).inc()
        if reason:
            self.metrics.refusals.labels(reason).inc()
        said = ", ".join([*([reason] if reason else []), *notes])
        log.info("%s %s %s %s", method if method in METHODS else OTHER, route, statuses[0] if statuses else "unanswered", said)
