"""onnxruntime for browsers is taken as it was published or not at all, and fetched once."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from ser.errors import ConfigError, DataError
from ser.export import browser_runtime as web_runtime
from ser.export.browser_runtime import PACKAGE, VERSION, Member, read_runtime

CONTENT = {"onnxruntime.js": b"export const a = 1;", "onnxruntime.wasm": b"\0asm"}
PATHS = {"onnxruntime.js": "dist/a.mjs", "onnxruntime.wasm": "dist/a.wasm"}


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


PACKED = {f"package/{PATHS[name]}": content for name, content in CONTENT.items()}
PUBLISHED = tarball({"package/package.json": b"{}", "../../outside": b"x", "/outside": b"x", **PACKED})


@pytest.fixture(autouse=True)
def small_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package of two small files takes the place of the real one, and the cache is empty."""
    members = {name: Member(PATHS[name], hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()}
    monkeypatch.setattr(web_runtime, "MEMBERS", members)
    monkeypatch.setattr(web_runtime, "INTEGRITY", base64.b64encode(hashlib.sha512(PUBLISHED).digest()).decode())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def install_npm(tmp_path: Path, packed: bytes = PUBLISHED, *, fails: bool = False) -> Path:
    """A program of that name; returns where it counts its calls."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "packed.tgz").write_bytes(packed)
    calls, npm = tmp_path / "calls", tmp_path / "bin" / "npm"
    work = "echo 'npm error network' >&2; exit 1" if fails else f"/bin/cp {tmp_path}/packed.tgz {PACKAGE}-{VERSION}.tgz"
    npm.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{work}\n')
    npm.chmod(0o755)
    return calls


def test_npm_is_asked_once_for_the_pinned_version(tmp_path: Path) -> None:
    calls = install_npm(tmp_path)
    assert read_runtime() == CONTENT
    assert read_runtime() == CONTENT
    (asked,) = calls.read_text().splitlines()
    assert asked.startswith(f"pack {PACKAGE}@{VERSION} ")


def test_nothing_of_an_archive_is_written_but_what_is_named(tmp_path: Path) -> None:
    install_npm(tmp_path)
    read_runtime()
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"packed.tgz", "calls", "bin/npm", *(f"cache/ser/{PACKAGE}-{VERSION}/{name}" for name in CONTENT)}


@pytest.mark.parametrize("damage", [b"", b"something else"])
def test_a_damaged_cache_is_fetched_again(tmp_path: Path, damage: bytes) -> None:
    calls = install_npm(tmp_path)
    read_runtime()
    (web_runtime.cache_folder() / "onnxruntime.js").write_bytes(damage)
    assert read_runtime() == CONTENT
    assert len(calls.read_text().splitlines()) == 2


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    install_npm(tmp_path)
    (tmp_path / "cache").write_text("a file")
    assert read_runtime() == CONTENT


def test_other_bytes_under_the_same_name_are_refused(tmp_path: Path) -> None:
    install_npm(tmp_path, tarball({**PACKED, "package/more": b""}))
    with pytest.raises(DataError, match="checksum mismatch"):
        read_runtime()


def test_without_npm_one_line_says_how_to_get_it() -> None:
    with pytest.raises(ConfigError, match=r"install npm .*, or give --runtime"):
        read_runtime()


def test_without_a_network_one_line_says_so(tmp_path: Path) -> None:
    install_npm(tmp_path, fails=True)
    with pytest.raises(DataError, match=r"connect to the network once, or give --runtime .*\(npm error network\)"):
        read_runtime()


def test_a_tarball_or_a_folder_does_without_npm(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(PUBLISHED)
    assert read_runtime(tmp_path / "a.tgz") == CONTENT
    for name, content in CONTENT.items():
        (tmp_path / "package" / PATHS[name]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "package" / PATHS[name]).write_bytes(content)
    assert read_runtime(tmp_path / "package") == CONTENT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is not a tarball of"),
        (b"no archive", "is not a tarball of"),
        (PUBLISHED[: len(PUBLISHED) // 2], "is not a tarball of"),
        (tarball({"package/other": b""}), "is not a tarball of"),
        (tarball({**PACKED, "package/dist/a.wasm": b"older"}), r"or is corrupted: dist/a\.wasm"),
    ],
    ids=["missing", "empty", "no archive", "half", "another package", "another version"],
)
def test_a_tarball_of_something_else_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "a.tgz").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_runtime(tmp_path / "a.tgz")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder of"):
        read_runtime(tmp_path)
    (tmp_path / "dist").mkdir()
    for path in PATHS.values():
        (tmp_path / path).write_bytes(b"older")
    with pytest.raises(DataError, match="or is corrupted"):
        read_runtime(tmp_path)
