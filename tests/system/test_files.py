"""Atomic writing and the lock, against other processes."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import ArtefactError, LockedError
from ser.system.files import atomic_write, digest_json, exclusive_lock, read_json, sha256_file, write_json, write_text

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_file_appears_with_its_folders_only_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "out.bin"
    with atomic_write(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"


def fail_in_the_middle(file: IO[bytes], error: BaseException) -> None:
    file.write(b"half of the ne")
    raise error


@pytest.mark.parametrize("error", [ValueError("defect"), KeyboardInterrupt(), OSError(errno.ENOSPC, "disk full")])
def test_an_exception_leaves_the_old_file_and_no_temporary(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out.txt"
    write_text(path, "old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        fail_in_the_middle(file, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_text(path, "old")
    program = f"""
import os, signal
from pathlib import Path
from ser.system.files import atomic_write
with atomic_write(Path({str(path)!r})) as file:
    file.write(b"half"); file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_written_file_obeys_the_umask(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@settings(max_examples=30, deadline=None)
@given(value=JSON_VALUES)
def test_json_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), {"uar": float("inf")}])
def test_json_refuses_what_json_has_not_and_keeps_the_old_file(tmp_path: Path, value: object) -> None:
    path = tmp_path / "scores.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, value)
    assert read_json(path) == 1


@pytest.mark.parametrize(
    "content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"[1] [2]", b"[" * 200_000, b'{"a": NaN}', b"[-Infinity]", b"[1e999]"]
)
def test_damaged_json_is_an_artefact_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"index\.json is corrupted") as error:
        read_json(path)
    assert len(str(error.value).splitlines()) == 1


def test_digests_tell_different_values_apart() -> None:
    values = [None, 0, "0", [], {}, [1, 2], [2, 1], {"a": 1}, {"a": 2}, {"a": {"b": 1}}]
    assert len({digest_json(value) for value in values}) == len(values)


def test_sha256_of_a_file_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def hold_lock(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until it is told or killed."""
    program = f"""
import sys
from pathlib import Path
from ser.system.files import exclusive_lock
with exclusive_lock(Path({str(path)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    return owner


def test_a_lock_held_by_another_process_names_it(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "store" / "lock") as owner:
        try:
            with (
                pytest.raises(LockedError, match=f"store is being written by process {owner.pid};"),
                exclusive_lock(tmp_path / "store" / "lock"),
            ):
                pass
        finally:
            owner.kill()


def test_a_dead_owner_leaves_the_lock_free(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock") as owner:
        owner.kill()
        owner.wait()
    with exclusive_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_dead_owner_leaves_the_lock_free_although_its_child_lives(tmp_path: Path) -> None:
    program = f"""
import subprocess, sys
from pathlib import Path
from ser.system.files import exclusive_lock
with exclusive_lock(Path({str(tmp_path / "lock")!r})):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        try:
            with exclusive_lock(tmp_path / "lock"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lock_is_free_again_after_its_block_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(tmp_path / "lock"):
        raise ZeroDivisionError
    with exclusive_lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_a_lock_leaves_neither_its_file_nor_empty_folders(tmp_path: Path, fails: bool) -> None:
    with suppress(ZeroDivisionError), exclusive_lock(tmp_path / "new/folder/.lock"):
        if fails:
            raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    (tmp_path / "old").mkdir()
    with exclusive_lock(tmp_path / "old/.lock"), exclusive_lock(tmp_path / "new/.lock"):
        (tmp_path / "new/result").touch()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["new", "new/result", "old"]


def test_who_opened_a_lock_that_its_owner_then_removed_takes_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a third process could lock the file of that name, and both would write."""
    path, flock, calls = tmp_path / ".lock", fcntl.flock, iter([True])

    def late(file: IO[str], operation: int) -> None:
        if next(calls, False):
            path.unlink()  # as the owner does when it ends
        flock(file, operation)

    monkeypatch.setattr("ser.system.files.fcntl.flock", late)
    with exclusive_lock(path):
        assert path.read_text() == str(os.getpid())
        with pytest.raises(LockedError), exclusive_lock(path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("ser.system.files.fcntl.flock", refuse)
    with exclusive_lock(tmp_path / "store/.lock"):
        pass
    assert caplog.messages == [
        f"{tmp_path / 'store'}: this file system has no locks ({os.strerror(number)}): make sure that no other process writes there"
    ]


def test_another_error_of_a_lock_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("ser.system.files.fcntl.flock", refuse)
    with pytest.raises(OSError, match="Input/output error"), exclusive_lock(tmp_path / ".lock"):
        pass


def test_the_lock_excludes_a_second_holder_in_the_same_process(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "lock"):
        for _ in range(2):  # a refused attempt frees nothing
            with pytest.raises(LockedError), exclusive_lock(tmp_path / "lock"):
                pass
