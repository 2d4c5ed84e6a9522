"""What the JavaScript of the page is held to (`tests/web/*.test.js`) is what Python answers today."""

import json
import math
import runpy
from collections.abc import Iterator

import pytest

from places import ROOT

WEB = ROOT / "tests" / "web"


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """(place, value) of everything in nested JSON that holds nothing else."""
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, list | tuple) and value:
        for index, each in enumerate(value):
            yield from leaves(each, f"{place}/{index}")
    else:
        yield place, value


def test_the_golden_file_is_what_python_answers() -> None:
    stored = dict(leaves(json.loads((WEB / "golden.json").read_text(encoding="utf-8"))))
    today = dict(leaves(json.loads(json.dumps(runpy.run_path(str(WEB / "golden.py"))["golden"]()))))
    assert stored.keys() == today.keys()
    for place, value in today.items():
        assert stored[place] == (pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value), place
    assert all(math.isfinite(value) for value in stored.values() if isinstance(value, float))
