"""The course: levels of loss, norm and rate along the run, the first rows, and how the noise grows."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.traits.base import Array, Curves, Traits, logs, median, middle, named, spread, windows

LEVELS, NOISE, FIRST, RATE = 40, 20, 10, 20
#: Shares of the run that count as its start, and the fewest rows or windows that show anything of it.
EARLY, MIN_START = (0.05, 0.15), 12


def course(c: Curves) -> Traits:
    """All traits of the course."""
    return _loss(c) | _norm(c) | _together(c) | _rate(c) | _start(c) | _with_rate(c)


def _loss(c: Curves) -> Traits:
    n = len(c)
    first, last = median(c.loss[: max(3, n // 50)]), median(c.loss[-max(3, n // 10) :])
    steps = np.diff(c.loss)
    noise = spread(steps) / np.sqrt(2.0)
    levels = middle(windows(c.loss, LEVELS))
    lowest = float(np.nanmin(levels)) if np.isfinite(levels).any() else np.nan
    size = max(abs(first - lowest), noise, 1e-3 * abs(first), 1e-12)
    relative = np.arcsinh((levels - lowest) / size * 5)
    log_levels = logs(levels) - logs(np.array([first]))
    rows = np.full(FIRST, np.nan)
    rows[: min(n, FIRST)] = c.loss[:FIRST]
    found = named("loss level ", relative) | named("loss log ", log_levels)
    found |= named("loss row ", np.arcsinh((rows - first) / size * 5))
    found |= named("loss noise ", _noise(c.loss))
    top = float(np.nanmax(levels)) if np.isfinite(levels).any() else np.nan
    ends = middle(windows(c.loss, 8))
    tail = windows(c.loss, 4)[-1]
    fall = median(tail[len(tail) // 2 :]) - median(tail[: len(tail) // 2])
    end_noise = spread(np.diff(c.loss[-max(8, n // 5) :]))
    found |= {
        "loss descent in noise": float(np.clip((first - lowest) / max(noise, 1e-12), -50, 1e4)),
        "loss descent": float(np.clip((first - lowest) / max(abs(first), 1e-12), -5, 5)),
        "loss kept": float(np.clip((first - last) / size, -20, 2)),
        "loss top": float(np.arcsinh((top - first) / size)),
        "loss rebound": float(np.arcsinh(np.fmax.reduce(levels - np.fmin.accumulate(levels), initial=0.0) / size)),
        "loss lowest at": _place(levels, np.nanargmin) if np.isfinite(levels).any() else np.nan,
        "loss highest at": _place(levels, np.nanargmax) if np.isfinite(levels).any() else np.nan,
        "loss half at": _half(levels, first, lowest),
        "loss late slope": float(np.clip((ends[-1] - ends[-2]) / size, -5, 5)),
        "loss tail slope in noise": float(np.clip(fall / max(noise, 1e-12), -50, 50)),
        "loss negative": float(np.mean(c.loss < 0)) if n else np.nan,
        "loss noise share": float(np.clip(np.log(max(noise, 1e-12) / max(abs(first), 1e-12)), -20, 5)),
        "loss end noise share": float(np.clip(np.log(max(end_noise, 1e-12) / max(abs(last), 1e-12)), -20, 5)),
    }  # fmt: skip
    return found


def _place(levels: Array, where: object) -> float:
    at: int = where(levels)  # type: ignore[operator]
    return at / max(len(levels) - 1, 1)


def _half(levels: Array, first: float, lowest: float) -> float:
    below = np.flatnonzero(levels < (first + lowest) / 2)
    return float(below[0]) / len(levels) if len(below) else 1.0


def _noise(values: Array) -> Array:
    """The log of the noise in windows over that of all: spread of the differences between rows."""
    steps = np.abs(np.diff(values))
    each = middle(windows(steps, NOISE))
    return logs(each + 1e-12 * np.nanmax(np.append(each, 0.0))) - logs(np.array([median(steps)]))


def _norm(c: Curves) -> Traits:
    n = len(c)
    log = logs(c.norm)
    all_ = median(log)
    levels = middle(windows(log, LEVELS)) - all_
    rows = np.full(FIRST, np.nan)
    rows[: min(n, FIRST)] = log[:FIRST] - all_
    steps = np.abs(np.diff(log))
    late = log[n // 2 :]
    found = (
        named("norm level ", levels)
        | named("norm row ", rows)
        | named("norm noise ", middle(windows(steps, NOISE)), 5.0)
    )
    found |= {
        "norm noise all": float(np.clip(median(steps), 0, 5)),
        "norm fall": float(np.clip(median(log[: max(3, n // 50)]) - median(log[-max(3, n // 10) :]), -15, 15)),
        "norm highest at": _place(levels, np.nanargmax) if np.isfinite(levels).any() else np.nan,
        "norm lowest at": _place(levels, np.nanargmin) if np.isfinite(levels).any() else np.nan,
        "norm top": float(np.nanmax(levels)) if np.isfinite(levels).any() else np.nan,
        "norm spread late": float(np.clip(spread(late), 0, 8)),
        "norm skew late": _skew(late),
    }
    return found


def _start(c: Curves) -> Traits:
    """How far the loss overshoots its first value early on, and where: what a missing warm-up does."""
    n = len(c)
    names = tuple(f"{kind} {share:g}" for share in EARLY for kind in ("overshoot", "overshoot at", "norm bump"))
    if n < MIN_START or not np.isfinite(c.loss).any():
        return dict.fromkeys(names, np.nan)
    begin = max(int(EARLY[-1] * n), 5) + 4
    rows, norms = (middle(np.lib.stride_tricks.sliding_window_view(v[:begin], 5)) for v in (c.loss, logs(c.norm)))
    noise = spread(np.diff(c.loss)) / np.sqrt(2.0)
    lowest = _largest(-middle(windows(c.loss, LEVELS)))
    size = max(abs(rows[0] + lowest), noise, 1e-3 * abs(rows[0]), 1e-12)
    found: Traits = {}
    for share in EARLY:
        early, norm = rows[: max(int(share * n), 5)], norms[: max(int(share * n), 5)]
        known = np.isfinite(early).any()
        at = int(np.nanargmax(early)) if known else 0
        found |= {
            f"overshoot {share:g}": float(np.arcsinh((early[at] - rows[0]) / size * 5)) if known else np.nan,
            f"overshoot at {share:g}": at / len(early) if known else np.nan,
            f"norm bump {share:g}": float(np.clip(_largest(norm) - norm[0], -1, 15)),
        }
    return {name: found[name] for name in names}


def _largest(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else np.nan


def _with_rate(c: Curves) -> Traits:
    """Where the loss came down: while the rate stood near its peak, while it fell, or while it was nearly nothing.

    Noise of the weights holds a loss up in proportion to the rate, so that one whose rate is too high comes down only with it.
    """
    names = ("fall at high rate", "fall at falling rate", "fall at low rate", "noise with rate", "norm with rate", "rate low rows",
             "rate back from low", "rate turns", "rate peak in last fifth")  # fmt: skip
    levels, rate = middle(windows(c.loss, LEVELS)), middle(windows(c.rate, LEVELS))
    both = np.isfinite(levels) & np.isfinite(rate)
    if len(c) < MIN_START or both.sum() < MIN_START or not _largest(rate) > 0:
        return dict.fromkeys(names, np.nan)
    share = rate / _largest(rate)
    fall = -np.diff(levels)
    size = max(_largest(levels) + _largest(-levels), 1e-12)
    at = share[1:]
    noise = middle(windows(np.abs(np.diff(c.loss)), LEVELS))
    rows = c.rate[np.isfinite(c.rate)]
    rows = rows / max(float(rows.max()), 1e-300)
    floor = int(np.argmin(rows))
    rises = np.sign(np.diff(rows))
    rises = rises[rises != 0]
    values = (
        np.nansum(fall[at > 0.7]) / size, np.nansum(fall[(at <= 0.7) & (at > 0.1)]) / size, np.nansum(fall[at <= 0.1]) / size,
        _ranks_agree(noise, share), _ranks_agree(middle(windows(c.norm, LEVELS)), share), np.mean(rows <= 0.06),
        np.max(rows[floor:]) - rows[floor], np.log1p(np.sum(np.diff(rises) != 0)), float(np.max(rows[: -max(len(rows) // 5, 1)]) < 1),
    )  # fmt: skip
    return {name: float(np.clip(v, -5, 12)) for name, v in zip(names, values, strict=True)}


def _ranks_agree(a: Array, b: Array) -> float:
    """The correlation of two columns by ranks, NaN where too little is known or one stands still."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < MIN_START or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return np.nan
    one, two = (np.argsort(np.argsort(v[both], kind="stable"), kind="stable") for v in (a, b))
    return float(np.corrcoef(one, two)[0, 1])


