"""The page and its files, read once from the package. Only files in this table are served; no request can name another."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
"""The page."""
SERVICE = "service.js"
"""The module that requests predictions from this service."""
ELSEWHERE = "local.js"
"""The module that predicts with a model in the browser; not served."""
PREDICTOR = "/predictor.js"
"""The name under which the page imports one of them: this service's here, the browser's in the exported page."""


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def load_assets() -> dict[str, Asset]:
    """{path of the URL: file}"""
    there = (file for file in files("ser").joinpath("web").iterdir() if file.name != ELSEWHERE)
    found = {f"/{file.name}": Asset(file.read_bytes(), TYPES[suffix]) for file in there if (suffix := PurePath(file.name).suffix) in TYPES}
    return {"/": found.pop(f"/{INDEX}"), PREDICTOR: found[f"/{SERVICE}"], **found}
