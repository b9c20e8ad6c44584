"""The commands by name: a row per command, its module is imported when it runs or its own help is asked for.

So `gradlens --help` and every command load only what they need of the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from gradlens.cli.help import Command
from gradlens.errors import UsageError


class Entry(NamedTuple):
    """One command: the module and name of its function, or of a `typer.Typer` that groups several."""

    module: str
    attribute: str
    summary: str


def _entry(name: str, summary: str) -> tuple[str, Entry]:
    attribute = name.replace("-", "_")
    return name, Entry(f"gradlens.cli.{attribute}", attribute, summary)


#: In the order of the help.
COMMANDS: dict[str, Entry] = dict(
    (
        _entry("analyze", "Diagnose runs: what happened, why, what to do."),
        _entry("suggest-threshold", "Recommend a clipping threshold."),
        _entry("gate", "Judge whether runs are worse than a baseline or a limit."),
        _entry("baseline", "Write the summary that `gate` compares with."),
        _entry("compare", "Set runs side by side and say what differs."),
        _entry("explain", "Explain a check, a cause, a sign or a method."),
        _entry("formats", "List the log formats that can be read."),
        _entry("convert", "Write a run as it was read: Parquet, CSV or JSON lines."),
        _entry("watch", "Follow growing logs: what is new, what fell silent."),
        _entry("mcp", "Serve agents over the Model Context Protocol."),
        _entry("demo", "Show the report of a log that is made for it."),
        _entry("fleet", "Judge thousands of runs, a row per run in one table."),
    )
)


def load(name: str) -> Any:
    """The command of a name as click knows it.

    Raises
    ------
    KeyError
        There is no such command.
    """
    entry = COMMANDS[name]
    found = getattr(import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(found)
    return typer.main.get_command(alone)


class Commands(TyperGroup):
    """The group of all commands. Typer ships its own copy of click in some versions, so the types are those of neither."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the parameters of click
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of a name, None where there is none."""
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names; for an unknown word the error says what is spelled like it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches
            from pathlib import Path

            near = get_close_matches(args[0], COMMANDS, n=1)
            if Path(args[0]).exists() or "://" in args[0]:
                raise UsageError(f"no command {args[0]}", hint=f"to judge that log: gradlens analyze {args[0]}")
            hint = f"did you mean {near[0]}?" if near else "`gradlens --help` lists the commands"
            raise UsageError(f"no command {args[0]}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the names with their summaries, without loading a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])
