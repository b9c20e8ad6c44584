"""How runs end: diverged, back to guessing, fitted to the last digit, recovered."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.words import figure
from gradlens.reporters.report_words import norm_caveat
from tests.diagnosis.test_facts import finding, judged


@pytest.fixture
def g():
    return np.random.default_rng(11)


class TestFitted:
    """A gradient that is rounded to 0 where nothing is left to learn."""

    def run(self, *, floor=0.0, until=300):
        n = 300
        loss = np.round(floor + 2.3 * np.exp(-np.arange(n) / 15), 4)
        norm = np.round(floor + 1.5 * np.exp(-np.arange(n) / 20), 3) * (np.arange(n) < until)
        return judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)})

    def test_it_is_no_fault(self):
        run = self.run()
        assert not [f for f in run.findings if f.code == "GL514"]
        assert run.verdict.status != "problem"

    def test_a_loss_that_is_not_gone_has_no_excuse(self):
        assert finding(self.run(floor=1.0, until=150), "GL514").severity == "error"


class TestDiverged:
    def run(self, g, high):
        n, at = 900, 400
        loss = 0.4 + 1.0 * np.exp(-np.arange(n) / 80) + 0.02 * g.standard_normal(n)
        loss[at:] = high + 0.05 * g.standard_normal(n - at)
        norm = 0.3 * np.exp(0.1 * g.standard_normal(n))
        norm[at:] /= 12.0
        return judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 5e-4)})

    def test_far_above_where_it_began_no_data_are_to_blame(self, g):
        run = self.run(g, high=6.0)
        assert run.verdict.outcome == "diverged"
        assert run.diagnosis.cause not in {"data_shift", "healthy"}

    def test_back_to_guessing_neither(self, g):
        n, at = 900, 400
        loss = 2.3026 * (0.3 + 0.7 * np.exp(-np.arange(n) / 80)) + 0.02 * g.standard_normal(n)
        loss[at:] = 2.3026 + 0.003 * g.standard_normal(n - at)
        run = judged({"loss": loss, "grad_norm": 0.5 * np.exp(0.1 * g.standard_normal(n)), "lr": np.full(n, 1e-3)})
        assert run.verdict.outcome == "ended_worse"
        assert "guessing among 10 classes" in finding(run, "GL510").message
        assert run.diagnosis.cause not in {"data_shift", "healthy"}

    def test_a_shift_that_stays_below_the_start_is_one(self, g):
        n, at = 900, 400
        loss = 1.0 + 2.0 * np.exp(-np.arange(n) / 80) + 0.03 * g.standard_normal(n)
        norm = 0.5 * np.exp(0.1 * g.standard_normal(n))
        loss[at:] += 0.6
        norm[at:] *= 1.6
        run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)})
        assert run.diagnosis.cause == "data_shift"


def test_the_last_of_several_spikes_that_recover_is_no_shift(g):
    n = 1800
    loss = 0.8 + 1.5 * np.exp(-np.arange(n) / 120) + 0.01 * g.standard_normal(n)
    norm = 0.7 * np.exp(0.1 * g.standard_normal(n))
    for at in (520, 810, 1150, 1390, 1660):
        decays = np.exp(-np.arange(n - at) / 20)
        loss[at:] += 0.6 * decays
        norm[at:] *= 1 + 9 * decays
    run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 3e-4)})
    assert run.diagnosis.cause not in {"data_shift", "healthy"}
    assert finding(run, "GL513").severity == "warning"


class TestTurnsConstant:
    def log(self, g, last, n=600, at=350):
        loss = np.round(0.6 + 1.7 * np.exp(-np.arange(n) / 60) + 0.02 * g.standard_normal(n), 4)
        loss[at:] = last
        return {"loss": loss, "lr": np.full(n, 1e-3)}

    def test_one_number_to_the_end_is_dead(self, g):
        run = judged(self.log(g, 0.6931))
        assert run.verdict.outcome == "not_learning"
        assert run.verdict.since_step == 350
        assert "ln 2" in finding(run, "GL514").message

    def test_a_loss_that_settles_is_not(self):
        n = 600
        run = judged({"loss": np.round(0.05 + 2.0 * np.exp(-np.arange(n) / 25), 4), "lr": np.full(n, 1e-3)})
        assert not [f for f in run.findings if f.code == "GL514"]


class TestParts:
    """Parts of a loss that are NaN beside one that is not."""

    def log(self, g, part, n=400):
        return {
            "loss": 0.8 + 0.7 * np.exp(-np.arange(n) / 60) + 0.02 * g.standard_normal(n),
            "cls_loss": part(1.0 + 2.0 * np.exp(-np.arange(n) / 60) + 0.02 * g.standard_normal(n)),
            "lr": np.full(n, 1e-3),
        }

    def test_nan_to_the_end_is_told(self, g):
        run = judged(self.log(g, lambda part: np.where(np.arange(len(part)) < 250, part, np.nan)))
        assert run.verdict.outcome == "nonfinite"
        told = finding(run, "GL405")
        assert "cls_loss is NaN from step 250" in told.message
        assert "loss stays finite" in told.message

    def test_a_part_of_every_tenth_row_is_not(self, g):
        run = judged(self.log(g, lambda part: np.where(np.arange(len(part)) % 10 == 0, part, np.nan)))
        assert not [f for f in run.findings if f.code == "GL405"]


class TestInPlainWords:
    """What people read of these runs."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [(2.414, "2.41"), (0.0, "0"), (16_523.0, "16,523"), (1.651e7, "1.65e7"), (3.2e-5, "3.2e-5"), (-1e12, "-1e12")],
    )
    def test_figures_are_written_as_people_do(self, value, text):
        assert figure(value) == text

    def test_a_shift_is_told_in_losses_and_norms(self, g):
        n, at = 900, 400
        loss = 1.0 + 2.0 * np.exp(-np.arange(n) / 80) + 0.01 * g.standard_normal(n)
        norm = 0.5 * np.exp(0.05 * g.standard_normal(n))
        loss[at:] += 0.6
        norm[at:] *= 2.0
        told = finding(judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)}), "GL304")
        assert "deviations" not in told.message
        assert "to 1.6" in told.message
        assert "the norm goes from 0.4" in told.message

    def test_a_norm_of_zero_that_was_measured_is_not_called_unmeasured(self):
        run = judged({"loss": np.full(300, 2.3026), "grad_norm": np.zeros(300), "lr": np.full(300, 1e-3)})
        assert not [f for f in run.findings if f.code == "GL003"]
        assert "measured" not in norm_caveat(run)
        assert sum("overfit" in line for line in run.actions) == 1

    def test_the_checkpoint_to_keep_is_named(self, g):
        n = 600
        step = np.arange(n)
        val = np.where(step % 30 == 0, 0.8 + 0.7 * np.exp(-step / 60) + 0.6 * np.clip(step - 180, 0, None) / n, np.nan)
        loss = 0.1 + 1.5 * np.exp(-step / 120) + 0.01 * g.standard_normal(n)
        run = judged({"loss": loss, "val_loss": val, "lr": np.full(n, 1e-3)})
        assert "the checkpoint nearest to step" in run.actions[0]

    def test_an_agent_is_not_asked_for_a_validation_loss(self, g):
        n = 500
        run = judged(
            {
                "loss": 0.02 * g.standard_normal(n),
                "reward": np.linspace(0, 1, n),
                "kl": np.full(n, 0.01),
                "lr": np.full(n, 1e-6),
            }
        )
        assert "overfitting" not in [left.what for left in run.verdict.not_judged]


def test_a_level_that_is_lost_is_no_matter_of_the_batch_size(g):
    n, at = 900, 500
    loss = 1.0 + 3.0 * np.exp(-np.arange(n) / 80) + 0.05 * g.standard_normal(n)
    loss[at:] += 2.0 + 0.15 * g.standard_normal(n - at)
    norm = 0.5 * np.exp(0.1 * g.standard_normal(n))
    norm[at:] *= np.exp(0.4 * g.standard_normal(n - at))
    run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)})
    assert run.verdict.outcome == "ended_worse"
    assert "batch_size_change" not in [ranked.cause for ranked in run.diagnosis.ranking if ranked.confidence > 0.01]
