"""A loss that stands still where fine-tuning cannot be the reason, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens


@pytest.fixture
def g():
    return np.random.default_rng(11)


def judged(log, **options):
    n = len(next(iter(log.values())))
    columns = log if "epoch" in log else {"step": np.arange(n), **log}
    return gradlens.analyze(columns, **options).runs[0]


def stands_still(run):
    """Whether the run is said to learn nothing because its loss stands still."""
    return any(f.code == "GL511" and f.severity.value == "warning" for f in run.findings)


def nothing_learned(run):
    return run.verdict.status == "problem" and run.diagnosis.cause == "not_learning" and stands_still(run)


class TestEveryRowAtChance:
    @pytest.mark.parametrize("rows", [10, 25, 50])
    def test_few_rows_that_are_all_at_chance_are_enough(self, g, rows):
        run = judged({"loss": np.log(10) + 0.002 * g.standard_normal(rows)})
        assert nothing_learned(run)
        assert "10 classes" in run.verdict.headline

    def test_one_row_that_is_not_says_no_such_thing(self, g):
        loss = np.log(10) + 0.002 * g.standard_normal(30)
        loss[-1] = 2.2
        assert not stands_still(judged({"loss": loss}))

    def test_a_level_of_no_number_of_classes_says_no_such_thing(self, g):
        assert not stands_still(judged({"loss": 1.25 + 0.002 * g.standard_normal(30)}))


class TestAccuracy:
    def test_guessing_by_loss_and_accuracy(self, g):
        # An untrained network stands a little above ln 10 and answers a little better or worse than chance.
        run = judged({"loss": 2.34 + 0.01 * g.standard_normal(60), "acc": 9.0 + g.random(60)})
        assert nothing_learned(run)
        assert "Acc is 0.09" in run.verdict.headline

    def test_the_same_loss_with_a_good_accuracy_is_a_trained_model(self, g):
        assert not stands_still(
            judged({"loss": 2.34 + 0.01 * g.standard_normal(60), "accuracy": 0.52 + 0.01 * g.standard_normal(60)})
        )

    def test_answers_that_never_change(self, g):
        loss = np.concatenate([[23.0, 1.3], 1.0876 + 0.002 * g.standard_normal(148)])
        run = judged({"loss": loss, "train_accuracy": np.concatenate([[0.35, 0.38], np.full(148, 0.399)])})
        assert nothing_learned(run)

    def test_one_answer_to_everything_while_the_loss_learns_how_common_it_is(self, g):
        loss = 0.58 + 0.13 * np.exp(-np.arange(60) / 20) + 0.001 * g.standard_normal(60)
        assert nothing_learned(judged({"loss": loss, "train_acc": np.full(60, 0.5)}))
        assert not stands_still(judged({"loss": 8 * loss**6, "train_acc": np.full(60, 0.5)}))

    def test_answers_that_are_all_right_need_no_change(self, g):
        loss = np.concatenate([[0.9, 0.5], 0.08 + 0.002 * g.standard_normal(148)])
        assert not stands_still(judged({"loss": loss, "acc": np.concatenate([[0.6, 0.9], np.full(148, 0.98)])}))


class TestSameToTheLastDigit:
    def test_a_loss_that_was_always_there_and_no_longer_moves(self):
        assert nothing_learned(judged({"loss": np.r_[0.2525, 0.2503, np.full(48, 0.25)]}))

    def test_a_fit_that_came_down_to_its_floor_has_learned(self):
        n = np.arange(80)
        assert not stands_still(judged({"loss": np.round(0.25 + 0.9 * np.exp(-n / 3), 4)}))

    def test_two_digits_hide_what_moves(self):
        assert not stands_still(judged({"loss": np.r_[0.26, np.full(49, 0.25)]}))


class TestEpochs:
    def test_thirty_epochs_without_a_descent(self, g):
        run = judged({"epoch": np.arange(60), "loss": 0.23 + 0.01 * g.standard_normal(60)})
        assert nothing_learned(run)
        assert "60 epochs" in run.verdict.headline

    def test_steps_are_not_epochs(self, g):
        assert not stands_still(judged({"loss": 0.23 + 0.01 * g.standard_normal(60)}))

    def test_a_slow_descent_is_one(self, g):
        loss = 0.23 - 0.0004 * np.arange(60) + 0.001 * g.standard_normal(60)
        assert not stands_still(judged({"epoch": np.arange(60), "loss": loss}))

    def test_a_run_that_goes_on_from_a_checkpoint_may_have_learned_before(self, g):
        assert not stands_still(judged({"epoch": 200 + np.arange(60), "loss": 0.23 + 0.001 * g.standard_normal(60)}))

    def test_rows_of_a_console_that_print_an_epoch_each(self, tmp_path, g):
        lines = [f"Epoch {e} - loss: {0.4 + 0.01 * x:.4f}" for e, x in enumerate(g.standard_normal(50))]
        (tmp_path / "train.log").write_text("\n".join(lines), encoding="utf-8")
        assert nothing_learned(gradlens.analyze(tmp_path / "train.log").runs[0])


class TestGradientsThatAddUp:
    def log(self, g, n=400, power=1.0):
        return {
            "loss": 2.33 * np.exp(0.01 * g.standard_normal(n)),
            "grad_norm": 0.3 * (1 + np.arange(n)) ** power * np.exp(0.01 * g.standard_normal(n)),
        }

    def test_a_norm_in_proportion_to_the_step(self, g):
        run = judged(self.log(g))
        assert nothing_learned(run)
        assert "zero_grad" in run.findings[0].advice

    def test_a_norm_that_grows_as_a_root_does_not(self, g):
        assert not any("add up" in f.message for f in judged(self.log(g, power=0.5)).findings)

    def test_nor_where_the_loss_comes_down(self, g):
        log = self.log(g)
        log["loss"] = log["loss"] * np.linspace(1.0, 0.3, 400)
        assert not any("add up" in f.message for f in judged(log).findings)


class TestSums:
    """`running_loss += loss.item()` that is never set back to 0."""

    @staticmethod
    def logged(losses):
        return judged({"loss": np.cumsum(losses)})

    def test_a_sum_is_named_and_not_judged(self, g):
        run = self.logged((0.1 + 2.2 * np.exp(-np.arange(60) / 12)) * np.exp(0.05 * g.standard_normal(60)))
        assert run.verdict.status == "insufficient"
        assert any("sum of all losses so far" in f.message for f in run.findings)

    def test_a_divergence_adds_ever_more(self):
        run = judged({"loss": 2.0 * 1.15 ** np.arange(60)})
        assert run.verdict.status == "problem"
        assert run.verdict.outcome == "diverged"

    def test_a_climb_from_a_level_is_no_sum(self):
        assert judged({"loss": 2.0 + 0.2 * np.arange(120)}).verdict.status == "problem"


def test_a_norm_that_falls_as_far_as_the_loss_is_that_of_a_task_that_is_solved(g):
    # Near the end of a task that can be solved the gradient goes with the loss itself: of one batch, both fall without noise.
    n = np.arange(400)
    loss = 0.003 + 0.78 * np.exp(-n / 12)
    run = judged({"loss": loss, "grad_norm": 0.85 * loss * np.exp(0.01 * g.standard_normal(400))})
    assert not any(f.code == "GL501" for f in run.findings)
    alone = judged(
        {"loss": 0.5 + 0.28 * np.exp(-n / 12), "grad_norm": 0.85 * loss * np.exp(0.01 * g.standard_normal(400))}
    )
    assert any(f.code == "GL501" for f in alone.findings)


class TestReturns:
    """An agent is judged by what it earns."""

    @staticmethod
    def logged(returns, g):
        n = len(returns)
        return judged(
            {
                "policy_loss": g.standard_normal(n),
                "grad_norm": np.exp(0.3 * g.standard_normal(n)),
                "episode_return": returns,
            }
        )

    def test_a_return_that_falls_below_its_start_and_stays_there(self, g):
        run = self.logged(np.linspace(0.0, -1.0, 300).clip(-0.7) + 0.3 * g.standard_normal(300), g)
        assert run.verdict.status == "problem"
        assert run.verdict.outcome == "ended_worse"
        assert "episode_return falls" in run.verdict.headline.lower()

    @pytest.mark.parametrize("course", [np.linspace(0, 3, 300), np.zeros(300), 2 * np.sin(np.linspace(0, 3, 300))])
    def test_one_that_rises_stands_or_comes_back_to_its_start_does_not(self, g, course):
        run = self.logged(course + 0.3 * g.standard_normal(300), g)
        assert not any(f.code == "GL510" for f in run.findings)


class TestPosteriorCollapse:
    @staticmethod
    def logged(kl, g):
        recon = 0.43 + 0.25 * np.exp(-np.arange(300) / 30) + 0.002 * g.standard_normal(300)
        return judged({"loss": recon + 0.01 * kl, "recon_loss": recon, "kl": kl})

    def test_a_kl_term_that_comes_down_to_nothing(self, g):
        run = self.logged(8.0 * np.exp(-np.arange(300) / 25) + 1e-4, g)
        assert run.verdict.status == "problem"
        assert "posterior collapse" in run.verdict.headline

    def test_one_that_rises_or_rests_does_not(self, g):
        assert self.logged(0.3 + 0.2 * np.arange(300) / 300, g).verdict.status != "problem"
        assert self.logged(np.full(300, 1e-4), g).verdict.status != "problem"
