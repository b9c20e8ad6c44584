"""A loss or norm that ends, or misses values, while the rows of the log go on; and what only looks like it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gradlens

nan = float("nan")


def missing(run):
    return [(n.where, n.count) for n in run.notices if n.code == "missing-values"]


def read(path, columns="all"):
    (run,) = gradlens.read(path, columns=columns)
    return run


def lines(folder, rows):
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(n=60, broken=40):
    """A run whose loss and norm are NaN from row `broken` on."""
    rng = np.random.default_rng(0)
    loss, norm = 4 - np.arange(n) / n + rng.normal(0, 0.1, n), rng.lognormal(0, 0.3, n)
    loss[broken:] = norm[broken:] = nan
    return {"step": np.arange(n), "loss": loss, "grad_norm": norm, "lr": np.full(n, 1e-3)}


PANDAS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "json": lambda frame, path: frame.to_json(path, orient="records"),
    "parquet": lambda frame, path: frame.to_parquet(path),
    "feather": lambda frame, path: frame.to_feather(path),
}


@pytest.mark.parametrize("columns", ["all", "needed"])
@pytest.mark.parametrize("suffix", [s for s in PANDAS if s != "json"])
def test_what_pandas_writes_for_nan(tmp_path, suffix, columns):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / f"history.{suffix}"
    PANDAS[suffix](pandas.DataFrame(table() | {"tokens": np.arange(60)}), path)
    run = read(path, columns)
    assert len(run.loss) == 40
    assert missing(run) == [("loss, from step 40 to the end", 20), ("grad_norm, from step 40 to the end", 20)]
    (message, _) = (n.message for n in run.notices if n.code == "missing-values")
    assert message.startswith("loss has no value")


def test_a_document_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    PANDAS["json"](pandas.DataFrame(table()), tmp_path / "history.json")
    assert missing(read(tmp_path / "history.json"))[0] == ("loss, from step 40 to the end", 20)


@pytest.mark.parametrize("columns", ["all", "needed"])
class TestTables:
    def test_only_the_step_goes_on(self, tmp_path, columns):
        rows = [{"step": n, "loss": None if n > 20 else 1.0} for n in range(30)]
        assert missing(read(lines(tmp_path, rows), columns)) == [("loss, from step 21 to the end", 9)]

    def test_single_values(self, tmp_path, columns):
        rows = [{"step": n, "loss": None if n in {5, 9} else 1.0, "lr": 0.1} for n in range(30)]
        assert missing(read(lines(tmp_path, rows), columns)) == [("loss, first at step 5", 2)]

    def test_a_closing_record(self, tmp_path, columns):
        rows = [{"step": n, "loss": 1.0} for n in range(30)] + [{"step": 30, "event": "done"}]
        assert missing(read(lines(tmp_path, rows), columns)) == []

    def test_a_column_that_is_logged_by_interval(self, tmp_path, columns):
        rows = [{"step": n, "loss": 1.0, "lr": 0.1} | ({"grad_norm": 2.0} if n % 5 == 0 else {}) for n in range(59)]
        assert missing(read(lines(tmp_path, rows), columns)) == []

    def test_records_of_events_between_those_of_an_interval(self, tmp_path, columns):
        rows = [{"step": n, "loss": 1.0} if n % 10 == 0 else {"step": n, "event": "saved"} for n in range(0, 200, 2)]
        rows = [row for row in rows if "loss" in row or row["step"] in {54, 102}]
        assert missing(read(lines(tmp_path, rows), columns)) == []

    def test_evaluations_and_summaries(self, tmp_path, columns):
        rows = []
        for epoch in range(4):
            rows += [{"step": 20 * epoch + n, "epoch": epoch, "loss": 1.0, "lr": 0.1} for n in range(20)]
            rows += [{"step": 20 * epoch + 20, "epoch": epoch, "lr": 0.1, "mAP": 0.5}, {"epoch": epoch, "seconds": 9.0}]
        rows += [{"step": 100 + n, "epoch": 4, "accuracy": 0.5} for n in range(10)]
        assert missing(read(lines(tmp_path, rows), columns)) == []

    def test_a_norm_that_is_logged_later(self, tmp_path, columns):
        rows = [{"step": n, "loss": 1.0} | ({"grad_norm": 2.0} if n > 30 else {}) for n in range(60)]
        assert missing(read(lines(tmp_path, rows), columns)) == []

    def test_quantities_of_one_step_in_several_records(self, tmp_path, columns):
        rows = [row for n in range(30) for row in ({"step": n, "loss": 1.0}, {"step": n, "lr": 0.1})]
        assert missing(read(lines(tmp_path, rows), columns)) == []

    def test_a_second_attempt(self, tmp_path, columns):
        steps = [*range(20), *range(15, 40)]
        rows = [{"step": n, "loss": None if at in {18, 19} else 1.0, "lr": 0.1} for at, n in enumerate(steps)]
        assert missing(read(lines(tmp_path, rows), columns)) == [("loss, first at step 18", 2)]


def test_event_files(tmp_path):
    tensorboard = pytest.importorskip("tensorboardX")
    with tensorboard.SummaryWriter(str(tmp_path)) as events:
        for step in range(50):
            events.add_scalar("loss", 1.0, step)
            events.add_scalar("lr", 0.1, step)
            if step < 30:
                events.add_scalar("grad_norm", 2.0, step)
            if step % 10 == 9:
                events.add_scalar("eval/accuracy", 0.5, step)
    # The last step, which a writer that is killed leaves incomplete, does not count.
    for columns in ("all", "needed"):
        assert missing(read(tmp_path, columns)) == [("grad_norm, from step 30 to the end", 19)]


def test_columns_that_are_not_decoded_tell_of_evaluations_in_tables_with_quotes(tmp_path):
    path = tmp_path / "log.csv"
    rows = "".join(f'{n},1.0,,"two\nlines"\n' if n % 9 else f"{n},,0.5,\n" for n in range(1, 60))
    path.write_text("step,loss,accuracy,note\n" + rows)
    assert missing(read(path, "needed")) == []
