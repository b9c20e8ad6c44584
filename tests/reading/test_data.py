"""What a program holds is read as a log of it would be."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.errors import GradlensError


def arrays(samples):
    (run,) = gradlens.read(samples / "bad_data.jsonl")
    return {
        "step": run.loss.step, "loss": run.loss.value, "grad_norm": run.grad_norm.value, "lr": run.lr.value,
    }  # fmt: skip


def verdict(source):
    (run,) = gradlens.analyze(source, threshold=1.0).runs
    return run.diagnosis.cause, round(run.diagnosis.confidence, 9), run.steps, run.first_step, run.clipping.clip_rate


def test_every_way_in_gives_the_same_verdict(samples):
    pandas = pytest.importorskip("pandas")
    path = samples / "bad_data.jsonl"
    held = arrays(samples)
    frame = pandas.DataFrame(held)
    records = frame.to_dict("records")
    expected = verdict(path)
    assert expected[0] == "bad_data"
    for source in (str(path), gradlens.read(path)):
        assert verdict(source) == expected
    # The arrays lack the validation loss of the file, which the confidence takes in.
    of_arrays = verdict(held)
    assert (of_arrays[0], *of_arrays[2:]) == (expected[0], *expected[2:])
    assert of_arrays[1] == pytest.approx(expected[1], abs=0.02)
    for source in (frame, frame.set_index("step"), records):
        assert verdict(source) == of_arrays


def test_a_polars_frame(samples):
    polars = pytest.importorskip("polars")
    assert verdict(polars.DataFrame(arrays(samples))) == verdict(arrays(samples))


def test_missing_cells_and_texts():
    records = [{"step": i, "loss": 1.0 / (i + 1), "grad_norm": None if i % 2 else 0.5, "note": "x"} for i in range(50)]
    (run,) = gradlens.read(records)
    assert (len(run.loss), len(run.grad_norm)) == (50, 25)
    assert [(n.code, n.count) for n in run.notices if n.code == "text-column"] == [("text-column", 50)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"loss": [1.0, 2.0], "grad_norm": [1.0]}, "different lengths"),
        ({"loss": np.ones((3, 2))}, "2 dimensions"),
        ({"accuracy": [1.0, 2.0]}, "no loss and no gradient norm"),
        (3.5, "cannot read a float"),
        ([1, 2], "cannot read a list"),
    ],
)
def test_what_cannot_be_read_says_what_to_pass(source, message):
    with pytest.raises(GradlensError, match=message):
        gradlens.read(source)
