"""How fast a fleet is judged: runs per second, memory and speed-up, for `docs/speed.md`.

    python -m benchmarks.fleet make FOLDER [--runs 10000]       # the logs: several formats, 100 to 100,000 rows, 1 % damaged
    python -m benchmarks.fleet measure FOLDER [--jobs 1 2] [--dask]   # times `gradlens fleet` on them, first and second pass

`make` writes the same bytes each time. Most runs are short and few are long, as in a bucket of a lab: the number of rows is
log-uniform from 100 to 2,000, and one run in a hundred has up to 100,000. One in a hundred is damaged: cut off, garbage,
empty or without a loss. Takes as long as the logs ask for: some minutes for 10,000 on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FORMATS = ("jsonl", "csv", "hf", "console", "jsonl.gz")
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


def measure(folder: Path, jobs: list[int], *, dask: bool) -> None:
    """Print a table of times: each engine on a fresh table, then the second pass."""
    n = sum(1 for _ in folder.glob("group*/run*"))
    print(
        f"{n:,} runs\n\n| engine | seconds | runs per second | peak memory of a process, MiB | second pass, seconds |"
    )
    print("|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as scratch:
        tables = [
            _one(f"{n_jobs} process(es)", folder, Path(scratch, f"{n_jobs}.parquet"), ["--jobs", str(n_jobs)], n)
            for n_jobs in jobs
        ]
        if dask:
            with cluster(2) as address:
                tables.append(
                    _one("Dask, 2 workers", folder, Path(scratch, "dask.parquet"), ["--scheduler", address], n)
                )
        same = len({table.read_bytes() for table in tables}) == 1
        print(f"\ntables of all engines {'are the same to the byte' if same else 'DIFFER'}")
        print(
            f"processor time of the first engine: {_spent(folder, Path(scratch, 'again.parquet')):.1f} s outside reading and judging"
        )


def _one(name: str, folder: Path, table: Path, options: list[str], n: int) -> Path:
    command = [sys.executable, "-m", "gradlens", "fleet", str(folder), "-o", str(table), *options]
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"| {name} | {seconds[0]:.1f} | {n / seconds[0]:.1f} | {peak:.0f} | {seconds[1]:.1f} |", flush=True)
    return table


def _spent(folder: Path, table: Path) -> float:
    """Processor seconds of the calling process alone, its children (which read and judge) left out."""
    code = (
        "import sys, resource; from gradlens.cli.app import run; "
        "run(sys.argv[1:]); print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "fleet", str(folder), "-o", str(table), "--jobs", "1"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return float(done.stderr.split()[-1])


def _quiet(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[str]:
    """A real scheduler and workers, each a process of its own on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder, "scheduler.json")
        base = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        started = [_quiet([*base, "--no-dashboard", "--scheduler-file", str(where)])]
        try:
            while not where.exists() or not where.read_text():
                time.sleep(0.1)
            address = json.loads(where.read_text())["address"]
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
            started += [_quiet([*worker, "--local-directory", folder, "--name", str(i)]) for i in range(workers)]
            yield address
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(20)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    maker = actions.add_parser("make")
    maker.add_argument("folder", type=Path)
    maker.add_argument("--runs", type=int, default=10_000)
    timer = actions.add_parser("measure")
    timer.add_argument("folder", type=Path)
    timer.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    timer.add_argument("--dask", action="store_true")
    arguments = parser.parse_args()
    if arguments.action == "make":
        make(arguments.folder, arguments.runs)
    else:
        measure(arguments.folder, arguments.jobs, dask=arguments.dask)


if __name__ == "__main__":
    main()
