"""Attempts to get a bad run past the gate: `python -m benchmarks.gate.fooling` prints the table of docs/ci.md.

Each disguise is put on each of three faults and gated against a healthy run of another seed; each change of a baseline is
gated with a bad candidate. None may be green; the exit code is 1 where one is. Takes half a minute.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gradlens
from gradlens.gating.assess import summarize_runs
from gradlens.gating.baseline import dump_baseline

Row = dict[str, Any]
STEPS, FAULT_AT = 800, 500


def run(seed: int) -> list[Row]:
    """A healthy run: a falling loss, and norms that are an AR(1) about a level."""
    noise, x, rows = np.random.default_rng(seed), 0.0, []
    for step in range(STEPS):
        x = 0.5 * x + noise.normal(scale=0.25)
        loss = 3 * math.exp(-step / 120) + 1 + noise.normal(scale=0.03)
        rows.append({"step": step, "loss": loss, "grad_norm": 0.55 * math.exp(x), "lr": 1e-3})
    return rows


def nan(row: Row) -> Row:
    return row | {"loss": math.nan, "grad_norm": math.nan}


def worse(row: Row) -> Row:
    return row | {"loss": row["loss"] + 1.0}


def larger(row: Row) -> Row:
    return row | {"grad_norm": 3.0 * row["grad_norm"]}


FAULTS: dict[str, Callable[[Row], Row]] = {"NaN": nan, "a worse loss": worse, "larger norms": larger}


def bad(fault: Callable[[Row], Row], seed: int = 2) -> list[Row]:
    return [fault(r) if r["step"] >= FAULT_AT else r for r in run(seed)]


def is_bad(row: Row) -> bool:
    return bool(row["step"] >= FAULT_AT)


def _spelled(rows: list[Row], value: object) -> list[Row]:
    return [r | {"loss": value, "grad_norm": value} if is_bad(r) else r for r in rows]


#: What is done to the rows of the bad run.
DISGUISES: dict[str, Callable[[list[Row]], list[Row]]] = {
    "as it is": lambda rows: rows,
    "bad values as null": lambda rows: _spelled(rows, None),
    "bad values as an empty text": lambda rows: _spelled(rows, ""),
    "bad values as C prints them": lambda rows: _spelled(rows, "-nan(ind)"),
    "bad values as zero": lambda rows: _spelled(rows, 0.0),
    "bad columns left out of the rows": lambda rows: [
        {k: v for k, v in r.items() if k not in {"loss", "grad_norm"}} if is_bad(r) else r for r in rows
    ],
    "shortened to before the fault": lambda rows: [r for r in rows if not is_bad(r)],
    "shortened, evaluations go on": lambda rows: [r if not is_bad(r) else {"step": r["step"], "eval_loss": 1.0} for r in rows],
    "bad rows left out, the last ones good": lambda rows: [r for r in rows if not is_bad(r)] + run(3)[-20:],
    "every other bad row left out": lambda rows: [r for r in rows if not is_bad(r) or r["step"] % 2],
    "thinned to every fourth row": lambda rows: rows[::4],
    "only each tenth row of the fault bad": lambda rows: [
        r if not is_bad(r) or r["step"] % 10 == 0 else g for r, g in zip(rows, run(3), strict=True)
    ],
    "a good attempt written after it": lambda rows: rows + run(3),
    "the bad rows rewritten as good ones": lambda rows: rows + run(3)[FAULT_AT:],
    "every row twice, the second one good": lambda rows: [x for r, g in zip(rows, run(3), strict=True) for x in (r, g)],
    "rows in random order": lambda rows: [rows[i] for i in np.random.default_rng(0).permutation(len(rows))],
    "rows turned round": lambda rows: rows[::-1],
    "steps counted down": lambda rows: [r | {"step": STEPS - 1 - r["step"]} for r in rows],
    "bad rows relabelled to later steps": lambda rows: [r | {"step": r["step"] + 10**6} if is_bad(r) else r for r in rows],
    "loss renamed, a good one beside it": lambda rows: [
        {"loss_old": r["loss"], "train_loss": g["loss"], **{k: v for k, v in r.items() if k != "loss"}}
        for r, g in zip(rows, run(3), strict=True)
    ],
    "loss and norm taken away": lambda rows: [{"step": r["step"], "lr": r["lr"], "loss": r["loss"]} for r in rows],
}  # fmt: skip


def _edited(change: Callable[[Row], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return edit


def _with_a_short_seed(_: str) -> str:
    """The text of a baseline of two seeds, of which one crashed long before the fault."""
    columns = [{name: [row[name] for row in rows] for name in rows[0]} for rows in (run(1), run(4)[:60])]
    return dump_baseline(summarize_runs([r for c in columns for r in gradlens.read(c)], threshold=1.0))


#: What is done to the text of the baseline file.
BASELINES: dict[str, Callable[[str], str]] = {
    "edited: a higher loss": _edited(lambda d: d["runs"][0]["columns"].update(loss=9.0)),
    "edited: more clipped": _edited(lambda d: d["runs"][0].update(threshold=0.1)),
    "edited: counts that are not numbers": _edited(lambda d: d["runs"][0]["columns"].update(clipped=None)),
    "without its checksum": _edited(lambda d: d.pop("digest")),
    "one seed of two that ends at step 60": _with_a_short_seed,
    "without a run": _edited(lambda d: d.update(runs=[])),
    "of a future version": _edited(lambda d: d.update(schema_version=2)),
    "of something else": lambda _: '{"schema": "other"}',
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
}


def verdict(candidate: list[Row], baseline: Path, folder: Path) -> str:
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in candidate))
    try:
        report = gradlens.gate(gradlens.read(path), baseline, threshold=1.0)
    except gradlens.GradlensError:
        return "refused"
    return {"pass": "green", "fail": "red", "inconclusive": "cannot judge"}[report.outcome]


def main() -> int:
    greens = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "base.jsonl").write_text("".join(json.dumps(row) + "\n" for row in run(1)))
        good = folder / "base.json"
        good.write_text(dump_baseline(summarize_runs(gradlens.read(folder / "base.jsonl"), threshold=1.0)))
        print(f"A healthy run of another seed: {verdict(run(2), good, folder)}.\n")
        print("| what is done to the bad run | " + " | ".join(FAULTS) + " |\n|---|" + "---|" * len(FAULTS))
        for title, disguise in DISGUISES.items():
            found = [verdict(disguise(bad(fault)), good, folder) for fault in FAULTS.values()]
            greens += found.count("green")
            print(f"| {title} | " + " | ".join(found) + " |")
        print("\n| what is done to the baseline | the bad runs |\n|---|---|")
        for title, change in BASELINES.items():
            (folder / "changed.json").write_text(change(good.read_text()))
            counted = Counter(verdict(bad(fault), folder / "changed.json", folder) for fault in FAULTS.values())
            greens += counted["green"]
            print(f"| {title} | {', '.join(counted)} |")
    print(f"\n{greens} green", file=sys.stderr)
    return 1 if greens else 0


if __name__ == "__main__":
    sys.exit(main())
