"""The page of a sign: what it says, how it is graded, and what it says about which cause."""

from __future__ import annotations

import dis
from collections.abc import Iterator

from gradlens.diagnosis.signs import FEW_ROWS, PARTS, SIGNS, Sign
from gradlens.diagnosis.weighing import load_weights
from gradlens.explain.prose import Section, table
from gradlens.reporters.wording import TITLES

ALL = {**SIGNS, **PARTS}


def sign_sections(name: str) -> Iterator[Section]:
    """The page of one sign, or of a part that only signs are made of."""
    sign = ALL[name]
    yield Section("", f"{'Sign' if name in SIGNS else 'Part of signs'} {name}")
    yield Section("", f"The log shows that {sign.text}.")
    yield Section("How it is graded", "\n\n".join(_grading(sign)))
    made_of = parts_of(sign)
    if made_of:
        yield Section("What it is made of", table((part.name, part.text) for part in made_of))
    used_in = [other for other in ALL.values() if sign in parts_of(other)]
    if used_in:
        yield Section("What is made of it", table((other.name, other.text) for other in used_in))
    yield from _causes(name)


def _grading(sign: Sign) -> Iterator[str]:
    if sign.explanation:
        yield sign.explanation
    if any(" to " in str(limit) for limit in sign.words.values()):
        yield (
            "Of each pair of figures the grade is 0 at the first and 1 at the second, and rises evenly between; several grades"
            " are multiplied."
        )
    if sign.name in SIGNS and not sign.any_length:
        yield f"In a log of fewer than {FEW_ROWS} rows the grade is 0."


def _causes(name: str) -> Iterator[Section]:
    """The causes that the sign speaks for and against, the largest weight first."""
    weights = [(cause, table_[name]) for cause, table_ in load_weights().signs.items() if table_.get(name)]
    weights.sort(key=lambda pair: -abs(pair[1]))
    for title, sign_of in (("Speaks for", 1), ("Speaks against", -1)):
        rows = [(f"{weight:+.2f}", cause, TITLES[cause]) for cause, weight in weights if weight * sign_of > 0]
        if rows:
            yield Section(title, table(rows))


def parts_of(sign: Sign) -> tuple[Sign, ...]:
    """The signs and parts whose grades a sign's own function calls, in the order of the code."""
    called = [i.argval for i in dis.get_instructions(sign.grade) if i.opname == "LOAD_GLOBAL"]
    return tuple(ALL[name] for name in dict.fromkeys(called) if name in ALL)
