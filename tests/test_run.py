"""The input model: read-only, with every value, and known columns by role."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.run import Columns, Run, Series


def series(name, *values, start=0):
    return Series(name=name, step=np.arange(start, start + len(values)), value=np.array(values, dtype=np.float64))


def run(**columns):
    made = [series("a/loss", 1.0, np.nan), series("norm", np.inf, 2.0), series("<b>", 3.0)]
    return Run(
        id="r<1>", source="r.jsonl", format="jsonl", series={s.name: s for s in made}, columns=Columns(**columns)
    )


def test_a_series_cannot_be_written_and_keeps_what_is_not_finite():
    found = series("x", 1.0, np.nan, np.inf)
    assert np.isnan(found.value[1])
    assert np.isinf(found.value[2])
    for array in (found.step, found.value):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7
    assert len(found) == 3


def test_as_many_steps_as_values():
    with pytest.raises(ValueError, match="x: 2 steps for 1 values"):
        Series(name="x", step=np.arange(2), value=np.ones(1))


ROLES = ("loss", "grad_norm", "lr", "loss_scale", "grad_norm_clipped", "val_loss")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_found_by_its_column(role):
    found = run(**{role: "norm"})
    assert getattr(found, role) is found.series["norm"]
    assert all(getattr(found, other) is None for other in ROLES if other != role)
    assert getattr(run(**{role: "not there"}), role) is None


def test_what_a_run_says_of_itself():
    found = run(loss="a/loss", grad_norm="norm")
    assert repr(found) == "Run('r<1>', jsonl, 3 series, loss='a/loss', grad_norm='norm')"
    assert repr(found.series["norm"]) == "Series('norm', 2 points, steps 0..1)"
    assert repr(series("empty")) == "Series('empty', 0 points)"
    page = found._repr_html_()
    assert "r&lt;1&gt;" in page
    assert "<b>r" in page
    assert "&lt;b&gt;" in page
    assert "<td><b></td>" not in page


def test_frames_and_tables_have_the_same_rows():
    found = run(loss="a/loss")
    frame, table = found.to_pandas(), found.to_arrow()
    assert list(frame.columns) == table.column_names == ["step", "a/loss", "norm", "<b>"]
    assert len(frame) == table.num_rows == 2
    assert np.isnan(frame["<b>"][1])
    assert table["<b>"].null_count == 1
    assert table["a/loss"].null_count == 0  # a NaN that was logged is a value
