"""What a recorder is told: understood where it can be, and refused in one line with the remedy where it cannot."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
import math
from pathlib import Path

import numpy as np
import pytest

import gradlens
from gradlens.errors import UsageError

torch = pytest.importorskip("torch")

from gradlens.recorder import Live, Skip  # noqa: E402
from tests.recorder.conftest import parts, read_rows, train  # noqa: E402


@pytest.mark.parametrize(
    "make",
    [
        lambda: Live(every=0),
        lambda: Live(every=1.5),
        lambda: Live(first=-5),
        lambda: Live(patience=0),
        lambda: Live(confidence=70),
        lambda: Live(confidence="high"),
        lambda: Live(causes=["lr_too_hih"]),
        lambda: Live(alert=3),
        lambda: Live(alert=(print, 3)),
        lambda: Skip(factor=-1),
        lambda: Skip(factor=1),
        lambda: Skip(factor=math.nan),
        lambda: Skip(window=0),
        lambda: Skip(patience=0),
    ],
)
def test_settings_without_sense_are_refused(make):
    with pytest.raises(UsageError) as caught:
        make()
    assert caught.value.hint
    assert caught.value.__notes__ == [f"({caught.value.hint})"]


@pytest.mark.parametrize(
    "given",
    [
        {"max_norm": -1}, {"max_norm": "1.0"}, {"max_norm": math.nan}, {"max_norm": True}, {"histogram_every": -1},
        {"histogram_every": "no"}, {"first_step": -3}, {"first_step": 1.5}, {"flush_every": 2.0}, {"live": 200},
        {"skip": Live}, {"scaler": 5}, {"config": [1]}, {"config": "a.yaml"}, {"loggers": "run.txt"}, {"loggers": 3},
        {"loggers": {"run.csv": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_arguments_without_sense_are_refused(tmp_path, given):
    with pytest.raises(UsageError) as caught:
        gradlens.Recorder(tmp_path / "run.jsonl", *parts(), **given)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_model_is_a_module(tmp_path):
    with pytest.raises(UsageError, match=r"torch\.nn\.Module"):
        gradlens.Recorder(tmp_path / "run.jsonl", "net", parts()[1])


@pytest.mark.parametrize("given", [{"live": True, "skip": True}, {"live": False, "skip": False}])
def test_true_means_the_defaults(tmp_path, given):
    model, opt = parts()
    with gradlens.Recorder(tmp_path / "run.jsonl", model, opt, **given) as rec:
        train(rec, model, opt, n=30)
    assert len(read_rows(tmp_path / "run.jsonl")) == 30


def test_numbers_of_numpy_are_numbers(tmp_path):
    model, opt = parts()
    options = {"max_norm": np.float32(1), "update_every": np.int64(3), "first_step": np.int32(5), "clip": True}
    with gradlens.Recorder(tmp_path / "run.jsonl", model, opt, **options) as rec:
        train(rec, model, opt, n=4)
    assert [r["step"] for r in read_rows(tmp_path / "run.jsonl")] == [5, 6, 7, 8]


class Kind(enum.Enum):
    SMALL = "small"


@dataclasses.dataclass
class Setup:
    batch_size: int = 32
    out: Path = Path("runs")


ARGS = argparse.Namespace(
    batch_size=np.int64(32), out=Path("runs"), dtype=torch.bfloat16, device=torch.device("cpu"), kind=Kind.SMALL,
    inner=argparse.Namespace(a=torch.tensor(2.0), b=(1, None)), lr=np.float32(0.5),
)  # fmt: skip
PLAIN = {
    "batch_size": 32, "out": "runs", "dtype": "bfloat16", "device": "cpu", "kind": "small", "inner": {"a": 2.0, "b": [1, None]},
    "lr": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "want"),
    [(vars(ARGS), PLAIN), (ARGS, PLAIN), (Setup(), {"batch_size": 32, "out": "runs"}), ({1: 2}, {"1": 2})],
)
def test_a_set_up_of_any_kind_is_written(tmp_path, config, want):
    model, opt = parts()
    with gradlens.Recorder(tmp_path / "run.jsonl", model, opt, config=config) as rec:
        train(rec, model, opt)
    first, *rows = map(json.loads, (tmp_path / "run.jsonl").read_text().splitlines())
    assert first["config"].items() >= want.items()
    assert len(rows) == 10


def test_what_is_neither_text_nor_number_is_left_out_with_one_warning(tmp_path, caplog):
    loop = {}
    loop["self"] = loop
    config = {"loss": print, "model": object(), "mask": np.zeros(3), "loop": loop, "batch_size": 16}
    gradlens.Recorder(tmp_path / "run.jsonl", *parts(), config=config).close()
    assert [r.message.partition(": ")[2] for r in caplog.records] == [
        "left out of the log, as neither text nor numbers: loss, model, mask, loop"
    ]
    assert json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])["config"]["batch_size"] == 16


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: [s], lambda s: {"scheduler": s, "interval": "step"}, lambda s: [{"scheduler": s}]]
)
def test_a_schedule_alone_in_a_list_or_as_lightning_has_it(tmp_path, wrap):
    model, opt = parts()
    schedule = torch.optim.lr_scheduler.StepLR(opt, 10)
    gradlens.Recorder(tmp_path / "run.jsonl", model, opt, scheduler=wrap(schedule)).close()
    assert json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])["config"]["lr_schedule"] == "StepLR"


@pytest.mark.parametrize("schedule", [[], {}, lambda _: 0.1])
def test_a_schedule_that_is_not_known_harms_nothing(tmp_path, schedule):
    gradlens.Recorder(tmp_path / "run.jsonl", *parts(), scheduler=schedule).close()
