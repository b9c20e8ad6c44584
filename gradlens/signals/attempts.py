"""Which rows of a log belong to the training that went on.

Steps should rise. Where they fall, one of four things happened, told apart by what follows the fall:

1. *An attempt*: the training was resumed or begun again. Several rows go on rising from the restart point over steps that
   were logged before: at least two that lead on beyond the step reached, or at least five where the attempt ends before
   that. What it repeats, and what lies beyond, is superseded.
2. *Misplaced rows*: a row out of place by a few rows, or rows that fill a hole of the log. They are put in order.
3. *Stray rows*: a summary with step 0, an epoch in the step column. They lie far back and nothing goes on from them, so
   they supersede nothing: they are set aside.
4. *Several writers*, or none in particular: each step written by several ranks in turn, or rows in random order. All are
   put in order, and of each step the last row counts.

Every row has one fate, so that the counts of a report add up to the rows of the log. The limits are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of an attempt that ends before it has come back to the step reached, and of one that leads on beyond it.
MIN_ATTEMPT, MIN_OVERLAP = 5, 2
#: Rows by which a row may be out of place.
MAX_DISPLACEMENT = 8
#: Share of distances that are falls from which rows are in no order at all.
DISORDER = 0.25
#: Falls from which a regular one is a habit.
MIN_FALLS = 8
#: Share of the steps that several writers all write.
WRITTEN_BY_ALL = 0.9
#: Share of the falls of writers in turn that go back to a place once for each further writer at most.
IN_TURN = 0.5

KEPT, SUPERSEDED, STRAY = 0, 1, 2


@frozen(eq=False)
class Restart:
    """The log went back: at `index` the run went on from `step`, after having reached `reached`.

    `index` is a row in the order written, or of the axis of `gradlens.signals.axis.Signals`; `superseded` counts the rows that
    this attempt was the first to supersede. `fresh` says that a training from scratch begins here
    (`gradlens.signals.starts`) and not a resume.
    """

    index: int
    step: int
    reached: int
    superseded: int
    fresh: bool = False


@frozen(eq=False)
class Order:
    """The rows of one series that count, and what became of the others.

    Attributes
    ----------
    rows
        int64[k]: rows that count, by strictly rising step.
    restarts
        The attempts, in the order written.
    repeated
        Rows left out because a later row of the same attempt has the same step.
    misplaced
        Rows written after one with a later step that were put in order.
    stray_steps
        int64[m]: the steps of the rows that were set aside.
    begun
        How many of these, at the very end of the log, rise one after the other: an attempt may have begun there.
    left_out
        int64[j]: the rows that do not count although no attempt superseded them: repeated ones and strays.
    replaced
        int64[i]: the rows of attempts that later ones superseded.
    writers
        How many took turns to write each step; 1 for an ordinary log.
    overlap
        How often the log goes back by a constant number of steps after a constant number of rows, as the passes of one update that
        overlap with the next do: a habit of the writer and no restart. 0 for an ordinary log.
    """

    rows: NDArray[np.int64]
    restarts: tuple[Restart, ...] = ()
    repeated: int = 0
    misplaced: int = 0
    stray_steps: NDArray[np.int64]
    begun: int = 0
    left_out: NDArray[np.int64]
    replaced: NDArray[np.int64]
    writers: int = 1
    overlap: int = 0

    @property
    def superseded(self) -> int:
        """Rows of earlier attempts, each counted once."""
        return sum(restart.superseded for restart in self.restarts)


def order_of(step: NDArray[np.int64], known: Sequence[Restart] = ()) -> Order:
    """The order of a series.

    Parameters
    ----------
    step
        int64[n], in the order written.
    known
        Restarts that another series of the same run has shown: in a sparser one a single row may stand for an attempt.
    """
    n = len(step)
    change = np.diff(step)
    if bool((change > 0).all()):
        return Order(rows=np.arange(n), stray_steps=step[:0], left_out=step[:0], replaced=step[:0])
    falls = np.flatnonzero(change < 0)
    writers = _writers(step, step[falls + 1])
    fate: NDArray[np.int8] = np.full(n, KEPT, dtype=np.int8)
    restarts: tuple[Restart, ...] = ()
    if writers == 1 and 0 < len(falls) <= DISORDER * len(change):
        fate, restarts = _fates(step, falls, known)
    overlap = len(falls) if writers == 1 and _goes_back_regularly(step, falls) else 0
    if overlap:
        fate, restarts = np.full(n, KEPT, dtype=np.int8), ()
    kept = np.flatnonzero(fate == KEPT)
    by_step = kept[np.argsort(step[kept], kind="stable")]
    last = np.append(np.diff(step[by_step]) > 0, True)
    strays = np.flatnonzero(fate == STRAY)
    return Order(
        rows=by_step[last],
        restarts=restarts,
        repeated=int(np.count_nonzero(~last)),
        misplaced=int(np.count_nonzero(step[kept] < np.maximum.accumulate(step[kept]))),
        stray_steps=step[strays],
        begun=_begun(step, strays),
        left_out=np.sort(np.concatenate((by_step[~last], strays))),
        replaced=np.flatnonzero(fate == SUPERSEDED),
        writers=writers,
        overlap=overlap,
    )


def _goes_back_regularly(step: NDArray[np.int64], falls: NDArray[np.int64]) -> bool:
    """Whether there are eight falls and more, nearly all by the same number of steps and after the same number of rows, to rising steps."""
    if len(falls) < MIN_FALLS:
        return False
    back, rows = step[falls] - step[falls + 1], np.diff(falls)
    usual_back, usual_rows = np.median(back), np.median(rows)
    regular = (
        float(np.mean(back == usual_back)) >= WRITTEN_BY_ALL and float(np.mean(rows == usual_rows)) >= WRITTEN_BY_ALL
    )
    onward = step[falls + 1][1:] > step[falls + 1][:-1]
    return regular and bool(onward.all())


def _begun(step: NDArray[np.int64], strays: NDArray[np.int64]) -> int:
    """How many rows at the end of the log are strays that rise, where there are at least two."""
    count = 0
    while count < len(strays) and strays[-1 - count] == len(step) - 1 - count:
        if count and step[-1 - count] >= step[-count]:
            break
        count += 1
    return count if count >= MIN_OVERLAP else 0


def _writers(step: NDArray[np.int64], back_to: NDArray[np.int64]) -> int:
    """How many wrote each step in turns.

    From the first step to the last repeated one, nearly all are repeated, and the log goes back more often than the same
    number of whole attempts one after the other would. Writers in turn go back to a place once each at most,
    attempts in sequence again and again.
    """
    if not len(back_to):
        return 1
    once = step[np.append(True, np.diff(step) != 0)]  # a row written twice on end is not a second writer
    _, count = np.unique(once, return_counts=True)
    shared = count[: int(np.flatnonzero(count > 1)[-1]) + 1] if count.max() > 1 else count[:0]
    if len(shared) == 0 or shared[0] == 1 or np.mean(shared > 1) < WRITTEN_BY_ALL:
        return 1
    writers = int(np.median(shared))
    if len(back_to) <= 2 * (writers - 1):
        return 1
    _, visits = np.unique(back_to, return_counts=True)
    in_turn = int(visits[visits < writers].sum())
    return writers if in_turn >= IN_TURN * len(back_to) else 1


def _fates(
    step: NDArray[np.int64], falls: NDArray[np.int64], known: Sequence[Restart]
) -> tuple[NDArray[np.int8], tuple[Restart, ...]]:
    """What becomes of each row, fall by fall."""
    fate = np.full(len(step), KEPT, dtype=np.int8)
    restarts: list[Restart] = []
    change = np.diff(step)
    usual = float(np.median(change[change > 0])) if (change > 0).any() else 1.0
    base, highest, lowest = 0, np.maximum.accumulate(step), int(step[0])
    for fall, end in zip((falls + 1).tolist(), [*(falls[1:] + 1).tolist(), len(step)], strict=True):
        begin, reached = fall, int(highest[fall - 1 - base])
        while begin < end and step[begin] <= reached:
            point, stretch = int(step[begin]), step[begin:end]
            back = stretch[: int(np.searchsorted(stretch, reached, side="right"))]
            # A single row, which a log may have many of, is told by the usual distance alone.
            pace = usual if len(back) < MIN_OVERLAP else _median_rise(stretch) or usual
            distance = max(pace, usual)
            # A jump ends a detour: what follows it goes on from elsewhere.
            ahead = stretch[: len(back) + 1]
            until = _until_jump(ahead, 2 * pace)
            part, detour = back[:until], until < len(ahead)
            # The rows that count so far, from the restart point on; those before the last restart lie below its step.
            least = point - int(distance)  # whole, lest all steps be converted for the search
            first = 0 if least <= step[base] else base + int(np.searchsorted(highest[: begin - base], least))
            earlier = np.sort(step[first:begin][fate[first:begin] == KEPT])
            repeats = np.searchsorted(earlier, part + distance) > np.searchsorted(
                earlier, part - distance, side="right"
            )
            attempt = not detour and _is_attempt(part, repeats, leads_on=len(ahead) > len(back))
            if attempt or _is_announced(point, known):
                superseded = (fate[:begin] == KEPT) & (step[:begin] >= point)
                fate[:begin][superseded] = SUPERSEDED
                restarts.append(Restart(index=begin, step=point, reached=reached, superseded=int(superseded.sum())))
                base, highest, lowest = begin, np.maximum.accumulate(step[begin:]), min(lowest, point)
                break
            if _is_stray(part, repeats, earlier, opens=point < lowest):
                fate[begin : begin + len(part)] = STRAY
            else:
                lowest = min(lowest, point)
            begin += len(part)
    return fate, tuple(restarts)


def _median_rise(step: NDArray[np.int64]) -> float:
    """The median distance between neighbours that rise, 0 without any."""
    gaps = np.diff(step)
    rises = gaps[gaps > 0]
    return float(np.median(rises)) if len(rises) else 0.0


def _is_announced(step: int, known: Sequence[Restart]) -> bool:
    return any(restart.step <= step <= restart.reached for restart in known)


def _until_jump(step: NDArray[np.int64], pace: float) -> int:
    """Rows before the first jump: a distance beyond the pace that is wider than all the rows before it cover."""
    jumps = np.flatnonzero(np.diff(step) > np.maximum(step[:-1] - step[0], pace))
    return int(jumps[0]) + 1 if len(jumps) else len(step)


def _is_attempt(part: NDArray[np.int64], repeats: NDArray[np.bool_], *, leads_on: bool) -> bool:
    """Whether rows that went back are an attempt; `leads_on` says that rows beyond the step reached follow them."""
    rising = np.append(True, np.diff(part) > 0)
    rows, repeated = int(rising.sum()), int(repeats[rising].sum())
    return rows >= (MIN_OVERLAP if leads_on else MIN_ATTEMPT) and repeated >= max(MIN_OVERLAP, rows / 2)


def _is_stray(part: NDArray[np.int64], repeats: NDArray[np.bool_], earlier: NDArray[np.int64], *, opens: bool) -> bool:
    """Whether rows that are not an attempt lie far back and fill no hole; `opens` says that no row counts before them."""
    ahead = len(earlier) - int(np.searchsorted(earlier, part[0], side="right"))
    fills_a_hole = float(np.mean(repeats)) < 0.5 and (not opens or len(part) >= MIN_ATTEMPT)
    return ahead > MAX_DISPLACEMENT and not fills_a_hole
