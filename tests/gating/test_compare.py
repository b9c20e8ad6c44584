"""`gradlens compare`: scale bugs, where runs part, and the table."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gradlens.cli.app import run as command_line
from gradlens.config import TrainingConfig
from gradlens.gating.compare import compare_runs
from gradlens.run import Columns, Run, Series


def columns(seed=0, n=1500):
    rng = np.random.default_rng(seed)
    done = np.linspace(0, 1, n)
    return {
        "loss": 1 + 2 * np.exp(-4 * done) + 0.05 * rng.normal(size=n),
        "grad_norm": np.exp(0.3 * rng.normal(size=n) - 0.4 * done),
    }


def run(name, values, *, first=0, config=None):
    step = np.arange(first, first + len(values["loss"]), dtype=np.int64)
    series = {k: Series(name=k, step=step, value=np.asarray(v, dtype=float)) for k, v in values.items()}
    roles = {k: k for k in ("loss", "grad_norm", "loss_scale") if k in series}
    return Run(
        id=name, source=name, format="test", series=series, columns=Columns(step="step", **roles),
        config=config or TrainingConfig(),
    )  # fmt: skip


def pair_of(one, other):
    return compare_runs([run("a", one), run("b", other)]).pairs[0]


def test_a_run_is_the_same_as_itself():
    pair = pair_of(columns(), columns())
    assert pair.identical_until == 1499
    assert pair.parts_at is None
    assert pair.verdict.startswith("the same")


@pytest.mark.parametrize(
    ("factor", "name"),
    [
        (1 / math.sqrt(8), "1/sqrt(8)"),
        (math.sqrt(2), "sqrt(2)"),
        (8.0, "8"),
        (1 / 4, "1/4"),
        (1 / math.sqrt(2), "1/sqrt(2)"),
        (64.0, "64"),
    ],
)
@pytest.mark.parametrize("same_data", [True, False])
def test_scale_bugs_are_named(factor, name, same_data):
    other = columns(0 if same_data else 1)
    other["grad_norm"] = other["grad_norm"] * factor
    pair = pair_of(columns(), other)
    assert pair.equal_loss
    assert pair.same_data is same_data
    values = {round(f.value, 6): f.factor for f in pair.fingerprints}
    assert round(factor, 6) in values
    if same_data:
        assert name in {f.factor for f in pair.fingerprints}
        assert pair.fingerprints[0].value == pytest.approx(factor)
    assert "constant factor" in pair.verdict


def test_the_configuration_tells_ranks_from_guesses():
    other = columns()
    other["grad_norm"] = other["grad_norm"] / math.sqrt(8)
    config = TrainingConfig(world_size=8.0)
    pair = compare_runs([run("a", columns()), run("b", other, config=config)]).pairs[0]
    assert "8 ranks" in pair.fingerprints[0].meaning


def test_an_unscaled_gradient_is_named():
    other = columns()
    other["grad_norm"] = other["grad_norm"] * 65536.0
    other["loss_scale"] = np.full(1500, 65536.0)
    assert "not unscaled" in pair_of(columns(), other).fingerprints[0].meaning


@pytest.mark.parametrize("seed", range(4))
def test_another_seed_leaves_no_mark(seed):
    pair = pair_of(columns(seed), columns(seed + 10))
    assert pair.fingerprints == ()
    assert not pair.same_data
    assert pair.equal_loss
    assert pair.parts_at is None
    assert pair.identical_until is None


def test_a_factor_at_another_loss_is_no_mark():
    other = columns()
    other["grad_norm"] = other["grad_norm"] * 2
    other["loss"] = other["loss"] * 1.5
    pair = pair_of(columns(), other)
    assert pair.fingerprints == ()
    assert pair.equal_loss is False


def test_a_factor_that_drifts_is_no_mark():
    other = columns()
    other["grad_norm"] = other["grad_norm"] * np.linspace(1, 3, 1500)
    assert pair_of(columns(), other).fingerprints == ()


@pytest.mark.parametrize("seed", [0, 5])
def test_where_runs_part(seed):
    other = columns(seed)
    other["loss"] = other["loss"] + np.where(np.arange(1500) >= 900, 0.5, 0.0)
    pair = pair_of(columns(), other)
    assert pair.parts_in == "loss"
    assert abs(pair.parts_at - 900) <= 40
    if seed == 0:
        assert pair.identical_until == 899


def test_a_run_that_becomes_nan_parts_there():
    other = columns()
    other["loss"] = np.where(np.arange(1500) >= 1000, np.nan, other["loss"])
    assert abs(pair_of(columns(), other).parts_at - 1000) <= 40


def test_runs_without_common_steps():
    report = compare_runs([run("a", columns(n=100)), run("b", columns(n=100), first=5000)])
    assert report.pairs[0].verdict == "no steps in common"


@pytest.mark.parametrize("drop", ["loss", "grad_norm"])
def test_a_missing_column_is_no_crash(drop):
    other = {k: v for k, v in columns(1).items() if k != drop}
    step = np.arange(1500, dtype=np.int64)
    series = {k: Series(name=k, step=step, value=v) for k, v in other.items()}
    partial = Run(
        id="b", source="b", format="test", series=series, columns=Columns(step="step", **{k: k for k in other})
    )
    pair = compare_runs([run("a", columns()), partial]).pairs[0]
    assert pair.fingerprints == ()


@pytest.mark.parametrize("n", [1, 3, 40])
def test_short_runs(n):
    assert pair_of(columns(0, n), columns(1, n)).parts_at is None


def test_the_command(tmp_path, capsys):
    paths = []
    for name, factor in (("a", 1.0), ("b", 0.5), ("c", 1.0)):
        values = columns()
        rows = zip(values["loss"].tolist(), (values["grad_norm"] * factor).tolist(), strict=True)
        path = tmp_path / f"{name}.jsonl"
        path.write_text(
            "".join(json.dumps({"step": i, "loss": a, "grad_norm": b}) + "\n" for i, (a, b) in enumerate(rows))
        )
        paths.append(str(path))
    assert command_line(["compare", *paths, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [r["id"].rsplit("/")[-1] for r in document["runs"]] == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert {f["factor"] for f in document["pairs"][0]["fingerprints"]} >= {"1/2"}
    for name in ("text", "markdown", "html"):
        assert command_line(["compare", *paths, "--format", name]) == 0
        assert "1/2" in capsys.readouterr().out
    assert command_line(["compare", paths[0]]) == 2
    assert command_line(["compare", *paths, "--format", "junit"]) == 2


def shifted(make_run, change):
    """A run whose losses are those of another, changed."""
    run = make_run(1)
    return run, replace(
        run, id="other", series={**run.series, "loss": replace(run.series["loss"], value=change(run.series["loss"].value))}
    )  # fmt: skip


def test_a_difference_that_excludes_zero_is_never_equal(make_run):
    one, other = shifted(make_run, lambda loss: loss + 0.004)
    (pair,) = compare_runs([one, other], threshold=1.3).pairs
    assert pair.equal_loss
    assert pair.loss_differs
    assert "loss higher by 0.004, within the tolerance of" in pair.verdict
    (pair,) = compare_runs([one, replace(one, id="other")], threshold=1.3).pairs
    assert not pair.loss_differs


@pytest.mark.parametrize(("factor", "name"), [(16, "16"), (1 / 8, "1/8")])
def test_a_constant_factor_of_the_losses_is_named(make_run, factor, name):
    one, other = shifted(make_run, lambda loss: loss * factor)
    (pair,) = compare_runs([one, other], threshold=1.3).pairs
    assert pair.loss_factor.factor == name
    assert f"constant factor close to {name} at equal norms" in pair.verdict
    assert pair.parts_at is None


def test_a_shift_is_no_factor(make_run):
    one, other = shifted(make_run, lambda loss: loss + 2.0)
    (pair,) = compare_runs([one, other], threshold=1.3).pairs
    assert pair.loss_factor is None
    assert "loss higher by 2" in pair.verdict


def test_norms_that_differ_by_a_factor_have_an_interval_about_it():
    pair = pair_of(columns(1), columns(2) | {"grad_norm": 3.0 * columns(2)["grad_norm"]})
    low, high = pair.norm_ratio_interval
    assert low < 3.0 < high
    assert pair.norm_ratio == pytest.approx(3.0, rel=0.05)
    assert (pair.shared_steps, pair.first_step, pair.last_step) == (1500, 0, 1499)


@pytest.mark.parametrize(("off", "marked"), [(1.0, True), (1.015, True), (0.985, True), (1.03, False), (0.97, False)])
def test_a_mark_fits_within_two_percent(off, marked):
    # The same batches, so that the interval adds nothing.
    one = columns()
    pair = pair_of(one, one | {"grad_norm": 8.0 * off * one["grad_norm"]})
    assert bool(pair.fingerprints) == marked
    if marked:
        assert pair.fingerprints[0].factor == "8"
        assert pair.fingerprints[0].off_by == pytest.approx(off - 1, abs=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 1.015, 0.985])
def test_nearly_the_same_norms_bear_no_mark(ratio):
    one = columns()
    assert not pair_of(one, one | {"grad_norm": ratio * one["grad_norm"]}).fingerprints


@pytest.mark.parametrize(("rows", "named"), [(19, False), (20, True)])
def test_twenty_rows_tell_a_factor_of_losses(rows, named):
    loss = np.linspace(3.0, 1.0, rows)
    pair = pair_of({"loss": loss}, {"loss": 4.0 * loss})
    assert (pair.loss_factor is not None) == named


@pytest.mark.parametrize(("off", "named"), [(1.019, True), (1.021, False), (0.981, True), (0.979, False)])
def test_a_factor_of_losses_fits_within_two_percent(off, named):
    loss = np.linspace(3.0, 1.0, 100)
    pair = pair_of({"loss": loss}, {"loss": 4.0 * off * loss})
    assert (pair.loss_factor is not None) == named


@pytest.mark.parametrize(("drift", "named"), [(1.04, True), (1.06, False)])
def test_a_factor_of_losses_is_the_same_in_both_halves(drift, named):
    loss = np.linspace(3.0, 1.0, 100)
    other = 16.0 * loss * np.where(np.arange(100) < 50, 1.0, drift) / np.sqrt(drift)
    assert (pair_of({"loss": loss}, {"loss": other}).loss_factor is not None) == named


def test_factors_of_losses_take_the_configured_accumulation():
    loss = np.linspace(3.0, 1.0, 100)
    config = TrainingConfig(gradient_accumulation_steps=9)
    one, other = run("a", {"loss": loss}), run("b", {"loss": loss / 9}, config=config)
    (pair,) = compare_runs([one, other]).pairs
    assert pair.loss_factor.factor == "1/9"
    (pair,) = compare_runs([one, run("b", {"loss": loss / 9})]).pairs
    assert pair.loss_factor is None
    assert pair_of({"loss": loss}, {"loss": loss}).loss_factor is None


@pytest.mark.parametrize(("change", "until"), [(1.0000009, 1499), (1.0000011, 699)])
def test_the_same_to_six_digits(change, until):
    one = columns()
    other = {k: v.copy() for k, v in one.items()}
    other["loss"][700:] *= change
    assert pair_of(one, other).identical_until == until


def test_nothing_is_the_same_from_a_first_difference_or_a_nan_on():
    one = columns()
    other = {k: v.copy() for k, v in one.items()}
    other["grad_norm"][0] *= 1.1
    assert pair_of(one, other).identical_until is None
    gone = {k: v.copy() for k, v in one.items()}
    gone["loss"][5] = np.nan
    assert pair_of(gone, one).identical_until == 4
    assert pair_of(one, gone).identical_until == 4


@pytest.mark.parametrize(("by", "part"), [(1.019, False), (1.03, True)])
def test_losses_part_beyond_two_percent_of_their_level(by, part):
    loss = np.full(600, 2.0)
    other = np.where(np.arange(600) < 300, 2.0, 2.0 * by)
    pair = pair_of({"loss": loss}, {"loss": other})
    assert (pair.parts_at is not None) == part
    if part:
        assert abs(pair.parts_at - 300) <= 17
        assert pair.parts_in == "loss"


@pytest.mark.parametrize(("by", "part"), [(1.09, False), (1.12, True)])
def test_norms_part_beyond_a_tenth(by, part):
    norm = np.full(600, 2.0)
    later = np.where(np.arange(600) < 300, 2.0, 2.0 * by)
    pair = pair_of({"loss": norm, "grad_norm": norm}, {"loss": norm, "grad_norm": later})
    assert (pair.parts_at is not None) == part
    # A constant ratio from the start is none.
    assert pair_of({"loss": norm, "grad_norm": norm}, {"loss": norm, "grad_norm": 3 * norm}).parts_at is None


@pytest.mark.parametrize(("rows", "looked"), [(65, False), (66, True)])
def test_few_rows_do_not_part(rows, looked):
    loss = np.full(rows, 2.0)
    pair = pair_of({"loss": loss}, {"loss": np.where(np.arange(rows) < 10, 2.0, 9.0)})
    assert (pair.parts_at is not None) == looked


@pytest.mark.parametrize(("shift", "equal"), [(0.019, True), (0.021, False), (-0.019, True), (-0.021, False)])
def test_losses_within_a_hundredth_of_their_level_are_equal(shift, equal):
    loss = np.full(400, 2.0)
    pair = pair_of({"loss": loss}, {"loss": loss + shift})
    assert pair.loss_tolerance == pytest.approx(0.02)
    assert pair.equal_loss == equal
    # Of a loss that came down from 9 to 1 the way counts, if it is more than the level.
    falling = np.concatenate((np.linspace(9.0, 1.0, 40), np.full(360, 1.0)))
    assert pair_of({"loss": falling}, {"loss": falling}).loss_tolerance == pytest.approx(0.08, rel=0.05)


def test_the_figures_of_a_run():
    one = columns()
    one["grad_norm"][[100, 200]] = np.nan
    report = compare_runs([run("a", one), run("b", one)], threshold=1.2)
    figures = report.runs[0]
    norm = one["grad_norm"][np.isfinite(one["grad_norm"])]
    assert figures.clip_rate == pytest.approx(np.mean(norm > 1.2))
    assert figures.median_norm == pytest.approx(np.median(norm))
    assert figures.p99_norm == pytest.approx(np.percentile(norm, 99))
    assert figures.nonfinite == 2
    assert figures.steps == 1500
    assert figures.learning_rate is None
