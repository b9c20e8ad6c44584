"""Suggest a threshold from a run, then train with it: what do bad batches cost at C, C/10 and 10 C?

    python -m benchmarks.retrain [--seeds 3] [--steps N] [--out docs/retrain.md]

Three set-ups (a small pre-norm GPT with AdamW, a GRU with SGD, a residual MLP with SGD), each with eight bad batches.
The first training does not clip; gradlens reads its log and suggests a threshold; the others use it. What counts is the
mean validation loss of the last three evaluations. Needs torch (the extra `clients`). Takes about half an hour.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import gradlens
from benchmarks.runs.catalogue.build import catalogue
from benchmarks.runs.faults import bad_data
from benchmarks.runs.recording import log_rows
from benchmarks.runs.training import train

if TYPE_CHECKING:
    from benchmarks.runs.recording import Recording
    from benchmarks.runs.spec import Spec
    from gradlens.reports.advice import Advice


@dataclass(frozen=True, kw_only=True, slots=True)
class SetUp:
    """A recipe of the generator and the kind of bad batch."""

    title: str
    family: str
    recipe: str
    bad: str


SETUPS = (
    SetUp(title="GPT, AdamW", family="prenorm", recipe="plain", bad="garbage-few8"),
    SetUp(title="GRU, SGD", family="grureg", recipe="sgd", bad="x30-few8"),
    SetUp(title="residual MLP, SGD", family="resmlp", recipe="sgd", bad="x30-few8"),
)
FACTORS = (("C / 10", 0.1), ("C", 1.0), ("10 C", 10.0))


def spec_of(setup: SetUp, seed: int, clip: float | None, *, steps: int | None = None, bad: bool = True) -> Spec:
    """The spec of one training, of as many steps as its recipe has unless told."""
    healthy = next(s for s in catalogue() if s.family == setup.family and s.recipe == setup.recipe and not s.twin)
    spec = replace(healthy, seed=seed, clip=clip, clip_rule=None, steps=steps or healthy.steps)
    return replace(spec, **bad_data(spec, setup.bad)) if bad else spec


def suggested(recording: Recording) -> Advice:
    """What gradlens makes of the log of a training."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in log_rows(recording)))
        (run,) = gradlens.read(path)
    return gradlens.suggest_threshold(run, threshold=None)


def final_loss(recording: Recording) -> float:
    """The mean of the last three validation losses; infinite where one is not finite."""
    late = [value for _, value in recording.evaluations[-3:]]
    return sum(late) / len(late) if all(map(math.isfinite, late)) else math.inf


def row_of(setup: SetUp, seed: int, steps: int | None = None) -> dict[str, float | str | None]:
    """All trainings of one set-up and seed."""
    free = train(spec_of(setup, seed, None, steps=steps))
    advice = suggested(free)
    row: dict[str, float | str | None] = {
        "set-up": setup.title,
        "seed": seed,
        "clean": final_loss(train(spec_of(setup, seed, None, steps=steps, bad=False))),
        "none": final_loss(free),
        "suggested": advice.threshold,
    }
    level = advice.threshold if advice.threshold is not None else advice.level
    for name, factor in FACTORS:
        row[name] = final_loss(train(spec_of(setup, seed, level * factor, steps=steps))) if level else None
    row["abstained"] = advice.abstained or ""
    return row


def table(rows: list[dict[str, float | str | None]]) -> str:
    """The rows as Markdown."""
    names = ["set-up", "seed", "suggested", "clean", "none", *(name for name, _ in FACTORS)]
    heads = ["set-up", "seed", "suggested C", "no bad batches, no clipping", "no clipping", "C / 10", "C", "10 C"]

    def word(value: float | str | None) -> str:
        if value is None:
            return "–"
        return value if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:.4g}"

    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(word(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of each training; those of its recipe by default")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for setup in SETUPS:
        for seed in range(arguments.seeds):
            rows.append(row_of(setup, seed, arguments.steps))
            print(json.dumps(rows[-1]), flush=True)
    text = table(rows)
    print(text)
    if arguments.out:
        arguments.out.write_text(f"{TEXT}\n{text}\n", encoding="utf-8")


TEXT = """# A suggested threshold, used

Validation loss at the end of training (mean of the last three evaluations, lower is better) with eight bad batches in
each training. The threshold was suggested by `gradlens suggest-threshold` (safety net) from the log of the training
without clipping; where it abstained, the level of its what-if table stands in. Written by
`python -m benchmarks.retrain --out docs/retrain.md`, whatever the outcome.
"""

if __name__ == "__main__":
    main()
