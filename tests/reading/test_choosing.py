"""Which column is the step and which the loss, by what they do."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import gradlens


def read(tmp_path, rows, name="run.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    (run,) = gradlens.read(path)
    return run


def codes(run):
    return {n.code for n in run.notices}


def test_an_epoch_that_repeats_is_no_step(tmp_path):
    run = read(tmp_path, [{"epoch": i // 10, "loss": 3 - i / 20} for i in range(40)])
    assert run.loss.step.tolist() == list(range(40))
    assert "epoch-not-step" in codes(run)


def test_an_epoch_a_row_is_the_step(tmp_path):
    run = read(tmp_path, [{"epoch": i + 1, "loss": 3 - i / 20} for i in range(20)])
    assert run.columns.step == "epoch"
    assert not codes(run) & {"epoch-not-step", "step-chosen"}


def test_updates_before_epochs(tmp_path):
    run = read(
        tmp_path, [{"epoch": i // 10 + 1, "train_loss": 3 - i / 20, "train_num_updates": str(i * 5)} for i in range(30)]
    )
    assert run.loss.step.tolist() == [i * 5 for i in range(30)]


def test_calls_of_wandb_before_epochs(tmp_path):
    run = read(tmp_path, [{"_step": i, "epoch": i // 10, "loss": 3 - i / 20} for i in range(30)])
    assert run.columns.step == "_step"


def test_the_counter_of_batches_before_the_one_of_updates(tmp_path):
    run = read(tmp_path, [{"step": i // 4, "iter": i, "loss": 3 - i / 40} for i in range(80)])
    assert run.columns.step == "iter"
    assert "step-chosen" in codes(run)


def test_a_row_written_twice_is_no_epoch(tmp_path):
    run = read(tmp_path, [{"step": i // 2, "loss": 3 - (i // 2) / 40, "speed": i} for i in range(80)])
    assert run.columns.step == "step"
    assert run.loss.step.tolist() == [i // 2 for i in range(80)]


def test_rounded_steps_are_the_order_of_the_file(tmp_path):
    def rounded(step):
        return float(f"{step:.3g}")

    run = read(tmp_path, [{"step": rounded(i * 20), "loss": 3 - i / 1000} for i in range(1000)])
    assert run.loss.step.tolist() == [i * 20 for i in range(1000)]
    assert "rounded-steps" in codes(run)


def test_steps_that_are_round_by_themselves_stay(tmp_path):
    run = read(tmp_path, [{"step": i * 1000, "loss": 3 - i / 40} for i in range(80)])
    assert run.loss.step.tolist() == [i * 1000 for i in range(80)]
    assert "rounded-steps" not in codes(run)


def test_lengths_of_epochs_are_no_steps(tmp_path):
    rows = [{"epoch": i // 2, "steps": 784 if i % 2 else 6275, "loss": 3 - i / 50} for i in range(60)]
    assert read(tmp_path, rows).loss.step.tolist() == list(range(60))
    rows = [{"steps": 6275, "epoch": i, "loss": 3 - i / 50} for i in range(60)]
    assert read(tmp_path, rows).columns.step == "epoch"


@pytest.mark.parametrize("count", [(6275, 6275), (784, 6275)])
def test_a_counter_that_never_gets_on_leaves_the_order_of_the_file(tmp_path, count):
    run = read(tmp_path, [{"step": count[i % 2], "loss": 3 - i / 50} for i in range(60)])
    assert run.loss.step.tolist() == list(range(60))
    assert "step-not-counting" in codes(run)


def test_two_rows_an_epoch_are_counted_on(tmp_path):
    run = read(tmp_path, [{"epoch": i // 2, "step": 100 + i % 2 * 100, "loss": 3 - i / 50} for i in range(60)])
    assert run.loss.step.tolist() == [100 + i * 100 for i in range(60)]


def test_a_part_stands_for_the_total(tmp_path):
    run = read(
        tmp_path,
        [{"epoch": i, "train/box_loss": 0.5, "train/cls_loss": 3 - i / 20, "val/cls_loss": 9.0} for i in range(20)],
    )
    assert run.columns.loss == "train/cls_loss"
    (notice,) = [n for n in run.notices if n.code == "component-loss"]
    assert "train/box_loss" in notice.message


def test_what_is_called_the_whole_before_the_largest(tmp_path):
    rows = [{"step": i, "aux_loss": 9.0, "combined_loss": math.nan, "kl_loss": 2 - i / 20} for i in range(20)]
    run = read(tmp_path, rows)
    assert run.columns.loss == "combined_loss"
    (notice,) = [n for n in run.notices if n.code == "component-loss"]
    assert "the whole" in notice.message
    assert notice.count == 2


@pytest.mark.parametrize("entropy", ["average_loss_entropy", "entropy_loss", "loss/ent"])
def test_the_entropy_of_a_policy_is_no_loss_beside_others(tmp_path, entropy):
    rows = [{"step": i, entropy: -9.0 - i, "mean": i, "average_loss_value": 2 - i / 20} for i in range(20)]
    assert read(tmp_path, rows).columns.loss == "average_loss_value"
    rows = [{"step": i, "cross_entropy_part_loss": 9.0 - i / 20, "kl_div_loss": 0.5} for i in range(20)]
    assert read(tmp_path, rows).columns.loss == "cross_entropy_part_loss"


@pytest.mark.parametrize(
    "form", ["Epoch  1, {step:5d}/9000; acc: 2.5; ppl: {ppl:.3f}; 3432 tok/s", "step {step} | perplexity {ppl}"]
)
def test_a_perplexity_alone_is_a_loss(tmp_path, form):
    (tmp_path / "a.log").write_text(
        "".join(form.format(step=i * 50, ppl=math.exp(9 - i / 8)) + "\n" for i in range(1, 41))
    )
    (run,) = gradlens.read(tmp_path / "a.log")
    np.testing.assert_allclose(run.loss.value, [9 - i / 8 for i in range(1, 41)], atol=1e-3)
    assert run.loss.step.tolist() == [i * 50 for i in range(1, 41)]
    assert "loss-from-perplexity" in codes(run)
    run = read(tmp_path, [{"step": i, "ppl": 9.0, "loss": 3 - i / 20} for i in range(20)])
    assert run.columns.loss == "loss"
    assert "loss-from-perplexity" not in codes(run)


@pytest.mark.parametrize(
    ("loss", "validation"),
    [
        ("train/cls_loss", "val/cls_loss"),
        ("train nll", "valid nll"),
        ("train_mse", "test_mse"),
        ("cls_loss", "eval/cls_loss"),
    ],
)
def test_what_an_evaluation_measured_like_the_loss_is_the_validation_loss(tmp_path, loss, validation):
    rows = [{"epoch": i, loss: 3 - i / 20, validation: math.nan, "val/other_loss": 9.0} for i in range(20)]
    run = read(tmp_path, rows)
    assert (run.columns.loss, run.columns.val_loss) == (loss, validation)
    assert np.isnan(run.val_loss.value).all()


@pytest.mark.parametrize("name", ["cv_loss", "val_loss"])
def test_a_loss_of_evaluations_alone_is_judged_and_said_to_be_one(tmp_path, name):
    run = read(tmp_path, [{"epoch": i, name: 3 - i / 20, "lr": 0.5} for i in range(20)])
    assert (run.columns.loss, run.columns.val_loss) == (name, None)
    assert "validation-as-loss" in codes(run)
    twice = [{"epoch": i // 2, name: 3 - i // 2 / 20} for i in range(40)]
    assert read(tmp_path, twice).columns.step == "epoch"
    run = read(tmp_path, [{"epoch": i, name: 3 - i / 20, "train_loss": 2 - i / 20} for i in range(20)])
    assert (run.columns.loss, run.columns.val_loss) == ("train_loss", name)


def test_a_total_of_training_before_parts_and_validation(tmp_path):
    run = read(tmp_path, [{"step": i, "val/loss": 9.0, "box_loss": 5.0, "total_loss": 3 - i / 20} for i in range(20)])
    assert run.columns.loss == "total_loss"


def test_settings_in_the_first_record(tmp_path):
    rows = [{"event": "config", "max_grad_norm": 0.1, "lr": 0.5, "optimizer": "adamw"}]
    rows += [{"event": "step", "step": i, "loss": 3 - i / 20, "grad_norm": 0.5, "lr": 1e-3} for i in range(20)]
    run = read(tmp_path, rows)
    assert (run.config.max_grad_norm, run.config.optimizer) == (0.1, "adamw")
    assert run.loss.step.tolist() == list(range(20))
    np.testing.assert_array_equal(run.lr.value, [1e-3] * 20)
    assert "settings-record" in codes(run)


def test_a_name_with_a_word_of_counters_must_rise(tmp_path):
    rows = [
        {"EpThisIter": 3 + i % 2, "TimestepsSoFar": i * 2048, "loss_vf_loss": 3 - i / 20, "loss_ent": 0.5}
        for i in range(30)
    ]
    run = read(tmp_path, rows)
    assert (run.columns.step, run.columns.loss) == ("TimestepsSoFar", "loss_vf_loss")


def test_a_group_called_loss_is_no_loss(tmp_path):
    run = read(tmp_path, [{"Loss/scores/fake/mean": 9.0, "Loss/G/loss/mean": 3 - i / 20} for i in range(30)])
    assert run.columns.loss == "Loss/G/loss/mean"


def test_generator_and_discriminator_are_runs_of_their_own_without_norms(tmp_path):
    path = tmp_path / "gan.csv"
    path.write_text("step,g_loss,d_loss\n" + "".join(f"{n},{1.5 + n / 512},{0.9 - n / 1024}\n" for n in range(1, 41)))
    runs = gradlens.read(path)
    assert {run.id.rpartition(":")[2]: run.columns.loss for run in runs} == {
        "generator": "g_loss",
        "discriminator": "d_loss",
    }
    path.write_text("step,loss,g_loss,d_loss\n" + "".join(f"{n},2.5,1.5,0.75\n" for n in range(1, 41)))
    (run,) = gradlens.read(path)
    assert run.columns.loss == "loss"


def test_the_ticks_of_stylegan_are_its_steps(tmp_path):
    path = tmp_path / "stats.jsonl"

    def row(n):
        values = {"Loss/G/loss": 1.5 + n / 512, "Loss/D/loss": 0.75, "Loss/r1_penalty": 9.5, "Progress/tick": 2 * n}
        return json.dumps(
            {key: {"num": 1, "mean": value, "std": 0.0} for key, value in values.items()} | {"timestamp": 1.6e9 + n}
        )

    path.write_text("".join(row(n) + "\n" for n in range(40)))
    generator, discriminator = gradlens.read(path)
    assert (generator.columns.loss, discriminator.columns.loss) == ("Loss/G/loss/mean", "Loss/D/loss/mean")
    assert generator.loss.step.tolist() == [2 * n for n in range(40)]
