"""From columns to runs: which column means what, which one is the step, what is derived and what is remarked."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gradlens
from gradlens import vocabulary

nan = float("nan")


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def codes(run):
    return {notice.code: notice.count for notice in run.notices}


SPELLINGS = {
    "step": [
        "step", "_step", "global_step", "iter", "iteration", "current_steps", "num_updates", "update", "global_step/max_steps",
        "trainer/global_step", "training/global_step", "time/batch", "Step",
    ],
    "loss": [
        "loss", "train_loss", "train/loss", "training_loss", "lm loss", "lm-loss", "loss/train/total", "train/CrossEntropyLoss",
        "train/CE loss", "loss_metrics/global_avg_loss", "actor/pg_loss", "reduced_train_loss", "train_loss_step", "total_loss",
        "Loss/train", "metrics/model/total_loss", "training.loss", "tot_loss",
    ],
    "grad_norm": [
        "grad_norm", "train/grad_norm", "gnorm", "grad norm", "grad-norm", "norm", "gradient_norm", "total_grad_norm",
        "optim/total_grad_norm", "optim/total grad norm", "actor/grad_norm", "critic/grad_norm", "train_grad_norm", "grad.norm",
        "grad_gnorm", "grad/norm/total", "l2_norm/grad/global", "learning/raw_grad_norm", "grad_2.0_norm_total", "unet_grad_norm",
    ],
    "lr": [
        "lr", "learning_rate", "train/learning_rate", "learning-rate", "lr-AdamW/pg1", "lr-Adam", "optim/LR (group 0)",
        "optim/learning_rate_group0", "actor/lr", "lr_0", "current_lr_0", "cur_lr", "learning.rate",
    ],
    "loss_scale": ["loss_scale", "loss scale", "loss-scale", "amp_scaler", "fp16_loss_scalar"],
    "clip_fraction": ["clip", "optim/clipping_rate", "percent-clipped"],
    "skipped": ["number of skipped iterations", "number of nan iterations", "skipped", "optim/step skipped"],
}  # fmt: skip


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in SPELLINGS.items() for name in names])
def test_spelling(role, name):
    assert vocabulary.rank_of(role, name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "grad-norm vs samples", "lm loss vs samples", "grad_norm_var", "grad_norm_square", "grad_norm_std", "val/box_loss",
        "actor/pg_clipfrac", "lrm", "param_norm", "val/grad_norm", "grad_norm_threshold", "max_grad_norm", "weight_norm",
        "loss_q0", "eval/loss", "final/train_loss", "val/head/loss", "a/eval/b/loss", "grad_norm/conv1.weight", "lr-SGD-momentum", "update_norm",
    ],
)  # fmt: skip
def test_look_alike(name):
    for role in ("loss", "grad_norm", "lr", "loss_scale", "clip_fraction"):
        assert vocabulary.rank_of(role, name) is None, role


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("grad_2.0_norm/net.0.weight", "net.0.weight"), ("l2_norm/grad/model.wte", "model.wte"),
        ("optim/grad/blocks.0.norm", "blocks.0"), ("grad_norm/conv1.weight", "conv1.weight"), ("grad/norm/encoder", "encoder"),
        ("grad_2.0_norm_total", None), ("grad/norm/total", None), ("l2_norm/grad/global", None), ("grad_norm", None),
    ],
)  # fmt: skip
def test_layer_of(name, layer):
    assert vocabulary.layer_of(name) == layer


class TestSteps:
    def test_the_trainers_counter_beats_the_loggers(self, tmp_path):
        rows = [{"_step": n, "train/global_step": 10 * n, "train/loss": 1.0} for n in range(5)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.columns.step == "train/global_step"

    def test_a_counter_that_is_missing_on_training_rows_is_not_the_step(self, tmp_path):
        rows = [{"_step": n, "loss": 1.0} | ({"global_step": n // 2} if n % 2 else {}) for n in range(9)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.columns.step == "_step"

    def test_without_a_step_records_are_numbered(self, tmp_path):
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", [{"loss": 1.0 + n} for n in range(3)]))
        assert run.loss.step.tolist() == [0, 1, 2]
        assert codes(run)["no-step"] == 3

    def test_fractions_of_epochs_are_no_steps(self, tmp_path):
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", [{"loss": 1.0 + n, "epoch": n / 4} for n in range(8)]))
        assert run.loss.step.tolist() == list(range(8))
        assert "fractional-step" in codes(run)

    def test_named_columns_win_and_unknown_ones_are_an_error(self, tmp_path):
        path = lines(tmp_path / "r.jsonl", [{"step": n, "t": 5 * n, "loss": 1.0, "aux": 2.0} for n in range(3)])
        (run,) = gradlens.read(path, step="t", loss="aux")
        assert run.loss.step.tolist() == [0, 5, 10]
        assert run.loss.value.tolist() == [2.0] * 3
        with pytest.raises(gradlens.GradlensError, match="no column named 'nope'") as caught:
            gradlens.read(path, loss="nope")
        assert "aux" in caught.value.hint


class TestRoles:
    def test_a_column_without_a_finite_value_is_passed_over(self, tmp_path):
        rows = [{"step": n, "loss": 1.0, "grad_norm_avg": nan, "grad_norm_val": 2.0} for n in range(4)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.columns.grad_norm == "grad_norm_val"

    def test_a_summary_is_passed_over(self, tmp_path):
        rows = [{"step": n, "train_loss_step": 1.0 + n} for n in range(20)] + [{"step": 19, "loss": 3.0}]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.columns.loss == "train_loss_step"

    def test_all_nan_is_still_a_series(self, tmp_path):
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", [{"step": n, "loss": nan} for n in range(4)]))
        assert np.isnan(run.loss.value).all()

    def test_both_norms_are_kept_apart(self, tmp_path):
        rows = [
            {"step": n, "learning/loss": 1.0, "learning/raw_grad_norm": 5.0, "learning/grad_norm": 1.0}
            for n in range(4)
        ]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert (run.columns.grad_norm, run.columns.grad_norm_clipped) == (
            "learning/raw_grad_norm",
            "learning/grad_norm",
        )
        assert "norm-pre-clip" in codes(run)

    def test_a_name_that_says_after_clipping(self, tmp_path):
        (run,) = gradlens.read(
            lines(tmp_path / "r.jsonl", [{"step": n, "loss": 1.0, "grad_gnorm": 1.0 + n} for n in range(4)])
        )
        assert "norm-post-clip" in codes(run)


class TestDerived:
    def test_the_root_of_a_squared_norm(self, tmp_path):
        (run,) = gradlens.read(
            lines(tmp_path / "r.jsonl", [{"step": n, "loss": 1.0, "grad_norm_square": 4.0 * n} for n in range(4)])
        )
        np.testing.assert_allclose(run.grad_norm.value, 2 * np.sqrt(np.arange(4)))
        assert run.grad_norm.name == "sqrt(grad_norm_square)"
        assert codes(run)["squared-norm"] == 4

    def test_a_likelihood_where_there_is_no_loss(self, tmp_path):
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", [{"step": n, "log_likelihood": n - 9.0} for n in range(4)]))
        assert run.loss.value.tolist() == [9.0, 8.0, 7.0, 6.0]
        assert run.loss.name == "-log_likelihood"
        assert codes(run)["negated-likelihood"] == 4

    @pytest.mark.parametrize("name", ["loss", "nll", "box_loss"])
    def test_a_likelihood_beside_a_loss_is_none(self, tmp_path, name):
        rows = [{"step": n, "log_likelihood": n - 9.0, name: 1.0} for n in range(4)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.columns.loss == name
        assert "negated-likelihood" not in codes(run)

    def test_a_loss_scale_from_its_logarithm(self, tmp_path):
        (run,) = gradlens.read(
            lines(tmp_path / "r.jsonl", [{"step": n, "loss": 1.0, "lg_loss_scale": 20.0 - n} for n in range(3)])
        )
        assert run.loss_scale.value.tolist() == [2.0**20, 2.0**19, 2.0**18]
        assert "log2-loss-scale" in codes(run)

    def test_a_total_from_layers(self, tmp_path):
        rows = [{"step": n, "loss": 1.0, "grad_norm/a": 3.0 * n, "grad_norm/b": 4.0 * n} for n in range(1, 5)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        np.testing.assert_allclose(run.grad_norm.value, [5.0 * n for n in range(1, 5)])
        assert set(run.layers) == {"grad_norm/a", "grad_norm/b"}
        assert codes(run)["norm-from-layers"] == 4

    def test_huge_and_infinite_layers(self, tmp_path):
        rows = [
            {"step": n, "loss": 1.0, "grad_norm/a": a, "grad_norm/b": b}
            for n, (a, b) in enumerate([(3e200, 4e200), (np.inf, 1.0), (nan, 1.0), (0.0, 0.0)])
        ]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        np.testing.assert_allclose(run.grad_norm.value, [5e200, np.inf, nan, 0.0])

    def test_only_steps_that_every_layer_has(self, tmp_path):
        rows = [
            {"step": n, "loss": 1.0, "grad_norm/a": 3.0} | ({"grad_norm/b": 4.0} if n % 2 else {}) for n in range(6)
        ]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.grad_norm.step.tolist() == [1, 3, 5]

    @pytest.mark.parametrize(
        ("factor", "code"), [(1.0, "layers-checked"), (2.0, "layers-below-total"), (0.5, "layers-exceed-total")]
    )
    def test_layers_are_checked_against_the_total(self, factor, code, tmp_path):
        rows = [
            {"step": n, "loss": 1.0, "grad_norm": 5.0 * factor * n, "grad_norm/a": 3.0 * n, "grad_norm/b": 4.0 * n}
            for n in range(1, 9)
        ]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.columns.grad_norm == "grad_norm"
        assert code in codes(run)

    def test_the_infinity_norm_is_the_largest(self, tmp_path):
        rows = [{"step": n, "train_loss": 1.0, "grad_inf_norm/a": 3.0, "grad_inf_norm/b": 4.0} for n in range(3)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.grad_norm.value.tolist() == [4.0] * 3

    def test_many_norms_that_differ_by_a_name_are_layers(self, tmp_path):
        rows = [{"step": n, "loss": 1.0} | {f"layer{i}_grad_norm": 1.0 for i in range(9)} for n in range(4)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert len(run.layers) == 9
        np.testing.assert_allclose(run.grad_norm.value, [3.0] * 4)


class TestFacts:
    @pytest.mark.parametrize(
        ("row", "facts"),
        [
            (
                {"train/grad_norm": 1.0, "train/learning_rate": 0.1, "train/loss": 2.0, "train/epoch": 0.5},
                {"norm-pre-clip", "norm-filtered"},
            ),
            ({"actor/grad_norm": 1.0, "actor/pg_loss": 0.1}, {"norm-pre-clip", "norm-averaged"}),
            ({"optim/total_grad_norm": 1.0, "train/CrossEntropyLoss": 2.0}, {"norm-pre-clip"}),
            ({"grad_norm": 1.0, "loss": 2.0, "learning_rate": 0.1}, set()),
            ({"grad_norm_post_clip": 1.0, "loss": 2.0}, set()),
        ],
    )
    def test_what_names_say_of_the_norm(self, row, facts, tmp_path):
        rows = [{"step": n} | {k: v + n for k, v in row.items()} for n in range(4)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert {c for c in codes(run) if c.startswith("norm-")} == facts
