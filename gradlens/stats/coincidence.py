"""Whether loss spikes and norm spikes belong together, and who leads.

In the usual loop the loss and the norm of one step come from the same batch, before the update, whose effect first
shows in the next loss. So a shared spike at one step points at the batch, norm first and loss after it points at the
update.

**Three disjoint tests** on the onsets of both kinds of event: same step; norm then loss within 1 to 8 steps; loss then
norm within 1 to 8 steps. Every loss event is assigned to its nearest norm event (the earlier one of two), so a pair at
the same step is in no lead test.

**Null.** Both rates decay over a run, so spikes coincide at its start even if they are independent; a shift around the
whole run calls that a link in a quarter of all cases. The loss events are therefore shifted around *within* windows of
max(200, 5 % of the run) steps, each window by its own random amount, 1,999 times: the rates keep their course, and
events that come in bursts stay together.

**Statistic and p-value.** A count of rare coincidences takes few values: with 20 events on each side of 5,000 steps it
is 0 in half of all cases, and a test by the count alone rejects half as often as it promises. Draws with the same count are therefore
ranked by how close their events lie to each other: the sum of 65 - |lag| over the events whose nearest partner is at most
64 steps away, on the side that the test is about (on both for the same step). No count, no closeness: where nothing
coincides nothing is found. This ranking is our own; any statistic is valid against the same shifts. Draws that still tie
count half (the mid-p-value of Lancaster 1961, Journal of the American Statistical Association 56:223). Holm's
correction covers the three tests.

**Leader.** An exact sign test on the lags that are not zero; six are needed to reach .05. Fewer than five events on
either side give counts only. Where the log holds every k-th step only, a lead shorter than k cannot be seen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.multiple import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LAG = 8
REACH = 64  # steps over which closeness ranks equal counts; no more than an int8 holds
GAP = 10
DRAWS = 1999
MIN_EVENTS = 5
MIN_LAGS = 6
WINDOW = 200
WINDOW_SHARE = 0.05
_CHUNK = 2_000_000  # shifted events held in memory at a time


@frozen(eq=False)
class CoincidenceTest:
    """One of the three tests.

    Attributes
    ----------
    count : int
        Loss events assigned to this class.
    expected : float or None
        Mean count under the null; None where nothing was tested.
    p : float or None
        One-sided mid-p-value: more than chance gives.
    p_holm : float or None
        Corrected for the three tests.
    """

    count: int
    expected: float | None
    p: float | None
    p_holm: float | None


@frozen(eq=False)
class Coincidence:
    """How loss and norm events lie to each other.

    Attributes
    ----------
    same_step, norm_leads, loss_leads : CoincidenceTest
        The three tests.
    median_lag : float or None
        Median of (loss step - norm step) over pairs at most 8 steps apart, positive where the norm leads; None without
        pairs.
    leader : str or None
        ``norm`` or ``loss`` where the sign test rejects at .05; None otherwise.
    leader_p : float or None
        Two-sided exact p-value of the sign test; None below six lags that are not zero.
    loss_events, norm_events : int
        Events on each side, after the warm-up.
    reason : str or None
        Why nothing was tested.
    """

    same_step: CoincidenceTest
    norm_leads: CoincidenceTest
    loss_leads: CoincidenceTest
    median_lag: float | None
    leader: str | None
    leader_p: float | None
    loss_events: int
    norm_events: int
    reason: str | None = None


def coincidence_tests(
    n: int,
    loss_onsets: NDArray[np.int64],
    norm_onsets: NDArray[np.int64],
    *,
    warmup_end: int = 0,
    draws: int = DRAWS,
    seed: int = 0,
) -> Coincidence:
    """Test whether loss and norm events coincide, and which comes first.

    Parameters
    ----------
    n : int
        Steps of the run.
    loss_onsets, norm_onsets : int64[a], int64[b]
        Increasing positions of the events of each curve, below n; onsets closer than 10 steps are merged.
    warmup_end : int
        Events before this position are dropped.
    draws : int
        Shifts of the null.
    seed : int
        Of the shifts; the result is reproducible.

    Returns
    -------
    Coincidence
        Counts with a ``reason`` for fewer than five events on a side.
    """
    loss = decluster(np.asarray(loss_onsets, dtype=np.int64))
    norm = decluster(np.asarray(norm_onsets, dtype=np.int64))
    loss = loss[(loss >= warmup_end) & (loss < n)]
    norm = norm[(norm >= warmup_end) & (norm < n)]
    lag_at = _lag_table(norm, n)
    lags = lag_at[loss]
    paired = lags[np.abs(lags) <= MAX_LAG].astype(np.int64)
    weights = _weights(loss.size)
    observed = _statistics(lags[None, :], weights)[0]
    counts = (observed // weights[0, 0]).tolist()
    median = float(np.median(paired)) if paired.size else None
    leader, leader_p = _leader(paired)
    few = min(loss.size, norm.size) < MIN_EVENTS
    reason = f"fewer than {MIN_EVENTS} spikes on one side, so only counts are given" if few else None
    if few:
        tests = [CoincidenceTest(count=c, expected=None, p=None, p_holm=None) for c in counts]
    else:
        null = _shifted(loss, lag_at, weights, (warmup_end, n), draws, np.random.default_rng(seed))
        greater = (null > observed).sum(axis=0)
        ties = (null == observed).sum(axis=0)
        p = ((greater + 0.5 * (ties + 1.0)) / (draws + 1.0)).tolist()
        tests = [
            CoincidenceTest(count=c, expected=float(e), p=q, p_holm=h)
            for c, e, q, h in zip(counts, (null // weights[0, 0]).mean(axis=0), p, holm(p), strict=True)
        ]
    return Coincidence(
        same_step=tests[0], norm_leads=tests[1], loss_leads=tests[2], median_lag=median, leader=leader,
        leader_p=leader_p, loss_events=int(loss.size), norm_events=int(norm.size), reason=reason,
    )  # fmt: skip


_FAR = np.int8(127)  # no norm event within reach


def _lag_table(norm: NDArray[np.int64], n: int) -> NDArray[np.int8]:
    """Return for every step its distance to the nearest norm event, ``_FAR`` beyond 64 steps."""
    table = np.full(n, _FAR, dtype=np.int8)
    # From far to near, and the later event before the earlier one, so that the nearest (then the earlier) event stays.
    for distance in range(REACH, -1, -1):
        for lag in (-distance, distance):
            position = norm + lag
            table[position[(position >= 0) & (position < n)]] = lag
    return table


def _weights(events: int) -> NDArray[np.int64]:
    """Return what an event of each lag adds to the three statistics, int64[3, 256] by the lag as an unsigned byte.

    An event of the class adds more than the closeness of all events can; that unit is the entry of lag 0 in the first row.
    """
    lag = np.arange(256).astype(np.uint8).view(np.int8).astype(np.int64)
    closeness = np.maximum(REACH + 1 - np.abs(lag), 0)
    unit = (REACH + 1) * (events + 1)
    near = np.abs(lag) <= MAX_LAG
    return np.stack(
        [
            np.where(lag == 0, unit, closeness),
            np.where(lag > 0, closeness + unit * near, 0),
            np.where(lag < 0, closeness + unit * near, 0),
        ]
    )


def _statistics(lags: NDArray[np.int8], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the statistics of same step, norm leads and loss leads along the last axis: count times unit plus closeness."""
    index = lags.view(np.uint8)
    found = np.stack([row[index].sum(axis=1) for row in weights], axis=1)
    found[found < weights[0, 0]] = 0
    return found


