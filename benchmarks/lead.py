"""When the live verdict first names a fault, against when the loss shows it, and how often it alarms without one.

    python -m benchmarks.lead [--sources given unseen] [--runs N]

Each labelled run is judged as the recorder's `Live` would with its defaults: at step 100 and then every 200 steps, on the rows so
far, told from the second of two verdicts in a row that name the same cause, and of a run that has hardly begun only facts. The
loss shows a fault from the row at which its level (the median of a fiftieth of the run) lies three deviations of its noise above
the lowest so far, a row eight above the level before it, or one is not finite; for many faults it never does. The weights have
seen the given runs, not the families of `unseen`. Takes about five minutes for the given runs.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.diagnosis.examples import SOURCES, Labelled, cut, load
from gradlens.analyzer import AnalysisOptions
from gradlens.errors import GradlensError
from gradlens.recorder.live import Live
from gradlens.run import Series
from gradlens.watching.judging import judge, verdict

LENGTHS = (0.1, 0.25, 0.5, 1.0)
#: Deviations of the noise of the loss by which its level must lie above its lowest, or a row above the level before it, to show
#: a fault to the eye. Our own choice.
RAISED, SPIKE = 3.0, 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One run as `Live` told of it: the share of the run and the cause of each alarm; `shown` the share at which the loss shows it."""

    label: dict[str, Any]
    told: tuple[tuple[float, str], ...]
    shown: float | None
    accepted: frozenset[str]

    @property
    def named(self) -> float | None:
        """The share of the run at which an accepted cause was told; None if it never was."""
        return next((share for share, cause in self.told if cause in self.accepted), None)


def told(labelled: Labelled) -> Iterator[tuple[float, str]]:
    """When `Live` would have told somebody, as a share of the run, and of what."""
    live = Live()
    longest = max(labelled.run.series.values(), key=len)
    options = AnalysisOptions(threshold=labelled.label["clip"])
    for step in range(live.first - 1, int(longest.step.max()) + 1, live.every):
        share = float(np.mean(longest.step <= step))
        try:
            found = verdict(judge(cut(labelled, share).run, options), step)
        except GradlensError:
            continue
        if live.stands(found):
            yield share, str(found["cause"])


def shown_at(loss: Series) -> float | None:
    """The share of the run at which its loss shows that something is wrong, None if it never does."""
    value = loss.value
    bad = np.flatnonzero(~np.isfinite(value))
    first_bad = int(bad[0]) if len(bad) else len(value)
    good, window = value[:first_bad], max(len(value) // 50, 9)
    if len(good) >= 3 * window:
        level = np.median(np.lib.stride_tricks.sliding_window_view(good, window), axis=1)[:-1]
        now = good[window:]
        noise = max(1.4826 * float(np.median(np.abs(now - level))), 1e-12)
        raised = level - np.minimum.accumulate(level) > RAISED * noise
        seen = np.flatnonzero(raised | (now - level > SPIKE * noise))
        if len(seen):
            return float(seen[0] + window) / len(value)
    return first_bad / len(value) if len(bad) else None


def courses(sources: list[str], runs: int | None = None) -> list[Course]:
    """Every scored run of the sources, or the first ones of each."""
    return [
        Course(
            label=dict(labelled.label), told=tuple(told(labelled)), shown=shown_at(loss), accepted=accepted,
        )
        for source in sources
        for labelled in itertools.islice(load(source), runs)
        if (accepted := labelled.accepted) is not None and (loss := labelled.run.loss) is not None
    ]  # fmt: skip


def report(found: list[Course]) -> str:
    """The two tables."""
    healthy = [c for c in found if "healthy" in c.accepted]
    faults = [c for c in found if "healthy" not in c.accepted]
    lines = [f"{len(healthy)} healthy runs, {len(faults)} with a fault", ""]
    lines += ["by share of the run | healthy runs alarmed | faults alarmed | faults named"]
    for length in LENGTHS:
        alarms = _share([any(at <= length for at, _ in c.told) for c in healthy])
        detected = _share([any(at <= length for at, _ in c.told) for c in faults])
        right = _share([c.named is not None and c.named <= length for c in faults])
        lines.append(f"{length:19.0%} | {alarms:>20} | {detected:>14} | {right:>12}")
    lines += [
        "",
        "cause                  runs  named  at (median share)  before the loss shows it  loss shows it at  never shown",
    ]
    kinds = Counter(str(c.label["expected"]) for c in faults)
    for kind in (*sorted(kinds), "all"):
        group = [c for c in faults if kind in {"all", c.label["expected"]}]
        named = [c.named for c in group if c.named is not None]
        shown = [c.shown for c in group if c.shown is not None]
        before = [c for c in group if c.named is not None and (c.shown is None or c.named <= c.shown)]
        counts = f"{kind:<22} {len(group):4}  {len(named):5}  {_median(named):>17}  {len(before):24}"
        lines.append(f"{counts}  {_median(shown):>16}  {len(group) - len(shown):11}")
    return "\n".join(lines)


def _share(hits: list[bool]) -> str:
    return f"{float(np.mean(hits)):.1%}" if hits else "–"


def _median(values: list[float]) -> str:
    return f"{float(np.median(values)):.0%}" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", nargs="+", default=["given"], choices=sorted(SOURCES))
    parser.add_argument("--runs", type=int, help="only the first ones of each source")
    given = parser.parse_args()
    print(report(courses(given.sources, given.runs)))


if __name__ == "__main__":
    main()
