"""Runs the checks: what lacks its inputs is skipped with a reason, what breaks is an errored result and not a crash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from gradlens.checks import CHECKS
from gradlens.checks.base import NEEDS, Check
from gradlens.diagnosis.case import Case
from gradlens.errors import UsageError
from gradlens.registry import with_plugins
from gradlens.reports.analysis import CheckResult, Finding
from gradlens.reports.base import Severity


def load_checks() -> tuple[Check, ...]:
    """All checks, in order of their codes."""
    entries = with_plugins("gradlens.checks", CHECKS)
    return tuple(entries[code].load()() for code in sorted(entries))


def run_checks(
    case: Case, *, select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> tuple[tuple[Finding, ...], tuple[CheckResult, ...]]:
    """The findings, worst first, and what became of each check.

    `select` and `ignore` hold codes, the beginnings of codes (`GL1`) or names. The diagnosis weighs the evidence of the
    run and not the findings, so neither changes it.
    """
    select, ignore = tuple(select), tuple(ignore)
    findings: list[Finding] = []
    results: list[CheckResult] = []
    for check in load_checks():
        if (select and not _matches(check, select)) or _matches(check, ignore):
            continue
        # What is decided without weights needs no more than it rests on.
        stated = [check.stated(fact) for fact in case.facts if fact.code == check.code]
        if stated:
            findings += stated
            results.append(CheckResult(code=check.code, name=check.name, status="failed"))
            continue
        reason = next((NEEDS[need] for need in sorted(check.needs) if not case.has(need)), None)
        if reason is not None:
            results.append(CheckResult(code=check.code, name=check.name, status="skipped", reason=reason))
            continue
        try:
            with np.errstate(all="ignore"):
                found = list(_demote_side_findings(case, check.check(case)))
        except (ArithmeticError, ValueError, IndexError, KeyError) as error:
            reason = f"{type(error).__name__}: {error}"
            results.append(CheckResult(code=check.code, name=check.name, status="errored", reason=reason))
            continue
        findings += found
        results.append(CheckResult(code=check.code, name=check.name, status="failed" if found else "passed"))
    findings.sort(key=lambda f: (-f.severity.rank, f.code))
    return tuple(findings), tuple(results)


def count_chosen(select: Iterable[str], ignore: Iterable[str]) -> tuple[int, int]:
    """How many of the checks `select` and `ignore` leave, and how many there are."""
    select, ignore = tuple(select), tuple(ignore)
    checks = load_checks()
    left_out = sum((bool(select) and not _matches(c, select)) or _matches(c, ignore) for c in checks)
    return len(checks) - left_out, len(checks)


def require_known(words: Iterable[str], origin: str) -> None:
    """Refuse a word that names no check: a typo in a list of checks must not leave them all out.

    Raises
    ------
    UsageError
        A word that is neither a code, the beginning of one, nor a name; `origin` says where it stands.
    """
    for word in words:
        checks = load_checks()
        if word and any(_matches(check, (word,)) for check in checks):
            continue
        import difflib

        # Letters that look like digits are the likeliest slip in a code.
        as_code = word.upper().replace("O", "0").replace("I", "1")
        near = difflib.get_close_matches(as_code, [check.code for check in checks], n=1)
        near = difflib.get_close_matches(word.lower(), [check.name for check in checks], n=1) or near
        raise UsageError(
            f"{origin}: unknown check {word!r}",
            hint=f"did you mean {near[0]}?" if near else "`gradlens explain` lists them all",
        )


def _matches(check: Check, words: tuple[str, ...]) -> bool:
    return any(check.code.startswith(word.upper()) or check.name == word.lower() for word in words)


def _demote_side_findings(case: Case, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Only the root cause warns: whatever another cause explains, or a healthy run shows, becomes a note."""
    root = case.cause
    for finding in findings:
        speaks = root != "healthy" and finding.cause == root
        yield finding if speaks else replace(finding, severity=Severity.NOTE)


def catalogue() -> list[tuple[str, str, str]]:
    """Code, name and one-line summary of every check."""
    return [(check.code, check.name, check.summary()) for check in load_checks()]
