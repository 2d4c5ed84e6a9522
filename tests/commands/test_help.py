"""The help of every command at every width: plain text that can be read and pasted. And what the shell completes."""

import re

import pytest
from typer.main import get_command

from conftest import Ser
from ser.cli import app
from ser.commands.arguments.completion import complete_configs, complete_protocols, complete_runs, complete_steps
from ser.commands.help import Group, Root
from ser.config_file import load_config
from ser.splits.protocols import read_protocols
from workspace import Workspace

ROOT = get_command(app)


def every_command() -> list[tuple[str, ...]]:
    assert isinstance(ROOT, Group)
    inner = {name: command for name, command in ROOT.commands.items() if isinstance(command, Group)}
    return [(), *((name,) for name in ROOT.commands), *((name, leaf) for name, group in inner.items() for leaf in group.commands)]


COMMANDS = every_command()


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(("ser", *command)))
def test_help_is_plain_and_whole(ser: Ser, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], columns: int) -> None:
    """No braces, boxes, types or backticks; no line wider than asked; the words of the widest help, none of them broken; an example."""
    monkeypatch.setenv("COLUMNS", "400")
    words = ser(*command, "--help").out.split()
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = ser(*command, "--help")
    assert answer.code == 0
    assert answer.out.split() == words
    assert max(map(len, answer.out.splitlines())) <= columns
    assert not re.search(r"[{}`│─╭…]|<\w+>", answer.out)
    assert re.search(rf"Examples:\n  {' '.join(('ser', *command))}", answer.out)
    assert answer.out.startswith(f"Usage: {' '.join(('ser', *command))}")


def test_every_option_that_takes_a_value_has_a_name_for_it() -> None:
    assert "TEXT" not in {word for command in COMMANDS for word in options_of(command)}


def options_of(names: tuple[str, ...]) -> list[str]:
    command = ROOT
    for name in names:
        assert isinstance(command, Group)
        command = command.commands[name]
    return [
        str(getattr(parameter, "metavar", None) or "TEXT")
        for parameter in command.params
        if not getattr(parameter, "is_flag", False) and not getattr(parameter, "count", False) and "completion" not in str(parameter.name)
    ]


def test_commands_are_listed_in_the_order_of_work(ser: Ser) -> None:
    assert isinstance(ROOT, Group)
    assert set(ROOT.commands) == set(Root.order)
    listed = re.findall(r"^  ([a-z]+)  ", ser("--help").out.partition("Commands:")[2].partition("Options:")[0], re.MULTILINE)
    assert listed == list(Root.order)


def test_help_is_bold_only_where_it_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from ser.commands.help import bold

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert bold("x") == "\033[1mx\033[0m"
    monkeypatch.setenv("TERM", "dumb")
    assert bold("x") == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert bold("x") == "x"


# -- completion ------------------------------------------------------------------------


def test_protocols_are_completed_without_reading_them() -> None:
    assert set(complete_protocols("")) == set(read_protocols())
    assert complete_protocols("savee/e") == ["savee/emobox"]


def test_steps_are_completed_each_once() -> None:
    assert complete_steps("tra") == ["transform", "train"]
    assert complete_steps("train,tra") == ["train,transform"]


def test_configs_and_runs_are_completed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)
    (workspace.runs / "mine").mkdir(parents=True)
    (workspace.runs / "mine/cfg.json").write_text("{}")
    assert complete_runs("") == ["runs/mine"]
    assert "spectral_crnn.yaml" in complete_configs("spec")
    assert complete_configs("fa") == ["fast.yaml"]
    assert all(load_config(name) for name in complete_configs("moe_"))


def test_the_shell_gets_a_script_and_then_answers(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ser("--show-completion", "bash")
    assert (answer.code, "_SER_COMPLETE" in answer.out) == (0, True)
    for typed, expected in {"ser --steps lo": ["load"], "ser protocol show savee/": ["savee/loso", "savee/emobox"]}.items():
        monkeypatch.setenv("_SER_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        assert ser().out.split() == expected
