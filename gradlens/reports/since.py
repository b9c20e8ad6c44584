"""A report without what was known before a step, for scripts that look at a growing log again and again."""

from __future__ import annotations

from dataclasses import replace

from gradlens.reports.analysis import MAX_STEPS_LISTED, CheckResult, Finding, Report, RunReport


def since(report: Report, step: int) -> Report:
    """The report without the findings whose steps all lie before `step`.

    Verdict, cause and figures stay those of the whole run. A finding without steps concerns the whole run and stays; one with
    `MAX_STEPS_LISTED` steps or more stays, too, as its list may have been cut before the latest. `findings_before` of a run
    counts what was left out, and a check all of whose findings were left out is `skipped` with that reason.
    """
    runs = tuple(_run_since(run, step) for run in report.runs)
    return replace(report, settings={**report.settings, "since": step}, runs=runs)


def is_before(finding: Finding, step: int) -> bool:
    """Whether all that a finding points at lies before a step."""
    return 0 < len(finding.steps) < MAX_STEPS_LISTED and max(finding.steps) < step


def _run_since(run: RunReport, step: int) -> RunReport:
    kept = tuple(finding for finding in run.findings if not is_before(finding, step))
    silent = {f.code for f in run.findings} - {f.code for f in kept}
    return replace(
        run,
        findings=kept,
        findings_before=len(run.findings) - len(kept),
        checks=tuple(_silenced(check, step) if check.code in silent else check for check in run.checks),
    )


def _silenced(check: CheckResult, step: int) -> CheckResult:
    return replace(check, status="skipped", reason=f"found only before step {step:,}")
