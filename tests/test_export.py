"""A run written to a file: every value comes back, and cells that a spreadsheet would run do not."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import gradlens
from gradlens.errors import UsageError
from gradlens.export import SUFFIXES, require_writer, write_run
from gradlens.run import Run, Series

NAMES = ("loss", "step", "=cmd|' /C calc'!A0")


@pytest.fixture
def run():
    values = {"loss": [1.5, np.nan, np.inf], "step": [7.0, 8.0, 9.0], NAMES[2]: [-0.0, 1e-320, 0.1 + 0.2]}
    made = {
        name: Series(name=name, step=np.array([0, 1, 5]), value=np.array(found, dtype=np.float64))
        for name, found in values.items()
    }
    made["late"] = Series(name="late", step=np.array([5]), value=np.array([4.0]))
    return Run(id="r", source="r", format="jsonl", series=made)


def test_json_lines_leave_missing_cells_out(run, tmp_path):
    write_run(run, tmp_path / "r.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 5]
    assert [row["step_"] for row in rows] == [7.0, 8.0, 9.0]
    assert [("late" in row) for row in rows] == [False, False, True]
    assert np.isnan(rows[1]["loss"])
    assert rows[2][NAMES[2]] == 0.1 + 0.2


def test_separated_values_are_exact_and_start_no_formula(run, tmp_path):
    write_run(run, tmp_path / "r.CSV")
    names, *rows = csv.reader(io.StringIO((tmp_path / "r.CSV").read_text()))
    assert names == ["step", "loss", "step_", f"'{NAMES[2]}", "late"]
    assert [row[1] for row in rows] == ["1.5", "NaN", "inf"]
    assert [float(row[3]) for row in rows] == [-0.0, 1e-320, 0.1 + 0.2]
    assert [row[4] for row in rows] == ["", "", "4.0"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_name_starts_a_formula(tmp_path, start):
    name = f'{start}HYPERLINK("http://example.invalid","a"),b\nc'
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"step": i, "loss": -1.5, name: -2.5}) + "\n" for i in range(9))
    )
    (read,) = gradlens.read(tmp_path / "a.jsonl")
    write_run(read, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_bytes().decode()
    names, *rows = csv.reader(io.StringIO(text, newline=""))
    assert names == ["step", "loss", f"'{list(read.series)[1]}"]
    assert not any(cell.startswith(("=", "@", "\t", "\r", "\n")) for row in rows for cell in row)
    # Numbers stay numbers, and no quote of the name ends its cell.
    assert {tuple(row[1:]) for row in rows} == {("-1.5", "-2.5")}
    (again,) = gradlens.read(tmp_path / "a.csv")
    assert again.loss.value.tolist() == [-1.5] * 9


def test_parquet_tells_missing_from_nan(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_run(run, tmp_path / "r.parquet")
    found = parquet.read_table(tmp_path / "r.parquet")
    assert found["late"].null_count == 2
    assert found["loss"].null_count == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_written_is_read_again(samples, tmp_path, suffix):
    (before,) = gradlens.read(samples / "fp16_overflow.jsonl")
    write_run(before, tmp_path / f"again{suffix}")
    (after,) = gradlens.read(tmp_path / f"again{suffix}")
    for role in ("loss", "grad_norm"):
        old, new = getattr(before, role), getattr(after, role)
        np.testing.assert_array_equal(new.step, old.step)
        np.testing.assert_array_equal(new.value, old.value)


def test_other_suffixes_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write \.xlsx") as error:
        require_writer(tmp_path / "r.xlsx")
    assert all(suffix in error.value.hint for suffix in SUFFIXES)
    with pytest.raises(UsageError, match="a file without suffix"):
        require_writer(tmp_path / "r")
