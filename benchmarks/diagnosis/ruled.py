"""What a report says of labelled runs: the signs, the second opinion where `gradlens.diagnosis.deciding` lets it decide, the facts.

A family is judged by signs and trees that saw nothing of it (`benchmarks.diagnosis.naming`); the rule itself was chosen on
these figures. Ceilings of confidence are left out. Facts are those of the day on which the table was packed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.diagnosis.fit import CAUSES as SIGN_CAUSES
from benchmarks.diagnosis.opinion import CAUSES, HEALTHY, Array, without_recorded_signs, without_recorder
from gradlens.diagnosis.deciding import (
    UNCHANGED,
    Ruling,
    confidences,
    is_unlike,
    left_out,
    likeliest,
    overshoots,
    plainly_unstable,
    ruling,
    stands,
    stated_by,
    without,
)
from gradlens.diagnosis.opinion import MIN_ROWS, Learned, SecondOpinion, likeness_of
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.weighing import UNEXPLAINED
from gradlens.reports.base import Cause

if TYPE_CHECKING:
    from benchmarks.diagnosis.table import Table

#: What the whole rule is called among the variants.
THE_RULE = "the rule: all four"
#: The confidence in what a fact proves.
PROVEN = 0.9
#: What becomes of the answer of the signs, each alone and all together.
EXCEPTIONS: tuple[Ruling, ...] = ("agreed", "named", "calmed", "warned")


def with_facts(p: Array, table: Table, *, by_curves: bool) -> Array:
    """The answers as a report gives them: a cause that a fact proves goes first, one that a fact rules out goes last.

    One that a fact doubts is not named by the signs; the curves may name it, and another than the one that a fact proves where they are
    surer than the fact. A run with a grave fact is never called healthy: what the fact says is wrong otherwise takes its place.
    """
    found = p.copy()
    for i, label in enumerate(table.labels):
        out, doubted = frozenset(label["excluded"]), frozenset(label["doubted"])
        said = dict(zip(CAUSES, p[i].tolist(), strict=True))
        left = without(said, out, doubted) if by_curves else left_of(said, out | doubted)
        found[i] = [left.get(cause, 0.0) for cause in CAUSES]
    curves = found if by_curves else None
    return proven_first(found, table, curves)


def proven_first(p: Array, table: Table, curves: Array | None) -> Array:
    """The answers with what facts prove or call wrong first, where that does not give way to `curves` (runs, causes)."""
    found = p.copy()
    for i, label in enumerate(table.labels):
        gives_way = (
            label["proven"]
            and curves is not None
            and not stands(label["proven"], label["sure"], dict(zip(CAUSES, curves[i].tolist(), strict=True)))
        )
        named = (None if gives_way else label["proven"]) or (label["grave"] if found[i].argmax() == HEALTHY else None)
        if named is None:
            continue
        at = CAUSES.index(named)
        sure = max(PROVEN if label["proven"] else found[i, HEALTHY], found[i, at])
        found[i] *= (1.0 - sure) / max(1.0 - found[i, at], 1e-12)
        found[i, at] = sure
    return found


def left_of(said: dict[Cause, float], out: frozenset[Cause]) -> dict[Cause, float]:
    """What the signs say without the causes that are out, adding up to one: as if there were none such.

    The share that goes to the rate for what is unexplained comes after that, as in `gradlens.diagnosis.weighing`.
    """
    first = dict(said)
    if likeliest(first)[0] != "healthy":
        first["lr_too_high"] -= UNEXPLAINED
    left = {cause: max(p, 0.0) for cause, p in first.items() if cause not in out or cause == "healthy"}
    total = sum(left.values())
    if total <= 0:
        return {"healthy": 1.0}
    kept = 1.0 - (UNEXPLAINED if likeliest(left)[0] != "healthy" and "lr_too_high" in left else 0.0)
    left = {cause: kept * p / total for cause, p in left.items()}
    if kept < 1.0:
        left["lr_too_high"] += UNEXPLAINED
    return left


def shares_of(signs: Array) -> Array:
    """The answers of the signs as shares of one: what no sign speaks of has none."""
    found = signs.copy()
    found[:, [cause not in SIGN_CAUSES for cause in CAUSES]] = 0.0
    found /= found.sum(axis=1, keepdims=True)
    return found


def rulings(
    signs: Array, opinion: Array, cautious: Array, table: Table, to_curves: Table, scale: Learned, *, recorded: bool
) -> list[tuple[Ruling, Array]]:
    """Who decides on each run, and (causes,) how likely each then is; of `scale` only the knots of the traits are used.

    `to_curves` are the same runs with what facts exclude for the curves (`_as_heard`).
    """
    traits = table.traits if recorded else without_recorder(table.traits)
    outside, missing = likeness_of(traits, scale)
    grades = table.signs if recorded else without_recorded_signs(table.signs)
    found: list[tuple[Ruling, Array]] = []
    for i, label in enumerate(table.labels):
        second = _second(opinion[i], cautious[i], outside=float(outside[i]), missing=float(missing[i]))
        out, doubted = frozenset(label["excluded"]), frozenset(label["doubted"])
        by_signs = left_of(dict(zip(CAUSES, signs[i].tolist(), strict=True)), out | doubted)
        out = frozenset(to_curves.labels[i]["excluded"])
        by_curves = without(second.cautious, out, doubted)
        proven = label["proven"] is not None and stands(label["proven"], label["sure"], by_curves)
        heard = label["rows"] >= MIN_ROWS and label["means"]
        seen = dict(zip(SIGNS, grades[i].tolist(), strict=True))
        who = ruling(
            by_signs, second if heard else None, proven=proven, serious=label["grave"] is not None, excluded=out, doubted=doubted,
            plain=plainly_unstable(seen), overshot=overshoots(seen), stated=stated_by(seen),
        )  # fmt: skip
        alone = who == "signs" and (not heard or is_unlike(second))
        told = by_signs if alone else confidences(who, by_signs, second, out, doubted)
        found.append((who, np.array([told.get(cause, 0.0) for cause in CAUSES])))
    return found


def _as_heard(table: Table, opinion: Array, cautious: Array) -> Table:
    """The same runs, of which no fact excludes what the curves are sure of where facts show trouble anyway."""
    labels = []
    for label, p, q in zip(table.labels, opinion, cautious, strict=True):
        second = _second(p, q)
        out = left_out(frozenset(label["excluded"]), second, serious=label["grave"] is not None)
        labels.append({**label, "excluded": sorted(out)})
    return replace(table, labels=labels)


def _second(opinion: Array, cautious: Array, *, outside: float = 0.0, missing: float = 0.0) -> SecondOpinion:
    """What the curves say of one run, (causes,) each."""
    learned, careful = (dict(zip(CAUSES, p.tolist(), strict=True)) for p in (opinion, cautious))
    return SecondOpinion(learned=learned, cautious=careful, outside=outside, missing=missing)


def variants(
    signs: Array, opinion: Array, cautious: Array, table: Table, scale: Learned, *, recorded: bool
) -> list[tuple[str, int, Array]]:
    """By who decides: in how many runs the signs are overruled, and what is said."""
    signs = shares_of(signs)
    heard = _as_heard(table, opinion, cautious)
    judged = rulings(signs, opinion, cautious, table, heard, scale, recorded=recorded)
    who = np.array([one for one, _ in judged])
    by_signs = with_facts(signs, table, by_curves=False)
    by_curves = with_facts(cautious, heard, by_curves=True)
    # What facts rule out is left out already, and of what they prove only what stands goes first.
    by_rule = proven_first(np.array([told for _, told in judged]), table, by_curves)

    def said(*among: Ruling) -> Array:
        """What is said where the curves count on these rulings only."""
        return np.where(np.isin(who, among)[:, None], by_curves, by_signs)

    overruled = int((~np.isin(who, list(UNCHANGED))).sum())
    return [
        ("signs", 0, by_signs), *((f"signs, *{one}*", int((who == one).sum()), said(one)) for one in EXCEPTIONS),
        (THE_RULE, overruled, by_rule), ("curves always", len(table), by_curves),
    ]  # fmt: skip
