from dataclasses import replace

import numpy as np
import pytest

from gradlens.diagnosis.traits import Curves, measure, measure_recorder, trait_names
from gradlens.diagnosis.traits.base import RECORDED


def curves(n: int = 400, **changes: object) -> Curves:
    rng = np.random.default_rng(7)
    loss = 2 * np.exp(-np.arange(n) / 90) + 0.3 + 0.05 * rng.standard_normal(n)
    nothing = np.full(n, np.nan)
    made = Curves(
        loss=loss, norm=np.exp(0.3 * rng.standard_normal(n)), rate=np.linspace(1e-3, 1e-4, n), scale=nothing, held_out=nothing,
        threshold=1.0, interval=1.0, restarts=0, layers=np.empty((0, 3)), recorded={},
    )  # fmt: skip
    return replace(made, **changes)


def test_every_trait_has_one_name():
    assert len(set(trait_names())) == len(trait_names()) == len(measure(curves()))


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_units_of_loss_norm_and_rate_change_nothing(factor):
    base = curves()
    other = replace(base, loss=base.loss * factor, norm=base.norm * factor, rate=base.rate * factor, threshold=factor)
    np.testing.assert_allclose(measure(other), measure(base), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 11, 13, 40])
def test_short_logs_are_measured(rows):
    base = curves()
    short = {name: getattr(base, name)[:rows] for name in ("loss", "norm", "rate", "scale", "held_out")}
    assert len(measure(replace(base, **short))) == len(trait_names())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300])
def test_values_that_mean_nothing_are_measured(value):
    same = np.full(300, value)
    found = measure(
        curves(300, loss=same, norm=same, rate=same, scale=same, held_out=same, recorded=dict.fromkeys(RECORDED, same))
    )
    assert not np.isinf(found).any()


def test_traits_of_the_recorder_are_missing_without_its_columns():
    places = sorted(measure_recorder(Curves.nothing()))
    assert np.isnan(measure(curves())[places]).all()
    with_them = curves(recorded={"weight_norm": np.linspace(1, 3, 400), "update_norm": np.full(400, 1e-3)})
    assert measure(with_them)[trait_names().index("weight growth most")] == pytest.approx(np.log(3), abs=1e-9)
