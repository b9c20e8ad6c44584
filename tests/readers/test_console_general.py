"""The general reader: names beside numbers, and records in lines that no grammar knows."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.errors import NoTrainingSeriesError
from gradlens.readers.console.labels import slots_of


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("step 3 | loss 0.5 | grad norm 1.5", ["step", "loss", "grad norm"]),
        ("2024-03-01 10:00:00,123 INFO trainer.py:88 Batch Loss:   0.5, Lr: 1e-4", ["Batch Loss", "Lr"]),
        ("I0301 10:00:00.123456  4321 solver.cpp:239] Iteration 20 (2.1 iter/s), loss = 8.2", ["Iteration", "loss"]),
        (" 7: 8.25, 8.5 avg loss, 0.001 rate, 3.2 seconds", ["#1", "avg loss", "rate", "seconds"]),
        ("Train Epoch: 3 [1280/60000 (2%)]\tLoss: 0.5", ["Train Epoch", "batch", "Loss"]),
        ("Losses: [1.5, 2.5, 3.5], step: 200", ["Losses/0", "Losses/1", "Losses/2", "step"]),
        ("epoch 3 train: loss 0.5 acc 0.9 val: loss 0.7", ["epoch", "loss", "acc", "val/loss"]),
        ("Validation at step 40: loss 0.7", ["step", "val/loss"]),
        ("Validation at step 40: val_loss 0.7", ["step", "val_loss"]),
        ("09:10:11 DEBUG CV Batch 3/40 loss 0.7 history loss 0.8", ["CV Batch", "val/loss", "val/history loss"]),
        ("09:10:11 DEBUG TRAIN Batch 3/40 loss 0.7", ["TRAIN Batch", "loss"]),
        ("Epoch 3 | Validation | Elapsed Time: 0:15:19 | Loss: 0.7", ["Epoch", "val/Loss"]),
        ("Epoch 3 |   Training | Elapsed Time: 0:15:19 | Loss: 0.7", ["Epoch", "Loss"]),
        ("09:10:11 INFO Epoch 3 CV info cv_loss 0.7", ["Epoch", "cv_loss"]),
        ("loss: np.float64(0.5), norm=tensor(2.5, device=0)", ["loss", "norm"]),
        ("INFO:tensorflow:loss = 2.5, step = 100 (12.1 sec)", ["loss", "step"]),
        ("| grad_norm | 1.49     |", ["grad_norm"]),
        ("| epoch   1 |   200/ 2983 batches | lr 20.00 | loss  5.25", ["epoch", "batch", "lr", "loss"]),
        ("[3,   200] loss: 0.5", ["epoch", "batch", "loss"]),
        ("Epoch  1,    50/37527; xent:   9.41", ["Epoch", "batch", "xent"]),
        ("Epoch 12, 37500/37527; xent:   9.41", ["Epoch", "batch", "xent"]),
        ("INFO:base:Train Epoch: 3 [1280/60000 (2%)]\tLoss: 0.5", ["Train Epoch", "batch", "Loss"]),
        ("WARNING:net.train:Learning rate group 0.5", ["Learning rate group"]),
        ("Train loss 200 0.5 Grad Norm 1.25 1.55s/it", ["#1", "Train loss", "Grad Norm"]),
        ("[500] kl_loss 0.5 / fps 10", ["#1", "kl_loss", "fps"]),
        ("loss is 8.2", ["loss"]),
        ("level=info msg=train Train/Loss=0.5 lr=1e-4", ["Train/Loss", "lr"]),
        ("uses fp16 with conv1 and sha 3f2a", []),
    ],
)
def test_names_are_the_text_beside_the_numbers(line, names):
    assert [slot.name for slot in slots_of(line)] == names


def test_the_total_of_a_count_and_its_thousands():
    (step,) = slots_of("step:12K/60K")
    assert (step.name, step.factor, step.total) == ("step", 1e3, 1)


def lines(n, form):
    return "\n".join(form(i) for i in range(n)) + "\n"


def read(tmp_path, text, **options):
    path = tmp_path / "console.log"
    path.write_text(text)
    (run,) = gradlens.read(path, **options)
    return run


def test_one_line_a_record_with_settings_and_prose_around(tmp_path):
    head = "lr: 0.5\nbatch size 64\nepochs 3\nwe loaded 12 files in 3.5 s\n"
    body = lines(
        20, lambda i: f">> upd {i * 10} :: loss {2 - i / 20:.3f} ; gnorm {1 + i % 3} ; lr 0.001\nsaved 3 files"
    )
    run = read(tmp_path, head + body + "total time 12.5 s\n")
    assert run.loss.step.tolist() == [i * 10 for i in range(20)] or len(run.loss) == 20
    np.testing.assert_allclose(run.loss.value, [round(2 - i / 20, 3) for i in range(20)])
    assert len(run.grad_norm) == 20
    assert set(run.lr.value) == {0.001}
    assert "guessed-console" in {n.code for n in run.notices}


def test_a_block_of_lines_is_one_record(tmp_path):
    run = read(
        tmp_path,
        lines(10, lambda i: f"== Round {i} ==\n  step: {i * 5}\n  Loss: {3 - i / 10}\n  Norm of grads\n  lr 0.1\n"),
    )
    assert run.loss.step.tolist() == [i * 5 for i in range(10)]
    assert len(run.lr) == 10


def test_rows_below_a_line_of_names(tmp_path):
    run = read(
        tmp_path,
        "some banner here\n\n  step    loss   grad_norm\n"
        + lines(12, lambda i: f"  {i * 100}   {5 - i / 4:.2f}   {i + 0.5}"),
    )
    assert run.loss.step.tolist() == [i * 100 for i in range(12)]
    assert run.grad_norm.value.tolist() == [i + 0.5 for i in range(12)]


def test_epoch_and_batch_make_the_step(tmp_path):
    run = read(tmp_path, lines(30, lambda i: f"Ep>> epoch {i // 10} [{i % 10}/10] the loss = {5 - i / 10}"))
    assert run.loss.step.tolist() == list(range(30))


@pytest.mark.parametrize("prefix", ["", "INFO:base:", "DEBUG:my.train:", "2024-03-01 10:00:00,123 INFO base: "])
def test_a_logger_in_front_changes_no_step(tmp_path, prefix):
    text = lines(60, lambda i: f"{prefix}Train Epoch: {i // 10 + 1} [{i % 10 * 64}/640 (10%)]\tLoss: {5 - i / 20:.3f}")
    assert read(tmp_path, text).loss.step.tolist() == [i * 64 for i in range(60)]


def test_epochs_that_print_their_length(tmp_path):
    text = lines(
        40,
        lambda i: (
            f"Epoch {i} |   Training | Elapsed Time: 2:44:55 | Steps: 6275 | Loss: {9 - i / 10:.4f}\n"
            f"Epoch {i} | Validation | Elapsed Time: 0:15:19 | Steps: 784 | Loss: {8 - i / 10:.4f} | Dataset: dev.csv\n"
            f"I Saved new best validating model with loss {8 - i / 10:.4f} to: /best\n"
        ),
    )
    run = read(tmp_path, text)
    assert run.loss.step.tolist() == list(range(40))
    assert run.loss.value.tolist() == [round(9 - i / 10, 4) for i in range(40)]
    assert run.val_loss.value.tolist() == [round(8 - i / 10, 4) for i in range(40)]


@pytest.mark.parametrize("n_epochs", [1, 3])
def test_counts_padded_to_a_width_are_counts(tmp_path, n_epochs):
    text = "".join(
        f"Epoch {epoch:2d}, {batch:5d}/2000; acc:  20.00; xent: {9 - batch / 500 - epoch:6.2f}; 3432 src tok/s\n"
        for epoch in range(1, n_epochs + 1)
        for batch in range(50, 2001, 50)
    )
    run = read(tmp_path, text)
    assert run.loss.step.tolist() == list(range(50, 2000 * n_epochs + 1, 50))
    assert "row-without-step" not in {n.code for n in run.notices}


def test_nan_is_a_number(tmp_path):
    run = read(tmp_path, lines(10, lambda i: f"at {i}: cost step={i} loss={'nan' if i > 6 else 1.5}"))
    assert int(np.isnan(run.loss.value).sum()) == 3


@pytest.mark.parametrize("spelt", ["nanxxx", "0000nan", "nan***", "-nan(ind)", "1.#QNAN", "-1.#IND00", "NaN0000"])
@pytest.mark.parametrize(
    "line",
    [
        "[now] net INFO: epoch: [1/9], global_step: {}0, lr: 0.5, AuxLoss: 0.25, loss: {}, avg_cost: 0.5 s",  # the general reader
        "Iteration {}, loss = {}",  # a pattern with named numbers
        "[rank0]: step: {}  loss: {}  memory: 5.2GiB",  # fields of words
    ],
)
def test_a_nan_that_c_or_a_width_spelt_is_no_lost_row(tmp_path, spelt, line):
    run = read(tmp_path, lines(60, lambda i: line.format(i, spelt if i >= 40 else f"{5 - i / 10:.6f}")))
    assert len(run.loss) == 60
    assert np.isnan(run.loss.value).tolist() == [i >= 40 for i in range(60)]
    assert "missing-values" not in {n.code for n in run.notices}


def test_what_is_listed_can_be_named(tmp_path):
    text = lines(10, lambda i: f"Walker. Step: {i * 100}. Mean Reward: {i / 10}. Std of Reward: 1.5. Training.")
    with pytest.raises(NoTrainingSeriesError, match="Mean Reward"):
        read(tmp_path, text)
    run = read(tmp_path, text, loss="Mean Reward")
    assert run.loss.step.tolist() == [i * 100 for i in range(10)]


@pytest.mark.parametrize("bars", ["|grad| =", "||g||:", "||grad||_2 =", "‖∇L‖ =", "|gradient|"])
def test_a_norm_in_bars_is_the_norm(tmp_path, bars):
    (tmp_path / "run.log").write_text(
        "".join(f"iter {i}: loss = {2 - 0.1 * i:.1f}, {bars} {1 + i}\n" for i in range(5))
    )
    (run,) = gradlens.read(tmp_path / "run.log")
    assert list(run.grad_norm.value) == [1, 2, 3, 4, 5]


def test_bars_of_tables_are_none_of_a_norm(tmp_path):
    table = "| step | loss | g |\n|------|------|---|\n" + "".join(
        f"| {i} | {2 - 0.1 * i:.1f} | {i} |\n" for i in range(5)
    )
    (tmp_path / "run.log").write_text(table)
    (run,) = gradlens.read(tmp_path / "run.log")
    assert list(run.loss.value) == pytest.approx([2, 1.9, 1.8, 1.7, 1.6])
    assert run.grad_norm is None
