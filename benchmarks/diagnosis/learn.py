"""Learns the weights of the diagnosis from the runs in the repository and writes `gradlens/diagnosis/weights.json`.

    python -m benchmarks.diagnosis.learn

The given runs and all parts of `benchmarks.runs` are used; `evaluate` tells how weights do that have not seen a family.
Takes a minute, mostly to grade signs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.diagnosis.examples import SOURCES, load
from benchmarks.diagnosis.fit import CAUSES, Model, learn

TARGET = Path(__file__).parent.parent.parent / "gradlens" / "diagnosis" / "weights.json"


def write(model: Model, runs: int, target: Path = TARGET) -> None:
    """The weights as data, with where they come from."""
    document = {
        "learned_from": f"{runs} labelled runs: python -m benchmarks.diagnosis.learn",
        "bias": {cause: round(model.bias[cause], 3) for cause in CAUSES},
        "weights": {cause: {s: round(w, 3) for s, w in model.weights[cause].items()} for cause in CAUSES},
    }
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Learn and write."""
    runs = [run for source in SOURCES for run in load(source) if run.accepted]
    # Each run counts twice by half: as a log alone, and with its configuration.
    examples = [replace(run.example(with_config=known), weight=0.5) for run in runs for known in (False, True)]
    write(learn(examples), len(runs))
    print(f"learned from {len(runs)} runs: {TARGET}")


if __name__ == "__main__":
    main()
