"""The brief document for scripts and agents: under 3 kB per run, whatever the log calls things."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reports.analysis import Finding, Report, RunReport
from gradlens.reports.base import plain_data
from gradlens.reports.brief import (
    SCHEMA_VERSION,
    Brief,
    BriefAdvice,
    BriefCause,
    BriefClipping,
    BriefFinding,
    BriefNotJudged,
    BriefRun,
)

#: Bytes of UTF-8 that a run may take; what stands around the runs keeps a document of one run below 3,000.
MAX_BYTES = 2_800
#: Of the steps of a finding, how many are shown from the start and as many from the end.
STEPS_AT_EACH_END = 3
#: Digits of a number: more would not change a decision.
DIGITS = 6

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Room:
    """How many items a list may have, and how many bytes a text."""

    items: int
    text: int


#: From generous to tight; the first that fits is taken. The last always fits: hostile names and steps of 19 digits take 2,100 bytes.
ROOMS = (Room(8, 300), Room(6, 240), Room(5, 160), Room(4, 120), Room(3, 80), Room(2, 60))


class BriefReporter(Reporter):
    """Verdict, cause, findings with their steps, actions, what was not judged, clip rate and threshold advice."""

    name = "brief"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        given = report.settings.get("since")
        document = Brief(schema_version=SCHEMA_VERSION, gradlens_version=report.gradlens_version, since=given, runs=())
        # The runs come last, each between lines of its own.
        head = _json(plain_data(document)).removesuffix("[]}")
        return head + "[\n" + ",\n".join(_fitted(run) for run in report.runs) + "\n]}\n"


def _fitted(run: RunReport) -> str:
    """A run in as much detail as there is room for."""
    text = ""
    for room in ROOMS:
        text = _lines(_brief(run, room))
        if len(text.encode()) <= MAX_BYTES:
            break
    return text


def _lines(run: BriefRun) -> str:
    """One key per line: short, and yet it can be read, searched and compared by lines."""
    return "{" + ",\n ".join(f"{_json(key)}: {_json(value)}" for key, value in plain_data(run).items()) + "}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _brief(run: RunReport, room: Room) -> BriefRun:
    findings = sorted(run.findings, key=lambda f: -f.severity.rank)
    verdict, advice = run.verdict, run.suggestion
    shown, findings_cut = _some(findings, room)
    actions, actions_cut = _some(run.actions, room)
    open_questions, not_judged_cut = _some(verdict.not_judged, room)
    return BriefRun(
        run=_cut(run.id, room.text, keep_end=True),
        status=verdict.status,
        outcome=verdict.outcome,
        headline=_cut(verdict.headline, room.text),
        since_step=verdict.since_step,
        first_step=run.first_step,
        last_step=run.last_step,
        cause=BriefCause(name=run.diagnosis.cause, confidence=_rounded(run.diagnosis.confidence) or 0.0),
        findings=tuple(_finding(finding, room) for finding in shown),
        findings_cut=findings_cut,
        findings_before=run.findings_before,
        actions=tuple(_cut(action, room.text) for action in actions),
        actions_cut=actions_cut,
        not_judged=tuple(
            BriefNotJudged(what=_cut(q.what, room.text), why=_cut(q.why, room.text), remedy=_cut(q.remedy, room.text))
            for q in open_questions
        ),
        not_judged_cut=not_judged_cut,
        clipping=BriefClipping(
            rate=_rounded(run.clipping.clip_rate),
            threshold=_rounded(run.clipping.threshold),
            threshold_source=run.clipping.threshold_source,
        ),
        advice=BriefAdvice(
            threshold=_rounded(advice.threshold),
            interval=None if advice.interval is None else _both(*advice.interval),
            expected_rate=_rounded(advice.expected.rate),
            abstained=None if advice.abstained is None else _cut(advice.abstained, room.text),
        ),
    )


def _finding(finding: Finding, room: Room) -> BriefFinding:
    steps = sorted(set(finding.steps))
    cut = len(steps) > 2 * STEPS_AT_EACH_END
    shown = [*steps[:STEPS_AT_EACH_END], *steps[-STEPS_AT_EACH_END:]] if cut else steps
    return BriefFinding(
        code=_cut(finding.code, room.text),
        name=_cut(finding.name, room.text),
        severity=finding.severity,
        message=_cut(finding.message, room.text),
        steps=tuple(shown),
        steps_cut=len(steps) - len(shown),
    )


def _some(items: Sequence[T], room: Room) -> tuple[Sequence[T], int]:
    """As many items as there is room for, and the number of the others."""
    return items[: room.items], max(0, len(items) - room.items)


def _cut(text: str, limit: int, *, keep_end: bool = False) -> str:
    """A text in at most `limit` bytes of JSON, control characters made visible; `...` stands for the rest.

    The rest is what comes last, or with `keep_end` what comes first: the end of a path tells runs apart.
    """
    # No character takes less than a byte, so that a name of a megabyte costs no more time than a long one.
    visible = for_terminal(text[-limit - 1 :] if keep_end else text[: limit + 1])
    if _bytes(visible) <= limit:
        return visible
    kept, room = 0, limit - len("...")
    for character in reversed(visible) if keep_end else visible:
        room -= _bytes(character)
        if room < 0:
            break
        kept += 1
    return "..." + visible[len(visible) - kept :] if keep_end else visible[:kept] + "..."


def _bytes(text: str) -> int:
    return len(_json(text).encode()) - 2


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _both(low: float, high: float) -> tuple[float, float]:
    return float(f"{low:.{DIGITS}g}"), float(f"{high:.{DIGITS}g}")
