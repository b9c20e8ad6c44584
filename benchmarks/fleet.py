"""How fast a fleet is judged: runs per second, memory, speed-up and growth, for `docs/speed.md`.

    python -m benchmarks.fleet make FOLDER [--runs 10000]       # the logs: several formats, 100 to 100,000 rows, 1 % damaged
    python -m benchmarks.fleet measure FOLDER [--jobs 1 2] [--dask 2] [--counts 10000]   # first and second pass
    python -m benchmarks.fleet cost FOLDER [--counts 1000]      # which share of the time is reading and judging

`make` writes the same bytes each time. Most runs are short and few are long, as in a bucket of a lab: the number of rows is
log-uniform from 100 to 2,000, and one run in a hundred has up to 100,000. One in a hundred is damaged: cut off, garbage,
empty or without a loss. `measure` gives each engine the folders in another order and prints a digest of each table. On a
busy machine compare processor time, which is that of the command and all its processes; Dask's workers included. Takes as long
as the logs ask for: half an hour for 10,000 on a quiet machine of two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.fleet_processes import cluster, watched

FORMATS = ("jsonl", "csv", "hf", "console", "jsonl.gz")
#: How many runs may be asked for: as many as the digits of their names tell apart.
COUNTS = (10, 100, 1_000, 10_000)
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


def make(folder: Path, runs: int) -> None:
    """Write the logs of a fleet, a folder per run."""
    for number in range(runs):
        generator = np.random.default_rng([20, number])
        target = folder / f"group{number % 20:02d}" / f"run{number:05d}"
        target.mkdir(parents=True, exist_ok=True)
        long = number % 100 == 50
        rows = int(np.exp(generator.uniform(np.log(100), np.log(100_000 if long else 2_000))))
        rate = float(generator.choice(RATES))
        loss, norm = _curves(generator, rows, rate)
        kind = FORMATS[number % len(FORMATS)]
        path, data = _written(kind, loss, norm, rate)
        if number % 100 == 7:
            data = _damaged(data, number // 100)
        (target / path).write_bytes(data)
        (target / "config.json").write_text(json.dumps({"learning_rate": rate, "warmup_steps": rows // 20}), "utf-8")


def _curves(generator: np.random.Generator, rows: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """A loss that descends and a norm of lognormal noise; a high rate sometimes ends in NaN, a few runs have bad batches."""
    t = np.arange(rows) / rows
    loss = (0.4 + 2.0 * np.exp(-6 * t)) * np.exp(0.05 * generator.standard_normal(rows))
    norm = (0.5 + np.exp(-4 * t)) * np.exp(0.25 * generator.standard_normal(rows))
    if rate >= 3e-3 and generator.random() < 0.4:
        begin = int(rows * generator.uniform(0.3, 0.9))
        grow = np.exp(np.minimum(np.arange(rows - begin) / 4, 40))
        loss[begin:] *= np.minimum(grow, 1e3)
        norm[begin:] *= grow
        loss[begin + 20 :] = np.nan
        norm[begin + 20 :] = np.nan
    elif generator.random() < 0.1:
        at = generator.choice(rows, max(rows // 200, 2), replace=False)
        loss[at] *= 4
        norm[at] *= 8
    return loss, norm


def _written(kind: str, loss: np.ndarray, norm: np.ndarray, rate: float) -> tuple[str, bytes]:
    import gzip

    if kind == "csv":
        lines = [f"{i},{a:.6g},{b:.6g},{rate}" for i, (a, b) in enumerate(zip(loss, norm, strict=True))]
        return "metrics.csv", ("step,train_loss,grad_norm,lr\n" + "\n".join(lines) + "\n").encode()
    if kind == "hf":
        history = [
            {"step": i + 1, "epoch": 0.0, "loss": float(a), "grad_norm": float(b), "learning_rate": rate}
            for i, (a, b) in enumerate(zip(loss, norm, strict=True))
        ]
        return "trainer_state.json", json.dumps({"global_step": len(loss), "log_history": history}).encode()
    if kind == "console":
        lines = [
            f"step {i}: train loss {a:.5f}, grad_norm: {b:.5f}, lr: {rate:.3e}"
            for i, (a, b) in enumerate(zip(loss, norm, strict=True))
        ]
        return "train.log", ("\n".join(lines) + "\n").encode()
    lines = [
        json.dumps({"step": i, "loss": float(a), "grad_norm": float(b), "lr": rate})
        for i, (a, b) in enumerate(zip(loss, norm, strict=True))
    ]
    data = ("\n".join(lines) + "\n").encode()
    return ("run.jsonl.gz", gzip.compress(data, 6, mtime=0)) if kind.endswith("gz") else ("run.jsonl", data)


def _damaged(data: bytes, number: int) -> bytes:
    return (data[: len(data) // 3], b"", bytes(range(256)) * 8, b'{"step": 1, "x": 2}\n' * 20)[number % 4]


def sources(folder: Path, runs: int, order: int) -> list[str]:
    """Globs for the first `runs` runs, in an order of their own for each engine; whole folders where all are meant."""
    digits = len(str(runs)) - 1
    pattern = "run" + "0" * (5 - digits) + "[0-9]" * digits
    found = [str(group / pattern) for group in sorted(folder.glob("group*")) if list(group.glob(pattern))]
    np.random.default_rng(order).shuffle(found)
    return found


def measure(folder: Path, jobs: list[int], dask: int, counts: list[int]) -> None:
    """Print a table of times: each engine on a fresh table, then the second pass."""
    head = ("runs", "engine", "seconds", "processor seconds", "per run, s", "runs per second", "memory, MiB", "second pass, s",
            "its processor seconds", "table")  # fmt: skip
    print(f"| {' | '.join(head)} |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|--:|---|")
    engines = [(f"{n} process{'es' if n > 1 else ''}", n) for n in jobs]
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            for order, (name, n) in enumerate(engines):
                table = Path(scratch, f"{n}.parquet")
                _row(count, name, [*sources(folder, count, order), "--jobs", str(n)], table, [])
            if dask:
                with cluster(dask) as (address, processes):
                    options = [*sources(folder, count, len(jobs)), "--scheduler", address]
                    _row(count, f"Dask, {dask} workers", options, Path(scratch, "dask.parquet"), processes)


def _row(runs: int, name: str, options: list[str], table: Path, beside: list[int]) -> None:
    first = watched(["fleet", *options, "-o", str(table)], beside)
    second = watched(["fleet", *options, "-o", str(table)], beside)
    digest = hashlib.blake2b(table.read_bytes(), digest_size=6).hexdigest()
    print(
        f"| {runs:,} | {name} | {first.seconds:.1f} | {first.processor:.1f} | {first.processor / runs:.4f} "
        f"| {runs / first.seconds:.1f} | {first.memory / 2**20:.0f} | {second.seconds:.1f} | {second.processor:.1f} | `{digest}` |",
        flush=True,
    )


def cost(folder: Path, runs: int) -> None:
    """Print which share of the processor time of a call is spent in reading and judging."""
    with tempfile.TemporaryDirectory() as scratch:
        told = Path(scratch, "spent")
        code = (
            "import sys; import gradlens.fleet.isolation as i; i.WORKER = 'benchmarks.fleet_worker'; "
            "from gradlens.cli.app import run; sys.exit(run(sys.argv[1:]))"
        )
        table = Path(scratch, "f.parquet")
        options = ["fleet", *sources(folder, runs, 0), "-o", str(table), "--jobs", "1"]
        whole = watched(options, [], code=code, environment={"GRADLENS_BENCHMARK_SPENT": str(told)})
        reading, judging, judged = json.loads(told.read_text(encoding="utf-8"))
        idle = watched(["fleet", *sources(folder, runs, 0), "-o", str(table), "--jobs", "1"], [])
    share = (reading + judging) / whole.processor
    each = 1000 / runs
    print(f"{runs:,} runs, {judged:,} files opened: {whole.processor * each:.1f} ms of processor time per run")
    print(f"reading {reading * each:.1f} ms, judging {judging * each:.1f} ms: {share:.1%} of it")
    print(f"the rest: {(whole.processor - reading - judging) * each:.2f} ms, of which start-up, listing and writing the table "
          f"take {idle.processor * each:.2f} ms (a second pass)")  # fmt: skip


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    maker = actions.add_parser("make")
    maker.add_argument("folder", type=Path)
    maker.add_argument("--runs", type=int, default=10_000)
    timer = actions.add_parser("measure")
    timer.add_argument("folder", type=Path)
    timer.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    timer.add_argument("--dask", type=int, default=0, metavar="WORKERS")
    timer.add_argument("--counts", type=int, nargs="+", default=[10_000], choices=COUNTS)
    share = actions.add_parser("cost")
    share.add_argument("folder", type=Path)
    share.add_argument("--counts", type=int, default=1_000, choices=COUNTS)
    arguments = parser.parse_args()
    if arguments.action == "make":
        make(arguments.folder, arguments.runs)
    elif arguments.action == "measure":
        measure(arguments.folder, arguments.jobs, arguments.dask, arguments.counts)
    else:
        cost(arguments.folder, arguments.counts)


if __name__ == "__main__":
    main()
