"""What beginners' runs show: a loss that falls to guessing, one without a floor, an adversary that wins, an agent without a reward."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnosis.test_facts import finding, judged

LN_10 = float(np.log(10))


@pytest.fixture
def g():
    return np.random.default_rng(17)


def warns(run):
    return {f.code for f in run.findings if f.severity.value != "note"}


def falls(n, start, end, tau):
    return end + (start - end) * np.exp(-np.arange(n) / tau)


class TestFallsToGuessing:
    @pytest.mark.parametrize("classes", [2, 10, 100])
    def test_a_penalty_that_falls_leaves_a_loss_that_guesses(self, g, classes):
        n = 400
        run = judged({"loss": falls(n, 14.0, np.log(classes), 15) + 1e-3 * np.log(classes) * g.standard_normal(n)})
        assert (run.verdict.status, run.verdict.outcome) == ("problem", "stalled")
        assert f"among {classes} classes" in finding(run, "GL511").message

    def test_one_that_takes_most_of_the_run_to_get_there(self, g):
        run = judged({"loss": falls(400, 70.0, np.log(6), 26) + 1e-3 * g.standard_normal(400)})
        assert "among 6 classes" in finding(run, "GL511").message

    @pytest.mark.parametrize("level", [2.29, 2.315, 1.5], ids=["below", "above", "no level of guessing"])
    def test_another_level_says_nothing(self, g, level):
        n = 400
        assert not warns(judged({"loss": falls(n, 14.0, level, 15) + 1e-3 * g.standard_normal(n)}))

    def test_nor_does_a_level_that_batches_vary_around(self, g):
        n = 400
        assert not warns(judged({"loss": falls(n, 14.0, np.log(10), 15) * np.exp(0.05 * g.standard_normal(n))}))


class TestAPartThatGuesses:
    def log(self, g, part, name="loss_cls", n=400):
        other = falls(n, 70.0, 20.0, 60)
        return {
            "loss": other + part,
            name: part,
            "loss_recon": other / 300,
            "grad_norm": np.exp(0.2 * g.standard_normal(n)),
        }

    def test_while_another_falls(self, g):
        run = judged(self.log(g, np.log(10) * (1.01 + 0.02 * g.standard_normal(400))))
        assert run.verdict.status == "problem"
        assert "loss_cls stays at about ln 10" in finding(run, "GL511").message

    def test_one_that_comes_down_learns(self, g):
        assert not warns(judged(self.log(g, falls(400, np.log(10), 2.0, 150) + 0.02 * g.standard_normal(400))))

    def test_an_entropy_may_stay_there(self, g):
        assert not warns(judged(self.log(g, np.log(10) * (1.0 + 1e-3 * g.standard_normal(400)), name="entropy_loss")))


class TestWithoutAFloor:
    def test_a_loss_that_falls_ever_faster_has_no_minimum(self, g):
        t = np.arange(80)
        run = judged({"loss": 0.5 - 2.0 * t**2 + 0.1 * g.standard_normal(80)})
        assert (run.verdict.status, run.verdict.outcome) == ("problem", "diverged")
        assert "no lower bound" in finding(run, "GL510").message

    @pytest.mark.parametrize("shape", [lambda t: -100.0 * np.log1p(t), lambda t: 1.0 - 300.0 * (1 - np.exp(-t / 20))])
    def test_a_likelihood_gains_ever_less(self, g, shape):
        t = np.arange(300.0)
        assert "GL510" not in warns(judged({"loss": shape(t) + 0.1 * g.standard_normal(300)}))


class TestAbsurdlyLarge:
    def test_squares_of_what_nobody_scaled(self):
        run = judged({"loss": 1e27 * np.exp(-np.arange(60) / 1.7)})
        assert run.verdict.status == "problem"
        assert "ordinary size" in finding(run, "GL510").message

    def test_one_that_comes_back_to_sanity_is_none_of_them(self, g):
        loss = falls(400, 2.0, 0.5, 60) * np.exp(0.05 * g.standard_normal(400))
        loss[0] = 1e16
        assert not any("ordinary size" in f.message for f in judged({"loss": loss}).findings)


class TestAnAdversaryThatWins:
    def log(self, d, g):
        return {"D_loss": d, "G_loss": g}

    def test_its_loss_is_nothing_and_the_others_climbs(self, g):
        t = np.arange(600)
        run = judged(self.log(1.4 * np.exp(-t / 80), 0.7 + t / 60 + 0.01 * g.standard_normal(600)))
        assert run.verdict.status == "problem"
        assert "has won" in finding(run, "GL510").message

    @pytest.mark.parametrize("d", [1.38, 0.3, 0.05])
    def test_a_pair_in_balance_is_not_judged(self, g, d):
        noise = np.exp(0.2 * g.standard_normal((2, 600)))
        run = judged(self.log((d + (1.4 - d) * np.exp(-np.arange(600) / 30)) * noise[0], 0.9 * noise[1]))
        assert run.verdict.status == "insufficient"

    def test_the_critic_of_a_distance_may_run_away(self, g):
        t = np.arange(500)
        run = judged(
            {"loss_critic": -1.0 - 30.0 * t**2 * np.exp(0.2 * g.standard_normal(500)), "loss_gen": -0.4 - 25.0 * t**2}
        )
        assert (run.verdict.status, run.verdict.outcome) == ("problem", "diverged")


class TestAnAgentWithoutAReward:
    def log(self, g, **columns):
        return {"policy_loss": 0.01 * g.standard_normal(200), "value_loss": np.exp(g.standard_normal(200)), **columns}

    def test_zero_in_every_row_teaches_nothing(self, g):
        run = judged(self.log(g, ep_reward=np.zeros(200)))
        assert run.diagnosis.cause == "not_learning"
        assert "never rewarded" in finding(run, "GL514").message

    def test_one_reward_is_a_beginning(self, g):
        reward = np.zeros(200)
        reward[150] = 1.0
        assert judged(self.log(g, ep_reward=reward)).verdict.status == "insufficient"

    def test_a_column_that_nobody_fills_in_is_none(self, g):
        run = judged(self.log(g, reward=np.zeros(200), episode_return=np.abs(g.standard_normal(200))))
        assert run.verdict.status == "insufficient"


class TestNothingShowsThatGradientsVanish:
    """A loss at ln 10 whose norm is the length of some independent numbers: 9 for the output layer alone."""

    def log(self, g, numbers, *, level=LN_10, size=0.1, n=600):
        norm = size * np.sqrt((g.standard_normal((n, numbers)) ** 2).mean(axis=1))
        return {"loss": level * (1 + 0.004 * g.standard_normal(n)), "grad_norm": norm, "lr": np.full(n, 1e-3)}

    def test_what_scatters_as_the_last_layer_alone_vanishes_before_it(self, g):
        assert judged(self.log(g, 9)).diagnosis.cause == "vanishing"

    @pytest.mark.parametrize("numbers", [40, 400])
    def test_what_reaches_many_weights_does_not(self, g, numbers):
        run = judged(self.log(g, numbers))
        assert (run.verdict.status, run.diagnosis.cause) == ("problem", "not_learning")

    def test_elsewhere_than_at_guessing_the_cause_is_unknown(self, g):
        run = judged(self.log(g, 20, level=1.01, n=2000) | {"lr": np.full(2000, 1e-5)})
        assert (run.verdict.status, run.diagnosis.cause) == ("problem", "unknown")
        assert "no column shows why" in run.verdict.headline
        assert not any(r.cause == "vanishing" for r in run.diagnosis.ranking)

    @pytest.mark.parametrize("size", [1e-5, 1e-12])
    def test_a_norm_of_next_to_nothing_vanishes_wherever_the_loss_is(self, g, size):
        assert judged(self.log(g, 40, level=1.01, size=size)).diagnosis.cause == "vanishing"


class TestCheapEvents:
    def log(self, g, cost, n=800):
        loss = falls(n, 2.3, 0.01, 60) * np.exp(0.05 * g.standard_normal(n))
        norm = falls(n, 1.0, 0.05, 60) * np.exp(0.1 * g.standard_normal(n))
        for row in (500, 570, 700):
            loss[row] += cost
            norm[row] *= 30
        return {"loss": loss, "grad_norm": norm}

    def test_a_batch_that_costs_less_than_before_training_is_a_hard_one(self, g):
        run = judged(self.log(g, 0.4))
        assert "GL301" not in warns(run)
        assert "before anything was learned" in finding(run, "GL301").message

    def test_one_that_costs_as_much_is_wrong(self, g):
        assert judged(self.log(g, 3.0)).diagnosis.cause == "bad_data"


class TestWhatAnAgentLoses:
    def log(self, g, reward):
        n = len(reward)
        return {"policy_loss": 0.01 * g.standard_normal(n), "entropy": falls(n, 1.38, 0.5, 100), "ep_rew_mean": reward}

    def test_a_return_that_rose_and_ends_where_it_began_is_lost(self, g):
        reward = np.r_[np.linspace(20, 200, 200), np.full(100, 200.0), np.full(150, 22.0)] + 3.0 * g.standard_normal(
            450
        )
        run = judged(self.log(g, reward))
        assert (run.verdict.status, run.verdict.outcome) == ("problem", "ended_worse")
        assert "falls back to" in finding(run, "GL510").message

    @pytest.mark.parametrize("end", [200.0, 120.0], ids=["kept", "half of it kept"])
    def test_one_that_keeps_a_good_part_is_not_told(self, g, end):
        reward = np.r_[np.linspace(20, 200, 300), np.full(150, end)] + 3.0 * g.standard_normal(450)
        assert judged(self.log(g, reward)).verdict.status == "insufficient"

    def test_returns_that_sway_are_not_told(self, g):
        reward = 100 + 40 * np.sin(np.arange(450) / 25) + 40.0 * g.standard_normal(450)
        assert judged(self.log(g, reward)).verdict.status == "insufficient"


class TestAPolicyAtRandom:
    def log(self, g, entropy, reward):
        n = len(reward)
        return {"policy_loss": 0.01 * g.standard_normal(n), "entropy": entropy, "mean_reward": reward}

    def test_whose_entropy_stays_at_ln_k_and_whose_return_does_not_rise(self, g):
        run = judged(self.log(g, np.full(300, np.log(4)), 0.25 + 0.05 * g.standard_normal(300)))
        assert run.diagnosis.cause == "not_learning"
        assert "at random" in finding(run, "GL511").message

    def test_one_that_earns_more_learns(self, g):
        run = judged(self.log(g, np.full(300, np.log(4)), np.linspace(0.2, 0.9, 300) + 0.05 * g.standard_normal(300)))
        assert run.verdict.status == "insufficient"

    def test_one_whose_entropy_falls_is_not_at_random(self, g):
        run = judged(self.log(g, falls(300, np.log(4), 1.0, 200), 0.25 + 0.05 * g.standard_normal(300)))
        assert run.verdict.status == "insufficient"


class TestNothingIsFound:
    @pytest.mark.parametrize("name", ["dice", "train/mIoU", "F1"])
    def test_an_overlap_of_zero_while_the_background_is_learned(self, name):
        dice = np.zeros(60)
        dice[:4] = 0.04
        run = judged({"loss": falls(60, 0.7, 0.2, 10), name: dice})
        assert run.diagnosis.cause == "not_learning"
        assert "nothing is found" in finding(run, "GL511").message

    def test_one_that_comes_late_is_found(self):
        dice = np.zeros(60)
        dice[-5:] = 0.3
        assert judged({"loss": falls(60, 0.7, 0.2, 10), "dice": dice}).verdict.status != "problem"


def test_a_loss_at_guessing_in_each_row_was_thrown_off_by_no_step(g):
    n = 400
    run = judged(
        {
            "loss": LN_10 * (1 + 3e-4 * g.standard_normal(n)),
            "grad_norm": falls(n, 2.0, 0.01, 10) * np.exp(0.3 * g.standard_normal(n)),
        }
    )
    assert run.diagnosis.cause == "not_learning"


class TestSpikesOfOneBatchOrMany:
    """Six spikes late in a run, each below half of what a batch cost before training."""

    def log(self, g, rows, n=1500):
        loss = (2.3 * np.exp(-np.arange(n) / 120) + 0.005) * np.exp(0.3 * g.standard_normal(n))
        norm = (np.exp(-np.arange(n) / 120) + 0.02) * np.exp(0.3 * g.standard_normal(n))
        for row in (800, 900, 1010, 1130, 1240, 1400):
            shape = 0.5 ** (np.arange(rows) / (rows / 3))
            loss[row : row + rows] += 0.5 * shape
            norm[row : row + rows] *= 1 + 15 * shape
        return {"loss": loss, "grad_norm": norm}

    def test_single_batches_are_hard_ones(self, g):
        assert judged(self.log(g, 1)).verdict.status == "clear"

    def test_wide_ones_are_told(self, g):
        assert judged(self.log(g, 25)).verdict.status == "problem"


def test_a_loss_at_guessing_whose_first_rows_lie_a_little_higher(g):
    loss = LN_10 * (1 + 1e-3 * g.standard_normal(40))
    loss[:3] *= 1.01
    assert "nearly all 40 rows" in finding(judged({"loss": loss}), "GL511").message


def test_a_loss_that_leaves_where_the_rate_is_higher_than_ever_is_no_shift_of_the_data(g):
    n = 600
    loss = falls(n, 2.0, 0.2, 90) * np.exp(0.1 * g.standard_normal(n))
    loss[480:] = 1.9 * np.exp(0.05 * g.standard_normal(120))
    norm = np.exp(0.2 * g.standard_normal(n))
    norm[480:] *= 3
    rising = judged({"loss": loss, "grad_norm": norm, "lr": 1e-4 * 1.02 ** np.arange(n)})
    assert rising.diagnosis.cause in {"lr_too_high", "schedule_mismatch"}
    assert judged({"loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)}).diagnosis.cause == "data_shift"
