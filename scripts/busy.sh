#!/usr/bin/env bash
# The tests with the marker `timing`, again and again, beside processes that do nothing but work.
# busy.sh PROCESSES ROUNDS [ARGUMENTS OF PYTEST ...]
set -euo pipefail
processes=$1 rounds=$2
shift 2

pids=()
trap 'kill "${pids[@]}" 2>/dev/null' EXIT
for ((number = 0; number < processes; number++)); do
    "${PYTHON:-python3}" -c 'while 1: pass' &
    pids+=($!)
done

for ((round = 1; round <= rounds; round++)); do
    echo "== round $round of $rounds, beside $processes busy processes"
    "${PYTHON:-python3}" -m pytest -m timing "$@"
done
