"""What a loop gives to `log` and `log_evaluation`: anything, and nothing of it stops the training or ends the log."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens

torch = pytest.importorskip("torch")

from tests.recorder.conftest import parts, read_marks, read_rows, train  # noqa: E402


def record(path, log, n=45):
    model, opt = parts()
    with gradlens.Recorder(path, model, opt) as rec:
        train(rec, model, opt, n, log)
    return read_rows(path)


@pytest.mark.parametrize(
    "bad", ["n/a", [1, 2], np.zeros(2), torch.zeros(2), object(), {"a": 1}], ids=lambda bad: type(bad).__name__
)
def test_one_bad_value_is_left_out_and_named_once(tmp_path, caplog, bad):
    rows = record(tmp_path / "run.jsonl", lambda n: {"acc": bad if n in {25, 30} else 0.5, "batch_size": 16})
    assert [r["step"] for r in rows] == list(range(45))
    assert [r["step"] for r in rows if "acc" not in r] == [25, 30]
    assert all({"loss", "grad_norm", "batch_size"} <= r.keys() for r in rows)
    assert len([r for r in caplog.records if "acc=" in r.message]) == 1
    assert [m["what"] for m in read_marks(tmp_path / "run.jsonl")] == ["value of acc"]


@pytest.mark.parametrize("name", ["loss", "batch_size", "tokens", "grad_norm"])
def test_no_column_takes_the_others_with_it(tmp_path, name):
    rows = record(tmp_path / "run.jsonl", lambda n: {name: "n/a" if n == 3 else 2.0})
    assert len(rows) == 45
    assert rows[3].get(name) != 2.0
    assert "lr" in rows[3]
    # The norm is measured where the one that was given cannot be used.
    assert rows[3]["grad_norm"] > 0


@pytest.mark.parametrize("good", [0.5, np.float32(0.5), np.array([0.5]), torch.tensor([[0.5]]), "0.5"])
def test_one_number_of_any_kind_will_do(tmp_path, good):
    assert {r["acc"] for r in record(tmp_path / "run.jsonl", lambda _: {"acc": good}, n=3)} == {0.5}


@pytest.mark.parametrize("kind", [int, np.int64, float, torch.tensor, str])
def test_the_step_is_a_whole_number_of_any_kind(tmp_path, kind):
    rows = record(tmp_path / "run.jsonl", lambda n: {"step": kind(n + 100)}, n=12)
    assert [r["step"] for r in rows] == list(range(100, 112))


@pytest.mark.parametrize("step", ["0/10", 2.5, "many", True, [1, 2], float("nan")])
def test_a_step_that_is_none_is_counted(tmp_path, caplog, step):
    rows = record(tmp_path / "run.jsonl", lambda _: {"step": step}, n=12)
    assert [r["step"] for r in rows] == list(range(12))
    assert "step=" in caplog.text


def test_identifiers_of_any_kind(tmp_path):
    rows = record(tmp_path / "run.jsonl", lambda n: {"batch_id": {(n, 1): object}}, n=3)
    assert len(rows) == 3


def test_evaluations_stand_behind_the_rows_before_them(tmp_path):
    path = tmp_path / "run.jsonl"
    seen = []
    model, opt = parts()
    with gradlens.Recorder(path, model, opt, loggers=seen.append) as rec:
        for _ in range(3):
            train(rec, model, opt, n=7)
            rec.log_evaluation(val_loss=torch.tensor(1.5), bleu=None, rouge="n/a")
    rows = read_rows(path)
    assert [r["step"] for r in rows] == sorted(r["step"] for r in rows)
    assert [(r["step"], r["val_loss"]) for r in rows if "val_loss" in r] == [(6, 1.5), (13, 1.5), (20, 1.5)]
    assert not any({"bleu", "rouge"} & r.keys() for r in rows)
    assert seen == rows
