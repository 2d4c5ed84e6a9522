"""Settings of dependencies that have to be in the environment before a dependency is loaded.

`import ser` makes them, so they hold for the command line, for Python and for every child process. A variable that the user has set keeps
its value.
"""

import os
from collections.abc import Mapping, MutableMapping

DEFAULTS: Mapping[str, str] = {
    # Idle threads of OpenMP, which torch and MKL inside it compute with, sleep instead of spinning: beside other programs, spinning costs
    # several times the processor time. GNU's and LLVM's libraries read this variable when they are loaded; so does Intel's.
    "OMP_WAIT_POLICY": "passive",
    # onnxruntime would store a device id below the home folder and look up the address of a collector.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub would add the versions of installed libraries to its requests; transformers would report which examples are used.
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""{variable: value}"""
ALREADY_CHOSEN: Mapping[str, tuple[str, ...]] = {"OMP_WAIT_POLICY": ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")}
"""Variables that settle the same question as one of `DEFAULTS`: where the user has set one of them, the default is not applied."""


def set_defaults(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set each of `DEFAULTS` that is not set.

    >>> environment = {"OMP_WAIT_POLICY": "active"}
    >>> set_defaults(environment)
    >>> environment["OMP_WAIT_POLICY"], environment["ORT_DISABLE_TELEMETRY"]
    ('active', '1')
    """
    for name, value in DEFAULTS.items():
        if not any(other in environment for other in ALREADY_CHOSEN.get(name, ())):
            environment.setdefault(name, value)
