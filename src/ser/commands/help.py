"""The help of the commands as plain text: no boxes, lines that end between words, and the width of the terminal.

The docstring of a command is its help. Paragraphs are wrapped; a paragraph that starts with `Examples:` keeps its lines, so that each
example can be pasted.
"""

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

import typer
from typer.core import TyperCommand, TyperGroup

WIDEST = 100
"""The highest number of columns of a line: longer lines are hard to read."""
NARROWEST = 40
"""The lowest number of columns of a line."""
BESIDE = 26
"""The highest number of columns of the names of options; the text of a longer name starts on the next line."""
EXAMPLES = "Examples:"
"""Start of the paragraph of a help text that is not wrapped."""

Row = tuple[str, str]


def width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))


def bold(text: str) -> str:
    """Bold text on a terminal that supports it."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[1m{text}\033[0m"


def wrap(text: str, columns: int, indent: str = "", first: str | None = None) -> str:
    """Wrap text between words; a word that is longer than a line, such as a URL, is not broken.

    >>> wrap("see https://example.org/a-long-path", 12)
    'see\\nhttps://example.org/a-long-path'
    """
    first = indent if first is None else first
    return textwrap.fill(text, columns, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def paragraphs(text: str, columns: int) -> str:
    """The docstring of a command for the terminal, without markup."""
    shown = []
    for paragraph in inspect.cleandoc(text).replace("`", "").split("\n\n"):
        keep = paragraph.startswith(EXAMPLES)
        shown.append(bold(EXAMPLES) + paragraph.removeprefix(EXAMPLES) if keep else wrap(" ".join(paragraph.split()), columns))
    return "\n\n".join(shown)


def summary(text: str) -> str:
    """The first sentence of a help text.

    >>> summary("Train `a.b` a model: fast. It needs features.")
    'Train a.b a model: fast.'
    """
    first = " ".join(inspect.cleandoc(text).replace("`", "").split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", first)[0]


def definitions(rows: Sequence[Row], columns: int) -> str:
    """Names with their texts beside them, or below them if a name is long."""
    beside = min(max((len(name) for name, _ in rows), default=0), BESIDE)
    indent = " " * (beside + 4)
    lines = []
    for name, text in rows:
        if len(name) <= beside:
            lines.append(wrap(text, columns, indent, f"  {name:<{beside}}  ") if text else f"  {name}")
        else:
            lines += [f"  {name}", wrap(text, columns, indent)] if text else [f"  {name}"]
    return "\n".join(lines)


def names_of(option: typer.core.TyperOption) -> str:
    """`-m, --model MODEL`; `--audio / --no-audio`."""
    names = ", ".join(sorted(option.opts, key=len))
    other = f" / {', '.join(option.secondary_opts)}" if option.secondary_opts else ""
    takes_value = not option.is_flag and not option.count
    return f"{names}{other}" + (f" {option.metavar or 'TEXT'}" if takes_value else "")


def text_of(option: typer.core.TyperOption) -> str:
    """The help of an option, and its default if that is informative."""
    text = " ".join((option.help or "").replace("`", "").split())
    default = option.default
    if option.show_default and default not in (None, False, 0, "", ()) and not callable(default):
        shown = option.opts[0] if option.is_flag and option.secondary_opts else default
        text += f" [default: {shown}]"
    return text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """
    >>> nearest("steps=", ["steps", "set"])
    'steps'
    """
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


class Help:
    """Help and usage that commands and groups of commands share."""

    def rows_of_options(self, context: typer.Context) -> Iterator[Row]:
        for parameter in context.command.get_params(context):
            if isinstance(parameter, typer.core.TyperOption) and not parameter.hidden:
                yield names_of(parameter), text_of(parameter)

    def rows_of_arguments(self, context: typer.Context) -> Iterator[Row]:
        for parameter in context.command.get_params(context):
            if isinstance(parameter, typer.core.TyperArgument) and not parameter.hidden:
                yield metavar(parameter), " ".join((parameter.help or "").replace("`", "").split())

    def usage(self, context: typer.Context, more: str = "") -> str:
        arguments = [parameter for parameter in context.command.params if isinstance(parameter, typer.core.TyperArgument)]
        pieces = [usage_piece(argument) for argument in arguments]
        return wrap(" ".join(["Usage:", context.command_path, "[OPTIONS]", *pieces, *([more] if more else [])]), width(), " " * 7, "")

    def full_help(self, context: typer.Context, sections: Iterable[tuple[str, Sequence[Row]]], more: str = "") -> str:
        columns = width()
        parts = [self.usage(context, more), paragraphs(context.command.help or "", columns)]
        parts += [f"{bold(title + ':')}\n{definitions(rows, columns)}" for title, rows in sections if rows]
        return "\n\n".join(parts)


def metavar(argument: typer.core.TyperArgument) -> str:
    return argument.metavar or (argument.name or "").upper()


def usage_piece(argument: typer.core.TyperArgument) -> str:
    """`MODEL`, `[RUN]`, `[PATH]...`"""
    name = metavar(argument)
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs != 1 else "")


class Command(Help, TyperCommand):
    """A command with plain help."""

    def get_usage(self, ctx: typer.Context) -> str:  # type: ignore[override]
        return self.usage(ctx)

    def get_help(self, ctx: typer.Context) -> str:  # type: ignore[override]
        sections = (("Arguments", list(self.rows_of_arguments(ctx))), ("Options", list(self.rows_of_options(ctx))))
        return self.full_help(ctx, sections)


class Group(Help, TyperGroup):
    """Commands under one name, listed in the order of `ORDER`."""

    order: tuple[str, ...] = ()
    """Names of the commands, in the order in which they are listed."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override] # noqa: ARG002
        return sorted(self.commands, key=lambda name: self.order.index(name) if name in self.order else len(self.order))

    def get_usage(self, ctx: typer.Context) -> str:  # type: ignore[override]
        return self.usage(ctx, "COMMAND")

    def get_help(self, ctx: typer.Context) -> str:  # type: ignore[override]
        commands = [(name, summary(self.commands[name].help or "")) for name in self.list_commands(ctx)]
        return self.full_help(ctx, (("Commands", commands), ("Options", list(self.rows_of_options(ctx)))), "COMMAND")

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]
        """The command of this name; errors name the nearest command or option."""
        name = args[0]
        if name in self.commands or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        return ctx.fail(f"there is no command {name!r}{self.advice(name, ctx)}")

    def advice(self, name: str, context: typer.Context) -> str:
        """A suggestion for a command that does not exist."""
        options = {option.lstrip("-"): option for parameter in self.get_params(context) for option in parameter.opts}
        near = nearest(name, [*self.commands, *options])
        if near in self.commands:
            return f": did you mean {context.command_path} {near}?"
        return "" if near is None else f": did you mean the option {options[near]}?"


class Root(Group):
    """All commands, in the order of work."""

    order = (
        "demo", "doctor", "run", "extract", "transform", "load", "train", "report", "visualize", "export", "predict", "serve", "protocol",
        "config", "info",
    )  # fmt: skip

    def advice(self, name: str, context: typer.Context) -> str:
        """A suggestion for a recording or a config that was given in place of a command."""
        if name.endswith((".yaml", ".yml", "cfg.json")):
            return f": did you mean {context.command_path} run --config {name}?"
        if os.path.exists(name):  # noqa: PTH110 - Path's raises where a name is too long
            return f": did you mean {context.command_path} predict {name}?"
        return super().advice(name, context)
