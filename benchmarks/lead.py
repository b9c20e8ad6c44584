"""When the live verdict first names a fault, against when the loss shows it, and how often it alarms without one.

    python -m benchmarks.lead [--sources given unseen]

Each labelled run is judged on its first tenth, on its first two tenths and so on, as the recorder's live verdict would. A cause
counts as named from the first of two verdicts in a row that name an accepted one (the default patience). The loss shows a
fault from the row at which its level (the median of a fiftieth of the run) lies three deviations of its noise above the lowest
so far, a row eight above the level before it, or one is not finite; for many faults it never does. The weights have seen
these runs: false alarms of unseen families are in docs/diagnosis.md. Takes about five minutes for the given runs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.diagnosis.examples import SOURCES, Labelled, cut, load
from gradlens.checks.engine import run_checks
from gradlens.diagnosis.ranking import named_cause
from gradlens.diagnosis.status import status_of
from gradlens.run import Series

SHARES = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LENGTHS = (0.1, 0.25, 0.5, 1.0)
#: Deviations of the noise of the loss by which its level must lie above its lowest, or a row above the level before it, to show
#: a fault to the eye. Our own choice.
RAISED, SPIKE = 3.0, 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One run judged at each share: `causes` and `alarms` by share; `shown` the share at which the loss shows it, or None."""

    label: dict[str, Any]
    causes: tuple[str, ...]
    alarms: tuple[bool, ...]
    shown: float | None
    accepted: frozenset[str]

    @property
    def named(self) -> float | None:
        """The share of the first of two verdicts in a row that name an accepted cause; the last one may stand alone."""
        right = [cause in self.accepted for cause in self.causes]
        for place, share in enumerate(SHARES):
            if right[place] and (place + 1 == len(SHARES) or right[place + 1]):
                return share
        return None


def verdict(labelled: Labelled) -> tuple[str, bool]:
    """The cause that is named, and whether there is an alarm."""
    case = labelled.case()
    findings, _ = run_checks(case)
    status = status_of(case, findings)
    return named_cause(case, status), status == "problem"


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


def courses(sources: list[str]) -> list[Course]:
    """Every scored run of the sources."""
    found = []
    for source in sources:
        for labelled in load(source):
            if labelled.accepted is None or labelled.run.loss is None:
                continue
            judged = [verdict(cut(labelled, share)) for share in SHARES]
            found.append(
                Course(
                    label=dict(labelled.label), causes=tuple(c for c, _ in judged), alarms=tuple(a for _, a in judged),
                    shown=shown_at(labelled.run.loss), accepted=labelled.accepted,
                )
            )  # fmt: skip
    return found


def report(found: list[Course]) -> str:
    """The two tables."""
    healthy = [c for c in found if "healthy" in c.accepted]
    faults = [c for c in found if "healthy" not in c.accepted]
    lines = [f"{len(healthy)} healthy runs, {len(faults)} with a fault", ""]
    lines += ["share of the run | healthy runs with an alarm | faults alarmed | faults named"]
    for length in LENGTHS:
        at = SHARES.index(length)
        alarms = np.mean([c.alarms[at] for c in healthy]) if healthy else np.nan
        detected = np.mean([c.alarms[at] for c in faults])
        right = np.mean([c.causes[at] in c.accepted for c in faults])
        lines.append(f"{length:16.0%} | {alarms:26.1%} | {detected:14.1%} | {right:12.1%}")
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


def _median(values: list[float]) -> str:
    return f"{float(np.median(values)):.0%}" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", nargs="+", default=["given"], choices=sorted(SOURCES))
    print(report(courses(parser.parse_args().sources)))


if __name__ == "__main__":
    main()
