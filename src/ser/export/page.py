"""A folder with a page that hears recordings in the browser: the model runs there in WebAssembly, and no recording leaves the machine.

The page is the one of the service, with another `predictor.js`. Everything that it needs lies in the folder, so it may be moved to any web
server, and asks no other.
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
"""Of the page's files: what the service alone needs."""
PREDICTOR = {"local.js": "predictor.js"}
MODULE = b'<script type="module"'
"""How the page loads its code."""
HINT = b'<script defer src="local/opened.js"></script>\n'
"""Opened as a file, a page may load a script, and no module: the script says so."""
FACTS = "model.json"
RUNTIME = "onnxruntime"
LARGE = (".onnx", ".wasm")
"""What the page asks for with its digest, so that no browser takes an older one that it has kept."""
LOCK = "lock"
NOTICES = ("LICENSE", "ThirdPartyNotices.txt")
"""Of onnxruntime and of what is linked into it. Its package for browsers lacks them, the one for Python has them."""


def write_page(model: Path, folder: Path, runtime: Mapping[str, bytes], voice: Voice = "auto") -> int:
    """Write the page of an exported model, or put it in the place of an older one; returns its bytes.

    Args:
        model: the .onnx file.
        folder: appears only when the page is whole.
        runtime: as of `ser.export.browser_runtime.read_runtime`.
        voice: who tells speech from silence in the page, as of `Predictor`.

    Raises:
        ArtefactError: the model is corrupted, or none of ours.
        ConfigError: onnxruntime is not installed; the model is no whole one; `folder` holds something else than such a page.
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
    """{name: content} of what stands in every page."""
    found = (path for path in sorted(page.rglob("*")) if path.suffix in SUFFIXES)
    named = {path.relative_to(page).as_posix(): path for path in found}
    content = {PREDICTOR.get(name, name): path.read_bytes() for name, path in named.items() if name not in ELSEWHERE}
    return content | {"index.html": content["index.html"].replace(MODULE, HINT + MODULE)}


def runtime_files(runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """onnxruntime, with its licence and those of what is linked into it."""
    folder = package_folder("onnxruntime")
    assert folder is not None
    notices = [path for path in (folder / name for name in NOTICES) if path.is_file()]
    texts = {f"{path.stem}.txt": path.read_bytes() for path in notices}
    return {f"{RUNTIME}/{name}": content for name, content in {**runtime, **texts}.items()}


def silero_files() -> dict[str, bytes]:
    """The network that knows a voice, with its licence."""
    licences = [path.read_binary() for path in distribution("silero-vad").files or () if path.name == "LICENSE"]
    return {"silero/silero.onnx": find_file().read_bytes(), "silero/LICENSE.txt": b"\n".join(licences)}


def digests(content: Mapping[str, bytes]) -> dict[str, str]:
    """{name: digest} of what is large.

    >>> digests({"model.onnx": b"", "index.html": b""})
    {'model.onnx': 'e3b0c44298fc1c14'}
    """
    return {name: hashlib.sha256(data).hexdigest()[:16] for name, data in content.items() if name.endswith(LARGE)}


def facts_of(exported: Exported, predictor: Predictor) -> dict[str, object]:
    """What the page has to know of the model; the lengths are those that `ser predict` takes."""
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
        ConfigError: the model cannot hear a recording by itself.
    """
    if exported.missing:
        raise ConfigError(f"{model} is a head alone, and a page needs a whole model: {exported.missing}")


def refuse_other_content(folder: Path) -> None:
    """
    Raises:
        ConfigError: `folder` is there, and holds something else than a page written here.
    """
    if not folder.exists():
        return
    if not folder.is_dir() or folder.resolve() == Path.cwd():
        raise ConfigError(f"--web {folder}: give a folder that does not exist yet, or a page to replace")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not is_filled_folder(path)}
    others = sorted(found - known_files(folder / FACTS))
    if others:
        raise ConfigError(f"--web {folder} holds {others[0]}, which is no part of a page written here: move it, or give another folder")


def is_filled_folder(path: Path) -> bool:
    """No link to one: that, and an empty folder, are somebody's own."""
    return path.is_dir() and not path.is_symlink() and any(path.iterdir())


def known_files(facts: Path) -> set[str]:
    """That an older page says it consists of; none if it is no page."""
    try:
        return {name for name in json.loads(facts.read_bytes())["files"] if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder, which takes the place of `folder` when the block has ended well.

    Raises:
        ConfigError: nothing can be put beside `folder`.
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
    """Errors as of `whole_folder`."""
    try:
        return tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent)
    except PermissionError:
        raise ConfigError(f"--web {folder}: a page is written beside its folder first, and {folder.parent} cannot be written") from None


def put_in_place(new: Path, folder: Path, old: Path) -> None:
    """What was at `folder` goes to `old`, and comes back if anything interrupts."""
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
    """What a killed export left beside `folder`; a living one holds its lock."""
    if not (leftover / LOCK).is_file():
        return
    with suppress(LockedError), exclusive_lock(leftover / LOCK):
        bring_back(leftover / "old", folder)
        shutil.rmtree(leftover)


def write(path: Path, content: bytes) -> None:
    """To the disk, before the folder takes its name."""
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
