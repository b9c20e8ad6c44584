"""What a report says of labelled runs: the signs, the joint judgement where `gradlens.diagnosis.deciding` lets it decide, the facts.

A family is judged by signs, network and join that saw nothing of it (`benchmarks.diagnosis.naming`); the rule itself was chosen on
these figures, and tried once on the newest look. Ceilings of confidence are left out, and a loss whose course means nothing is
judged here as any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.diagnosis.fit import CAUSES as SIGN_CAUSES
from benchmarks.diagnosis.opinion import CAUSES, Array, with_facts, without_recorder
from gradlens.diagnosis.deciding import Ruling, ruling, without
from gradlens.diagnosis.opinion import MIN_ROWS, Joint, Network, likeness_of

if TYPE_CHECKING:
    from benchmarks.diagnosis.table import Table

#: The exceptions to the signs, alone and all together.
EXCEPTIONS: tuple[Ruling, ...] = ("named", "calmed", "warned")


def shares_of(signs: Array) -> Array:
    """The answers of the signs as shares of one: what no sign speaks of has none."""
    found = signs.copy()
    found[:, [cause not in SIGN_CAUSES for cause in CAUSES]] = 0.0
    found /= found.sum(axis=1, keepdims=True)
    return found


def rulings(
    signs: Array, curves: Array, joint: Array, table: Table, network: Network, *, recorded: bool
) -> list[Ruling]:
    """Who decides on each run; of `network` only the scale of the traits is used."""
    traits = table.traits if recorded else without_recorder(table.traits)
    outside, missing = likeness_of(traits, network)
    found: list[Ruling] = []
    for i, label in enumerate(table.labels):
        together = Joint(
            alone=dict(zip(CAUSES, curves[i].tolist(), strict=True)), together=dict(zip(CAUSES, joint[i].tolist(), strict=True)),
            outside=float(outside[i]), missing=float(missing[i]),
        )  # fmt: skip
        out, doubted = frozenset(label["excluded"]), frozenset(label["doubted"])
        found.append(ruling(
            without(dict(zip(CAUSES, signs[i].tolist(), strict=True)), out | doubted),
            together if label["rows"] >= MIN_ROWS and label["means"] else None,
            proven=label["proven"] is not None, serious=label["grave"] is not None, excluded=out, doubted=doubted,
        ))  # fmt: skip
    return found


def said_of(signs: Array, joint: Array, table: Table, who: Sequence[Ruling], among: Sequence[Ruling]) -> Array:
    """(runs, causes): what is said where only some exceptions are made."""
    counts = np.array([one in among for one in who])
    return with_facts(np.where(counts[:, None], joint, signs), table)


def variants(
    signs: Array, curves: Array, joint: Array, table: Table, network: Network, *, recorded: bool
) -> list[tuple[str, int, Array]]:
    """By who decides: in how many runs the signs are overruled, and what is said."""
    signs = shares_of(signs)
    who = rulings(signs, curves, joint, table, network, recorded=recorded)
    count = Counter(who)
    rows: list[tuple[str, int, Array]] = [("signs", 0, with_facts(signs, table))]
    rows += [(f"signs, *{one}*", count[one], said_of(signs, joint, table, who, (one,))) for one in EXCEPTIONS]
    overruled = sum(count[one] for one in EXCEPTIONS)
    rows.append(("the rule: all three", overruled, said_of(signs, joint, table, who, EXCEPTIONS)))
    rows.append(("signs and curves together always", len(table), with_facts(joint, table)))
    return rows
