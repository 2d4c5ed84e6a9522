"""`ser serve`: serve a trained model over HTTP, with a page, until it is stopped."""

import ipaddress
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from ser.errors import ConfigError
from ser.inference.options import PredictOptions
from ser.serve.limits import LOOPBACK, Limits, plain_name, url_name
from ser.serve.pool import Pool
from ser.serve.server import listen, run
from ser.serve.worker_process import worker_command
from ser.system.console import say
from ser.system.cores import available_cores
from ser.system.optional import install_hint, is_installed

log = logging.getLogger(__name__)

MIB = 1 << 20
MOST_WORKERS = 4
"""The highest default number of workers."""
LEAST_SECONDS = 0.1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*|\[[0-9a-f:]+\]")
NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(  # noqa: PLR0913, PLR0917 - the contract of the command line
    options: PredictOptions,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int | None = None,
    max_mb: float = 32.0,
    max_seconds: float = 600.0,
    timeout: float = 30.0,
    allow_hosts: Sequence[str] = (),
) -> None:
    """Answer requests until a signal arrives.

    Args:
        options: the model, and its backbone if that has moved.
        port: 0: any free port.
        workers: processes that predict, each with the model; None: one for each core, at most four, and one for the folder of a run.
        max_mb: largest upload in MiB.
        max_seconds: longest recording in seconds.
        timeout: seconds for an upload, for its wait, and for its prediction, each.
        allow_hosts: further accepted host names, such as that of a proxy.

    Raises:
        ConfigError: the extra `serve` is not installed, a limit or a name is not valid, or the port is in use; or see `Predictor.load`.
        DataError, ArtefactError: see `Predictor.load`.
        KeyboardInterrupt, ser.commands.exit_codes.Terminated: raised again for the signal, after the shutdown.
    """
    check(workers, max_mb, max_seconds, timeout)
    limits = Limits(round(max_mb * MIB), max_seconds, timeout, LOOPBACK | {plain_name(host)} | {*map(allowed, allow_hosts)})
    model = str(options.model)
    pool = Pool(worker_command(model, max_seconds, options.backbone), workers or default_workers(model), timeout)
    server = listen(host, port)
    if not is_loopback(str(server.getsockname()[0])):
        log.warning("the service has no authentication: anybody who can reach %s can use it", host)
    address = f"http://{url_name(host)}:{server.getsockname()[1]}"
    run(pool, limits, server, lambda: say(f"{address} serves {Path(model)}; Ctrl-C stops it"))


def allowed(host: str) -> str:
    """
    Raises:
        ConfigError: it is not a host name.

    >>> allowed("Emotions.example.org:8443"), allowed("::1")
    ('emotions.example.org', '[::1]')
    """
    name = plain_name(host)
    if not NAME.fullmatch(name):
        raise ConfigError(f"--allow-host {host}: give a host name, such as emotions.example.org")
    return name


def check(workers: int | None, max_mb: float, max_seconds: float, timeout: float) -> None:
    """
    Raises:
        ConfigError: see `serve`.
    """
    if not is_installed(*NEEDED):
        raise ConfigError(f"the service requires fastapi, uvicorn, python-multipart and prometheus-client: {install_hint('serve')}")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: give at least 1")
    given = {"max-mb": (max_mb, 1 / MIB), "max-seconds": (max_seconds, LEAST_SECONDS), "timeout": (timeout, LEAST_SECONDS)}
    for name, (value, least) in given.items():
        if not least <= value < float("inf"):
            raise ConfigError(f"--{name} {value:g}: give at least {least:.2g}")


def default_workers(model: str) -> int:
    """The default number of workers; one for the model of a run, whose torch takes half a gigabyte in each process."""
    return 1 if Path(model).is_dir() else min(MOST_WORKERS, available_cores())


def is_loopback(address: str) -> bool:
    """
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
