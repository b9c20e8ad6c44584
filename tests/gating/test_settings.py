"""The `[gate]` table at the ends of its ranges."""

from __future__ import annotations

import pytest

from gradlens.errors import ConfigError
from gradlens.gating.settings import DEFAULT_TOLERANCES, GateSettings, Tolerance, gate_settings


@pytest.mark.parametrize("name", ["alpha", "min_overlap", "max_clip_rate"])
def test_shares_lie_between_nothing_and_all(name):
    for value in (0.0, 0.5, 1.0, 1):
        assert getattr(gate_settings({name: value}), name) == value
    for value in (-0.01, 1.01):
        with pytest.raises(ConfigError, match="is not between 0 and 1"):
            gate_settings({name: value})


@pytest.mark.parametrize("name", ["min_effective", "max_spikes", "max_nonfinite", "max_grad_norm"])
def test_counts_and_norms_are_not_negative(name):
    for value in (0, 3, 7.0):
        assert getattr(gate_settings({name: value}), name) == value
    with pytest.raises(ConfigError, match="is not at least 0"):
        gate_settings({name: -1})
    assert isinstance(gate_settings({"max_spikes": 7.0}).max_spikes, int)
    assert isinstance(gate_settings({"max_grad_norm": 7}).max_grad_norm, float)


def test_a_loss_may_be_negative():
    assert gate_settings({"max-loss": -3}).max_loss == -3.0


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf")])
def test_a_number_is_one(value):
    with pytest.raises(ConfigError):
        gate_settings({"alpha": value})


@pytest.mark.parametrize(("value", "kept"), [(True, True), (False, False)])
def test_a_switch_is_one(value, kept):
    assert gate_settings({"allow-inconclusive": value}).allow_inconclusive is kept
    with pytest.raises(ConfigError, match="must be true or false"):
        gate_settings({"allow_inconclusive": 1})


def test_metrics_keep_the_order_of_the_report():
    assert gate_settings({"metrics": ["norm-tail", "clip_rate"]}).metrics == ("clip_rate", "norm_tail")
    for wrong in ([], "clip_rate", ["clip-rates"]):
        with pytest.raises(ConfigError):
            gate_settings({"metrics": wrong})


def test_a_tolerance_is_a_number_or_a_table():
    found = gate_settings({"tolerances": {"norm-level": 0.1, "clip_rate": {"absolute": 0.01, "level": 0}}}).tolerances
    assert found["norm_level"] == Tolerance(relative=0.1)
    assert found["clip_rate"] == Tolerance(absolute=0.01)
    assert found["loss"] == DEFAULT_TOLERANCES["loss"]
    for wrong in ({"norm_level": -0.1}, {"norm": 0.1}, {"loss": {"relativ": 1}}, {"loss": "1"}, 3):
        with pytest.raises(ConfigError):
            gate_settings({"tolerances": wrong})


def test_what_is_not_given_stays():
    settings = GateSettings(alpha=0.01).updated(max_spikes=0, alpha=None)
    assert (settings.alpha, settings.max_spikes) == (0.01, 0)


def test_the_defaults_are_those_of_the_page():
    # docs/ci.md states them.
    assert GateSettings().to_dict() == {
        "metrics": list(DEFAULT_TOLERANCES),
        "tolerances": {
            name: {"absolute": 0.0, "relative": 0.0, "progress": 0.0, "noise": 0.0, "level": 0.0} | parts
            for name, parts in {
                "clip_rate": {"absolute": 0.02, "relative": 0.25, "level": 0.05},
                "final_loss": {"relative": 0.02, "progress": 0.04, "noise": 2.0},
                "loss": {"relative": 0.02, "progress": 0.08},
                "norm_level": {"relative": 0.3},
                "norm_spread": {"relative": 0.25},
                "norm_tail": {"relative": 0.5},
                "loss_spikes": {"absolute": 2.0, "relative": 1.0},
                "norm_spikes": {"absolute": 2.0, "relative": 1.0},
                "overflow": {"absolute": 0.005, "relative": 1.0},
            }.items()
        },
        "alpha": 0.05, "min_overlap": 0.97, "min_effective": 50.0, "max_clip_rate": None, "max_spikes": None,
        "max_nonfinite": None, "max_loss": None, "max_grad_norm": None, "allow_inconclusive": False,
    }  # fmt: skip
