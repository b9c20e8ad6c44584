"""The sentence that says what became of a run."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (np.ones(300), "Nothing was learned: loss 1 throughout."),
        (np.full(300, np.nan), "Loss or norm is NaN or infinite from the first row on."),
        (
            np.append(2.0 + 0.1 * np.sin(np.arange(100.0)), np.full(200, np.nan)),
            "The run ends in NaN or infinity from step 100 on:",
        ),
    ],
)
def test_what_holds_from_the_first_row_on_has_no_step(loss, said):
    assert said in gradlens.analyze({"loss": loss, "grad_norm": np.zeros(300)}).to_text()
