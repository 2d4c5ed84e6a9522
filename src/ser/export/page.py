"""Write a folder with a page that predicts recordings in the browser: the model runs there in WebAssembly, and no recording leaves the
machine.

The page is that of the service with another `predictor.js`. Everything it needs is in the folder, so the folder can be copied to any web
server, and the page requests nothing from elsewhere.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path

from ser import __version__
from ser.audio.vad_silero import Voice, find_file
from ser.errors import ConfigError, LockedError
from ser.export.browser_runtime import VERSION
from ser.inference.exported import Exported
from ser.inference.predictor import Predictor
from ser.system.files import exclusive_lock, sync_folder
from ser.system.optional import package_folder

PAGE = Path(__file__).parent.parent / "web"
SUFFIXES = (".html", ".css", ".js", ".svg")
ELSEWHERE = ("service.js", "docs.css")
"""Files that only the service needs."""
PREDICTOR = {"local.js": "predictor.js"}
MODULE = b'<script type="module"'
"""The element that loads the page's code."""
HINT = b'<script defer src="local/opened.js"></script>\n'
"""A page that is opened from the disk may load a script but no module: this script says so."""
FACTS = "model.json"
RUNTIME = "onnxruntime"
LARGE = (".onnx", ".wasm")
"""Files that the page requests with their checksum, so that no browser uses an older copy from its cache."""
LOCK = "lock"
NOTICES = ("LICENSE", "ThirdPartyNotices.txt")
"""Licences of onnxruntime and of the code linked into it. Its npm package lacks them, its Python package has them."""


def write_page(model: Path, folder: Path, runtime: Mapping[str, bytes], voice: Voice = "auto") -> int:
    """Write the page of an exported model, or replace an older page, and return its size in bytes.

    Args:
        model: the .onnx file.
        folder: created when the page is complete.
        runtime: see `ser.export.browser_runtime.read_runtime`.
        voice: the speech detector of the page, see `Predictor`.

    Raises:
        ArtefactError: the model is corrupted, or not written by this program.
        ConfigError: onnxruntime is not installed; the model lacks its backbone; `folder` holds something other than such a page.
    """
    refuse_other_content(folder)
    exported = Exported.load(model)
    refuse_head(model, exported)
    predictor = Predictor(exported, voice=voice)
    content = page_files(PAGE) | runtime_files(runtime) | {"model.onnx": model.read_bytes()}
    content |= silero_files() if predictor.silero else {}
    facts = facts_of(exported, predictor) | {"digests": digests(content), "files": sorted([*content, FACTS])}
    content[FACTS] = json.dumps(facts, indent=1, allow_nan=False).encode()
    with whole_folder(folder) as new:
        for name, data in content.items():
            write(new / name, data)
    return sum(map(len, content.values()))


def page_files(page: Path) -> dict[str, bytes]:
    """{name: content} of the files that are in every page."""
    found = (path for path in sorted(page.rglob("*")) if path.suffix in SUFFIXES)
    named = {path.relative_to(page).as_posix(): path for path in found}
    content = {PREDICTOR.get(name, name): path.read_bytes() for name, path in named.items() if name not in ELSEWHERE}
    return content | {"index.html": content["index.html"].replace(MODULE, HINT + MODULE)}


def runtime_files(runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """onnxruntime, with its licence and those of the code linked into it."""
    folder = package_folder("onnxruntime")
    assert folder is not None
    notices = [path for path in (folder / name for name in NOTICES) if path.is_file()]
    texts = {f"{path.stem}.txt": path.read_bytes() for path in notices}
    return {f"{RUNTIME}/{name}": content for name, content in {**runtime, **texts}.items()}


def silero_files() -> dict[str, bytes]:
    """The network that detects speech, with its licence."""
    licences = [path.read_binary() for path in distribution("silero-vad").files or () if path.name == "LICENSE"]
    return {"silero/silero.onnx": find_file().read_bytes(), "silero/LICENSE.txt": b"\n".join(licences)}


def digests(content: Mapping[str, bytes]) -> dict[str, str]:
    """{name: checksum} of the large files.

    >>> digests({"model.onnx": b"", "index.html": b""})
    {'model.onnx': 'e3b0c44298fc1c14'}
    """
    return {name: hashlib.sha256(data).hexdigest()[:16] for name, data in content.items() if name.endswith(LARGE)}


def facts_of(exported: Exported, predictor: Predictor) -> dict[str, object]:
    """The description of the model for the page; window and hop are those of `ser predict`."""
    return {
        "classes": exported.classes,
        "licence": exported.licence,
        "threshold": exported.calibration.threshold,
        "weights": exported.facts.weights,
        "audio": exported.audio.model_dump(mode="json"),
        "attention_rate": exported.facts.attention_rate,
        "window": predictor.window,
        "hop": predictor.hop,
        "voice": "silero" if predictor.silero else "energy",
        "version": __version__,
        "runtime": VERSION,
    }


def refuse_head(model: Path, exported: Exported) -> None:
    """
    Raises:
        ConfigError: the model lacks its backbone.
    """
    if exported.missing:
        raise ConfigError(f"{model} was exported with --head-only, and a page needs the whole model: {exported.missing}")


def refuse_other_content(folder: Path) -> None:
    """
    Raises:
        ConfigError: `folder` exists and holds something other than a page written by this program.
    """
    if not folder.exists():
        return
    if not folder.is_dir() or folder.resolve() == Path.cwd():
        raise ConfigError(f"--web {folder}: give a folder that does not exist yet, or a page to replace")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not is_filled_folder(path)}
    others = sorted(found - known_files(folder / FACTS))
    if others:
        raise ConfigError(f"--web {folder} holds {others[0]}, which is not part of a page written by ser: move it, or give another folder")


def is_filled_folder(path: Path) -> bool:
    """Whether it is a page, and not a link to one or an empty folder, which belong to the user."""
    return path.is_dir() and not path.is_symlink() and any(path.iterdir())


def known_files(facts: Path) -> set[str]:
    """The files that an older page lists as its own; none if it is not a page."""
    try:
        return {name for name in json.loads(facts.read_bytes())["files"] if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder, which replaces `folder` if the block ends without an error.

    Raises:
        ConfigError: the parent of `folder` cannot be written.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
        clear(leftover, folder)
    with workshop_beside(folder) as name, exclusive_lock(Path(name) / LOCK):
        workshop = Path(name)
        new = workshop / "new"
        new.mkdir()
        yield new
        for below in (new, *(path for path in new.rglob("*") if path.is_dir())):
            sync_folder(below)
        put_in_place(new, folder, workshop / "old")
        sync_folder(folder.parent)


def workshop_beside(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """Raises the errors of `whole_folder`."""
    try:
        return tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent)
    except PermissionError:
        raise ConfigError(f"--web {folder}: a page is written beside its folder first, and {folder.parent} cannot be written") from None


def put_in_place(new: Path, folder: Path, old: Path) -> None:
    """Move `folder` to `old`, and back if the block is interrupted."""
    try:
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        bring_back(old, folder)
        raise


def bring_back(old: Path, folder: Path) -> None:
    if old.exists() and not folder.exists():
        old.rename(folder)


def clear(leftover: Path, folder: Path) -> None:
    """Remove what killed exports left beside `folder`; a running one holds its lock."""
    if not (leftover / LOCK).is_file():
        return
    with suppress(LockedError), exclusive_lock(leftover / LOCK):
        bring_back(leftover / "old", folder)
        shutil.rmtree(leftover)


def write(path: Path, content: bytes) -> None:
    """Flush the files to the disk, before the folder gets its name."""
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
