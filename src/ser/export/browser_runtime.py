"""onnxruntime for browsers, pinned to one version and verified byte by byte: from the cache, from npm, or from a copy that the user has.

It is downloaded once, when a page is exported, and never by a page. A page needs two files of its 30 MB: the loader and the WebAssembly for
CPUs.
"""

import base64
import hashlib
import io
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ser.errors import ConfigError, DataError
from ser.system.files import atomic_write

log = logging.getLogger(__name__)

PACKAGE = "onnxruntime-web"
"""Name of the package in the npm registry."""
VERSION = "1.30.0"
"""Version of the package."""
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""The sha512 of the package's tarball, in base64."""
NPM_SECONDS = 600
SHOWN = 200
"""The longest part of an error that a message quotes, in characters."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the package that a page needs."""

    path: str
    """Path inside the package."""
    sha256: str


MEMBERS = {
    "onnxruntime.js": Member("dist/ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"),
    "onnxruntime.wasm": Member("dist/ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
}
"""The files by their names in a page: every web server has a media type for .js and .wasm."""
ADVICE = f"or give --runtime with a folder or a tarball of {PACKAGE} {VERSION}"


def read_runtime(given: Path | None = None) -> dict[str, bytes]:
    """Read the files of `MEMBERS`, by their names in a page.

    Args:
        given: folder of the unpacked package, or its tarball; None: the cache, or npm if the cache is empty.

    Raises:
        ConfigError: npm is not installed.
        DataError: npm could not download it; or `given` does not hold it, or holds another version.
    """
    if given is not None:
        return from_folder(given) if given.is_dir() else from_tarball(given)
    return from_cache() or fetch()


def cache_folder() -> Path:
    """Folder of this version in the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ser" / f"{PACKAGE}-{VERSION}"


def from_cache() -> dict[str, bytes] | None:
    """Read the cached files; None if they are missing or have changed."""
    folder = cache_folder()
    try:
        found = {name: (folder / name).read_bytes() for name in MEMBERS}
    except OSError:
        return None
    return found if not wrong(found) else None


def fetch() -> dict[str, bytes]:
    """Download the package with npm into the cache. Raises the errors of `read_runtime`."""
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError(f"a page needs {PACKAGE} {VERSION}, which npm downloads once: install npm (it comes with Node.js), {ADVICE}")
    log.warning("downloading %s %s (33 MB), once", PACKAGE, VERSION)
    with tempfile.TemporaryDirectory() as folder:
        found = unpack(npm_pack(npm, Path(folder)).read_bytes())
    store(found)
    return found


def npm_pack(npm: str, folder: Path) -> Path:
    """The tarball, with the pinned checksum. Raises the errors of `read_runtime`."""
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=NPM_SECONDS, check=False)
        said = done.stderr
    except subprocess.TimeoutExpired:
        said = f"no answer for {NPM_SECONDS // 60} minutes"
    tarball = folder / f"{PACKAGE}-{VERSION}.tgz"
    if not tarball.is_file():
        what = " ".join(said.split())[:SHOWN]
        raise DataError(f"npm could not download {PACKAGE} {VERSION}: connect to the network once, {ADVICE} ({what})")
    if base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode() != INTEGRITY:
        raise DataError(f"the download of {PACKAGE} {VERSION} is corrupted (checksum mismatch): try again")
    return tarball


def store(found: Mapping[str, bytes]) -> None:
    """Write the files into the cache; if it cannot be written, the next export downloads them again."""
    try:
        for name, content in found.items():
            with atomic_write(cache_folder() / name) as file:
                file.write(content)
    except OSError as error:
        log.warning("%s could not be cached for the next export: %s", PACKAGE, error)


def from_tarball(path: Path) -> dict[str, bytes]:
    """Raises the errors of `read_runtime`."""
    if not path.is_file():
        raise DataError(f"--runtime {path} does not exist")
    return unpack(path.read_bytes(), str(path))


def unpack(content: bytes, name: str = PACKAGE) -> dict[str, bytes]:
    """The members, read by their names; nothing is extracted to the disk. Raises the errors of `read_runtime`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            files = {label: archive.extractfile(f"package/{member.path}") for label, member in MEMBERS.items()}
            return checked({label: file.read() for label, file in files.items() if file is not None}, name)
    except (tarfile.TarError, zlib.error, KeyError, EOFError, OSError) as error:
        raise DataError(f"{name} is not a tarball of {PACKAGE} {VERSION} ({error})") from None


def from_folder(folder: Path) -> dict[str, bytes]:
    """Raises the errors of `read_runtime`."""
    try:
        return checked({name: (folder / member.path).read_bytes() for name, member in MEMBERS.items()}, str(folder))
    except FileNotFoundError as error:
        raise DataError(f"--runtime {folder} is not a folder of {PACKAGE}: {error.filename} does not exist") from None


def checked(found: dict[str, bytes], name: str) -> dict[str, bytes]:
    """
    Raises:
        DataError: a file is missing, corrupted, or of another version.
    """
    bad = wrong(found)
    if bad:
        raise DataError(f"{name} is not {PACKAGE} {VERSION}, or is corrupted: {', '.join(MEMBERS[label].path for label in bad)}")
    return found


def wrong(found: Mapping[str, bytes]) -> list[str]:
    """The members that are missing or differ from the published ones."""
    return [name for name, member in MEMBERS.items() if hashlib.sha256(found.get(name, b"")).hexdigest() != member.sha256]
