"""Runs side by side at the limits of what is said of them: ratios, marks and words, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.gating import compare
from gradlens.gating.curves import comparison_picture, gate_picture
from gradlens.reports.comparison import Fingerprint
from gradlens.signals.axis import signals_of
from tests.gating.by_hand import summary
from tests.gating.test_compare import columns, run


def ratio_of(one, other, *, norms=10.0):
    """Ratio, interval and constancy of the norms of two runs, whose windows have these logarithms."""
    size = len(other)
    runs = [summary("a", size=size, log_norm=one), summary("b", size=size, log_norm=other, norms=norms)]
    return compare._norm_ratio(runs)


def test_a_ratio_of_norms():
    ratio, interval, constant = ratio_of(0.0, np.full(8, math.log(3.0)))
    assert ratio == pytest.approx(3.0)
    assert interval == pytest.approx((3.0, 3.0))
    assert constant
    # The windows are weighed by the least number of norms of both.
    assert ratio_of(0.0, [0.0, 1.0], norms=[1.0, 3.0])[0] == pytest.approx(math.exp(0.75))
    assert ratio_of(0.0, [0.0, 1.0], norms=[10.0, 90.0])[0] == pytest.approx(math.exp(0.5))


def test_one_window_has_no_interval():
    ratio, interval, constant = ratio_of(0.0, [1.0])
    assert (ratio, interval, constant) == (pytest.approx(math.e), None, True)


@pytest.mark.parametrize(("size", "known"), [(600.0, True), (601.0, False), (-601.0, False), (math.nan, False)])
def test_ratios_beyond_all_sense(size, known):
    ratio, interval, constant = ratio_of(0.0, np.full(8, size))
    assert (ratio is not None) == known
    if not known:
        assert (interval, constant) == (None, False)


@pytest.mark.parametrize(("drift", "constant"), [(0.049, True), (0.051, False), (-0.049, True), (-0.051, False)])
def test_a_ratio_that_is_the_same_in_both_halves(drift, constant):
    assert ratio_of(0.0, np.repeat([0.0, drift], [4, 4]))[2] == constant
    # Of an odd number of windows the middle one belongs to the second half.
    assert ratio_of(0.0, np.repeat([0.0, drift], [4, 5]))[2] == constant


@pytest.mark.parametrize(
    ("loss", "first", "scale"),
    [
        (np.full(10, 2.0), 2.0, 2.0),
        (np.full(10, -2.0), -2.0, 2.0),
        (np.append(np.full(8, 2.0), [1.0, 1.0]), 9.0, 8.0),  # from its start to the median of the last fifth
        (np.append(np.full(7, 2.0), [9.0, 1.0, 1.0]), 2.0, 2.5),
        (np.full(10, 2.0), None, 2.0),
        (np.array([5.0, 1.0, 1.0]), 3.0, 7 / 3),
        (np.append(np.full(9, 2.0), math.nan), 2.0, 2.0),
    ],
)
def test_the_difference_up_to_which_losses_are_equal(loss, first, scale):
    runs = [summary(name, size=len(loss), loss=loss, loss_first=first) for name in "ab"]
    change, _, tolerance = compare._loss_change(runs, runs[0])
    assert change == 0.0
    assert tolerance == pytest.approx(0.01 * scale)


def test_a_change_of_the_loss():
    one, two = summary("a"), summary("b", loss=[1.0] * 7 + [2.0], losses=[1.0] * 7 + [9.0])
    change, interval, _ = compare._loss_change([one, two], one)
    assert change == pytest.approx(9 / 16)
    assert interval[0] < change < interval[1]
    assert compare._loss_change([summary(size=1), summary(size=1)], one)[1] is None
    unknown = summary(size=4, loss=math.nan)
    assert compare._loss_change([one, summary(loss=math.nan)], one) == (None, None, None)
    assert compare._loss_change([unknown, unknown], unknown) == (None, None, None)


# --- marks


def marked(ratio, *, half=0.001, config=None, other=None, scale=None):
    """The factors that fit a ratio with an interval of that half width."""
    values = columns(n=40)
    if scale is not None:
        values["loss_scale"] = np.full(40, scale)
    runs = [run("a", columns(n=40), config=config), run("b", values, config=other)]
    interval = (ratio * math.exp(-half), ratio * math.exp(half))
    return [f.factor for f in compare._fingerprints(ratio, interval, *runs, signals_of(runs[1]))]


@pytest.mark.parametrize(
    ("ratio", "half", "found"),
    [
        (8.0, 0.001, ["8", "sqrt(64)"]),
        (8.15, 0.001, ["8", "sqrt(64)"]),
        (8.17, 0.001, []),  # two per cent
        (8.17, 0.02, ["8", "sqrt(64)"]),  # three standard errors
        (8.3, 0.02, []),
        (8.0, 0.049, ["8", "sqrt(64)"]),
        (8.0, 0.051, []),  # too uncertain for any
        (1.019, 0.001, []),
        (1.1, 0.001, []),
        (1.05, 0.04, []),
        (4096.0, 0.001, ["4096"]),
        (1 / 3, 0.001, ["1/3"]),
        (math.sqrt(3), 0.001, ["sqrt(3)"]),
        (1 / math.sqrt(3), 0.001, ["1/sqrt(3)"]),
        (2.0, 0.001, ["2", "sqrt(4)"]),
        (0.5, 0.001, ["1/2", "1/sqrt(4)"]),
        (4.0, 0.001, ["4", "sqrt(16)"]),
        (9.0, 0.001, []),
    ],
)
def test_which_factors_fit(ratio, half, found):
    assert marked(ratio, half=half) == found


@pytest.mark.parametrize(
    "k", [2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096]
)
def test_usual_numbers_of_ranks_and_steps(k):
    assert f"{k}" in marked(float(k))
    assert f"1/{k}" in marked(1.0 / k)
    assert f"sqrt({k})" in marked(math.sqrt(k))
    assert f"1/sqrt({k})" in marked(1.0 / math.sqrt(k))


def test_the_nearest_three_are_told():
    assert marked(4.9, half=0.045) == ["sqrt(24)", "5", "sqrt(20)"][: len(marked(4.9, half=0.045))]
    assert len(marked(4.9, half=0.045)) <= 3
    off = compare._fingerprints(
        8.1, (8.09, 8.11), run("a", columns(n=40)), run("b", columns(n=40)), signals_of(run("b", columns(n=40)))
    )
    assert off[0].off_by == pytest.approx(0.0125)


@pytest.mark.parametrize("interval", [None, (0.0, 9.0)])
def test_without_an_interval_there_is_no_mark(interval):
    one = run("a", columns(n=40))
    assert compare._fingerprints(8.0, interval, one, one, signals_of(one)) == []
    assert compare._fingerprints(None, (7.9, 8.1), one, one, signals_of(one)) == []


@pytest.mark.parametrize(
    ("ratio", "options", "first"),
    [
        (8.0, {"config": TrainingConfig(world_size=8)}, "8 = ranks"),
        (8.0, {"other": TrainingConfig(world_size=8)}, "8 = ranks"),
        (1 / 8, {"config": TrainingConfig(world_size=8)}, "1/8 = 1/ranks"),
        (8**-0.5, {"config": TrainingConfig(world_size=8)}, "1/sqrt(8)"),
        (9.0, {"config": TrainingConfig(gradient_accumulation_steps=9)}, "9 = accumulation steps"),
        (1.05, {"config": TrainingConfig(world_size=1)}, None),
        (1024.0, {"scale": 1024.0}, "loss scale"),
        (1000.0, {"scale": 1000.0}, "loss scale"),
        (1.5, {"scale": 1.5}, "loss scale"),
        (1.0, {"scale": 1.0}, None),
    ],
)
def test_what_the_configuration_says_comes_first(ratio, options, first):
    found = marked(ratio, **options)
    assert (found[0] if found else None) == first


# --- words


@pytest.mark.parametrize(
    ("ratio", "change", "tolerance", "differs", "words"),
    [
        (1.234567, 0.001, 0.01, False, "norms 1.23 times those of the first run, equal loss"),
        (1.0, 0.01, 0.01, False, "norms 1 times those of the first run, equal loss"),
        (1.0, 0.02, 0.01, False, "norms 1 times those of the first run, loss higher by 0.02"),
        (1.0, -0.02, 0.01, True, "norms 1 times those of the first run, loss lower by 0.02"),
        (
            1.0,
            0.005,
            0.01,
            True,
            "norms 1 times those of the first run, loss higher by 0.005, within the tolerance of 0.01",
        ),
        (
            1.0,
            0.01,
            0.01,
            True,
            "norms 1 times those of the first run, loss higher by 0.01, within the tolerance of 0.01",
        ),
        (None, None, None, False, "norms not comparable"),
        (2.0, None, None, False, "norms 2 times those of the first run"),
    ],
)
def test_levels_in_words(ratio, change, tolerance, differs, words):
    assert compare._level_words(ratio, change, tolerance, differs=differs) == words


MARK = Fingerprint(factor="8", value=8.0, meaning="summed", off_by=0.0)


@pytest.mark.parametrize(
    ("ratio", "agree"), [(1.0, True), (1.019, True), (1.021, False), (0.979, False), (None, False)]
)
def test_a_factor_in_words(ratio, agree):
    words = compare._factor_words(MARK, ratio)
    assert words.startswith("the loss differs by a constant factor close to 8")
    assert (" at equal norms: summed (in the log only: the gradients agree)" in words) == agree


@pytest.mark.parametrize(
    ("marks", "parts_at", "identical", "shared", "words"),
    [
        ((), None, None, range(5), "text"),
        ((), 1200, 3, range(5), "text; the curves part at step 1,200"),
        ((), 3, 4, range(5), "the same to six digits in every shared step"),
        ((MARK,), 3, 3, range(5), "norms differ by a constant factor close to 8 at equal loss: summed"),
        ((MARK,), 3, 4, [], "no steps in common"),
    ],
)
def test_the_verdict_of_a_pair(marks, parts_at, identical, shared, words):
    assert compare._verdict("text", marks, parts_at, identical, np.array(shared)) == words


# --- where curves part


def parting(loss=None, norm=None, *, rows=200, factor=1.0):
    base = {"loss": np.full(rows, 2.0), "grad_norm": np.full(rows, 3.0)}
    other = {"loss": base["loss"] if loss is None else loss, "grad_norm": base["grad_norm"] if norm is None else norm}
    one, two = signals_of(run("a", base)), signals_of(run("b", other))
    index = np.arange(rows)
    return compare._parts(one.step, one, index, two, index, factor)


def test_the_earlier_parting_counts():
    row = np.arange(200)
    late, early = np.where(row < 150, 2.0, 9.0), np.where(row < 100, 3.0, 30.0)
    at, name = parting(late, early)
    assert (name, abs(at - 100) <= 17) == ("grad_norm", True)
    at, name = parting(np.where(row < 50, 2.0, 9.0), early)
    assert (name, abs(at - 50) <= 17) == ("loss", True)
    assert parting() == (None, None)
    assert parting(np.full(200, 8.0), factor=4.0) == (None, None)
    assert parting(np.full(200, 8.0))[1] == "loss"
    assert parting(norm=np.full(200, 9.0)) == (None, None)  # a ratio that was there from the start


# --- pictures


def test_a_picture_of_runs_side_by_side():
    one, two = (signals_of(run(name, columns(seed, 50))) for name, seed in (("a", 0), ("b", 1)))
    found = comparison_picture(["a", "b"], [one, two], [None])
    assert [(r.run, r.role, sorted(t.name for t in r.traces)) for r in found.runs] == [
        ("a", "", ["grad_norm", "loss"]), ("b", "", ["grad_norm", "loss"]),
    ]  # fmt: skip
    (difference,) = found.differences
    assert (difference.run, [t.name for t in difference.traces]) == ("b", ["loss", "grad_norm"])
    short = signals_of(run("c", columns(1, 1)))
    assert comparison_picture(["a", "c"], [one, short], [None]).differences[0].traces == ()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, {"loss", "grad_norm", "lr", "clip_rate"}),
        ({"threshold": None}, {"loss", "grad_norm", "lr"}),
        ({"threshold_source": "assumed"}, {"loss", "grad_norm", "lr"}),
        ({"provenance": "post_clip"}, {"loss", "grad_norm", "lr"}),
        ({"loss_spikes": [1] + [0] * 7}, {"loss", "grad_norm", "lr", "clip_rate", "spikes"}),
        ({"norm_spikes": [1] + [0] * 7}, {"loss", "grad_norm", "lr", "clip_rate", "spikes"}),
        ({"loss": math.nan}, {"grad_norm", "lr", "clip_rate"}),
    ],
)
def test_a_picture_of_what_the_gate_compares(change, names):
    found = gate_picture([summary("a", **change)], [summary("b")])
    assert [(r.run, r.role) for r in found.runs] == [("candidate a", "candidate"), ("baseline b", "baseline")]
    assert {t.name for t in found.runs[0].traces} == names


def test_windows_are_drawn_at_their_first_step():
    found = gate_picture([summary("a", first_step=3)], [])
    steps = next(t for t in found.runs[0].traces if t.name == "loss")
    assert SimpleNamespace(first=steps.step[0], second=steps.step[1]) == SimpleNamespace(first=3, second=10)
