"""Which files are read together."""

from __future__ import annotations

import pytest

from gradlens.errors import SourceError
from gradlens.fleet.plan import Unit, looks_like_log, plan


def made(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return {tuple(f.removeprefix(f"{folder}/") for f in unit.files) for unit in plan([str(folder)])}


def test_event_files_of_a_folder_are_one_unit(tmp_path):
    assert made(tmp_path, "a/events.out.tfevents.1.h", "a/events.out.tfevents.2.h", "b/events.out.tfevents.1.h") == {
        ("a/events.out.tfevents.1.h", "a/events.out.tfevents.2.h"),
        ("b/events.out.tfevents.1.h",),
    }


def test_checkpoints_belong_to_their_run(tmp_path):
    assert made(
        tmp_path, "r/checkpoint-10/trainer_state.json", "r/checkpoint-20/trainer_state.json", "s/trainer_state.json"
    ) == {
        ("r/checkpoint-10/trainer_state.json", "r/checkpoint-20/trainer_state.json"),
        ("s/trainer_state.json",),
    }


def test_mlflow_metrics_and_downloads(tmp_path):
    assert made(
        tmp_path,
        "m/1/metrics/loss",
        "m/1/metrics/grad_norm",
        "run-a-tag-loss.csv",
        "run-a-tag-norm.csv",
        "run-b-tag-loss.csv",
    ) == {
        ("m/1/metrics/grad_norm", "m/1/metrics/loss"),
        ("run-a-tag-loss.csv", "run-a-tag-norm.csv"),
        ("run-b-tag-loss.csv",),
    }


def test_wandb_console_capture_is_left_out(tmp_path):
    assert made(tmp_path, "wandb/run-1/run-1.wandb", "wandb/run-1/files/output.log", "other/output.log") == {
        ("wandb/run-1/run-1.wandb",),
        ("other/output.log",),
    }


def test_each_file_once_however_often_it_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"{}")
    assert len(plan([str(tmp_path / "a.jsonl"), str(tmp_path / "*.jsonl")])) == 1


def test_standard_input_is_refused():
    with pytest.raises(SourceError, match="standard input"):
        plan(["-"])


def test_a_unit_travels(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"{}")
    (unit,) = plan([str(tmp_path)])
    assert Unit.from_plain(unit.to_plain()) == unit
    assert unit.size == 2


@pytest.mark.parametrize(
    ("name", "is_log"), [("a.jsonl", True), ("a.log.gz", True), ("config.json", False), ("x.py", False)]
)
def test_names_that_promise_a_log(tmp_path, name, is_log):
    (tmp_path / name).write_bytes(b"x")
    (unit,) = plan([str(tmp_path)])
    assert looks_like_log(unit) is is_log
