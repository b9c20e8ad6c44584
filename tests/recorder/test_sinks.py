"""The loggers that people have get the recorder's columns; each is the real one, and is read back by gradlens."""

from __future__ import annotations

import csv
import importlib.util
import warnings

import pytest

import gradlens
from gradlens.errors import UsageError

torch = pytest.importorskip("torch")

from gradlens.recorder.sinks import CsvSink  # noqa: E402
from tests.recorder.conftest import loss_of, make_batches, make_net, read_marks, read_rows  # noqa: E402


def record(folder, *loggers, n=24):
    """Train a little; the rows of the log."""
    model = make_net()
    opt = torch.optim.AdamW(model.parameters(), lr=0.01)
    with gradlens.Recorder(folder / "run.jsonl", model, opt, loggers=loggers, flush_every=7) as rec:
        for batch in make_batches(n):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            rec.log(loss=loss, batch_size=16)
            opt.step()
    return read_rows(folder / "run.jsonl")


def check(source, rows, rel=1e-6):
    """The same values under the same names and steps."""
    runs = [run for run in gradlens.read(source) if "update_norm" in run.series]
    assert len(runs) == 1
    for name in ("loss", "grad_norm", "update_norm", "weight_norm", "grad_norm/first"):
        want = {row["step"]: row[name] for row in rows if name in row}
        series = runs[0].series[name]
        assert dict(zip(series.step.tolist(), series.value.tolist(), strict=True)) == pytest.approx(want, rel=rel), name


def test_csv_with_columns_that_come_later(tmp_path):
    rows = record(tmp_path, tmp_path / "table.csv")
    check(tmp_path / "table.csv", rows)


def test_a_callable(tmp_path):
    seen = []
    assert record(tmp_path, seen.append) == seen


def test_one_logger_alone(tmp_path):
    seen = []
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.01)
    for number, logger in enumerate((seen.append, str(tmp_path / "one.csv"), tmp_path / "two.csv")):
        with gradlens.Recorder(tmp_path / f"{number}.jsonl", model, opt, loggers=logger) as rec:
            rec.log_evaluation(val_loss=2.0)
    assert seen == [{"step": 0, "val_loss": 2}]
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text() == "step,val_loss\n0,2\n"


def test_a_logger_that_fails_is_switched_off_alone(tmp_path, caplog):
    seen, others = [], []

    def reports(row):
        seen.append(row)
        if len(seen) == 9:
            raise ConnectionError("timed out\nonce")

    rows = record(tmp_path, reports, others.append, tmp_path / "table.csv")
    assert [row["step"] for row in rows] == list(range(24))
    assert others == rows
    check(tmp_path / "table.csv", rows)
    assert len(seen) == 9
    (message,) = [r.getMessage() for r in caplog.records]
    assert message.endswith("reports is switched off: ConnectionError: timed out once")
    (mark,) = [m for m in read_marks(tmp_path / "run.jsonl") if m["event"] == "failed"]
    assert mark["what"].endswith("reports")


def test_a_table_is_continued_as_the_log_is(tmp_path):
    record(tmp_path, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open("a") as table:
        table.write("24,0.")  # killed while it wrote
    rows = record(tmp_path, tmp_path / "table.csv", n=9)
    with (tmp_path / "table.csv").open(newline="") as table:
        found = list(csv.DictReader(table))
    assert [int(row["step"]) for row in found] == [*range(24), 24, *range(24, 33)]
    assert float(found[-1]["loss"]) == rows[-1]["loss"]


def test_no_row_stays_in_memory(tmp_path):
    sink = CsvSink(tmp_path / "table.csv")
    for step in range(100):
        sink.write({"step": step, "loss": 1.0} | ({"late": 2.0} if step == 50 else {}))
    assert not [value for value in vars(sink).values() if isinstance(value, list) and len(value) > 3]
    with (tmp_path / "table.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(int(r["step"]), r["late"]) for r in rows] == [(n, "2.0" if n == 50 else "") for n in range(100)]


def test_a_table_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "mine.csv").write_text("name,age\nx,3\n")
    with pytest.raises(UsageError, match="no table of a recorder"):
        record(tmp_path, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "name,age\nx,3\n"


@pytest.mark.slow
def test_tensorboard(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(tmp_path / "events") as writer:
        rows = record(tmp_path, writer)
    check(tmp_path / "events", rows, rel=1e-5)


@pytest.mark.slow
def test_wandb_offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    # Tests that ran before in this process may have spoken to a server of theirs.
    wandb.teardown()
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="p", dir=str(tmp_path))
    rows = record(tmp_path, run)
    run.finish()
    wandb.teardown()  # waits for the process that writes the file
    (log,) = tmp_path.rglob("*.wandb")
    check(log, rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_DISABLE_AUTO_LOGGING", "1")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("e")
    with mlflow.start_run():
        rows = record(tmp_path, mlflow)
    check(tmp_path / "mlflow.db", rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="needs trackio")
def test_trackio(tmp_path, monkeypatch):
    import subprocess
    import sys
    import textwrap
    from pathlib import Path

    root = Path(__file__).parent.parent.parent
    code = textwrap.dedent(f"""
        import sys; sys.path[:0] = [{str(root)!r}, *{[p for p in sys.path if p]!r}]
        import os; os.environ["TRACKIO_DIR"] = {str(tmp_path / "trackio")!r}; os.environ["HF_HUB_OFFLINE"] = "1"
        from pathlib import Path
        import trackio
        from tests.recorder.test_sinks import record
        run = trackio.init(project="p", name="r")
        record(Path({str(tmp_path)!r}), run)
        run.finish()
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    import json
    import sqlite3

    (database,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        found = connection.execute("select step, metrics from metrics order by step").fetchall()
        logged = [json.loads(text) | {"step": step} for step, text in found]
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["loss"] for row in logged] == [row["loss"] for row in rows]
    assert [row["step"] for row in logged] == [row["step"] for row in rows]
