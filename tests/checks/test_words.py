"""What findings say is what was measured."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import gradlens
from gradlens.checks.ending import ending
from gradlens.checks.engine import run_checks
from gradlens.checks.learning_rate_too_high import LearningRateTooHigh, climb
from gradlens.diagnosis.ranking import diagnose
from gradlens.diagnosis.status import verdict_of
from gradlens.reporters.wording import span
from gradlens.reports.analysis import Evidence
from gradlens.run import Columns, Run, Series
from tests import synthetic

ROW = np.arange(synthetic.N)


def found(case, code):
    return next(f for f in run_checks(case)[0] if f.code == code)


def dead(*, loss=None, norm=None, value=np.nan):
    run = synthetic.healthy()
    for name, since in (("loss", loss), ("grad_norm", norm)):
        if since is not None:
            run[name][since:] = value
    return synthetic.make(run, threshold=None)


def test_a_run_without_a_finite_value_has_no_growing_norms():
    case = dead(loss=0, norm=0)
    findings, results = run_checks(case)
    (loud,) = [f for f in findings if f.severity != "note"]
    assert loud.message.startswith("every loss and every norm is NaN from the first row (step 0)")
    assert "before any update" in loud.message
    assert not [e for e in loud.evidence if "grows" in e.label]
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert not [r for r in found.ranking for reason in r.because if "norm grows" in reason]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (dead(loss=0), "every loss is NaN from the first row"),
        (dead(norm=900, value=np.inf), "the norm is infinite from step 900 on"),
        (dead(loss=900, norm=900), "the loss and the norm are NaN from step 900 on"),
        (dead(loss=950, norm=900), "the loss is NaN from step 950 on; the norm is NaN from step 900 on"),
        (synthetic.case_healthy(), ""),
    ],
)
def test_the_ending_of_a_run(case, words):
    assert ending(case) == words


def test_norms_that_grow_before_the_end_are_said_to_grow():
    assert "norms grow until the run dies at step 900" in found(synthetic.case_exploding(), "GL501").message


def climbing(times):
    """A loss that comes down from 4 to 1 and climbs by so many times that from the half on."""
    run = synthetic.healthy(noise=0.01)
    run["loss"] = 1.0 + 3.0 * np.exp(-ROW / 40) + 3.0 * times * np.maximum(ROW / synthetic.N - 0.5, 0.0) * 2.0
    run["loss"] += 0.01 * np.random.default_rng(3).normal(size=synthetic.N)
    return synthetic.make(run, threshold=None)


def test_a_climb_is_told_as_measured_and_not_as_a_limit():
    assert "climbs back to where it began" in found(climbing(1.0), "GL201").message
    assert "climbs far above where it began" in found(climbing(40.0), "GL201").message
    assert "diverged: it began at" in found(climbing(40.0), "GL510").message
    assert re.search(r"having lost 3\d % of its descent", found(synthetic.case_partly_lost(), "GL503").message)


def test_what_a_fact_has_said_is_not_said_again():
    assert not [f for f in run_checks(climbing(40.0))[0] if f.code == "GL503"]
    assert not [f for f in run_checks(synthetic.case_overflow())[0] if f.code == "GL404"]


def test_a_climb_after_hardly_a_descent_is_told_in_noise():
    progress = replace(climbing(1.0).progress, in_noise=1.5, rebound=0.4)
    assert climb(progress) == " by 0.8 times its noise from row to row, with hardly a descent before"
    progress = replace(progress, in_noise=-40.0, rebound=700.0)
    assert climb(progress) == " by 1.4e+03 times its noise from row to row, with no descent before"


def test_single_values_that_are_not_finite_are_counted_and_named():
    said = found(synthetic.case_single_nans(), "GL404")
    assert said.severity == "note"
    assert said.message == (
        "the loss is NaN or infinite in 2 rows and the norm is infinite in 2 rows, at steps 300, 301, 700, 900"
    )
    assert said.steps == (300, 301, 700, 900)


def test_a_long_streak_is_told_once():
    codes = [f.code for f in run_checks(dead(norm=900))[0]]
    assert "GL403" in codes
    assert "GL404" not in codes


def sparse(every):
    run = synthetic.healthy(n=3000)
    run["grad_norm"] = run["grad_norm"][::every]
    step = {name: np.arange(3000)[:: every if name == "grad_norm" else 1] for name in run}
    series = {name: Series(name=name, step=step[name], value=value) for name, value in run.items()}
    columns = Columns(step="step", loss="loss", grad_norm="grad_norm", lr="lr")
    return Run(id="r", source="r", format="test", series=series, columns=columns)


def thin(run):
    (report,) = gradlens.analyze(run).runs
    return span(report), [f.message for f in report.findings if f.code == "GL009"]


def test_a_norm_that_is_rarely_logged_is_thin_evidence():
    head, said = thin(sparse(100))
    assert head == "3,000 rows, steps 0 to 2,999, every step, the norm in 30 rows, every 100 steps"
    assert said == ["the evidence is thin: a norm in only 30 of 3,000 rows"]
    head, said = thin(sparse(10))
    assert head.endswith("the norm in 300 rows, every 10 steps")
    assert said == []
    head, said = thin(sparse(1))
    assert (head, said) == ("3,000 rows, steps 0 to 2,999, every step", [])
    assert thin(sparse(3000))[0].endswith("every step, the norm in one row")


def test_columns_without_a_finite_value_are_not_called_missing():
    assert found(dead(loss=0, norm=0), "GL009").message == (
        "the evidence is thin: no finite loss and no finite gradient norm"
    )
    assert found(synthetic.case_no_norm(), "GL009").message.startswith("the evidence is thin: no gradient norm")


@pytest.mark.parametrize(
    ("grades", "said"),
    [
        ((), "the loss behaves at this rate as with one that is too high"),
        ((0.49,), "a faint sign: sign 0"),
        ((0.5,), "sign 0"),
        ((0.6, 0.9), "sign 1"),
    ],
)
def test_a_rate_without_a_climb_is_told_by_its_strongest_sign(grades, said, monkeypatch):
    shown = [Evidence(label=f"sign {at}", value=grade) for at, grade in enumerate(grades)]
    monkeypatch.setattr(LearningRateTooHigh, "facts", lambda *_: iter(shown))
    progress = SimpleNamespace(rebound=0.1, drop_as_rate_falls=0.1)
    case = SimpleNamespace(numerics=SimpleNamespace(dead_from=None), progress=progress)
    assert LearningRateTooHigh().message(case) == said