def _shifted(
    loss: NDArray[np.int64],
    lag_at: NDArray[np.int8],
    weights: NDArray[np.int64],
    span: tuple[int, int],
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the three statistics of every draw with the loss events shifted within windows of the span."""
    begin_at, n = span
    width = max(WINDOW, int(WINDOW_SHARE * n))
    windows = max(1, (n - begin_at) // width)
    edges = np.linspace(begin_at, n, windows + 1).astype(np.int64)
    window = np.searchsorted(edges, loss, side="right") - 1
    begin, size = edges[window], np.diff(edges)[window]
    found = []
    step = max(1, _CHUNK // loss.size)
    for first in range(0, draws, step):
        count = min(step, draws - first)
        shift = (rng.random((count, windows)) * np.diff(edges)).astype(np.int64)
        found.append(_statistics(lag_at[begin + (loss - begin + shift[:, window]) % size], weights))
    return np.concatenate(found)


def _leader(lags: NDArray[np.int64]) -> tuple[str | None, float | None]:
    """Return who leads by the exact two-sided sign test on lags that are not zero."""
    ahead, behind = int((lags > 0).sum()), int((lags < 0).sum())
    total = ahead + behind
    if total < MIN_LAGS:
        return None, None
    p = sign_test(ahead, total)
    return ("norm" if ahead > behind else "loss") if p <= 0.05 else None, p


def sign_test(positive: int, total: int) -> float:
    """Return the exact two-sided p-value of ``positive`` signs out of ``total`` at even odds."""
    extreme = max(positive, total - positive)
    logs = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(extreme, total + 1)]
    return min(1.0, 2.0 * sum(math.exp(value - total * math.log(2.0)) for value in logs))


def decluster(onsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge onsets that follow the one before by less than 10 steps into the first of the chain."""
    onsets = np.unique(onsets)
    return onsets[np.diff(onsets, prepend=-GAP) >= GAP]
