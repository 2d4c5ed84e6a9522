"""What is installed: under which name, which versions, and what the advice to install something says."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from places import PACKAGE, ROOT
from ser.pipeline import doctor
from ser.system import optional

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
TEXTS = (".py", ".md", ".yaml", ".yml", ".toml", ".js", ".html", ".j2", ".txt", ".cff", ".service")
OTHERS_PACKAGE = re.compile(r"['\"` ]ser\[[a-z]|pip install (?:-\S+ )*['\"]?ser(?![-\w/])")
"""Advice to install `ser`, a name that belongs to another project on PyPI."""


def written() -> list[Path]:
    """Every text of the project that a reader or a user may see."""
    folders = ["src", "docs", "scripts", "benchmarks", "requirements", "deploy", ".github", ".ci"]
    built = ROOT / "docs" / "_build"
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.is_file() and built not in path.parents]
    return [
        *(path for path in ROOT.glob("[!.]*.*") if path.is_file()),
        ROOT / "Makefile",
        *(path for path in files if path.suffix in TEXTS or path.name in ("run", "Dockerfile")),
    ]


def test_no_advice_installs_the_package_of_another_project() -> None:
    found = [
        f"{path.relative_to(ROOT)}, line {number}: {line.strip()}"
        for path in written()
        if path.suffix not in (".png", ".json")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OTHERS_PACKAGE.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install 'ser[viz]'", True),
        ('pip install "ser[viz]"', True),
        ("pip install ser[viz]", True),
        ("`pip install ser`", True),
        ("pip install -U ser", True),
        ("pip install 'ser-toolkit[viz]'", False),
        ("pip install ser-toolkit", False),
        ("pip install serious", False),
        ("self.layers[0]", False),
    ],
)
def test_the_search_for_such_advice_finds_it(line: str, found: bool) -> None:
    assert bool(OTHERS_PACKAGE.search(line)) == found


def script(distribution: str, module: str = "ser.cli") -> SimpleNamespace:
    """An entry point as `importlib.metadata` returns it."""
    return SimpleNamespace(module=module, dist=SimpleNamespace(name=distribution))


@pytest.mark.parametrize(
    ("scripts", "name"),
    [
        ([script("ser-toolkit")], "ser-toolkit"),
        ([script("a-fork-of-ser")], "a-fork-of-ser"),
        ([script("ser", "ser.susceptible_excited_refractory"), script("ser-toolkit")], "ser-toolkit"),
        ([script("ser"), script("ser-toolkit")], "ser-toolkit"),
        ([SimpleNamespace(module="ser.cli", dist=None)], "ser-toolkit"),
        ([], "ser-toolkit"),
    ],
    ids=["installed", "fork", "beside a stranger", "beside its old name", "without metadata", "source tree"],
)
def test_the_advice_names_the_distribution_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, scripts: list[SimpleNamespace], name: str
) -> None:
    monkeypatch.setattr(optional, "entry_points", lambda **_: scripts)
    optional.distribution_name.cache_clear()
    try:
        assert optional.install_hint("viz") == f"pip install '{name}[viz]'"
        assert optional.install_hint() == f"pip install {name}"
    finally:
        optional.distribution_name.cache_clear()


def test_every_extra_that_a_message_names_exists() -> None:
    named = {
        extra
        for path in PACKAGE.rglob("*.py")
        for call in re.findall(r"(?:install_hint|require)\(([^)]*)\)", path.read_text(encoding="utf-8"))
        for extra in re.findall(r"['\"](\w+)['\"]", call)
        if extra in EXTRAS or "install_hint" in call
    }
    assert {"viz", "export"} <= named <= EXTRAS.keys()


def test_the_name_of_a_source_tree_is_that_of_pyproject() -> None:
    assert PROJECT["name"] == optional.DISTRIBUTION
    assert PROJECT["scripts"] == {optional.PROGRAM: "ser.cli:main"}
    own = [text for extra in EXTRAS.values() for text in extra if text.startswith("ser")]
    assert own
    assert all(text.startswith(f"{optional.DISTRIBUTION}[") for text in own)


def test_all_is_every_extra_but_the_tools_and_the_aliases() -> None:
    (everything,) = (Requirement(text) for text in EXTRAS["all"])
    assert everything.extras == {name for name, packages in EXTRAS.items() if packages} - {"all", "dev", "docs"}


def test_doctor_looks_for_the_dependencies_of_pyproject() -> None:
    assert set(doctor.CORE) == {requirement.name for requirement in CORE}


# -- exact versions --------------------------------------------------------------


def constrained() -> dict[str, list[Requirement]]:
    """name -> its lines; several where versions differ by Python or system."""
    found: dict[str, list[Requirement]] = {}
    for line in CONSTRAINTS.splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_constraints_have_a_version_in_range_of_every_dependency() -> None:
    versions = constrained()
    wanted = [*CORE, *(Requirement(text) for extra in EXTRAS.values() for text in extra)]
    for requirement in wanted:
        if requirement.name == optional.DISTRIBUTION:
            continue
        lines = versions[canonicalize_name(requirement.name)]
        for line in lines:
            (pin,) = line.specifier
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), f"{line}: run `make constraints`"


def test_constraints_name_no_index_and_a_torch_that_every_build_satisfies() -> None:
    assert "torch==2.13.0" in CONSTRAINTS.splitlines()
    assert not re.search(r"^-|://|@|\+", CONSTRAINTS, re.MULTILINE)


def test_the_ranges_of_torch_and_python() -> None:
    torch = next(requirement for requirement in CORE if requirement.name == "torch")
    assert str(torch.specifier) == "<3,>=2.13"
    assert PROJECT["requires-python"] == ">=3.11"
