"""How many processor cores this process may use."""

import os


def available_cores() -> int:
    """The default number of processes or threads where the config names none.

    At present every core that the machine reports, at least 1: processor affinity, the limits of a container and OMP_NUM_THREADS are not
    looked at yet. This function is the one place to change that.
    """
    return os.cpu_count() or 1
