"""Launchers that start a program several times: `torchrun`, `mpirun`."""

import os
from collections.abc import Mapping

from ser.errors import ConfigError

SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""Variables in which launchers tell each process how many there are."""


def refuse_several_processes(environment: Mapping[str, str] = os.environ) -> None:
    """For whatever writes results: each process would do the same work once more, into folders of its own or the same ones.

    Raises:
        ConfigError: this process is one of several that a launcher has started.

    >>> refuse_several_processes({"WORLD_SIZE": "1"})
    >>> refuse_several_processes({"WORLD_SIZE": "2"})
    Traceback (most recent call last):
    ser.errors.ConfigError: WORLD_SIZE is 2, but ser does not support training on several processes: start it once, without torchrun or \
mpirun; one process uses all cores (runtime.threads, runtime.workers) or one GPU
    """
    for name in SIZES:
        size = environment.get(name, "").strip()
        if size.isdecimal() and int(size) > 1:
            raise ConfigError(
                f"{name} is {size}, but ser does not support training on several processes: start it once, without torchrun or mpirun; "
                "one process uses all cores (runtime.threads, runtime.workers) or one GPU"
            )
