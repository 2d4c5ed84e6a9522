"""A package of an extra is there, or one line says why not."""

import sys
from pathlib import Path

import pytest

from ser.errors import ConfigError
from ser.system.optional import import_optional


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of which every test writes its own."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "of_an_extra", raising=False)
    return tmp_path / "of_an_extra.py"


def test_what_is_there_is_imported(package: Path) -> None:
    package.write_text("ANSWER = 42")
    assert import_optional("of_an_extra", "").ANSWER == 42


@pytest.mark.usefixtures("package")
def test_what_is_not_there_is_told_with_its_extra() -> None:
    with pytest.raises(ConfigError, match=r"^--sing needs it$"):
        import_optional("of_an_extra", "--sing needs it")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ImportError('failed to map segment\\n from shared object')", "failed to map segment from shared object"),
        ("ImportError('std::bad_alloc') from MemoryError()", "std::bad_alloc"),
        ("ModuleNotFoundError('No module named flatbuffers', name='flatbuffers')", "No module named flatbuffers"),
    ],
)
def test_what_cannot_be_imported_is_not_called_missing(package: Path, error: str, words: str) -> None:
    package.write_text(f"raise {error}")
    with pytest.raises(ConfigError, match=f"^of_an_extra cannot be imported: {words}$"):
        import_optional("of_an_extra", "--sing needs it")


@pytest.mark.parametrize("stop", ["KeyboardInterrupt", "SystemExit"])
def test_ctrl_c_is_ctrl_c_also_where_a_module_makes_an_import_error_of_it(package: Path, stop: str) -> None:
    package.write_text(f"raise ImportError('initialization failed') from {stop}()")
    with pytest.raises((KeyboardInterrupt, SystemExit)) as stopped:
        import_optional("of_an_extra", "--sing needs it")
    assert stopped.type.__name__ == stop
