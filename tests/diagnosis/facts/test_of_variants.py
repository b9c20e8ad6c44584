"""What facts say of one log of each known situation, all but the words.

Who changes a fact on purpose looks at which situations change with it, and writes the table again:

    python -m tests.diagnosis.facts.test_of_variants
"""

from __future__ import annotations

import tempfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import gradlens
from benchmarks.variants.__main__ import FIFTH, FOURTH, KINDS, SECOND, THIRD, writer_of
from gradlens.diagnosis.case import build_case
from gradlens.signals.axis import signals_of
from gradlens.signals.threshold import choose_threshold
from tests.diagnosis.facts.shown import lines

TABLE = Path(__file__).parent / "of_variants.txt"
#: A situation may have its name from another set.
SETS = {"first": KINDS, "second": SECOND, "third": THIRD, "fourth": FOURTH, "fifth": FIFTH}
SITUATIONS = {f"{name}: {kind.name}": kind for name, kinds in SETS.items() for kind in kinds}
#: Of a draw that no page shows.
SEED = 0


def said(situation, folder):
    """The facts of each run of a log, a line each; nothing of a log that is not read."""
    kind = SITUATIONS[situation]
    generator = np.random.default_rng([zlib.crc32(kind.name.encode()), SEED])
    path = writer_of(kind)(generator, kind.make(generator), folder)
    try:
        runs = gradlens.read(path)
    except gradlens.GradlensError:
        return []
    return [
        line for run in runs if run.loss is not None or run.grad_norm is not None for line in lines(case_of(run).facts)
    ]


def case_of(run):
    threshold = choose_threshold(run, run.config, None)
    with np.errstate(all="ignore"):
        return build_case(
            run, signals_of(run), config=run.config, threshold=threshold.value, threshold_source=threshold.source
        )


@cache
def table():
    """The lines that are expected of each situation."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            found[line] = []
        else:
            found[next(reversed(found))].append(line[2:])
    return found


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_facts_say_of_a_known_situation(situation, tmp_path):
    assert said(situation, tmp_path) == table().get(situation, [])


def main():
    text = []
    for situation in SITUATIONS:
        with tempfile.TemporaryDirectory() as folder:
            if found := said(situation, Path(folder)):
                text += [situation, *(f"  {line}" for line in found)]
    TABLE.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
