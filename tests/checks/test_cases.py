"""Every check finds what it is for, stays silent on a healthy run, and agrees with the diagnosis."""

from __future__ import annotations

import pytest

from gradlens.checks import CHECKS
from gradlens.checks.engine import load_checks, run_checks
from gradlens.diagnosis.ranking import diagnose
from gradlens.diagnosis.status import verdict_of
from gradlens.reports.base import NO_FAULT, Severity
from tests import synthetic

RUNS = [value for name, value in vars(synthetic).items() if name.startswith("case_")]
#: Checks that only describe what kind of log it is may speak about healthy runs.
DESCRIBING = {"GL005", "GL009"}


@pytest.mark.parametrize("code", CHECKS)
def test_every_check_finds_something_in_a_case(code):
    # A new check is tried on all of them.
    cases = synthetic.FINDS.get(code) or RUNS
    found = any(code in {f.code for f in run_checks(build(), select=(code,))[0]} for build in cases)
    assert found, f"no run of tests/synthetic.py has what {code} looks for: add one to it, and to FINDS"


@pytest.mark.parametrize("code", CHECKS)
def test_a_check_breaks_in_no_case(code):
    for build in RUNS:
        _, (result,) = run_checks(build(), select=(code,))
        assert result.status != "errored", (build.__name__, result.reason)


@pytest.mark.parametrize(("code", "build"), [(c, b) for c, builds in synthetic.FINDS.items() for b in builds])
def test_finds(code, build):
    findings, results = run_checks(build())
    assert code in {f.code for f in findings}
    assert next(r for r in results if r.code == code).status == "failed"


@pytest.mark.parametrize("code", sorted(set(CHECKS) - DESCRIBING))
def test_silent_on_healthy(code):
    findings, _ = run_checks(synthetic.case_healthy())
    assert code not in {f.code for f in findings}


@pytest.mark.parametrize("build", RUNS, ids=lambda b: b.__name__)
def test_findings_agree_with_diagnosis(build):
    case = build()
    findings, results = run_checks(case)
    verdict = verdict_of(case, findings, results)
    diagnosis = diagnose(case, findings, verdict)
    loud = {f.cause for f in findings if f.severity is not Severity.NOTE}
    # A fact may leave the cause to the weighing, or to nobody.
    assert loud - {None} <= {diagnosis.cause}
    assert bool(loud) == (diagnosis.cause not in NO_FAULT)
    assert (verdict.status == "problem") == bool(loud)
    assert not [r for r in results if r.status == "errored"]
    assert sum(r.confidence for r in diagnosis.ranking) <= 1 + 1e-9


@pytest.mark.parametrize(("build", "cause"), synthetic.CAUSES.items(), ids=lambda v: getattr(v, "__name__", v))
def test_names_the_cause(build, cause):
    assert build().beliefs.cause == cause


@pytest.mark.parametrize(("build", "cause"), synthetic.PROVEN.items(), ids=lambda v: getattr(v, "__name__", v))
def test_a_fact_proves_the_cause(build, cause):
    case = build()
    assert case.cause == cause
    findings, results = run_checks(case)
    verdict = verdict_of(case, findings, results)
    assert verdict.status == "problem"
    assert diagnose(case, findings, verdict).cause == cause


def test_selecting_changes_no_diagnosis():
    case = synthetic.case_bad_batches()
    some, results = run_checks(case, select=("GL4",))
    assert {r.code for r in results} == {c for c in CHECKS if c.startswith("GL4")}
    assert diagnose(case, some, verdict_of(case, some, results)).cause == "bad_data"
    without, results = run_checks(case, ignore=("bad-batch", "gl303"))
    assert not {"GL301", "GL303"} & {r.code for r in results}
    assert without == tuple(f for f in run_checks(case)[0] if f.code not in {"GL301", "GL303"})


def test_skipped_checks_say_why():
    _, results = run_checks(synthetic.case_no_norm())
    skipped = {r.code: r.reason for r in results if r.status == "skipped"}
    assert "gradient norm" in skipped["GL103"]
    assert all(skipped.values())


def test_order_and_uniqueness_of_codes():
    checks = load_checks()
    assert [c.code for c in checks] == sorted(CHECKS)
    assert len({c.name for c in checks}) == len(checks)
