"""Signs in the columns of a recorder, and what the report says of them."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.checks.engine import run_checks
from gradlens.diagnosis.ranking import with_line
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.signs import recorder as module
from tests.synthetic import N, case_bad_batches, case_steps_too_long, healthy, make

ROW = np.arange(N)
OURS = [name for name, sign in SIGNS.items() if sign.grade.__module__ == module.__name__]


def grade(case, name):
    return SIGNS[name].grade(case)


@pytest.mark.parametrize("name", OURS)
def test_a_log_without_the_columns_shows_none(name):
    assert grade(make(healthy()), name) == 0.0


def parabola(eta_h, *, noise=0.05, every=10):
    """Probes of plain gradient descent at that rate times curvature, whatever the units."""
    run = healthy()
    rng = np.random.default_rng(0)
    bent = eta_h * np.exp(noise * rng.standard_normal(N))
    slope = -(run["grad_norm"] ** 2) * 0.01
    probed = ROW % every == 0
    return run | {
        "loss_before": np.where(probed, run["loss"], np.nan),
        "loss_after": np.where(probed, run["loss"] + slope + 0.5 * bent * -slope, np.nan),
        "grad_dot_update": np.where(probed, slope, np.nan),
    }


@pytest.mark.parametrize(("eta_h", "beyond", "within"), [(0.5, 0.0, 1.0), (1.4, 0.0, 0.0), (2.5, 1.0, 0.0)])
def test_the_edge_of_stability(eta_h, beyond, within):
    case = make(parabola(eta_h))
    assert case.recorded.edge == pytest.approx(eta_h, rel=0.05)
    assert grade(case, "step_beyond_edge") == beyond
    assert grade(case, "step_within_edge") == within
    assert grade(case, "own_batch_worse") == (1.0 if eta_h > 2 else 0.0)


def test_the_safe_rate_is_that_of_the_lowest_point():
    case = make(parabola(2.5))
    rate = case.signals.lr[-N // 4 :]
    assert np.median(rate) / 2.7 < case.recorded.safe_rate < np.median(rate) / 2.3
    (finding,) = (f for f in run_checks(case)[0] if f.code == "GL509")
    assert "raise the loss of their own batch" in finding.message
    assert f"{case.recorded.safe_rate:.2g}" in finding.message


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_facts_do_not_depend_on_the_unit_of_the_loss(unit):
    run = parabola(2.5)
    scaled = {k: v * (unit if k.startswith(("loss", "grad")) else 1.0) for k, v in run.items()}
    assert make(scaled, threshold=None).recorded.edge == pytest.approx(make(run).recorded.edge, rel=1e-9)


def test_weights_that_grow_and_weights_that_hold():
    for last, grown, held in ((1.05, 0.0, 1.0), (2.0, 0.0, 0.0), (10.0, 1.0, 0.0)):
        case = make(healthy() | {"weight_norm": 3.0 * last ** (ROW / (N - 1)), "update_norm": np.full(N, 0.003)})
        assert (grade(case, "weights_grow"), grade(case, "weights_hold")) == pytest.approx((grown, held), abs=0.02)
        assert grade(case, "updates_long") == 0.0


def test_a_coupled_penalty_is_seen_whichever_norm_has_it():
    run = healthy()
    in_norm = make(run | {"data_norm": 0.3 * run["grad_norm"]})
    beside = make(run | {"data_norm": run["grad_norm"], "penalized_norm": run["grad_norm"] / 0.3})
    harmless = make(run | {"data_norm": run["grad_norm"], "penalized_norm": 1.01 * run["grad_norm"]})
    assert grade(in_norm, "penalty_dominates") == grade(beside, "penalty_dominates") == 1.0
    assert grade(harmless, "penalty_dominates") == 0.0
    assert beside.beliefs.cause == "l2_contamination"


def test_the_batch_size_column_settles_it():
    size = np.where(ROW < 700, 64.0, 256.0)
    case = make(healthy() | {"batch_size": size})
    assert case.recorded.batch_change == pytest.approx(np.log(4))
    assert case.recorded.batch_change_row == 700
    assert grade(case, "batch_size_steps") == 1.0
    constant = make(healthy() | {"batch_size": np.full(N, 64.0)})
    assert (grade(constant, "batch_size_steps"), grade(constant, "batch_size_stays")) == (0.0, 1.0)
    last_of_epoch = make(healthy() | {"batch_size": np.where(ROW % 50 == 49, 17.0, 64.0)})
    assert grade(last_of_epoch, "batch_size_steps") == 0.0


def with_ids(case, ids):
    columns = {name: s.value for name, s in case.run.series.items()}
    return make(columns | {"batch_id": ids})


def test_the_same_bad_batches_again():
    case = case_bad_batches()
    rows = [row for e in case.events for row in range(e.first, e.last + 1)]
    assert len(rows) >= 2
    unlike = ROW.astype(float) + 10
    same = unlike.copy()
    same[rows] = 3.0
    assert grade(with_ids(case, same), "bad_batches_repeat") == 1.0
    assert grade(with_ids(case, unlike), "bad_batches_repeat") == 0.0
    harmless_elsewhere = same.copy()
    harmless_elsewhere[5] = 3.0
    assert grade(with_ids(case, harmless_elsewhere), "bad_batches_repeat") == 0.0


def test_columns_on_every_tenth_row_are_enough():
    sparse = case_steps_too_long()
    assert sparse.recorded.n_probes == N // 10
    assert grade(sparse, "own_batch_worse") == 1.0


def test_an_open_question_names_the_line_that_logs_what_settles_it():
    text = "log the update norm and the RMS of g²/v, or give beta2 with --config"
    assert "gradlens.Recorder(path, model, optimizer, update_every=1)" in with_line(text, make(healthy()))
    known = make(healthy() | {"rms_ratio": np.ones(N), "update_norm": np.ones(N)})
    assert with_line(text, known) == text
