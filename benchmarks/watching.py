"""How quiet and how cheap `gradlens watch` is.

    python -m benchmarks.watching quiet [--share 1.0] [--runs 60] [--store quiet.jsonl] [--seconds 600]
    python -m benchmarks.watching load [--seconds 60] [--rate 1000]

`quiet` follows healthy runs from their first row on, as `watch` does: those of the archive (`benchmarks/runs`, split by
split) and the simulated ones that look odd (`benchmarks/healthy_oddities`). A run is alarmed at 25, 50, 100 or 200 rows if
anything up to that row was a warning or an error. What is in the store is not judged again. Takes about a quarter of an hour for all
healthy runs of the archive and sixty of each odd kind. `load` starts a writer of so many lines a second with one spike in it,
follows it with the real command, and tells how much of a core that took and how long after the spike its step was said.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.healthy_oddities import KINDS
from benchmarks.runs.archive import FOLDER, archived, splits_in
from gradlens.analyzer import AnalysisOptions
from gradlens.api import read
from gradlens.errors import GradlensError
from gradlens.reports.base import Severity
from gradlens.stats.clipping import wilson_interval
from gradlens.watching.judging import Findings, judge
from gradlens.watching.pulse import Pulse

ROWS = (25, 50, 100, 200)
#: The rows at which a run is judged: as often as patience counts, and not more often.
GROWTH = 1.2
#: Rows of a simulated run, of which the first ones are seen.
SIMULATED = 2000
COLUMNS = ("step", "loss", "grad_norm", "lr", "loss_scale", "val_loss")


def looks() -> list[int]:
    """The numbers of rows at which a run is looked at."""
    found = [10]
    while found[-1] < ROWS[-1]:
        found.append(max(found[-1] + 1, math.floor(found[-1] * GROWTH)))
    return sorted({*(n for n in found if n < ROWS[-1]), *ROWS})


def alarmed(rows: Any) -> tuple[dict[int, bool], set[str], bool]:
    """Whether a run was alarmed up to each of `ROWS`, by which checks, and whether a spike was told."""
    findings, pulse, options = Findings(), Pulse(), AnalysisOptions()
    codes: set[str] = set()
    by: dict[int, bool] = {}
    spiked = False
    for n in looks():
        data = rows[:n] if isinstance(rows, list) else {name: column[:n] for name, column in rows.items()}
        try:
            (run, *_) = read(data)
            spiked = spiked or bool(pulse.look(run))
            codes |= {e.code for e in findings.news(judge(run, options)) if e.level is not Severity.NOTE}
        except GradlensError:
            pass
        if n in ROWS:
            by[n] = bool(codes)
    return by, codes, spiked


def healthy(share: float, runs: int) -> Iterator[tuple[str, str, Any]]:
    """Healthy runs as group, name and rows: an even share of each split of the archive, `runs` simulated of each odd kind."""
    every = max(round(1 / share), 1)
    for split in splits_in():
        number = 0
        for label, rows in archived(FOLDER / f"{split}.npz"):
            if label["expected"] != "healthy" or len(rows) < ROWS[-1]:
                continue
            number += 1
            if number % every == 0:
                kept = [{k: v for k, v in row.items() if k in COLUMNS} for row in rows[: ROWS[-1]]]
                yield f"archive, {split}", str(label["run"]), kept
    for place, kind in enumerate(KINDS):
        for seed in range(runs):
            full = KINDS[kind](np.random.default_rng([place, SIMULATED, seed]), SIMULATED)
            yield f"{kind} (simulated)", str(seed), {"step": np.arange(SIMULATED, dtype=float), **full}


def quiet(share: float, runs: int, store: Path, seconds: float) -> str:
    """The table for the docs, of what is in the store after so many seconds of more."""
    known = [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()] if store.exists() else []
    done = {(one["group"], one["run"]) for one in known}
    begun = time.monotonic()
    with store.open("a", encoding="utf-8") as file:
        for group, name, rows in healthy(share, runs):
            if (group, name) in done:
                continue
            if time.monotonic() - begun > seconds:
                print("not finished: run it again to go on", file=sys.stderr)
                break
            by, spoke, spiked = alarmed(rows)
            known.append({"group": group, "run": name, "by": by, "codes": sorted(spoke), "spiked": spiked})
            file.write(json.dumps(known[-1]) + "\n")
            file.flush()
    counts: dict[str, Counter[int]] = {}
    totals, spikes, codes = Counter[str](), Counter[str](), dict[str, Counter[str]]()
    for one in known:
        for name in (one["group"], "all of the archive" if one["group"].startswith("archive") else "all simulated"):
            totals[name] += 1
            spikes[name] += one["spiked"]
            counts.setdefault(name, Counter()).update(int(n) for n, is_alarmed in one["by"].items() if is_alarmed)
            codes.setdefault(name, Counter()).update(one["codes"])
    return table(counts, totals, codes, spikes)


def table(
    counts: Mapping[str, Counter[int]], totals: Mapping[str, int], codes: Mapping[str, Counter[str]],
    spikes: Mapping[str, int],
) -> str:  # fmt: skip
    """Share of runs alarmed by each number of rows, with the interval of the last."""
    lines = [
        f"| healthy runs | number | {' | '.join(f'by {n} rows' for n in ROWS)} | 95 % interval at {ROWS[-1]} | checks | spike told |",
        f"|---|--:|{'--:|' * len(ROWS)}--:|---|--:|",
    ]
    for name in sorted(totals, key=lambda n: (not n.startswith("archive"), n.startswith("all"), n)):
        total = totals[name]
        shares = " | ".join(f"{counts[name][n] / total:.1%}" for n in ROWS)
        low, high = wilson_interval(counts[name][ROWS[-1]] / total, total)
        spoke = ", ".join(f"{code} {k}" for code, k in codes[name].most_common())
        lines.append(
            f"| {name} | {total} | {shares} | {low:.1%} to {high:.1%} | {spoke} | {spikes[name] / total:.1%} |"
        )
    return "\n".join(lines)


def write_log(
    path: Path, *, rate: int, seconds: float, spike: int, started: threading.Event, said: list[float]
) -> None:
    """Write rows at a steady rate, with one spike of loss and norm; `said` gets the time at which it was written."""
    generator = random.Random(0)
    n = int(rate * seconds)
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"config": {"max_steps": n, "max_grad_norm": 1.0}}) + "\n")
        started.set()
        begun, row = time.monotonic(), 0
        while row < n:
            due = min(int((time.monotonic() - begun) * rate), n)
            for step in range(row, due):
                loss = 0.5 + 2.5 * math.exp(-step / 20000) + generator.gauss(0, 0.05)
                norm = math.exp(generator.gauss(-0.5, 0.2))
                if step == spike:
                    loss, norm = loss * 6, norm * 9
                file.write(json.dumps({"step": step, "loss": loss, "grad_norm": norm, "lr": 1e-3}) + "\n")
            file.flush()
            if row <= spike < due:
                said.append(time.monotonic())
            row = due
            time.sleep(0.01)


def load(*, rate: int, seconds: float, arguments: Sequence[str] = ()) -> dict[str, float]:
    """Follow a log that grows at `rate` lines a second: share of a core, and seconds from the spike to its line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        spike = int(rate * seconds * 2 / 3)
        started, written = threading.Event(), list[float]()
        writer = threading.Thread(
            target=write_log, args=(path,),
            kwargs={"rate": rate, "seconds": seconds, "spike": spike, "started": started, "said": written},
        )  # fmt: skip
        writer.start()
        started.wait()
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        told = 0.0
        command = [sys.executable, "-m", "gradlens", "watch", str(path), "--until-done", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if "spike: loss" in line and f"{spike:,}" in line and not told:
                    told = time.monotonic()
        took, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        writer.join()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": took, "cpu_seconds": spent, "share_of_a_core": spent / took,
        "seconds_to_spike": told - written[0] if told and written else math.nan,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("quiet")
    first.add_argument("--share", type=float, default=1.0, help="of the healthy runs of the archive")
    first.add_argument("--runs", type=int, default=60, help="simulated runs of each kind")
    first.add_argument("--store", type=Path, default=Path("quiet.jsonl"))
    first.add_argument("--seconds", type=float, default=math.inf, help="time after which it stops; run again to go on")
    second = commands.add_parser("load")
    second.add_argument("--rate", type=int, default=1000, help="lines a second")
    second.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    if arguments.command == "quiet":
        print(quiet(arguments.share, arguments.runs, arguments.store, arguments.seconds))
    else:
        print(json.dumps(load(rate=arguments.rate, seconds=arguments.seconds), indent=1))


if __name__ == "__main__":
    main()
