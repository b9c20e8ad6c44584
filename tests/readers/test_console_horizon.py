"""The number of steps of the whole training, as consoles print it behind the step."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens

ROW = " iteration {step:8}/{total:8} | learning rate: {lr:.3E} | lm loss: {loss:.6E} | grad norm: {norm:.3f} |\n"


def megatron(path, steps, total, *, peak=1.6e-4, warm=5000):
    rng = np.random.default_rng(3)
    path.write_text(
        "".join(
            ROW.format(
                step=s, total=total, lr=peak * min(s / warm, 1.0), loss=3 + 8 * np.exp(-s / 200) + 0.02 * rng.normal(),
                norm=1 + 0.2 * abs(rng.normal()),
            )
            for s in steps
        ),
        encoding="utf-8",
    )  # fmt: skip
    return path


def test_the_total_behind_the_step_is_a_setting(tmp_path):
    (run,) = gradlens.read(megatron(tmp_path / "train.log", range(1, 1201), 286102))
    assert run.config.total_steps == 286102
    assert int(run.loss.step[-1]) == 1200


@pytest.mark.parametrize(("total", "is_mismatch"), [(286102, False), (1200, True)])
def test_a_warm_up_may_go_on_where_the_training_does(tmp_path, total, is_mismatch):
    report = gradlens.analyze(str(megatron(tmp_path / "train.log", range(1, 1201), total)))
    assert ("GL205" in {f.code for f in report.runs[0].findings}) == is_mismatch
    assert (report.runs[0].verdict.status == "problem") == is_mismatch


def test_a_count_within_an_epoch_is_no_total(tmp_path):
    rows = [
        f"Epoch: [{epoch}][{batch}/100] Loss {3 - 0.01 * (100 * epoch + batch) / 10:.4f} lr 0.1\n"
        for epoch in range(4)
        for batch in range(0, 100, 5)
    ]
    path = tmp_path / "train.log"
    path.write_text("".join(rows), encoding="utf-8")
    (run,) = gradlens.read(path)
    assert run.config.total_steps is None


def test_totals_that_differ_are_none(tmp_path):
    path = megatron(tmp_path / "train.log", range(1, 101), 500)
    path.write_text(path.read_text() + ROW.format(step=101, total=900, lr=1e-4, loss=3.0, norm=1.0), encoding="utf-8")
    (run,) = gradlens.read(path)
    assert run.config.total_steps is None
