"""What is not finite, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import nonfinite
from gradlens.diagnosis.facts.nonfinite import BY_GROWTH, NOT_BY_GROWTH
from tests.diagnosis.facts.shown import line, lines, logged
from tests.synthetic import make

NAN, INF = np.nan, np.inf


def run(loss, norm=None, *, lr=1e-3, every=10, first=0, threshold=None, optimizer=None, **more):
    loss = np.asarray(loss, dtype=float)
    norm = np.ones(len(loss)) if norm is None else np.asarray(norm, dtype=float)
    columns = {"loss": loss, "grad_norm": norm, "lr": np.full(len(loss), lr), **more}
    if lr is None:
        del columns["lr"]
    config = TrainingConfig(optimizer=optimizer)
    return make(columns, step=first + every * np.arange(len(loss)), threshold=threshold, config=config)


def dead(value, at, *, bad=NAN, rows=20):
    """Values up to a row and none that is finite from there on."""
    return np.append(np.asarray(value, dtype=float)[:at], np.full(rows, bad))


# --- from the first row


@pytest.mark.parametrize(
    ("loss", "norm", "first", "shown", "said"),
    [
        (np.full(30, NAN), np.full(30, NAN), 1, "nan_sudden 0.9 | nonfinite from 1 | 1 | 30 in 30",
         "every loss and every norm is NaN from the first row (step 1):"),
        (np.full(30, INF), np.ones(30), 0, "nan_sudden 0.9 | nonfinite from 0 | 0 | 30 in 30", "every loss is infinite from the first row (step 0)"),
        (np.full(30, NAN), np.append(np.full(29, NAN), 1.0), 2, "nan_sudden? | nonfinite from 2 | 2 | 30 in 30",
         "every loss is NaN from the first row on, and that is step 2:"),
        (np.append(np.full(29, NAN), INF), np.full(30, NAN), 2, "nan_sudden? | nonfinite from 2 | 2 | 30 in 30",
         "every loss and every norm is NaN or infinite from the first row on"),
    ],
)  # fmt: skip
def test_losses_that_never_are_finite(loss, norm, first, shown, said):
    (fact,) = nonfinite.find(run(loss, norm, first=first))
    assert line(fact) == f"GL405 | error | {shown}"
    assert said in fact.message
    assert fact.rules_out == BY_GROWTH


def test_a_loss_that_is_logged_later_or_by_epoch():
    step = np.arange(40)
    (fact,) = nonfinite.find(logged({"loss": (step[1:30], np.full(29, NAN)), "grad_norm": (step, np.ones(40))}))
    assert line(fact) == "GL405 | error | nan_sudden 0.9 | nonfinite from 1 | 1 | 29 in 29"
    epoch = run(np.full(30, NAN), epoch=np.arange(30.0))
    assert "and that is epoch 0" in nonfinite.find(epoch)[0].message


# --- norms that never are finite


def test_norms_that_never_are():
    case = run(np.append(np.append(NAN, np.linspace(2.5, 1.5, 48)), NAN), np.full(50, NAN))
    facts = nonfinite.find(case)
    assert lines(facts) == ["GL406 | warning | unknown 0.6 | - | - | 50 in 50"]
    assert "is NaN in all 50 rows while the loss goes from 2.5 to 1.5:" in facts[0].message
    (fact,) = nonfinite.find(make({"grad_norm": np.append(np.full(49, INF), NAN)}, threshold=None))
    assert "is NaN or infinite in all 50 rows: " in fact.message
    assert nonfinite.find(run(np.ones(50), np.append(np.full(10, NAN), np.ones(40)))) == ()


# --- to the end


@pytest.mark.parametrize(
    ("case", "shown", "said"),
    [
        (run(dead(np.ones(100), 100), dead(np.ones(100), 100)), "nan_sudden 0.85 | nonfinite from 1000 | 1000 | 20 in 120",
         "loss and norm are NaN from step 1,000 to the end, 20 rows; nothing grew before it"),
        (run(dead(np.ones(100), 100)), "nan_sudden 0.85 | nonfinite from 1000 | 1000 | 20 in 120", "loss is NaN from step 1,000"),
        (run(np.ones(120), dead(np.ones(100), 100, bad=INF)), "nan_sudden 0.85 | nonfinite from 1000 | 1000 | 20 in 120",
         "norm is infinite from step 1,000"),
        (run(np.zeros(120), dead(np.ones(100), 100)), "nan_sudden 0.85 | nonfinite from 1000 | 1000 | 20 in 120", "norm is NaN"),
    ],
)  # fmt: skip
def test_what_ends_from_one_row_to_the_next(case, shown, said):
    (fact,) = nonfinite.find(case)
    assert line(fact) == f"GL405 | error | {shown}"
    assert said in fact.message
    assert fact.rules_out == BY_GROWTH
    assert "set_detect_anomaly" in fact.advice


def test_nan_that_is_written_as_zero():
    loss = np.append(np.ones(100), np.zeros(20))
    (fact,) = nonfinite.find(run(loss, dead(np.ones(100), 100)))
    assert "loss and norm are NaN from step 1,000 to the end, 20 rows (20 hidden NaNs: " in fact.message


@pytest.mark.parametrize(("overflows", "cause"), [(2, "nan_sudden"), (3, None)])
def test_overflows_before_are_a_matter_of_the_loss_scale(overflows, cause):
    norm = dead(np.ones(100), 100)
    norm[10 : 10 + 2 * overflows : 2] = INF
    (fact,) = nonfinite.find(run(np.ones(120), norm))
    assert fact.cause == cause
    if cause is None:
        assert (fact.advice, fact.rules_out) == ("", frozenset())
        assert "grew" not in fact.message
        assert nonfinite.find(run(dead(np.ones(100), 100), norm))[0].cause == "nan_sudden"


@pytest.mark.parametrize("sign", ["scale_collapses", "zeros_after_nan"])
def test_signs_of_a_loss_scale(sign, monkeypatch):
    monkeypatch.setattr(nonfinite, sign, lambda _: 0.1)
    (fact,) = nonfinite.find(run(dead(np.ones(100), 100)))
    assert (fact.cause, fact.advice) == (None, "")


def test_what_grew_before():
    norm = np.append(np.ones(95), np.full(5, 4.0))
    (fact,) = nonfinite.find(run(dead(np.ones(100), 100), norm=dead(norm, 100)))
    assert line(fact) == "GL405 | error | unknown? | nonfinite from 1000 | 1000 | 20 in 120"
    assert fact.message.endswith("20 rows; the norm grew to 4 times its level before")
    assert fact.rules_out == NOT_BY_GROWTH
    assert fact.advice.startswith("go back to a checkpoint")


@pytest.mark.parametrize(("rows", "advice"), [(8, "start again"), (9, "go back")])
def test_of_few_rows_the_start_is_to_blame(rows, advice):
    norm = np.geomspace(1.0, 100.0, rows)
    (fact,) = nonfinite.find(run(dead(np.ones(rows), rows), norm=dead(norm, rows)))
    assert fact.advice.startswith(advice)


def test_what_is_dead_from_its_first_row_did_not_turn():
    norm = np.ones(30)
    norm[-3:] = NAN
    step = np.arange(30)
    case = logged({"loss": (step[:2], [1.0, NAN]), "grad_norm": (step, norm)})
    assert nonfinite.find(case)[0].cause == "nan_sudden"


# --- growth


def before(value, *, loss=None):
    """What grew before the last row, of a norm or a loss."""
    value = np.append(value, NAN)
    case = run(np.ones(len(value)), value) if loss is None else run(value)
    return nonfinite.growth_before(case, len(value) - 1)


def peaks(level, peak, *, at=97, rows=100, loss=None):
    """Ten rows at the end of some, of which one stands out."""
    value = np.array(np.resize(level, rows), dtype=float)
    value[at] = peak
    return before(value, loss=loss)


@pytest.mark.parametrize(
    ("level", "peak", "options", "said"),
    [
        ([1.0], 3.1, {}, "the norm grew to 3.1 times its level before"),
        ([1.0], 3.0, {}, None),
        ([-1.0], -3.1, {}, "the norm grew to 3.1 times its level before"),
        ([1.0], 1.6, {"loss": True}, "the loss grew to 1.6 times its level before"),
        ([1.0], 1.5, {"loss": True}, None),
        ([1.0], 9.0, {"at": 95}, "the norm grew to 9 times its level before"),
        ([1.0], 9.0, {"at": 94}, None),  # not one of the last five rows
        # Two of the sixty rows before were high, too: a fiftieth of them lies above 4.28, and 1.2 times that is 5.14.
        ([1.0] * 29 + [5.0], 5.2, {"at": 98}, "the norm grew to 5.2 times its level before"),
        ([1.0] * 29 + [5.0], 5.1, {"at": 98}, None),
    ],
)
def test_growth_stands_out_of_the_rows_before(level, peak, options, said):
    assert peaks(level, peak, **options) == said


def test_the_level_is_that_of_sixty_rows_before_the_last_ten():
    value = np.concatenate((np.full(40, 4.0), np.ones(60), np.full(5, 1.0), np.full(5, 4.0)))
    assert before(value) == "the norm grew to 4 times its level before"
    value = np.concatenate((np.full(71, 4.0), np.ones(29), np.full(5, 1.0), np.full(5, 4.0)))
    assert before(value) is None
    value = np.concatenate((np.ones(90), np.full(10, 4.0)))
    assert before(value) == "the norm grew to 4 times its level before"
    value = np.concatenate((np.ones(50), np.full(50, 4.0)))
    assert before(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        # Of 17 rows, seven before the last ten: the first half is the level.
        ([1.0] * 8 + [4.0] * 9, "the norm grew to 4 times its level before"),
        ([1.0] * 7 + [4.0] * 11, None),  # of 18, eight before the last ten: 1 in seven of them
        ([1.0] * 2 + [9.0] * 2, "the norm grew 9 times in the 4 rows before"),
        ([1.0, 6.1], "the norm grew 6.1 times in the 2 rows before"),
        ([1.0, 6.0], None),
        ([9.0], None),
        ([1.0, 1.0, 1.0, 1.0, 6.1], "the norm grew 6.1 times in the 5 rows before"),
        ([1.0, 1.0, 1.0, 5.9, 5.9, 5.9], "the norm grew to 5.9 times its level before"),
        ([0.0, 5.0], "the norm grew from 0 to 5 in the 2 rows before"),
        ([0.0] * 3 + [5.0] * 3, "the norm grew from 0 to 5"),
        ([], None),
    ],
)
def test_growth_in_few_rows(value, said):
    assert before(np.array(value)) == said


def test_layers_tell_where_the_norm_does_not():
    grows = np.append(np.ones(90), np.geomspace(1.5, 6.0, 10))
    columns = {"loss": dead(np.ones(100), 100), "grad_norm": np.ones(120)}
    case = make(columns, layers={"grad_norm/a": np.append(grows, np.full(20, NAN))}, threshold=None)
    assert nonfinite.growth_before(case, 100) == "grad_norm/a grew to 6 times its level from step 90 on"
    short = make({"loss": np.ones(100), "grad_norm": np.ones(100)}, layers={"grad_norm/a": grows}, threshold=None)
    assert nonfinite.growth_before(short, 100) == "grad_norm/a grew to 6 times its level from step 90 on"


# --- an update that throws the weights


def thrown(norm, *, loss=1.0, rows=1, at=None, **options):
    """What is said of some finite rows, the last of which has this norm."""
    norms = np.append(np.ones(rows - 1), norm)
    case = run(dead(np.full(rows, loss), rows), dead(norms, rows), **options)
    return nonfinite.thrown_before(case, rows if at is None else at)


@pytest.mark.parametrize(
    ("norm", "options", "found"),
    [
        (3170.0, {}, True),
        (3160.0, {}, False),  # 1e-3 times its square is ten thousand losses
        (3170.0, {"loss": -1.0}, True),
        (3160.0, {"loss": 0.99}, True),
        (3170.0, {"loss": 0.0}, False),
        (3170.0, {"rows": 7}, True),
        (3170.0, {"rows": 8}, False),
        (3170.0, {"at": 0}, False),
        (3170.0, {"lr": None}, False),
        (3170.0, {"optimizer": "adamw"}, False),
        (3170.0, {"optimizer": "sgd"}, True),
        (1e7 + 1e5, {"threshold": 1.0}, True),  # clipped to one
        (1e7 - 1e5, {"threshold": 1.0}, False),
    ],
)
def test_an_update_that_throws_the_weights(norm, options, found):
    assert bool(thrown(norm, **options)) == found


def test_what_is_said_of_such_an_update():
    assert thrown(8000.0, rows=2, loss=2.0) == (
        "the norm of step 10 was 8e+03: an update of 8 in length, which to first order changes the loss 3e+04 times over"
    )


# --- in a share of the rows


def holes(bad, rows=150, *, norms=0, value=NAN, streak=1, first=5, **more):
    """Losses that are not finite in some rows, and norms in the first few of them."""
    at = first + 2 * np.arange(bad) if streak == 1 else first + np.arange(bad)
    loss, norm = 2.0 + 0.1 * np.sin(np.arange(rows)), np.ones(rows)
    loss[at], norm[at[:norms]] = value, NAN
    return run(loss, norm, **more)


@pytest.mark.parametrize(
    ("case", "shown", "said"),
    [
        (holes(6, 150), "nan_sudden 0.7 | - | 50 70 90 110 130 | 0.04 of 0.02 in 150",
         "6 of 150 losses are NaN or infinite (4 % of the rows), at most 1 on end, first at steps 50, 70, 90, 110, 130; the run goes on"),
        (holes(4, 100, streak=4), "nan_sudden 0.7 | - | 50 60 70 80 | 0.04 of 0.02 in 100", "at most 4 on end"),
        (holes(3, 100, every=1000), "nan_sudden 0.7 | - | 5000 7000 9000 | 0.03 of 0.02 in 100", "steps 5,000, 7,000, 9,000;"),
        (holes(10, 100, norms=10), "nan_sudden 0.7 | - | 50 70 90 110 130 | 0.1 of 0.02 in 100", "10 of 100 losses and norms are NaN"),
        (holes(10, 100, norms=9), "nan_sudden 0.7 | - | 50 70 90 110 130 | 0.1 of 0.02 in 100", "10 of 100 losses are NaN"),
    ],
)  # fmt: skip
def test_some_losses(case, shown, said):
    (fact,) = nonfinite.find(case)
    assert line(fact) == f"GL405 | warning | {shown}"
    assert said in fact.message
    assert fact.rules_out == {"lr_too_high", "no_warmup", "vanishing", "clip_too_tight"}


@pytest.mark.parametrize("sign", ["scale_collapses", "zeros_after_nan"])
def test_some_losses_at_a_loss_scale(sign, monkeypatch):
    monkeypatch.setattr(nonfinite, sign, lambda _: 0.1)
    assert nonfinite.find(holes(6))[0].cause is None


def test_bad_norms_alone_are_no_bad_losses():
    assert nonfinite.find(run(np.ones(50), np.append(np.full(9, INF), np.ones(41)))) == ()
    assert nonfinite.find(run(np.ones(50))) == ()


@pytest.mark.parametrize(
    ("loss", "norm", "row", "kind"),
    [
        ([1.0, INF, 1.0], [NAN, 1.0, 1.0], 0, "infinite"),
        ([1.0, INF, NAN], [1.0, 1.0, 1.0], 0, "NaN or infinite"),
        ([INF, 1.0, NAN], [1.0, 1.0, 1.0], 1, "NaN"),
        ([INF, 1.0, 1.0], [INF, NAN, 1.0], 1, "NaN"),
        ([NAN, 1.0, 1.0], [INF, 1.0, 1.0], None, "infinite"),
    ],
)
def test_what_they_are(loss, norm, row, kind):
    assert nonfinite.kind_of(run(loss, norm), row) == kind


# --- a row whose loss and norm fail together


def at_row(row, *, loss=NAN, norm=NAN, rows=60, before=None):
    """A run of level losses and norms that goes on after one row; `before` multiplies the norm of the three rows before it."""
    losses, norms = np.full(rows, 2.0), np.ones(rows)
    losses[row], norms[row] = loss, norm
    if before is not None:
        norms[row - 3 : row] *= before
    return run(losses, norms, every=1, first=1)


@pytest.mark.parametrize(
    ("loss", "norm", "before", "said"),
    [
        (NAN, NAN, None, "loss and norm are NaN in 1 row, at step 31, with nothing growing before"),
        (INF, INF, None, "loss and norm are infinite in 1 row, at step 31, with nothing growing before"),
        (NAN, 1.0, None, None),  # what a logger writes where it has nothing to average
        (2.0, NAN, None, None),  # a step that a loss scaler skips
        (NAN, NAN, 3.5, None),  # grown to more than three times its level
        (NAN, NAN, 2.5, "loss and norm are NaN in 1 row"),
    ],
)
def test_a_row_whose_loss_and_norm_fail_together(loss, norm, before, said):
    facts = nonfinite.find(at_row(30, loss=loss, norm=norm, before=before))
    if said is None:
        assert facts == ()
        return
    (fact,) = facts
    assert line(fact) == "GL405 | warning | nan_sudden 0.7 | - | 31 | 1 in 60"
    assert said in fact.message
    assert fact.rules_out == {"lr_too_high", "no_warmup", "vanishing", "clip_too_tight"}


def test_several_such_rows_are_counted_and_five_of_them_named():
    losses, norms = np.full(400, 2.0), np.ones(400)
    losses[20:380:60] = norms[20:380:60] = NAN
    (fact,) = nonfinite.find(run(losses, norms, every=1, first=0))
    assert line(fact) == "GL405 | warning | nan_sudden 0.7 | - | 20 80 140 200 260 | 6 in 400"
    assert "in 6 rows, at steps 20, 80, 140, 200, 260 and others, with nothing growing" in fact.message
