#!/usr/bin/env bash
# check_lowest.sh PYTHON [ARGUMENT...]: the fast tests with the lowest versions that pyproject.toml allows, and the torch of constraints.txt.
# PYTHON is an interpreter with uv beside it; arguments go to pip (an index for torch). PYTEST_ARGS go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:?an interpreter with uv}
shift

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
grep '^torch==' constraints.txt >"$folder/torch.txt"
"$(dirname "$python")/uv" pip compile pyproject.toml --extra dev --resolution lowest-direct --python "$python" --constraints "$folder/torch.txt" \
    --no-config --no-header --no-annotate --no-emit-index-url --quiet --output-file "$folder/lowest.txt"
"$python" -m venv "$folder/env"
# as constraints: what another build of torch brings with it is not installed
"$folder/env/bin/pip" install --quiet --constraint "$folder/lowest.txt" --editable '.[dev]' "$@"
"$folder/env/bin/pip" list --format freeze | grep -iE '^(numpy|scipy|torch|transformers|onnxruntime|pydantic|typer|rich|soundfile|soxr)=' | tr '\n' ' '
echo
"$folder/env/bin/python" -m pytest --quiet -m "not slow and not timing" -p no:cacheprovider ${PYTEST_ARGS:--n 2}
