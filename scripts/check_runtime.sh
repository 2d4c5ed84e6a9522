#!/usr/bin/env bash
# check_runtime.sh PYTHON: an exported model predicts and serves in an environment that has requirements/runtime.txt and nothing more.
# PYTHON is an interpreter with hatchling, which builds the wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:?an interpreter with hatchling}
most_megabytes=250
port=${PORT:-8479}
model=tests/artefacts/runs/spectral_crnn/model.onnx
clip=$(find src/ser/sample -name '*.flac' -o -name '*.wav' -o -name '*.ogg' -o -name '*.opus' | sort | head -n 1)

folder=$(mktemp -d)
service=
cleanup() {
    [ -z "$service" ] || kill "$service" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT

"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$folder" .
"$python" -m venv "$folder/env"
bin=$folder/env/bin
"$bin/pip" install --quiet --requirement requirements/runtime.txt --constraint constraints.txt
"$bin/pip" install --quiet --no-deps "$folder"/ser_toolkit-*.whl

megabytes=$(du -sm "$folder/env" | cut -f1)
echo "wheel $(du -k "$folder"/ser_toolkit-*.whl | cut -f1) kB, environment $megabytes MB"
[ "$megabytes" -le "$most_megabytes" ] || { echo "more than $most_megabytes MB" >&2; exit 1; }
"$bin/python" - <<'PROGRAM'
from importlib.util import find_spec
found = [name for name in ("torch", "scipy", "transformers") if find_spec(name)]
assert not found, f"requirements/runtime.txt brings {found}"
PROGRAM

"$bin/ser" predict "$clip" --model "$model"
"$bin/ser" serve "$model" --port "$port" --workers 1 &
service=$!
"$bin/python" - "$port" "$clip" <<'PROGRAM'
import json, sys, time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

address = f"http://127.0.0.1:{sys.argv[1]}"
for attempt in range(120):
    try:
        urlopen(f"{address}/healthz").close()
        break
    except URLError:  # also its 503, until a worker has answered
        time.sleep(1)
body = Path(sys.argv[2]).read_bytes()
request = Request(f"{address}/v1/predict", data=body, headers={"Content-Type": "application/octet-stream"})
with urlopen(request) as answer:
    print("the service answers", json.load(answer)["emotion"])
PROGRAM
