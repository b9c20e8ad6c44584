"""The verdict on a run that goes on, and what is new in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gradlens.analyzer import AnalysisOptions, analyze_run
from gradlens.errors import NoTrainingSeriesError
from gradlens.reports.analysis import Finding, RunReport
from gradlens.reports.base import Outcome, Severity
from gradlens.run import Run
from gradlens.watching.events import Event
from gradlens.watching.standing import Standing

#: A run is young up to this many rows, and in the first part of its steps where their number is known.
YOUNG_ROWS, YOUNG_SHARE = 300, 0.1
#: What a young run is told to have become: facts about its loss and norm. All else weighs the course of a curve that has hardly
#: begun: told as well, it would alarm a tenth of the healthy runs by their hundredth row (`python -m benchmarks.watching quiet`).
FACTS: frozenset[Outcome] = frozenset({"nonfinite", "not_learning", "diverged"})
#: Verdicts on end that must show a finding in a young run before it is told, each on so many times the rows of the one before:
#: what stands while the run grows by half is no chance. Our own choice.
YOUNG_PATIENCE, YOUNG_GROWTH = 3, 1.2


def is_early(report: RunReport, total: float | None = None) -> bool:
    """Whether a verdict comes too early to be trusted: nothing but a fact stands in a run that has hardly begun."""
    if report.verdict.outcome in FACTS:
        return False
    begun = total is not None and report.last_step is not None and report.last_step < YOUNG_SHARE * total
    return report.steps <= YOUNG_ROWS or begun


def verdict(report: RunReport, step: int | None, total: float | None = None) -> dict[str, Any]:
    """The verdict of a report as of a step (of `total`), in the few words that an alert carries."""
    found, diagnosis = report.verdict, report.diagnosis
    return {
        "at": step,
        "status": found.status,
        "outcome": found.outcome,
        "cause": diagnosis.cause,
        "confidence": round(float(diagnosis.confidence), 3),
        "headline": found.headline,
        "early": is_early(report, total),
    }


def judge(run: Run, options: AnalysisOptions) -> RunReport:
    """The report of a run as far as it has come, with nothing concluded from how it ends.

    Raises
    ------
    NoTrainingSeriesError
        It has neither a loss nor a gradient norm.
    """
    if run.loss is None and run.grad_norm is None:
        raise NoTrainingSeriesError(f"{run.id}: no loss and no gradient norm")
    return analyze_run(run, replace(options, is_running=True))


@dataclass(slots=True)
class _Known:
    steps: frozenset[int]
    level: Severity
    is_there: bool = True


class Findings:
    """The findings of one run over its verdicts: each is told once it stands, and then when it gets worse or names further steps."""

    def __init__(self) -> None:
        self._standing = Standing(YOUNG_PATIENCE)
        self._known: dict[str, _Known] = {}
        self._rows = 0.0

    def news(self, report: RunReport, *, total: float | None = None, at_rest: bool = False) -> list[Event]:
        """What this verdict adds to those before.

        Parameters
        ----------
        report
            The verdict.
        total
            The number of steps of the training, where it is known.
        at_rest
            Whether the log no longer grows, so that waiting for more of it would tell nothing.
        """
        by_code: dict[str, Finding] = {}
        for finding in report.findings:
            known = by_code.setdefault(finding.code, finding)
            if finding.severity.rank > known.severity.rank:
                by_code[finding.code] = finding
        standing = self._standing_of(by_code, report, total, at_rest=at_rest)
        told = [code for code in by_code if code in standing and self._is_news(by_code[code])]
        events = [self._tell(report.id, by_code[code]) for code in told]
        for code in self._known.keys() & by_code.keys() - set(told):
            events += self._more(report.id, by_code[code])
        return [*events, *self._gone(report.id, by_code)]

    def _standing_of(
        self, by_code: Mapping[str, Finding], report: RunReport, total: float | None, *, at_rest: bool
    ) -> set[str]:
        """The findings that stand at their level from this verdict on, and did not before."""
        is_young = report.steps <= YOUNG_ROWS
        every, sure = by_code, set(by_code)
        if is_early(report, total) and not at_rest:
            # A course may still turn; what happened at a step has happened, if there are rows enough to know it by.
            sure = set() if is_young else {code for code, finding in by_code.items() if finding.steps}
            by_code = {code: finding for code, finding in by_code.items() if finding.severity is Severity.NOTE}
        elif is_young and not at_rest:
            # Numbers that are no longer finite do not come back by themselves: every step that the alert waits is wasted.
            is_lost = report.verdict.outcome == "nonfinite"
            sure = {code for code, finding in by_code.items() if is_lost and finding.severity is Severity.ERROR}
        standing = self._standing.tell(_levels(every[code] for code in sure))
        if report.steps >= YOUNG_GROWTH * self._rows:
            self._rows = report.steps
            standing |= self._standing.saw(_levels(by_code.values()))
        return {code for code, finding in every.items() if _key(finding, finding.severity) in standing}

    def _is_news(self, finding: Finding) -> bool:
        """Whether the finding was never told, or at a lower level only: who waits for errors has not heard of it yet."""
        known = self._known.get(finding.code)
        return known is None or finding.severity.rank > known.level.rank

    def _tell(self, run: str, finding: Finding) -> Event:
        known = self._known.get(finding.code)
        steps = known.steps if known is not None else frozenset()
        self._known[finding.code] = _Known(steps | frozenset(finding.steps), finding.severity)
        return _event("finding", run, finding, finding.steps)

    def _more(self, run: str, finding: Finding) -> Iterator[Event]:
        """Steps after the known ones, if those are still named: an onset that moved is no further event."""
        known, steps = self._known[finding.code], frozenset(finding.steps)
        later = tuple(sorted(step for step in steps if step > max(known.steps, default=-1)))
        same = len(known.steps & steps) * 2 >= len(known.steps)
        if known.is_there and known.steps and later and same:
            yield _event("again", run, finding, later)
        self._known[finding.code] = _Known(known.steps | steps if same else steps, known.level)

    def _gone(self, run: str, present: Collection[str]) -> Iterator[Event]:
        for code, known in self._known.items():
            if code not in present and known.is_there:
                known.is_there = False
                yield Event(kind="gone", run=run, level=Severity.NOTE, code=code, message="no longer found")


def _key(finding: Finding, level: Severity) -> str:
    return f"{finding.code} {level}"


def _levels(findings: Iterable[Finding]) -> set[str]:
    """Each finding at its level and those below: an error that is a warning for a while has been a warning all the time."""
    return {_key(finding, level) for finding in findings for level in Severity if level.rank <= finding.severity.rank}


def _event(kind: Any, run: str, finding: Finding, steps: Collection[int]) -> Event:
    return Event(
        kind=kind,
        run=run,
        level=finding.severity,
        code=finding.code,
        message=finding.message,
        steps=tuple(sorted(steps)),
    )
