"""Time and memory of the whole analysis against the length of the run.

    python -m benchmarks.scaling [--sizes 1500 5e3 1e4 1e5 1e6 1e7] [--repeats 3] [--statistics-only]

Each size runs in its own process, so that the peak of memory is its own. The run is made in memory: lognormal norms on
a decay with a spike every 2,000 steps, a loss, and a warm-up and cosine schedule. Times are medians of wall and CPU
seconds after the imports; the machine should be idle. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def series(n: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return step, loss, norm and learning rate of a synthetic run."""
    rng = np.random.default_rng(0)
    step = np.arange(n)
    norm = np.exp(0.3 * rng.standard_normal(n) - step / n)
    loss = 2.0 + 2.0 * np.exp(-3.0 * step / n) + 0.05 * rng.standard_normal(n)
    at = np.arange(1000, n, 2000)
    norm[at] *= 20.0
    loss[at] += 2.0
    warm = max(n // 50, 1)
    lr = 1e-3 * np.where(step < warm, (step + 1) / warm, 0.5 * (1 + np.cos(np.pi * (step - warm) / max(n - warm, 1))))
    return step, loss, norm, lr


def statistics_only(n: int) -> Callable[[], object]:
    """Return the timed call that runs every statistic of a report."""
    from gradlens.stats import clipping, coincidence, spikes, tails, thresholds, warmup

    step, loss, norm, lr = series(n)

    def call() -> None:
        end = warmup.find_warmup_end(lr, norm).index
        warmup.find_phases(lr, n, end)
        clipping.clip_statistics(norm, 1.5, step=step)
        tails.describe_tail(norm, warmup_end=end, threshold=1.5)
        found = [spikes.find_spikes(value, warmup_end=end) for value in (loss, norm)]
        coincidence.coincidence_tests(
            n, *(np.array([s.index for s in table.spikes], dtype=np.int64) for table in found)
        )
        thresholds.suggest_level(norm, warmup_end=end)

    return call


def whole(n: int) -> Callable[[], object]:
    """Return the timed call of the public analysis."""
    import gradlens
    from gradlens.run import Columns, Run, Series

    step, loss, norm, lr = series(n)
    made = {
        name: Series(name=name, step=step, value=value)
        for name, value in (("loss", loss), ("grad_norm", norm), ("lr", lr))
    }
    columns = Columns(loss="loss", grad_norm="grad_norm", lr="lr")
    run = Run(id="synthetic", source="synthetic", format="memory", series=made, columns=columns)
    return lambda: gradlens.analyze([run], threshold=1.5)


def measure(n: int, repeats: int, *, only: bool) -> None:
    """Print one line of JSON: median wall and CPU seconds, and the peak of memory in MB."""
    call = (statistics_only if only else whole)(n)
    wall, cpu = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": statistics.median(wall), "cpu": statistics.median(cpu), "mb": peak}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=float, default=[1500, 5e3, 1e4, 1e5, 1e6, 1e7])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--statistics-only", action="store_true", help="without the checks and the diagnosis")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.repeats, only=options.statistics_only)
        return 0
    print("| steps | wall s | CPU s | CPU µs per step | peak MB |\n|---:|---:|---:|---:|---:|")
    for size in map(int, options.sizes):
        command = [
            sys.executable,
            "-m",
            "benchmarks.scaling",
            "--measure",
            str(size),
            "--repeats",
            str(options.repeats),
        ]
        done = subprocess.run(
            command + ["--statistics-only"] * options.statistics_only, check=True, capture_output=True, text=True
        )
        row = json.loads(done.stdout)
        print(
            f"| {size:,} | {row['wall']:.3f} | {row['cpu']:.3f} | {1e6 * row['cpu'] / size:.2f} | {row['mb']:.0f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
