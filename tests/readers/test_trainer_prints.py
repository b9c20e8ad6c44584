"""Consoles of well-known programs, in their own print formats: the steps and values that a person would read in them."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from tests.readers.trainer_prints import PRINTS

FIELDS = {"loss": "loss", "grad_norm": "norm", "lr": "lr"}


@pytest.mark.parametrize("name", PRINTS)
def test_what_is_printed_is_read(name, tmp_path):
    write, found = PRINTS[name]
    path = tmp_path / f"{name}.log"
    path.write_text(write())
    (run,) = gradlens.read(path)
    for role in found.roles:
        series = getattr(run, role)
        assert series is not None, role
        finite = np.isfinite(series.value)
        assert series.step[finite].tolist() == found.steps
        want = [getattr(row, FIELDS[role]) for row in found.rows]
        # Printed with three digits at least.
        np.testing.assert_allclose(series.value[finite], want, rtol=6e-3, atol=1e-6)
    if "grad_norm" not in found.roles:
        assert run.grad_norm is None
