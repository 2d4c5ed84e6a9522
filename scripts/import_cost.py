#!/usr/bin/env python3
"""What importing a package costs a new process: median processor time and resident memory beyond a bare interpreter.

    python scripts/import_cost.py [--repeat 5] numpy torch ...

Writes a Markdown table (docs/dependencies.md). A package that is not installed is left out with a note.
"""

import argparse
import json
import statistics
import subprocess
import sys

PROGRAM = """
import json, os, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
memory, start = resident(), time.process_time()
import {module}
print(json.dumps([1000 * (time.process_time() - start), resident() - memory]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("modules", nargs="+")
    args = parser.parse_args()
    print("| import | CPU ms | MB |\n|---|---|---|")
    for module in args.modules:
        costs = [measure(module) for _ in range(args.repeat + 1)][1:]  # the first one warms the file cache
        if None in costs:
            print(f"| `{module}` | not installed | |")
            continue
        milliseconds, megabytes = (statistics.median(values) for values in zip(*(cost for cost in costs if cost), strict=True))
        print(f"| `{module}` | {milliseconds:.0f} | {megabytes:.0f} |")


def measure(module: str) -> tuple[float, float] | None:
    """(milliseconds of processor time, megabytes), or None where the import fails."""
    result = subprocess.run([sys.executable, "-c", PROGRAM.format(module=module)], capture_output=True, text=True, check=False)
    if result.returncode:
        return None
    milliseconds, megabytes = json.loads(result.stdout.splitlines()[-1])
    return milliseconds, megabytes


if __name__ == "__main__":
    main()
