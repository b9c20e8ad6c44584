"""Signs and traits of archived runs are what weights and trees were learned from.

Whoever changes one on purpose measures the runs again and learns from them (`python -m benchmarks.diagnosis.table build`, `pack`, and
`python -m benchmarks.diagnosis.naming`): what was learned from others is worth nothing.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.diagnosis import table
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import measure, trait_names
from gradlens.diagnosis.traits.source import curves_of

MEASURED = Path(table.__file__).parent / "table" / "archive.npz"
#: A grade is kept as one of 256, and rounded.
STEP = 1 / 255
#: Longer runs take longer, and show no more.
MAX_ROWS = 1500
#: Traits that were changed after the last measurement: of this one, the order of ranks that are equal.
SINCE = {"levels together"}


@cache
def measured():
    """The kept grades of archived runs: names, of each the part, and the grades of the whole log and of a sparse one."""
    found = table.open_table(MEASURED)
    whole = [i for i, label in enumerate(found.labels) if label["share"] == 1.0 and label["rows"] <= MAX_ROWS]
    names = [(found.labels[i]["part"], found.labels[i]["run"]) for i in whole]
    return names, found.signs[whole], found.sparse_signs[whole], found.traits[whole], found.sparse[whole]


def telling(grades):
    """Places of four grades between nothing and full, from low to high, one of the highest, and two of the lowest."""
    order = np.argsort(grades, kind="stable")
    between = order[(grades[order] > 0.05) & (grades[order] < 0.95)]
    some = between[np.linspace(0, len(between) - 1, min(len(between), 4)).astype(int)]
    return [*some.tolist(), int(order[-1]), *order[:2].tolist()]


@cache
def archived():
    """The runs that any of the signs is tried on."""
    names, *both = measured()[:3]
    places = {place for grades in both for kept in grades.T for place in telling(kept)}
    parts = {part: {names[place][1] for place in places if names[place][0] == part} for part, _ in names}
    return {(part, run.run.id): run for part, only in parts.items() for run in table.archived_labels(part, only)}


def case_of(run, *, sparse):
    return table.sparser(run, random.Random(run.run.id)) if sparse else run.case()


def graded(name, run, *, sparse):
    case = case_of(run, sparse=sparse)
    with np.errstate(all="ignore"):
        return SIGNS[name].grade(case)


@pytest.mark.parametrize("sparse", [False, True], ids=["whole", "sparse"])
@pytest.mark.parametrize("sign", SIGNS)
def test_a_sign_grades_as_when_it_was_learned_from(sign, sparse):
    names, whole, thin = measured()[:3]
    kept = (thin if sparse else whole)[:, list(SIGNS).index(sign)]
    for place in telling(kept):
        grade = graded(sign, archived()[names[place]], sparse=sparse)
        assert grade == pytest.approx(kept[place], abs=0.51 * STEP), names[place]


@pytest.mark.parametrize("sparse", [False, True], ids=["whole", "sparse"])
def test_traits_are_measured_as_when_they_were_learned_from(sparse):
    names, kept = measured()[0], measured()[4 if sparse else 3]
    tried = [place for place, name in enumerate(names) if name in archived()][::6]
    for place in tried:
        case = case_of(archived()[names[place]], sparse=sparse)
        with np.errstate(all="ignore"):
            found = measure(
                curves_of(case.run, case.signals, case.threshold, is_known=case.threshold_source != "assumed")
            )
        for trait, value, was in zip(trait_names(), found, kept[place], strict=True):
            if trait not in SINCE:
                # They are kept in half precision.
                assert value == pytest.approx(was, rel=2e-3, abs=1e-6, nan_ok=True), (*names[place], trait)
