"""Which runs there are: recipes of healthy training per family, and what is done to which of them.

A recipe gives the fields of `Spec` that differ from its defaults. `clip` in a recipe is a quantile: the threshold is
that quantile of the norms of the same run without clipping, which becomes a healthy run of its own (`-noclip`).
A fault is a line `RECIPE CAUSE STRENGTH`, which `faults.py` understands. Recipes of develop families whose name begins with
`t_` belong to the split test; otherwise the split of a run is that of its family.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.runs.catalogue.blind import FAMILIES as BLIND_FAMILIES
from benchmarks.runs.catalogue.develop import FAMILIES as DEVELOP_FAMILIES
from benchmarks.runs.catalogue.fresh import FAMILIES as FRESH_FAMILIES
from benchmarks.runs.catalogue.test import FAMILIES as TEST_FAMILIES
from benchmarks.runs.catalogue.unseen import FAMILIES as UNSEEN_FAMILIES
from benchmarks.runs.families import BLIND, FRESH, TEST, UNSEEN
from benchmarks.runs.faults import with_fault
from benchmarks.runs.spec import ClipRule, Spec

HELD_OUT_RECIPE = "t_"
ALL_FAMILIES = DEVELOP_FAMILIES | TEST_FAMILIES | FRESH_FAMILIES | BLIND_FAMILIES | UNSEEN_FAMILIES


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recipe:
    healthy: Spec
    runs: list[Spec] = field(default_factory=list)


def _recipe(family: str, name: str, fields: dict[str, Any]) -> _Recipe:
    """The healthy runs of one recipe; the last is the twin of its faults."""
    fields = dict(fields)
    quantile = fields.pop("clip", None)
    seed = fields.pop("seed")
    held_out = family in TEST or name.startswith(HELD_OUT_RECIPE)
    later = {**dict.fromkeys(FRESH, "fresh"), **dict.fromkeys(BLIND, "blind"), **dict.fromkeys(UNSEEN, "unseen")}
    split = later.get(family, "test" if held_out else "develop")
    plain = Spec(run=f"{family}-s{seed}-healthy-{name}", family=family, seed=seed, recipe=name, split=split, **fields)
    if quantile is None:
        return _Recipe(healthy=plain, runs=[plain])
    free = replace(plain, run=plain.run + "-noclip", strength="noclip")
    rule = ClipRule(reference=free.run, quantile=quantile)
    clipped = replace(plain, clip_rule=rule, twin=free.run)
    return _Recipe(healthy=clipped, runs=[free, clipped])


def catalogue() -> list[Spec]:
    """Every run, in an order in which each comes after the runs it needs."""
    specs: dict[str, Spec] = {}
    for family, (recipes, faults) in ALL_FAMILIES.items():
        made = {name: _recipe(family, name, fields) for name, fields in recipes.items()}
        for recipe in made.values():
            specs |= {spec.run: spec for spec in recipe.runs}
        for line in faults:
            recipe_name, fault, strength = line.split()
            for spec in with_fault(made[recipe_name].healthy, fault, strength):
                specs.setdefault(spec.run, spec)
    return list(specs.values())
