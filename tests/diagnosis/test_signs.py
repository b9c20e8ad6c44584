"""What each of the finer signs sees, and what it must not take for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.signs import PARTS, SIGNS
from tests.synthetic import N, healthy, make

ROW = np.arange(N)


def grade(case, name):
    return {**SIGNS, **PARTS}[name].grade(case)


def test_a_burst_in_a_short_run_is_no_noise():
    run = healthy(250)
    run["loss"][120:126] *= 3.0
    run["grad_norm"][120:126] *= 3.0
    case = make(run, threshold=5.0)
    assert grade(case, "burst") == 1.0
    assert [(e.first, e.last) for e in case.bursts] == [(120, 125)]
    # A threshold of 5 lets it through.
    first, second = case.beliefs.ranking[:2]
    assert {first[0], second[0]} == {"bad_data", "clip_too_loose"}
    assert first[1] + second[1] > 0.9


def test_a_hump_is_no_burst():
    run = healthy()
    hump = 1 + 2 * np.exp(-(((ROW - 700) / 12) ** 2))
    case = make({**run, "loss": run["loss"] * hump, "grad_norm": run["grad_norm"] * hump}, threshold=5.0)
    assert case.bursts == ()


def blown_up(first=1.0):
    run = healthy()
    run["loss"][0] *= first
    run["grad_norm"][0] *= first
    for name in ("loss", "grad_norm"):
        run[name][1:12] *= 12.0
    return run


def test_what_the_first_updates_did_is_told_from_how_a_run_began():
    assert grade(make(blown_up(), threshold=5.0), "blown_up_by_updates") == 1.0
    assert grade(make(blown_up(first=12.0), threshold=5.0), "blown_up_by_updates") == 0.0
    assert grade(make(healthy(), threshold=5.0), "blown_up_by_updates") == 0.0


def test_the_start_of_a_blown_up_run_is_its_first_row():
    run = blown_up()
    assert make(run).progress.start == run["loss"][0]
    assert make(healthy()).progress.start == pytest.approx(np.median(healthy()["loss"][:6]))


def test_a_resumed_run_that_counts_anew_shows_no_first_updates():
    run = blown_up()
    step = np.concatenate([np.arange(N // 2), np.arange(N // 2)])
    half = {name: np.concatenate([healthy()[name][: N // 2], value[: N // 2]]) for name, value in run.items()}
    resumed = dict(half)
    # A resumed run opens where the attempt before it ended.
    level = float(np.median(half["loss"][N // 2 - 20 : N // 2]) / np.median(half["loss"][N // 2 : N // 2 + 3]))
    resumed["loss"] = np.concatenate([half["loss"][: N // 2], half["loss"][N // 2 :] * level])
    # It dies at another step: attempts over the very same steps are variants.
    rows = N - 20
    case = make({name: value[:rows] for name, value in resumed.items()}, step=step[:rows])
    assert not case.signals.from_the_start
    assert grade(case, "blown_up_by_updates") == 0.0
    case = make(half, step=step)
    # The loss begins where the first attempt began: a second start, which is no damage.
    assert [(f.code, f.severity) for f in case.facts if f.code == "GL007"] == [("GL007", "note")]
    assert case.cause != "resume_artifact"


def test_a_first_norm_far_above_the_rest():
    run = healthy()
    run["grad_norm"][0] *= 3000.0
    assert grade(make(run, threshold=None), "first_norm_huge") == 1.0


def shocked(swell):
    run = healthy()
    run["grad_norm"][300] *= 200.0
    run["loss"][300] *= 30.0
    run["loss"][301:] *= 1 + swell * np.exp(-(((ROW[301:] - 312) / 8.0) ** 2))
    return run


def test_a_loss_that_swells_after_a_shock():
    assert grade(make(shocked(1.5), threshold=None), "swells_after_shock") == 1.0
    assert grade(make(shocked(0.0), threshold=None), "swells_after_shock") == 0.0


@pytest.mark.parametrize(
    ("beta2", "threshold", "expected"),
    [(0.999, None, 1.0), (0.95, None, 0.0), (0.999, 0.5, 0.0)],
    ids=["slow", "fast", "clipped before the optimizer saw it"],
)
def test_what_a_shock_does_to_the_second_moment(beta2, threshold, expected):
    config = TrainingConfig(optimizer="adamw", beta2=beta2)
    assert grade(make(shocked(0.0), threshold=threshold, config=config), "slow_memory") == pytest.approx(
        expected, abs=0.25
    )


def test_a_norm_that_only_fades():
    run = healthy()
    flat = {"loss": np.full(N, 2.3) * np.exp(1e-3 * np.random.default_rng(0).normal(size=N)), "lr": run["lr"]}
    smooth = np.exp(-1.5 * ROW / N + 0.02 * np.random.default_rng(1).normal(size=N))
    assert grade(make({**flat, "grad_norm": smooth}, threshold=None), "norm_fades_smoothly") == 1.0
    noisy = np.exp(-1.5 * ROW / N + 0.3 * np.random.default_rng(1).normal(size=N))
    assert grade(make({**flat, "grad_norm": noisy}, threshold=None), "norm_fades_smoothly") == 0.0


def test_layers_that_fade_in_any_order():
    run = healthy()
    layers = {f"grad_norm/{i}": run["grad_norm"] * 10.0 ** -(i % 5 * 2) for i in (3, 0, 4, 1, 2)}
    assert grade(make(run, layers=layers), "layers_fade") == 1.0
    near = {f"grad_norm/{i}": run["grad_norm"] / (1 + i) for i in range(5)}
    assert grade(make(run, layers=near), "layers_fade") == 0.0


def test_a_step_that_begins_with_a_shock():
    run = healthy()
    run["loss"][700:] *= 1.6
    assert grade(make({**run, "loss": run["loss"].copy()}, threshold=None), "step_after_shock") == 0.0
    run["loss"][700] *= 100.0
    assert grade(make(run, threshold=None), "step_after_shock") > 0.5


def test_loss_and_norm_that_stand_still_after_the_first_tenth():
    rng = np.random.default_rng(0)
    fall = np.exp(-ROW / 20.0)
    run = {
        "loss": (2.0 + 2.0 * fall) * np.exp(0.05 * rng.normal(size=N)),
        "grad_norm": (0.2 + 2.0 * fall) * np.exp(0.2 * rng.normal(size=N)),
        "lr": np.full(N, 0.1),
    }
    assert grade(make(run, threshold=None), "stalls_at_once") == 1.0
    assert grade(make({**run, "loss": run["loss"] * np.exp(-ROW / N)}, threshold=None), "stalls_at_once") == 0.0


def test_what_was_learned_at_small_rates_and_lost():
    rng = np.random.default_rng(0)
    rate = np.minimum((ROW + 1) / 200, 1.0)
    level = np.where(ROW < 150, 2.6 - 0.4 * ROW / 150, 2.5)
    run = {
        "loss": level * np.exp(0.01 * rng.normal(size=N)),
        "grad_norm": np.where(ROW < 170, 0.8, 0.15) * np.exp(0.2 * rng.normal(size=N)),
        "lr": rate,
    }
    assert grade(make(run, threshold=None), "early_descent_lost") > 0.5
    growing = run["grad_norm"][::-1].copy()
    assert grade(make({**run, "grad_norm": growing}, threshold=None), "early_descent_lost") == 0.0


def test_a_descent_that_waits_for_a_small_rate():
    rng = np.random.default_rng(0)
    rate = 0.5 * (1 + np.cos(np.pi * ROW / N))
    level = np.where(ROW < 0.7 * N, 2.5, 2.5 - 1.5 * (ROW - 0.7 * N) / (0.3 * N))
    level[:20] = 3.0
    run = {"loss": level * np.exp(0.02 * rng.normal(size=N)), "grad_norm": healthy()["grad_norm"], "lr": rate}
    assert grade(make(run, threshold=None), "accelerates_as_rate_decays") == 1.0
    assert grade(make(healthy()), "accelerates_as_rate_decays") == 0.0


def test_a_few_rows_that_diverge():
    loss = np.array([6.4, 6.6, 7.3, 11.1, 14.2, 12.8])
    run = {"loss": loss, "grad_norm": np.ones(6)}
    assert grade(make(run), "diverges_in_few_rows") > 0.5
    assert grade(make({**run, "loss": loss[::-1] / 10}), "diverges_in_few_rows") == 0.0


def test_spikes_of_a_loss_that_is_practically_zero_are_no_events():
    run = healthy()
    run["loss"] = run["loss"] * np.exp(-ROW / 100.0)
    for row in (800, 900, 1000):
        run["loss"][row] *= 30.0
        run["grad_norm"][row] *= 30.0
    case = make(run, threshold=None)
    assert not [e for e in case.events if e.first >= 800]
    assert case.beliefs.cause == "healthy"


def test_a_surrogate_loss_that_returns_to_zero_as_its_gradients_shrink():
    rng = np.random.default_rng(0)
    size = np.exp(-ROW / 200.0) + 0.02
    run = {"loss": -0.3 * size + 0.1 * size * rng.normal(size=N), "grad_norm": size * np.exp(0.3 * rng.normal(size=N))}
    case = make(run, threshold=None)
    assert grade(case, "stays_raised") == 0.0
    assert case.beliefs.cause == "healthy"


def wandering(n=1500, memory=0.98, seed=0):
    """A run whose loss was smoothed before it was logged."""
    run = healthy(n, seed=seed)
    smooth = run["loss"].copy()
    for row in range(1, n):
        smooth[row] = memory * smooth[row - 1] + (1 - memory) * run["loss"][row]
    return {**run, "loss": smooth}


@pytest.mark.parametrize("seed", range(6))
def test_a_smoothed_loss_wanders_without_a_step(seed):
    case = make(wandering(seed=seed), threshold=5.0)
    assert grade(case, "sudden_step") == 0.0
    assert grade(case, "rebounds") == 0.0


def test_a_lasting_step_of_a_loss_without_memory_is_still_seen():
    run = healthy()
    run["loss"][800:] *= 1.4
    assert grade(make(run, threshold=5.0), "sudden_step") == 1.0


def test_fine_tuning_that_learns_a_little_is_not_stuck():
    rng = np.random.default_rng(0)
    loss = (1.25 + 0.1 * np.exp(-ROW / 200)) * np.exp(0.05 * rng.normal(size=N))
    case = make({"loss": loss, "grad_norm": 0.9 * np.exp(0.2 * rng.normal(size=N))}, threshold=5.0)
    assert grade(case, "never_learned") < 0.2
    flat = make({"loss": 2.3 * np.exp(0.005 * rng.normal(size=N)), "grad_norm": case.signals.norm}, threshold=5.0)
    assert grade(flat, "never_learned") == 1.0


def test_a_loss_around_zero_has_nothing_to_come_down_from():
    rng = np.random.default_rng(0)
    run = {"loss": -0.01 + 0.02 * rng.normal(size=N), "grad_norm": 0.5 * np.exp(0.2 * rng.normal(size=N))}
    assert grade(make(run, threshold=5.0), "never_learned") == 0.0


def test_norms_that_fall_by_less_than_the_loss_did_not_start_huge():
    run = healthy()
    fall = np.exp(-ROW / 12.0)
    loss = run["loss"] * (1 + 20_000 * fall)
    norm = run["grad_norm"] * (1 + 600 * fall)
    assert grade(make({**run, "loss": loss, "grad_norm": norm}, threshold=5.0), "norm_starts_huge") == 0.0
    assert grade(make({**run, "grad_norm": norm}, threshold=5.0), "norm_starts_huge") > 0.5


def test_few_rows_of_a_sparse_log_are_neither_a_divergence_nor_spiky():
    rng = np.random.default_rng(1)
    loss = (1 + 2 * np.exp(-np.arange(50) / 8)) * np.exp(0.3 * rng.normal(size=50))
    norm = np.exp(0.3 * rng.normal(size=50))
    loss[[20, 40]] *= 3.0
    norm[[20, 40]] *= 6.0
    case = make({"loss": loss, "grad_norm": norm}, step=20 * np.arange(50), threshold=5.0)
    assert grade(case, "diverges_in_few_rows") < 0.5
    assert grade(case, "spiky_everywhere") == 0.0


def test_where_rows_stand_for_many_steps_fast_learning_is_no_easier_data():
    run = healthy()
    for name in ("loss", "grad_norm"):
        run[name][800:] *= 0.5
    assert grade(make(run, threshold=5.0), "sudden_drop") == 1.0
    assert grade(make(run, step=20 * ROW, threshold=5.0), "sudden_drop") == 0.0


def test_the_course_of_a_contested_loss_says_nothing():
    run = healthy()
    climbing = run["loss"] * (1 + 3 * ROW / N)
    plain = make({**run, "loss": climbing}, threshold=5.0)
    assert plain.progress is not None
    contested = make({**run, "loss": climbing}, threshold=5.0)
    contested.run = replace(contested.run, columns=replace(contested.run.columns, loss="d_loss"))
    assert contested.progress is None
    assert contested.loss_step.errors == 0.0
