"""Do the statistics keep what they promise? Seeded simulations with known truth.

    python -m benchmarks.calibration                 every section but ad-table
    python -m benchmarks.calibration --scale 0.1     a tenth of the repetitions
    python -m benchmarks.calibration --scale 0.001   one repetition: tries the commands, and says nothing of the promises
    python -m benchmarks.calibration coverage tails  some sections

Sections: coverage (clip-rate intervals), tails (heavy or not), coincidence (size of the test), spikes (false alarms and
detection), powerlaw (agreement with and speed against the powerlaw package), ad-table (the Anderson-Darling quantiles
in gradlens/stats/gpd.py). Takes about five minutes.
Each line says what was promised; a section that breaks its promise makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens.stats import clipping, coincidence, gpd, powerlaw, spikes, tails
from gradlens.stats.normal import quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

#: The share of the repetitions below which a section is only tried.
MIN_SCALE = 0.01


def filtered(coefficients: Sequence[float], noise: Floats) -> Floats:
    """Run noise float64[..., n] through an autoregression and drop the first 300 values."""
    out = np.array(noise, order="F")  # a step of all series lies together
    for t in range(out.shape[-1]):
        for lag, c in enumerate(coefficients, start=1):
            if t >= lag:
                out[..., t] += c * out[..., t - lag]
    return np.ascontiguousarray(out[..., 300:])


def repetitions(full: int, least: int, scale: float) -> int:
    """How many runs per cell: at least so many that a promise means something, and one below a hundredth, to try the command."""
    return max(int(full * scale), least) if scale >= MIN_SCALE else 1


# ---------------------------------------------------------------------------------------------------------- coverage


def coverage(scale: float) -> bool:
    """Nominal 95 % intervals of the clip rate cover 92 to 98 %."""
    reps = repetitions(1000, 100, scale)
    print(
        f"coverage of the nominal 95 % interval of the clip rate, {reps} runs per cell; promised: .92 to .98 on AR(1)"
    )
    print(f"{'process':28s}{'n':>6s}" + "".join(f"   rate {rate:<4g}" for rate in (0.02, 0.1, 0.3, 0.5)))
    kept = True
    processes: list[tuple[str, tuple[float, ...], str, bool]] = [
        (f"AR(1) phi {phi:g}", (phi,), "normal", True) for phi in (0.0, 0.5, 0.9)
    ]
    processes += [
        ("AR(1) phi -0.5", (-0.5,), "normal", False),
        ("AR(2) .5 .3", (0.5, 0.3), "normal", False),
        ("AR(1) .7, Student t3 noise", (0.7,), "student", False),
        ("AR(1) .7, exponential noise", (0.7,), "exponential", False),
    ]
    for name, coefficients, kind, promised in processes:
        for n in (1000, 5000):
            row = ""
            rng = np.random.default_rng(20)
            x = filtered(coefficients, draw(rng, kind, (reps, n + 300)))
            truth = np.sort(filtered(coefficients, draw(rng, kind, (400, 20_300))).ravel())
            for rate in (0.02, 0.1, 0.3, 0.5):
                threshold = truth[int((1 - rate) * truth.size)]
                held = 0
                for series in x:
                    seen = float(np.mean(series > threshold))
                    low, high = clipping.wilson_interval(seen, clipping.effective_steps(series, threshold))
                    held += low <= rate <= high
                share = held / reps
                slack = 2.0 * (0.05 * 0.95 / reps) ** 0.5 if reps < 1000 else 0.0
                bad = promised and not 0.92 - slack <= share <= 0.98 + slack
                kept &= not bad
                row += f"   {share:.3f}{'!' if bad else ' '}    "
            print(f"{name:28s}{n:6d}{row}", flush=True)
    return kept


def draw(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Floats:
    """Return innovations with mean zero."""
    if kind == "student":
        return rng.standard_t(3, shape)
    if kind == "exponential":
        return rng.exponential(size=shape) - 1.0
    return rng.standard_normal(shape)


# ------------------------------------------------------------------------------------------------------------- tails


def level_stationary(_: np.random.Generator | None, n: int) -> Floats:
    return np.zeros(n)


def level_decay(_: np.random.Generator | None, n: int) -> Floats:
    return -3.0 * np.arange(n) / n


def level_drift(rng: np.random.Generator, n: int) -> Floats:
    return 0.02 * np.cumsum(rng.standard_normal(n))


def level_shifts(rng: np.random.Generator, n: int) -> Floats:
    """Three shifts by a factor of three up or down at random places."""
    level = np.zeros(n)
    for place in rng.integers(0, n, 3):
        level[place:] += rng.choice([-1.0, 1.0]) * np.log(3.0)
    return level


def pareto(rng: np.random.Generator, n: int, xi: float) -> Floats:
    return ((1.0 - rng.random(n)) ** -xi - 1.0) / xi


def spliced(rng: np.random.Generator, n: int, xi: float, share: float) -> Floats:
    """Lognormal noise of spread .3 whose top ``share`` is a generalized Pareto tail that joins smoothly."""
    x = np.exp(0.3 * rng.standard_normal(n))
    start = np.exp(0.3 * quantile(1.0 - share))
    above = x > start
    x[above] = start + 0.15 * start * pareto(rng, int(above.sum()), xi)
    return x


def heavy(scale: float) -> bool:
    """Below 5 % false verdicts, at least 95 % detection of xi >= .4 at 5,000 steps."""
    reps = repetitions(150, 30, scale)
    print(
        f"\nverdict 'heavy' on the detrended norms, {reps} runs per cell; promised: false below .05, true at least .95"
    )
    kept = True
    print(
        f"{'lognormal noise on':24s}{'n':>6s}" + "".join(f"   spread {s:<4g}" for s in (0.1, 0.2, 0.5, 1.0)) + "   all"
    )
    for level in (level_stationary, level_decay, level_drift, level_shifts):
        for n in (1000, 5000):
            rng = np.random.default_rng(30)
            shares = []
            for spread in (0.1, 0.2, 0.5, 1.0):
                found = [
                    tails.describe_tail(np.exp(level(rng, n) + spread * rng.standard_normal(n))).heavy
                    for _ in range(reps)
                ]
                shares.append(np.mean([bool(v) for v in found]))
            bad = np.mean(shares) >= 0.05
            kept &= not bad
            print(
                f"{level.__name__[6:]:24s}{n:6d}"
                + "".join(f"   {s:.3f}      " for s in shares)
                + f"   {np.mean(shares):.3f}{'!' if bad else ''}",
                flush=True,
            )
    truths: dict[str, Callable[[np.random.Generator, int, float], Floats]] = {
        "GPD": pareto,
        "1 + GPD": lambda rng, n, xi: 1.0 + pareto(rng, n, xi),
        "(1 + GPD) x decay": lambda rng, n, xi: (1.0 + pareto(rng, n, xi)) * np.exp(level_decay(None, n)),
        "(1 + GPD) x shifts": lambda rng, n, xi: (1.0 + pareto(rng, n, xi)) * np.exp(level_shifts(rng, n)),
        "lognormal, GPD top 10 %": lambda rng, n, xi: spliced(rng, n, xi, 0.10),
        "lognormal, GPD top 5 %": lambda rng, n, xi: spliced(rng, n, xi, 0.05),
    }
    print(f"{'true tail, n = 5000':30s}" + "".join(f"   xi {xi:<4g}" for xi in (0.2, 0.3, 0.4, 0.6, 0.8)))
    for name, make in truths.items():
        rng = np.random.default_rng(31)
        shares = [
            np.mean([bool(tails.describe_tail(make(rng, 5000, xi)).heavy) for _ in range(reps)])
            for xi in (0.2, 0.3, 0.4, 0.6, 0.8)
        ]
        bad = min(shares[2:]) < 0.95
        kept &= not bad
        print(f"{name:30s}" + "".join(f"   {s:.3f}  " for s in shares) + ("!" if bad else ""), flush=True)
    return kept


# ------------------------------------------------------------------------------------------------------- coincidence


def clustered(rng: np.random.Generator, n: int, events: int) -> Places:
    """Bursts of one to five steps at independent uniform places."""
    return np.unique(np.concatenate([np.arange(s, min(s + rng.integers(1, 6), n)) for s in rng.integers(0, n, events)]))


def decaying(rng: np.random.Generator, n: int, events: int) -> Places:
    """Events whose rate falls e-fold every quarter of the run."""
    rate = np.exp(-np.arange(n) / (n / 4))
    return np.flatnonzero(rng.random(n) < rate * events / rate.sum())


def independence(scale: float) -> bool:
    """The test at nominal 5 % rejects 3 to 7 % of independent pairs."""
    reps = repetitions(1500, 200, scale)
    print(
        f"\nshare of independent pairs rejected at nominal 5 %, {reps} runs per cell of 5,000 steps; promised: .03 to .07"
    )
    print(f"{'events':34s}  same step  norm leads  loss leads   any, Holm")
    kept = True
    for make in (clustered, decaying):
        for events in (20, 40, 80):
            rng = np.random.default_rng(40)
            each, family = [], []
            for seed in range(reps):
                found = coincidence.coincidence_tests(
                    5000, make(rng, 5000, events), make(rng, 5000, events), draws=999, seed=seed
                )
                tests = (found.same_step, found.norm_leads, found.loss_leads)
                if found.reason is None:
                    each.append([test.p is not None and test.p <= 0.05 for test in tests])
                    family.append(any(test.p_holm is not None and test.p_holm <= 0.05 for test in tests))
            shares = [*np.mean(each, axis=0), np.mean(family)]
            slack = 2.0 * (0.05 * 0.95 / reps) ** 0.5 if reps < 1000 else 0.0
            bad = not all(0.03 - slack <= s <= 0.07 + slack for s in shares)
            kept &= not bad
            print(
                f"{make.__name__ + f', {events} on each side':34s}"
                + "".join(f"   {s:.3f}    " for s in shares)
                + ("!" if bad else ""),
                flush=True,
            )
    rng = np.random.default_rng(41)
    power = []
    for seed in range(max(reps // 10, 50)):
        norm = clustered(rng, 5000, 20)
        loss = np.unique(np.concatenate((norm[rng.random(norm.size) < 0.5] + 3, clustered(rng, 5000, 10))))
        found = coincidence.coincidence_tests(5000, loss[loss < 5000], norm, draws=999, seed=seed)
        power.append(found.norm_leads.p_holm is not None and found.norm_leads.p_holm <= 0.05)
    print(
        f"power: half of 20 norm events followed 3 steps later by one of the loss: norm leads found in {np.mean(power):.3f}"
    )
    return kept


# ------------------------------------------------------------------------------------------------------------ spikes


def alarms(scale: float) -> bool:
    """At most one false alarm per run of 10,000 steps."""
    reps = repetitions(100, 20, scale)
    print(f"\nfalse alarms per run and limit on z, {reps} runs per cell; promised: at most 1 at 10,000 steps")
    noises: dict[str, Callable[[np.random.Generator, int], Floats]] = {
        "lognormal .3": lambda rng, n: np.exp(0.3 * rng.standard_normal(n)),
        "lognormal 1": lambda rng, n: np.exp(rng.standard_normal(n)),
        "exp Student t3": lambda rng, n: np.exp(0.1 * np.clip(rng.standard_t(3, n), -1000, 1000)),
        "10 + .3 Student t3": lambda rng, n: 10.0 + 0.3 * rng.standard_t(3, n),
        "exp AR(.9)": lambda rng, n: np.exp(0.3 * filtered((0.9,), rng.standard_normal(n + 300))),
        "5 + .2 AR(.9)": lambda rng, n: 5.0 + 0.2 * filtered((0.9,), rng.standard_normal(n + 300)),
        "AR(.9), Student t3 noise": lambda rng, n: np.exp(0.1 * filtered((0.9,), rng.standard_t(3, n + 300))),
        "lognormal .2 x decay": lambda rng, n: np.exp(0.2 * rng.standard_normal(n) + level_decay(None, n)),
    }
    print(f"{'noise':28s}" + "".join(f"   n {n:<7d} (z)   found" for n in (1000, 10_000)))
    kept = True
    for name, make in noises.items():
        row = ""
        for n in (1000, 10_000):
            rng = np.random.default_rng(50)
            count, limits, hits, planted = 0, [], 0, 0
            for _ in range(reps):
                x = make(rng, n)
                table = spikes.find_spikes(x)
                count += len(table.spikes)
                # Planted: five spikes of one and a half times the limit.
                scores = spikes.spike_scores(x)
                at = np.linspace(0.2 * n, 0.9 * n, 5).astype(int)
                if table.z_limit is None:
                    raise RuntimeError("a run of a thousand rows without a limit")
                limits.append(table.z_limit)
                y = x.copy()
                move = 1.5 * table.z_limit * scores.spread[at]
                y[at] = np.exp(scores.level[at] + move) if scores.scale == "log" else scores.level[at] + move
                found = {s.index for s in spikes.find_spikes(y).spikes}
                hits += len(found & set(at.tolist()))
                planted += at.size
            bad = n == 10_000 and count / reps > 1.0
            kept &= not bad
            row += f"   {count / reps:5.2f}{'!' if bad else ' '} ({np.median(limits):5.1f})   {hits / planted:.2f}  "
        print(f"{name:28s}{row}", flush=True)
    return kept


# ---------------------------------------------------------------------------------------------------------- powerlaw


def against_powerlaw(scale: float) -> bool:
    """Same xmin and alpha within 1 %, 100 times faster at 10,000 values, under a second at a million."""
    import warnings

    import powerlaw as package

    print("\nagainst the powerlaw package on the same Pareto samples (its alpha range widened to 1..6)")
    kept = True
    sizes = ((2.5, 10_000), (3.5, 10_000)) if scale >= 1.0 else ((2.5, 3_000), (3.5, 1_000))
    for alpha, n in sizes:
        x = (1.0 - np.random.default_rng(0).random(n)) ** (-1.0 / (alpha - 1.0))
        ours = []
        for _ in range(5):
            start = time.perf_counter()
            found = powerlaw.fit_power_law(x, alternatives=False)
            ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = package.Fit(x, verbose=0, parameter_ranges={"alpha": [1.0, 6.0]})
            their_alpha, their_xmin = float(theirs.alpha), float(theirs.xmin)
        taken = time.perf_counter() - start
        ratio = taken / float(np.median(ours))
        if found.alpha is None or found.xmin is None:
            raise RuntimeError("no power law in a sample of one")
        same = abs(found.alpha / their_alpha - 1) < 0.01 and abs(found.xmin / their_xmin - 1) < 0.01
        bad = scale >= 1.0 and not (same and ratio >= 100)
        kept &= not bad
        print(
            f"alpha {alpha} n {n}: ours {found.alpha:.4f} xmin {found.xmin:.4f} in {np.median(ours):.4f} s, "
            f"powerlaw {their_alpha:.4f} xmin {their_xmin:.4f} in {taken:.1f} s, {ratio:.0f} times faster{' !' if bad else ''}",
            flush=True,
        )
    for alpha in (2.5, 3.5):
        x = (1.0 - np.random.default_rng(1).random(1_000_000)) ** (-1.0 / (alpha - 1.0))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            found = powerlaw.fit_power_law(x, alternatives=False)
            times.append(time.perf_counter() - start)
        bad = float(np.median(times)) >= 1.0
        kept &= not bad
        print(
            f"alpha {alpha} n 1000000: {found.alpha:.4f} xmin {found.xmin:.4f} in {np.median(times):.2f} s{' !' if bad else ''}",
            flush=True,
        )
    return kept


def ad_table(scale: float) -> bool:
    """Recompute the quantiles of gpd.AD_QUANTILES and print them."""
    print("\nupper quantiles of the Anderson-Darling distance of a fitted generalized Pareto tail, 400 excesses")
    rng = np.random.default_rng(1)
    for xi in sorted(gpd.AD_QUANTILES):
        distances = []
        for _ in range(max(int(4000 * scale), 100)):
            u = rng.random(400)
            y = -np.log(u) if xi == 0.0 else (u**-xi - 1.0) / xi
            fit = gpd.fit_gpd(y)
            if fit.sigma is not None and fit.xi is not None:
                distances.append(gpd.anderson_darling(gpd.gpd_survival(np.sort(y), fit.sigma, fit.xi)))
        print(
            xi,
            tuple(round(float(q), 3) for q in np.quantile(distances, [1 - p for p in gpd.AD_PROBABILITIES])),
            flush=True,
        )
    return True


SECTIONS = {
    "coverage": coverage,
    "tails": heavy,
    "coincidence": independence,
    "spikes": alarms,
    "powerlaw": against_powerlaw,
    "ad-table": ad_table,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="what to run; all but ad-table by default")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the repetitions; limits widen below 1")
    options = parser.parse_args()
    chosen = options.sections or [name for name in SECTIONS if name != "ad-table"]
    kept = [SECTIONS[name](options.scale) for name in chosen]  # every section runs, whatever the one before found
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
