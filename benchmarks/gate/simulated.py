"""How often the gate goes red, by simulation: false alarms, power, and what the naive test would do.

    python -m benchmarks.gate.simulated [--pairs 400] [--seeds 1 5] [--steps 1000 5000] [--out FILE]

Two runs of one process: ln(norm) is an AR(1) around a level that falls over the run, the loss a noisy decay. The threshold is
the one that clips 5 % of the steps. The candidate is another draw (any red is false), or one whose clip rate is 10 %, because
its level is higher or because its noise is wider. "Naive" is the two-proportion test that takes steps for independent, at
p < .05 two-sided. With seeds, five candidates stand against five baselines, and a deviation between seeds is added to the
level of each run. Every draw is seeded. Takes
about four minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from scipy.signal import lfilter

from gradlens.gating.assess import assess
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary, summarize
from gradlens.reports.analysis import Provenance
from gradlens.run import Columns, Run, Series

SIGMA, DRIFT, RATE = 0.4, 0.5, 0.05
#: Deviation of the level between seeds: what the healthy runs of `benchmarks.gate.seeds` show.
SEED_DEVIATION = 0.02
KNOWN = Provenance(verdict="pre_clip", reason="simulated")
NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Process:
    """A level above the baseline's, or noise wider by a factor."""

    level: float = 0.0
    widening: float = 1.0


def two_proportion_p(
    candidate: int, n_candidate: int, baseline: int, n_baseline: int, design_effect: float = 1.0
) -> float:
    """Return the two-sided p of the pooled two-proportion z test, with a design effect n / n_eff.

    With a design effect of 1 this is the naive test that takes every step for independent.
    """
    pooled = (candidate + baseline) / (n_candidate + n_baseline)
    variance = pooled * (1.0 - pooled) * (1.0 / n_candidate + 1.0 / n_baseline) * design_effect
    change = candidate / n_candidate - baseline / n_baseline
    if not variance > 0.0:
        return 1.0
    return math.erfc(abs(change) / math.sqrt(2.0 * variance))


def autoregression(n: int, phi: float, rng: np.random.Generator) -> np.ndarray:
    """A stationary AR(1) of variance 1."""
    noise = rng.normal(size=n) * math.sqrt(1.0 - phi * phi)
    return lfilter([1.0], [1.0, -phi], noise, zi=[phi * rng.normal()])[0]


def exceedance(process: Process, log_threshold: float) -> float:
    """The expected clip rate."""
    done = np.linspace(0.0, 1.0, 200)
    deviation = SIGMA * process.widening
    return float(np.mean([1 - NORMAL.cdf((log_threshold + DRIFT * u - process.level) / deviation) for u in done]))


def solve(wanted: float, rate_at: Callable[[float], float], low: float, high: float) -> float:
    """The argument at which a rising function reaches what is wanted."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if rate_at(middle) < wanted else (low, middle)
    return 0.5 * (low + high)


def draw(
    process: Process, phi: float, n: int, log_threshold: float, rng: np.random.Generator
) -> tuple[RunSummary, int]:
    """One run's summary, and how many of its steps were clipped."""
    done = np.linspace(0.0, 1.0, n)
    norm = np.exp(process.level - DRIFT * done + SIGMA * process.widening * autoregression(n, phi, rng))
    loss = 2.0 + 3.0 * np.exp(-3.0 * done) + 0.1 * rng.normal(size=n)
    step = np.arange(n, dtype=np.int64)
    series = {"norm": Series(name="norm", step=step, value=norm), "loss": Series(name="loss", step=step, value=loss)}
    columns = Columns(step="step", loss="loss", grad_norm="norm")
    run = Run(id="simulated", source="simulated", format="simulated", series=series, columns=columns)
    threshold = math.exp(log_threshold)
    summary = summarize(run, threshold=threshold, threshold_source="option", provenance=KNOWN)
    return summary, int(np.count_nonzero(norm > threshold))


def cell(process: Process, phi: float, n: int, seeds: int, pairs: int, log_threshold: float) -> dict[str, object]:
    """Outcomes of many gates of one kind."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    naive = 0
    for pair in range(pairs):
        rng = np.random.default_rng([pair, n, int(100 * phi), seeds])
        sides: list[list[RunSummary]] = []
        clipped = []
        for side in (Process(), process):
            runs = []
            for _ in range(seeds):
                between = SEED_DEVIATION * rng.normal() if seeds > 1 else 0.0
                shifted = Process(level=side.level + between, widening=side.widening)
                runs.append(draw(shifted, phi, n, log_threshold, rng))
            sides.append([summary for summary, _ in runs])
            clipped.append(sum(count for _, count in runs))
        report = assess(sides[1], sides[0], GateSettings())
        outcomes[report.outcome] += 1
        reasons.update(result.name for result in report.failed)
        naive += two_proportion_p(clipped[1], n * seeds, clipped[0], n * seeds) < 0.05
    return {
        "red": outcomes["fail"] / pairs,
        "inconclusive": outcomes["inconclusive"] / pairs,
        "naive_red": naive / pairs,
        "red_by": dict(sorted(reasons.items())),
    }


def main() -> None:
    """Print one line per cell, and write all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    log_threshold = -solve(RATE, lambda c: exceedance(Process(), -c), -3.0, 3.0)
    level = solve(2 * RATE, lambda x: exceedance(Process(level=x), log_threshold), 0.0, 2.0)
    widening = solve(2 * RATE, lambda x: exceedance(Process(widening=x), log_threshold), 1.0, 5.0)
    kinds = {"same": Process(), "doubled-level": Process(level=level), "doubled-noise": Process(widening=widening)}
    found = []
    print(f"{'candidate':15} {'phi':>4} {'n':>6} {'seeds':>6} {'red':>7} {'cannot judge':>13} {'naive red':>10}")
    for seeds in options.seeds:
        for name, process in kinds.items():
            for phi in (0.5, 0.9):
                for n in options.steps:
                    begun = time.perf_counter()
                    pairs = options.pairs if seeds == 1 else max(options.pairs // 4, 1)
                    result = cell(process, phi, n, seeds, pairs, log_threshold)
                    found.append({"candidate": name, "phi": phi, "n": n, "seeds": seeds, "pairs": pairs, **result})
                    print(
                        f"{name:15} {phi:4} {n:6} {seeds:6} {result['red']:7.1%} {result['inconclusive']:13.1%} "
                        f"{result['naive_red']:10.1%}   {result['red_by']} {time.perf_counter() - begun:.0f} s",
                        flush=True,
                    )
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
