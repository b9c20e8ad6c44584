"""What a page draws of runs side by side."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.gating.compare import compare_runs
from tests.figures.test_picture import noisy, run_of


def test_differences_are_those_of_shared_steps():
    step, loss, norm = noisy(600)
    one = run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm")
    later = slice(100, None)
    other = run_of(
        step[later], {"loss": loss[later] + 0.5, "grad_norm": 2 * norm[later]}, loss="loss", grad_norm="grad_norm"
    )
    found = compare_runs([one, other], picture=True).picture
    assert [run.run for run in found.runs] == ["r", "r"]
    (difference,) = found.differences
    by_name = {trace.name: trace for trace in difference.traces}
    assert by_name["loss"].step[0] == 100
    assert by_name["loss"].value == pytest.approx(0.5)
    assert by_name["grad_norm"].value == pytest.approx(2.0)


def test_pictures_are_made_on_demand_and_stand_beside_the_document():
    step, loss, norm = noisy(300)
    run = run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm")
    assert compare_runs([run, run]).picture is None
    report = compare_runs([run, run], picture=True)
    assert "picture" not in report.to_dict()
    assert np.all(report.picture.differences[0].traces[0].value == 0.0)
