"""The gate on real runs: faults against their healthy twins, and healthy runs against other seeds.

    python -m benchmarks.gate.runs --labelled FOLDER --seeds FOLDER [--out FILE]

A labelled fault counts if it is harmful and *moves a gated metric* by this rule, which looks at the raw rows and knows no
test: the loss becomes NaN or infinite, or more than 1 % of the norms do; the mean loss of the last tenth is worse than the
twin's by more than 5 % of the twin's progress; or, where threshold and kind of norm are the same, the clip rate rises by more
than two points and a quarter, or the mean norm is off by more than a factor of 1.3. The folder of seeds is what
`benchmarks.gate.seeds` writes: runs of one recipe that differ in their seed alone. Green is "pass"; "cannot judge" is
counted apart and is not green. Takes some seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradlens.gating.assess import assess, summarize_runs
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary
from gradlens.reading.read import read
from gradlens.reports.gate import GateReport

#: Recipes of `benchmarks.gate.seeds` that no tolerance was set on; repeated here, since that module needs torch.
HELD_OUT = frozenset({"mlp-large-batch", "mlp-linear", "cnn-rmsprop", "lstm-adamw", "gpt-momentum", "gpt-batch-32"})


def raw(path: Path) -> dict[str, np.ndarray]:
    """The columns of a log, by the simplest means."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {k: np.array([row.get(k, np.nan) for row in rows], dtype=float) for k in ("loss", "grad_norm")}


def moves(
    fault: dict[str, Any], twin: dict[str, Any], one: dict[str, np.ndarray], other: dict[str, np.ndarray]
) -> bool:
    """The rule of the text above."""
    if not np.isfinite(one["loss"]).all() or np.mean(~np.isfinite(one["grad_norm"])) > 0.01:
        return True
    tenth = max(1, len(other["loss"]) // 10)
    ends = [float(np.nanmean(run["loss"][-tenth:])) for run in (one, other)]
    progress = float(np.nanmean(other["loss"][:5])) - ends[1]
    if ends[0] - ends[1] > 0.05 * progress:
        return True
    if fault["log_postclip"] or fault["clip"] != twin["clip"]:
        return False
    norms = [run["grad_norm"][np.isfinite(run["grad_norm"])] for run in (one, other)]
    if fault["clip"] is not None:
        rates = [float(np.mean(n > fault["clip"])) for n in norms]
        if rates[0] - rates[1] > max(0.02, 0.25 * rates[1]):
            return True
    return abs(np.log(norms[0].mean() / norms[1].mean())) > np.log(1.3)


def against_twins(folder: Path) -> dict[str, Any]:
    """Outcomes of the harmful faults that move a gated metric."""
    labels = {p.parent.name: json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*/label.json"))}
    outcomes: Counter[str] = Counter()
    missed, still = [], []
    for name, label in labels.items():
        twin = labels.get(label["twin"] or "")
        if not label["harmful"] or twin is None:
            continue
        logs = [folder / n / "run.jsonl" for n in (name, twin["run"])]
        if not moves(label, twin, *map(raw, logs)):
            still.append(name)
            continue
        sides = [summarize_runs(read(log), threshold=d["clip"]) for log, d in zip(logs, (label, twin), strict=True)]
        report = assess(sides[0], sides[1], GateSettings())
        outcomes[report.outcome] += 1
        if report.outcome != "fail":
            missed.append(f"{name}: {report.headline}")
    total = sum(outcomes.values())
    return {"faults": total, "red": outcomes["fail"] / max(total, 1), "missed": missed, "moved_nothing": still}


def healthy_pairs(runs: list[RunSummary], baselines: int) -> Iterator[GateReport]:
    """Every run against every other, or against so many others at once."""
    for at, candidate in enumerate(runs):
        others = [run for place, run in enumerate(runs) if place != at]
        groups = [[other] for other in others] if baselines == 1 else itertools.islice(
            itertools.combinations(others, baselines), 6
        )  # fmt: skip
        for group in groups:
            yield assess([candidate], list(group), GateSettings())


def among_seeds(folder: Path) -> dict[str, Any]:
    """Outcomes of healthy against healthy, by recipe."""
    found: dict[str, Any] = {}
    for place in sorted(folder.glob("*/recipe.json")):
        clip = json.loads(place.read_text(encoding="utf-8"))["clip"]
        runs = [summarize_runs(read(log), threshold=clip)[0] for log in sorted(place.parent.glob("s*.jsonl"))]
        for baselines in (1, 2, 3, 5):
            outcomes: Counter[str] = Counter()
            why: Counter[str] = Counter()
            for report in healthy_pairs(runs, baselines):
                outcomes[report.outcome] += 1
                why.update(f"{r.name} {r.outcome}" for r in (*report.failed, *report.inconclusive))
            found[f"{place.parent.name} against {baselines}"] = {**outcomes, "why": dict(why)}
    return found


def main() -> None:
    """Print and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--seeds", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    document: dict[str, Any] = {}
    if options.labelled:
        twins = document["twins"] = against_twins(options.labelled)
        print(f"harmful faults that move a gated metric: {twins['faults']}, red {twins['red']:.1%}")
        print("\n".join(["not red:", *twins["missed"], "moved nothing:", *twins["moved_nothing"]]))
    if options.seeds:
        seeds = document["seeds"] = among_seeds(options.seeds)
        for name, outcomes in seeds.items():
            print(name, outcomes)
        for baselines, kind in itertools.product((1, 2, 3, 5), ("set", "held out")):
            rows = [
                o for name, o in seeds.items()
                if name.endswith(f"against {baselines}") and (name.split()[0] in HELD_OUT) == (kind == "held out")
            ]  # fmt: skip
            counts = {k: sum(o.get(k, 0) for o in rows) for k in ("pass", "fail", "inconclusive")}
            total = max(sum(counts.values()), 1)
            shares = ", ".join(f"{k} {v / total:.1%}" for k, v in counts.items())
            print(f"one run against {baselines}, recipes {kind}: {sum(counts.values())} gates, {shares}")
    if options.out:
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