def _skew(values: Array) -> float:
    values = values[np.isfinite(values)]
    if len(values) < 8:
        return np.nan
    low, mid, high = np.quantile(values, (0.05, 0.5, 0.95)).tolist()
    return float((high + low - 2 * mid) / max(high - low, 1e-9))


def _lagged(values: Array, lag: int) -> float:
    """The correlation of differences from the level with those a few rows later, by signs: it has no tails to fear."""
    if len(values) < lag + 12:
        return np.nan
    a, b = values[:-lag], values[lag:]
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.mean(np.sign(a[both]) * np.sign(b[both]))) if both.any() else np.nan


def _together(c: Curves) -> Traits:
    log, n = logs(c.norm), len(c)
    found: Traits = {}
    for name, values in (("loss", c.loss), ("norm", log)):
        away = values - _level(values, max(n // 20, 10))
        found |= {f"{name} again after {lag}": _lagged(away, lag) for lag in (1, 2, 5, 10, 20)}
    ups, more = np.sign(np.diff(c.loss)), np.sign(np.diff(log))
    for lag in (-2, -1, 0, 1, 2):
        a, b = (ups[max(lag, 0) :], more[max(-lag, 0) :])
        m = min(len(a), len(b))
        both = a[:m] * b[:m]
        found[f"loss with norm {lag}"] = float(np.nanmean(both)) if np.isfinite(both).any() else np.nan
    a, b = middle(windows(c.loss, LEVELS)), middle(windows(log, LEVELS))
    both = np.isfinite(a) & np.isfinite(b)
    a, b = _ranks(a[both]), _ranks(b[both])
    found["levels together"] = float(np.corrcoef(a, b)[0, 1]) if len(a) > 5 else np.nan
    return found


def _ranks(values: Array) -> Array:
    """(n,) the rank of each of some finite values; those that differ by rounding are equal, and equal ones keep their order.

    Otherwise the processor would decide: it adds in an order of its own and sorts equal values as it likes.
    """
    size = float(np.abs(values).max(initial=0.0)) or 1.0
    order = np.argsort(np.round(values / size, 12), kind="stable")
    return np.argsort(order, kind="stable").astype(np.float64)


def _level(values: Array, width: int) -> Array:
    if len(values) < 8:
        return values
    at = windows(np.arange(len(values), dtype=float), max(len(values) // width, 2)).mean(axis=1)
    level = middle(windows(values, max(len(values) // width, 2)))
    good = np.isfinite(level)
    return np.interp(np.arange(len(values)), at[good], level[good]) if good.any() else values


def _rate(c: Curves) -> Traits:
    rate = c.rate
    good = np.isfinite(rate)
    peak = float(np.max(rate[good], initial=0.0))
    names = ("rate first", "rate end", "rate peak at", "rate zero", "rate zero at end", "rate low", "rate rises after low",
             "rate jump", "rate jump at", "rate drop", "rate jumps", "rate noise", "rate levels", "rate still")  # fmt: skip
    if peak <= 0 or len(rate) < 2:
        missing = float(good.any() and peak <= 0)
        return named("rate level ", np.full(RATE, np.nan)) | dict.fromkeys(names, np.nan) | {"rate all zero": missing}
    share = rate / peak
    log = np.log(np.maximum(share, 1e-6))
    change = np.diff(log)
    low = int(np.nanargmin(share))
    tail = share[-max(3, len(rate) // 10) :]
    values = (
        share[0], share[-1], int(np.nanargmax(share)) / len(share), float(np.mean(share == 0)), float(np.mean(tail == 0)),
        float(np.mean(share <= 0.06)), float(np.nanmax(share[low:]) - share[low]), float(np.nanmax(change)),
        int(np.nanargmax(change)) / len(change), float(np.nanmin(change)), float(np.sum(change > 0.3)),
        float(np.clip(np.nanmedian(np.abs(change)), 0, 3)), float(min(len(np.unique(np.round(share, 3))), 50)),
        float(np.mean(change == 0)),
    )  # fmt: skip
    return (
        named("rate level ", middle(windows(log, RATE)))
        | dict(zip(names, values, strict=True))
        | {"rate all zero": 0.0}
    )
