"""Grammars of trainers of agents and of models of atoms."""

from __future__ import annotations

from gradlens.readers.console.grammar import Fields, Grammar, Line

CONTROL: tuple[Grammar, ...] = (
    Grammar(
        name="rsl_rl",
        lines=(
            Line(
                pattern=r"\bLearning iteration (?P<step>\d+)/\d+",
                fields=Fields.NAMED,
                block=r"^\s*(?P<key>[A-Z][\w /()-]*?):\s+(?P<value>[-+.\da-zA-Z]+)",
            ),
        ),
    ),
    Grammar(
        name="madrona",
        lines=(
            Line(
                pattern=r"^Update: (?P<step>\d+)\s*$",
                fields=Fields.NAMED,
                block=r"(?<!\w)(?P<key>[A-Z]\w*+(?: \w+){0,6}):\s+(?P<value>[-+.\de]+|nan|inf)",
            ),
        ),
    ),
)
