"""Events and changes: rows that stand out in loss, norm or both, what comes after them, and the strongest change of level or noise."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from gradlens.diagnosis.traits.base import Array, Curves, Traits, filled, logs, median, running_median, spread

LIMITS = (4.0, 7.0, 15.0)
AFTER = (1, 3, 10, 30, 100)
SIDES = (5, 20, 60)


def events(c: Curves) -> Traits:
    """All traits of events and changes."""
    n = len(c)
    if n < 12:
        return dict.fromkeys(_event_names(), np.nan)
    log = logs(c.norm)
    width = max(n // 12, 16)
    loss, norm = _standing_out(c.loss, width), _standing_out(log, width)
    both = np.fmin(loss, norm)
    near = np.fmin(loss, _neighbours(norm))
    quiet = slice(max(n // 16, 3), None)
    found = (
        _peaks("loss", loss[quiet])
        | _peaks("norm", norm[quiet])
        | _peaks("both", both[quiet])
        | _peaks("near", near[quiet])
    )
    found |= _aftermath(c.loss, log, both if np.isfinite(both).any() else loss, quiet.start)
    found |= _change("loss", c.loss, quiet.start) | _change("norm", log, quiet.start)
    found |= _noise_change(c.loss, log, quiet.start)
    return found


def _standing_out(values: Array, width: int) -> Array:
    """How many local deviations each row lies above the running level."""
    if not np.isfinite(values).any():
        return np.full(len(values), np.nan)
    away = values - running_median(values, width)
    size = np.maximum(running_median(np.abs(away), 2 * width) * 1.4826, 0.2 * spread(away) + 1e-12)
    heights: Array = away / size
    return heights


def _neighbours(values: Array) -> Array:
    """The largest of each value and those one and two rows away."""
    padded = np.concatenate([[np.nan] * 2, values, [np.nan] * 2])
    largest: Array = np.fmax.reduce([padded[i : i + len(values)] for i in range(5)])
    return largest


def _peaks(name: str, out: Array) -> Traits:
    good = np.where(np.isfinite(out), out, 0.0)
    top = np.sort(good)[-5:][::-1]
    top = np.concatenate([top, np.zeros(5)])[:5]
    found = {f"{name} peak {i}": float(np.clip(np.arcsinh(v), -1, 15)) for i, v in enumerate(top)}
    for limit in LIMITS:
        over = good > limit
        found[f"{name} over {limit:g}"] = float(np.log1p(over.sum()))
        found[f"{name} runs over {limit:g}"] = float(np.log1p(np.sum(over[1:] & ~over[:-1])))
    at = np.flatnonzero(good > LIMITS[1])
    gaps = np.diff(at)
    found[f"{name} first at"] = float(at[0]) / len(out) if len(at) else np.nan
    found[f"{name} last at"] = float(at[-1]) / len(out) if len(at) else np.nan
    found[f"{name} gap"] = float(np.log(median(gaps.astype(float)))) if len(gaps) else np.nan
    found[f"{name} gap spread"] = float(np.std(np.log(gaps))) if len(gaps) > 2 else np.nan
    found[f"{name} lowest"] = float(np.clip(np.arcsinh(np.min(good)), -15, 1))
    return found


def _aftermath(loss: Array, log: Array, out: Array, begin: int) -> Traits:
    """Levels of loss and norm after the strongest event against those before it."""
    good = np.where(np.isfinite(out), out, -np.inf)
    good[:begin] = -np.inf
    at = int(np.argmax(good))
    found: Traits = {"event at": at / len(loss), "event height": float(np.clip(np.arcsinh(good[at]), -1, 15))}
    for name, values in (("loss", loss), ("norm", log)):
        before = values[max(0, at - 40) : at]
        level, size = median(before), spread(before) + (1e-3 * abs(median(before)) if name == "loss" else 0.01) + 1e-12
        for k, (one, two) in enumerate(itertools.pairwise(AFTER)):
            found[f"event {name} after {k}"] = float(
                np.arcsinh(np.clip((median(values[at + one : at + two]) - level) / size, -1e6, 1e6))
            )
        found[f"event {name} itself"] = float(np.arcsinh(np.clip((values[at] - level) / size, -1e9, 1e9)))
        found[f"event {name} row before"] = float(
            np.arcsinh(np.clip((values[max(at - 1, 0)] - level) / size, -1e9, 1e9))
        )
    return found


def _steps(values: Array, width: int) -> tuple[Array, int]:
    """Differences between the means after and before each row, over the noise between rows; and the first row of them."""
    known = filled(values)
    if not np.isfinite(known).any():
        return np.full(1, np.nan), 0
    known = np.clip(known, *np.quantile(known, (0.005, 0.995)))
    total = np.concatenate([[0.0], np.cumsum(known)])
    means = (total[width:] - total[:-width]) / width
    return means[width:] - means[:-width], width


def _change(name: str, values: Array, begin: int) -> Traits:
    n = len(values)
    found: Traits = {}
    noise = spread(np.diff(values)) / np.sqrt(2.0) + 1e-12
    for side in SIDES:
        step, first = _steps(values, side)
        late = step[max(begin - first, 0) :]
        if n < 2 * side + begin + 4 or not np.isfinite(late).any():
            found |= dict.fromkeys(
                (f"{name} step up {side}", f"{name} step down {side}", f"{name} step up at {side}", f"{name} step down at {side}",
                 f"{name} step calm {side}"), np.nan)  # fmt: skip
            continue
        up, down = int(np.nanargmax(late)), int(np.nanargmin(late))
        found |= {
            f"{name} step up {side}": float(np.arcsinh(late[up] / noise)),
            f"{name} step down {side}": float(np.arcsinh(late[down] / noise)),
            f"{name} step up at {side}": (up + max(begin, first)) / n,
            f"{name} step down at {side}": (down + max(begin, first)) / n,
            f"{name} step calm {side}": float(np.arcsinh(np.nanmax(np.abs(late)) / (median(np.abs(late)) + 1e-12))),
        }
    return found


def _noise_change(loss: Array, log: Array, begin: int) -> Traits:
    """The place at which the noise between rows changes most, and by how much, with the change of the levels there."""
    found: Traits = {}
    n = len(loss)
    for name, values in (("loss", loss), ("norm", log)):
        size = np.log(np.abs(np.diff(values)) + 1e-3 * spread(np.diff(values)) + 1e-12)
        width = max(n // 10, 12)
        step, first = _steps(size, width)
        late = step[max(begin - first, 0) :]
        if not np.isfinite(late).any() or n < 3 * width:
            found |= dict.fromkeys(
                (f"{name} noise step", f"{name} noise step at", f"{name} noise step up", f"{name} level there"), np.nan
            )
            continue
        at = int(np.nanargmax(np.abs(late)))
        row = at + max(begin, first)
        level = median(values[row : row + width]) - median(values[max(0, row - width) : row])
        found |= {
            f"{name} noise step": float(late[at]), f"{name} noise step at": row / n, f"{name} noise step up": float(np.nanmax(late)),
            f"{name} level there": float(np.arcsinh(level / (spread(np.diff(values)) + 1e-12))),
        }  # fmt: skip
    return found


@cache
def _event_names() -> tuple[str, ...]:
    wave = np.sin(np.arange(400.0)) + 3.0
    c = Curves(loss=wave, norm=wave, rate=wave, scale=wave, held_out=wave, threshold=1.0, interval=1.0, restarts=0,
               layers=np.empty((0, 3)), recorded={})  # fmt: skip
    return tuple(events(c))
