"""Facts that need no weighing, and what they rule out."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
import gradlens.config
from gradlens.diagnosis.case import cause_of
from gradlens.diagnosis.facts import Fact
from gradlens.diagnosis.weighing import Beliefs
from gradlens.reports.base import Severity
from tests import synthetic


def judged(log, **options):
    """The report of one run made of columns."""
    n = len(next(iter(log.values())))
    return gradlens.analyze({"step": np.arange(n), **log}, **options).runs[0]


def finding(run, code):
    found = [f for f in run.findings if f.code == code]
    assert found, [f.code for f in run.findings]
    return found[0]


@pytest.fixture
def g():
    return np.random.default_rng(5)


def learns(g, n, noise=0.05):
    return (0.5 + 2.5 * np.exp(-np.arange(n) / (n / 6))) * np.exp(noise * g.standard_normal(n))


class TestChance:
    def test_a_noisy_loss_that_comes_to_ln_2_and_stays_has_learned_nothing(self, g):
        n = 1200
        level = np.log(2) * (1 + 0.4 * np.exp(-np.arange(n) / 30))
        run = judged({
            "loss": level + 0.08 * g.standard_normal(n), "grad_norm": np.exp(0.5 * g.standard_normal(n)), "lr": np.full(n, 1e-3),
        })  # fmt: skip
        assert run.verdict.status == "problem"
        assert run.verdict.outcome == "stalled"
        assert run.diagnosis.cause == "not_learning"
        assert "guessing between two classes" in finding(run, "GL511").message

    def test_a_loss_that_falls_through_ln_2_learns(self, g):
        n = 1200
        level = 0.9 - 0.4 * np.arange(n) / n
        run = judged({"loss": level + 0.08 * g.standard_normal(n), "grad_norm": np.exp(0.3 * g.standard_normal(n))})
        assert run.verdict.status == "clear"

    def test_a_flat_loss_elsewhere_is_a_note_and_undetermined(self, g):
        n = 800
        run = judged({"loss": 0.83 + 0.08 * g.standard_normal(n), "grad_norm": np.exp(0.3 * g.standard_normal(n))})
        assert run.verdict.status == "insufficient"
        assert run.diagnosis.cause == "undetermined"
        assert "hardly moves" in run.verdict.headline


class TestAClimbThatGoesOn:
    """Loss and norm that rise together to the end."""

    def run(self, g, *, loss=0.9, norm=6.0, until=600):
        n = 600
        climb = np.clip((np.arange(n) - 400) / (until - 400), 0, 1) * (np.arange(n) < until)
        return judged({
            "loss": 1.9 + 2.5 * np.exp(-np.arange(n) / 80) + 0.04 * g.standard_normal(n) + loss * climb**1.5,
            "grad_norm": 0.5 * np.exp(0.2 * g.standard_normal(n) + np.log(norm) * climb), "lr": np.full(n, 3e-4),
        })  # fmt: skip

    def test_is_a_warning_before_half_of_the_descent_is_lost(self, g):
        run = self.run(g)
        found = finding(run, "GL510")
        assert run.verdict.status == "problem"
        assert run.verdict.outcome == "ended_worse"
        assert found.severity.value == "warning"
        assert 420 <= found.steps[0] <= 520
        assert "still rises at the end" in found.message

    @pytest.mark.parametrize("change", [{"loss": 0.0}, {"until": 520}], ids=str)
    def test_is_none_where_the_loss_stays_or_both_come_back(self, g, change):
        run = self.run(g, **change)
        assert not [f for f in run.findings if f.code == "GL510"]

    def test_is_a_loss_of_progress_for_whatever_reason_where_the_norm_stays(self, g):
        found = finding(self.run(g, norm=1.0), "GL510")
        assert "still rises" not in found.message
        assert "does not come back" in found.message


class TestExplosion:
    def value_loss(self, g, n, times):
        loss = 0.02 * np.exp(0.3 * g.standard_normal(n))
        loss[-15:] *= np.exp(np.linspace(0, np.log(times), 15))
        return {"value_loss": loss, "episode_reward": 20 + g.standard_normal(n), "entropy": np.full(n, 1.2)}

    def test_a_value_loss_that_grows_without_bound_is_an_error_with_its_step(self, g):
        log = self.value_loss(g, 120, 1e20)
        log["value_loss"][-1] = np.inf
        run = judged(log)
        assert run.verdict.status == "problem"
        assert run.verdict.outcome == "diverged"
        told = finding(run, "GL510")
        assert "explodes from step 10" in told.message
        assert "not finite at step 119" in told.message

    def test_one_that_grows_with_the_returns_is_none(self, g):
        assert judged(self.value_loss(g, 120, 20.0)).verdict.status == "insufficient"


class TestRowsOfEpochs:
    def test_late_descent_of_epoch_means_is_no_high_rate(self, g):
        n = 150
        t = np.arange(n) / n
        loss = -0.65 - 0.08 * np.minimum(np.arange(n) / 3, 1) - 0.03 * t**2
        log = {
            "epoch": np.arange(n), "train_loss": loss, "train_lr": 1e-3 * (0.5 + 0.5 * np.cos(np.pi * t)),
            "train_grad_norm": 0.01 + 0.08 * t**4 + 1e-4 * g.standard_normal(n),
        }  # fmt: skip
        run = gradlens.analyze(log).runs[0]
        assert not [f for f in run.findings if f.severity.rank > 0]
        assert "each row stands for an epoch" in finding(run, "GL005").message


class TestSmallEvents:
    def test_rows_that_stand_out_of_tiny_noise_are_no_bad_batches(self, g):
        n = 400
        loss = learns(g, n, noise=0.002)
        norm = 1.0 * np.exp(0.02 * g.standard_normal(n))
        for at in (150, 290):
            loss[at] *= 1.03
            norm[at] *= 1.2
        run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)})
        assert not [f for f in run.findings if f.severity.rank > 0]
        assert "by little" in finding(run, "GL301").message


class TestConstantNorms:
    @pytest.mark.parametrize("value", [0.3, 1.0])
    def test_are_never_below_a_clear_verdict(self, g, value):
        run = judged({"loss": learns(g, 400), "grad_norm": np.full(400, value), "lr": np.full(400, 1e-3)})
        assert run.verdict.status == "insufficient"
        assert f"all 400 norms are {value:g}" in run.verdict.headline

    def test_at_the_known_threshold_they_were_measured_after_clipping(self, g):
        run = judged({"loss": learns(g, 400), "grad_norm": np.full(400, 0.3)}, threshold=0.3)
        assert run.provenance.verdict == "post_clip"
        assert run.diagnosis.cause == "postclip_logged"


class TestSpikesThatRecover:
    def test_five_of_six_deviations_are_a_warning(self, g):
        n = 2400
        loss, norm = learns(g, n), np.exp(0.15 * g.standard_normal(n))
        for at in (400, 800, 1200, 1600, 2000, 2300):
            decay = np.exp(-np.arange(n - at) / 4)
            loss[at:] *= 1 + 0.55 * decay
            norm[at:] *= 1 + 7 * decay
        run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)})
        assert run.verdict.status == "problem"

    def test_growth_to_nan_is_no_data_shift(self, g):
        n = 276
        loss, norm = learns(g, n), np.exp(0.3 * g.standard_normal(n))
        grow = np.exp(0.4 * np.arange(20))
        loss[200:220] *= np.minimum(grow, 30) ** 0.5
        norm[200:220] *= grow
        loss[220:] = norm[220:] = np.nan
        run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)})
        assert run.diagnosis.cause in {"exploding", "lr_too_high"}


class TestOverfitting:
    def log(self, g, rise, best=0.4, n=1000):
        t = np.arange(n) / n
        val = (
            1.2 * (0.5 + 0.5 * np.exp(-8 * t))
            + rise * np.maximum(t - best, 0) / (1 - best)
            + 0.003 * g.standard_normal(n)
        )
        val[np.arange(n) % 25 != 0] = np.nan
        return {
            "loss": learns(g, n),
            "val_loss": val,
            "grad_norm": np.exp(0.3 * g.standard_normal(n)),
            "lr": np.full(n, 1e-3),
        }

    def test_names_best_step_gap_and_extent(self, g):
        run = judged(self.log(g, 0.3))
        told = finding(run, "GL306")
        assert told.severity.value == "warning"
        assert run.diagnosis.cause == "overfitting"
        assert 350 <= told.steps[0] <= 450
        assert "of 40 evaluations" in told.message
        assert f"{told.steps[0]:,}" in told.advice

    def test_a_little_is_a_note(self, g):
        run = judged(self.log(g, 0.05))
        assert finding(run, "GL306").severity.value == "note"
        assert run.verdict.status == "clear"

    def test_beside_a_best_of_nearly_nothing_any_rise_is_large(self, g):
        log = self.log(g, 0.3)
        known = np.isfinite(log["val_loss"])
        best = np.nanmin(log["val_loss"])
        log["val_loss"] = np.where(known, (log["val_loss"] - best) * 0.01 + 0.001, np.nan)
        log["val_loss"][np.flatnonzero(known)[0]] = 3.0
        assert finding(judged(log), "GL306").severity.value == "note"

    def test_a_best_at_the_end_is_none(self, g):
        assert not [f for f in judged(self.log(g, 0.0)).findings if f.code == "GL306"]

    def test_where_the_training_loss_rises_too_it_is_something_else(self, g):
        log = self.log(g, 0.4)
        log["loss"] = log["loss"] * np.where(np.arange(1000) > 450, 3.0, 1.0)
        assert not [f for f in judged(log).findings if f.code == "GL306"]

    def test_is_drawn_and_its_course_told(self, g):
        run = judged(self.log(g, 0.3))
        assert run.curves is not None
        assert "val_loss" in run.curves
        assert 350 <= run.courses["val_loss"].lowest_step <= 450


class TestElementsBeyondFp16:
    def test_name_the_first_step_where_a_whole_bucket_lies_beyond(self):
        case = synthetic.case_beyond_fp16()
        fact = next(f for f in case.facts if f.code == "GL408")
        assert fact.severity.value == "warning"
        assert fact.steps == (800,)

    def test_are_a_note_in_bfloat16(self):
        case = synthetic.case_beyond_fp16()
        other = synthetic.build_case(
            case.run, case.signals, config=gradlens.config.TrainingConfig(precision="bf16"), threshold=1.0,
            threshold_source="option",
        )  # fmt: skip
        fact = next(f for f in other.facts if f.code == "GL408")
        assert fact.severity.value == "note"
        assert other.cause == "healthy"


class TestRowsThatAreNeeded:
    def log(self, g, n, every):
        return {"step": np.arange(n) * every, "loss": learns(g, n), "grad_norm": np.exp(0.3 * g.standard_normal(n))}

    @pytest.mark.parametrize(
        ("n", "every", "status"),
        [(150, 1, "insufficient"), (300, 1, "clear"), (300, 10, "insufficient"), (450, 10, "clear")],
    )
    def test_sampled_logs_need_more(self, g, n, every, status):
        run = gradlens.analyze(self.log(g, n, every)).runs[0]
        assert run.verdict.status == status
        if status == "insufficient":
            assert f"{n} rows" in run.verdict.headline


class TestWhatThePhysicsLeavesOpen:
    """Facts that went too far: what they ruled out was not ruled out by arithmetic."""

    def run_that_is_nan_after(self, loss, norm):
        rest = np.full(199, np.nan)
        return judged({"loss": np.append(loss, rest), "grad_norm": np.append(norm, rest), "lr": np.full(200, 0.01)})

    def test_a_first_update_that_throws_the_weights_is_an_explosion_and_no_sudden_nan(self):
        run = self.run_that_is_nan_after(3e6, 4e9)
        assert run.verdict.outcome == "nonfinite"
        assert "an update of 4e+07 in length" in finding(run, "GL405").message
        assert run.diagnosis.cause in {"exploding", "lr_too_high"}

    def test_an_ordinary_first_row_before_nan_stays_a_sudden_nan(self):
        run = self.run_that_is_nan_after(2.3, 1.1)
        assert run.diagnosis.cause == "nan_sudden"

    def test_a_first_row_of_step_100_is_not_before_every_update(self):
        n = 60
        run = gradlens.analyze(
            {"step": 100 * np.arange(1, n + 1), "loss": np.full(n, np.nan), "grad_norm": np.full(n, np.nan)}
        )
        found = finding(run.runs[0], "GL405")
        assert "before any update" not in found.message
        assert "what went before it is not in the log" in found.message
        assert run.runs[0].verdict.status == "problem"

    def test_zeros_after_overflows_are_a_loss_scale_that_collapsed(self, g):
        n = 600
        loss, norm = learns(g, n), np.exp(0.3 * g.standard_normal(n))
        norm[200::9] = np.inf
        norm[560:] = 0.0
        scale = 65536.0 * 0.5 ** (np.maximum(np.arange(n) - 191, 0) // 9)
        run = judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3), "loss_scale": scale})
        assert "gradients underflow" in finding(run, "GL514").message
        assert run.diagnosis.cause == "loss_scale_collapse"

    def test_a_constant_loss_with_norms_of_nearly_0_vanishes(self, g):
        n = 400
        run = judged(
            {"loss": np.ones(n), "grad_norm": 3e-8 * np.exp(0.3 * g.standard_normal(n)), "lr": np.full(n, 1e-3)}
        )
        assert run.diagnosis.cause == "vanishing"
        assert run.verdict.outcome == "not_learning"

    def test_a_constant_loss_with_ordinary_norms_does_not_learn(self, g):
        n = 400
        run = judged({"loss": np.ones(n), "grad_norm": np.exp(0.3 * g.standard_normal(n)), "lr": np.full(n, 1e-3)})
        assert run.diagnosis.cause == "not_learning"

    def test_the_noise_of_a_loss_of_both_signs_is_judged_and_its_course_is_not(self, g):
        n = 1000
        case = synthetic.make(
            {"loss": -0.1 + 0.3 * g.standard_normal(n), "grad_norm": np.exp(0.2 * g.standard_normal(n))}
        )
        assert case.loss_kind == "signless"
        assert {"lr_too_high", "bad_data"} <= case.excluded
        assert not {"batch_size_change", "lr_restart"} & case.excluded

    def test_two_adversaries_at_rest_do_not_guess_among_eight_classes(self, g):
        n = 1000
        loss = np.log(8) + 0.01 * g.standard_normal(n)
        loss[:60] = 1.85 + 0.01 * g.standard_normal(60)
        run = judged({"loss": loss, "grad_norm": 0.2 * np.exp(0.5 * g.standard_normal(n))})
        assert not any("guessing among" in f.message for f in run.findings)

    def test_a_decay_that_ends_long_before_the_run_is_a_mismatch(self, g):
        n = 1200
        t = np.arange(n)
        rate = 1e-3 * np.maximum(0.5 * (1 + np.cos(np.pi * np.minimum(t / 400, 1))), 0.02)
        run = judged({"loss": learns(g, n), "grad_norm": np.exp(0.2 * g.standard_normal(n)), "lr": rate})
        assert run.diagnosis.cause == "schedule_mismatch"
        assert "the schedule ends long before the run" in finding(run, "GL205").message

    def test_a_cosine_that_turns_at_its_floor_wraps_round(self, g):
        n = 1000
        rate = 1e-3 * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * np.arange(n) / 600)))
        run = judged({"loss": learns(g, n), "grad_norm": np.exp(0.2 * g.standard_normal(n)), "lr": rate})
        assert "falls to 5 % of its peak and rises again as gradually" in finding(run, "GL205").message

    def test_a_restart_that_warms_up_again_is_planned(self, g):
        n = 1000
        t = np.arange(n) % 500
        rate = 1e-3 * np.where(t < 20, (t + 1) / 20, 0.5 * (1 + np.cos(np.pi * t / 500)))
        run = judged({"loss": learns(g, n), "grad_norm": np.exp(0.2 * g.standard_normal(n)), "lr": rate})
        assert not [f for f in run.findings if f.code == "GL205"]

    def test_a_decay_by_steps_is_planned(self, g):
        n = 1200
        rate = 0.1 ** np.searchsorted([400, 700], np.arange(n), side="right") * 1e-3
        run = judged({"loss": learns(g, n), "grad_norm": np.exp(0.2 * g.standard_normal(n)), "lr": rate})
        assert not [f for f in run.findings if f.code == "GL205"]

    def test_a_warm_up_over_most_of_the_run_is_a_mismatch(self, g):
        n = 1200
        t = np.arange(n)
        rate = 1e-3 * np.where(t < 1050, (t + 1) / 1050, 1.0 - (t - 1050) / 150)
        run = judged({"loss": learns(g, n), "grad_norm": np.exp(0.2 * g.standard_normal(n)), "lr": rate})
        assert "the warm-up takes 87 % of the run" in finding(run, "GL205").message

    def test_clipped_steps_that_creep_down_at_a_small_rate_may_be_held_back(self, g):
        n = 1200
        loss = (2.3 - 0.5 * np.arange(n) / n) * np.exp(0.01 * g.standard_normal(n))
        log = {"loss": loss, "grad_norm": 3.0 * np.exp(0.2 * g.standard_normal(n)), "lr": np.full(n, 1e-3)}
        assert "under Adam" not in finding(judged(log, threshold=0.1), "GL103").message

    def test_a_loss_that_falls_faster_than_clipped_steps_reach_was_moved_by_longer_ones(self, g):
        n = 1200
        log = {"loss": learns(g, n), "grad_norm": 3.0 * np.exp(0.2 * g.standard_normal(n)), "lr": np.full(n, 3e-4)}
        run = judged(log, threshold=0.1)
        assert "under Adam" in finding(run, "GL103").message
        assert run.diagnosis.cause == "healthy"


class TestZerosThatAreReached:
    def test_norms_that_fade_below_the_last_digit_are_not_zero(self, g):
        n = 600
        norm = np.round(0.5 * np.exp(-np.arange(n) / 60) * np.exp(0.2 * g.standard_normal(n)), 2)
        norm[0] = 345.67
        norm = norm.astype(np.float32).astype(float)  # as event files hold it
        assert not norm[400:].any()
        assert not [f for f in judged({"loss": learns(g, n), "grad_norm": norm}).findings if f.code == "GL514"]

    def test_losses_that_come_down_to_the_last_digit_are_reached(self):
        loss = np.round(0.8 * np.exp(-np.arange(80) / 4.0), 2)
        assert not loss[40:].any()
        norm = np.full(80, 0.1) * np.linspace(1.0, 2.0, 80)
        assert not [f for f in judged({"loss": loss, "grad_norm": norm}).findings if f.code == "GL514"]

    def test_no_gradient_is_left_where_every_margin_is_kept(self, g):
        n = 200
        loss = np.where(g.random(n) < 0.3, 0.0, 0.03 * g.random(n))
        norm = np.where(loss > 0, 0.5, 0.0)
        loss[80:], norm[80:] = 0.0, 0.0
        assert not [f for f in judged({"loss": loss, "grad_norm": norm}).findings if f.code == "GL514"]

    def test_two_rows_before_the_zeros_do_not_make_a_last_digit(self, g):
        n = 100
        norm = np.append([5.0, 3.1], np.zeros(n - 2))
        loss = 2.3 * np.exp(0.02 * g.standard_normal(n))
        assert finding(judged({"loss": loss, "grad_norm": norm}), "GL514")

    def test_norms_that_break_off_are_zero_however_they_are_rounded(self, g):
        n = 600
        norm = np.round(0.5 * np.exp(0.2 * g.standard_normal(n)), 2)
        norm[300:] = 0.0
        loss = np.concatenate([learns(g, 300), np.full(300, 0.9) * np.exp(0.05 * g.standard_normal(300))])
        assert "exactly 0 from step 300" in finding(judged({"loss": loss, "grad_norm": norm}), "GL514").message


class TestWhatDecides:
    BELIEFS = Beliefs(ranking=(("data_shift", 0.9), ("healthy", 0.1)), arguments={}, weighed={})

    @staticmethod
    def fact(confidence, severity=Severity.WARNING):
        return Fact(code="GL306", severity=severity, message="", advice="", cause="overfitting", confidence=confidence)

    def test_a_fact_goes_before_a_weighing_that_is_less_sure(self):
        assert cause_of(self.BELIEFS, [self.fact(0.95)], "signs") == "overfitting"

    def test_a_fact_gives_way_to_a_weighing_that_is_surer(self):
        assert cause_of(self.BELIEFS, [self.fact(0.8)], "signs") == "data_shift"

    def test_a_note_decides_nothing(self):
        assert cause_of(self.BELIEFS, [self.fact(0.99, Severity.NOTE)], "signs") == "data_shift"

    def test_nothing_weighed_goes_before_a_fact(self):
        healthy = Beliefs(ranking=(("healthy", 0.99),), arguments={}, weighed={})
        assert cause_of(healthy, [self.fact(0.6)], "signs") == "overfitting"
