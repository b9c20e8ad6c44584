"""Where the loss ends, at its limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import course, shock
from gradlens.diagnosis.facts.base import OF_BATCHES
from gradlens.diagnosis.facts.course import LEVELS
from tests.diagnosis.facts.shown import line, lines
from tests.diagnosis.test_sign_limits import measured
from tests.synthetic import N, healthy, make

LN10 = float(np.log(10.0))


def run(loss, norm=None, *, every=10):
    loss = np.asarray(loss, dtype=float)
    norm = np.ones(len(loss)) if norm is None else norm
    return make({"loss": loss, "grad_norm": norm}, step=every * np.arange(len(loss)), threshold=None)


def with_progress(case, **figures):
    """A case whose course has these figures, taken from that of a healthy run."""
    case.__dict__["progress"] = replace(measured().progress, **figures)
    return case


# --- diverged

DIVERGED = {"start": 2.0, "end": 6.0, "explosion": 2.0, "kept": 1.0}


def risen():
    """Columns of a run whose loss has risen for good from the middle on."""
    columns = healthy()
    columns["loss"] = columns["loss"] + 6.0 * (np.arange(N) >= N // 2)
    return columns


def test_what_is_said_of_a_divergence():
    case = measured(columns=risen(), progress=DIVERGED)
    (fact,) = course.find(case)
    assert line(fact).split(" | ")[:3] == ["GL510", "error", "lr_too_high?"]
    assert line(fact).endswith("| 3 of 2.5")
    assert fact.outcome == "diverged"
    assert fact.steps == (fact.since_step,)
    assert "it began at 2 and ends at 6" in fact.message
    assert fact.doubts == LEVELS


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"end": 5.0}, True),
        ({"end": 4.99}, False),
        ({"explosion": 0.917}, True),
        ({"explosion": 0.916}, False),  # ln 2.5
        ({"start": 0.5}, True),
        ({"start": 0.0}, False),
        ({"start": -1.0}, False),
    ],
)
def test_when_a_loss_diverged(change, found):
    case = measured(columns=risen(), progress=DIVERGED | change)
    assert (course._diverged(case, case.progress) is not None) == found


def test_a_run_that_is_not_finite_or_means_nothing_has_no_end():
    assert course.find(measured(progress=DIVERGED, numerics={"dead_from": 900})) == ()
    assert course.find(measured(progress=DIVERGED, loss_descends=False)) == ()
    assert course.find(measured(progress=None)) == ()


# --- ended worse

WORSE = {"start": 4.0, "best": 1.0, "end": 3.1, "kept": 0.3, "in_noise": 50.0, "rebound": 0.7}


@pytest.fixture
def rises(monkeypatch):
    """Sets since when the loss has risen, and for which share of the run."""
    return lambda step=500, lasting=0.5: monkeypatch.setattr(course, "_rise", lambda _: (step, lasting))


def test_what_is_said_of_an_end_that_is_worse(rises):
    rises()
    facts = course.find(measured(progress=WORSE))
    assert lines(facts) == ["GL510 | error | unknown? | ended_worse from 500 | 500 | 0.3 of 0.6"]
    assert "fell from 4 to about 1, rose again near step 500 and never recovered: it ends at 3.1" in facts[0].message
    assert facts[0].rules_out - OF_BATCHES == {"batch_size_change"}
    assert "step 500" in facts[0].advice
    rises(lasting=0.9)
    assert course.find(measured(progress=WORSE))[0].advice
    rises(lasting=0.91)
    assert course.find(measured(progress=WORSE))[0].advice == ""


@pytest.mark.parametrize(
    ("change", "lasting", "found"),
    [
        ({}, 0.5, True),
        ({"end": 1.69}, 0.5, False),
        ({"best": 0.0}, 0.5, False),
        ({"best": -1.0}, 0.5, False),
        ({"kept": 0.851}, 0.5, False),
        ({"in_noise": 6.0}, 0.5, False),
        ({"rebound": 0.15}, 0.5, False),
        ({}, 0.2, True),
        ({}, 0.19, False),
    ],
)
def test_a_level_that_is_raised_for_good(change, lasting, found, rises):
    rises(lasting=lasting)
    case = measured(progress=WORSE | {"end": 1.71, "kept": 0.84, "in_noise": 6.1, "rebound": 0.16} | change)
    assert (course._ended_worse(case, case.progress) is not None) == found


def guessing(level=LN10, *, sway=0.0, best=1.0, start=2.4, peak=None, rows=N):
    """A run that ends, in its last eighth, at a level that it sways around, with a peak on its way there."""
    loss = np.full(rows, best)
    loss[-(rows // 8) :] = level + sway * np.resize([1.0, -1.0], rows // 8)
    if peak is not None:
        loss[peak[0]] = peak[1]
    return with_progress(run(loss, every=1), **(WORSE | {"start": start, "best": best, "end": level}))


@pytest.mark.parametrize(
    ("change", "classes"),
    [
        ({}, 10),
        ({"level": np.log(10) * 1.0049}, 10),
        ({"level": np.log(10) * 1.0051}, None),
        ({"best": 2.07}, 10),
        ({"best": 2.08}, None),  # nine tenths of the level of guessing
        ({"start": 2.76}, 10),
        ({"start": 2.77}, None),  # a fifth away from it
        ({"start": 1.85}, 10),
        ({"start": 1.84}, None),
        # The noise of one row, over the root of the 150 that the median is of: .0115 * 12.2 is .141.
        ({"sway": 0.066}, 10),
        ({"sway": 0.069}, None),
        ({"rows": 64}, 10),
    ],
)
def test_back_at_guessing(change, classes):
    case = guessing(**change)
    assert course._back_at_chance(case, case.progress) == classes


def test_of_few_rows_eight_are_the_end():
    case = with_progress(run(np.append(np.ones(32), np.full(8, np.log(10)))), **(WORSE | {"start": 2.4}))
    assert course._back_at_chance(case, case.progress) == 10


@pytest.mark.parametrize(
    ("at", "height", "over"),
    [
        (500, 3.46, True),
        (500, 3.45, False),  # one and a half times ln 10
        (440, 9.0, True),
        (439, 9.0, False),  # a twentieth of the run before
        (619, 9.0, True),
        (620, 9.0, False),  # a tenth after
    ],
)
def test_a_loss_that_overshoots_was_shocked(at, height, over, rises):
    rises()
    case = guessing(peak=(at, height))
    assert course._overshoots(case, 10) == over
    (fact,) = course.find(case)
    assert "which is ln 10: what guessing among 10 classes gives" in fact.message
    assert fact.rules_out - OF_BATCHES == ({"batch_size_change"} if over else LEVELS)


def test_a_shock_in_a_short_run_and_rows_that_are_missing(rises):
    rises(20)
    loss = np.ones(60)
    loss[39] = 9.0
    assert course._overshoots(run(loss, every=1), 10)
    loss = np.ones(60)
    loss[40] = 9.0
    assert not course._overshoots(run(loss, every=1), 10)
    assert not course._overshoots(run(np.full(60, np.nan), every=1), 10)
    rises(lasting=0.19)
    case = guessing()
    assert "guessing" not in course._ended_worse(case, case.progress).message


# --- still climbing

CLIMBS = {"start": 3.0, "best": 1.0, "end": 1.6, "kept": 0.7, "in_noise": 50.0, "rebound": 0.3}


def climbing(times=4.0, *, at=800, order=1.0, **figures):
    """A run whose loss and norm rise together from a row on; of the loss a share of the rows is turned round."""
    rise = np.clip((np.arange(N) - at) / (N - at), 0.0, 1.0)
    rise[-int((1.0 - order) * (N - at)) or N :] = 0.0
    norm = 1.0 + (times - 1.0) * np.clip((np.arange(N) - at) / (N - at), 0.0, 1.0)
    return with_progress(run(1.0 + rise, norm), **(CLIMBS | figures))


def test_what_is_said_of_a_climb(rises):
    rises(8000, 0.33)
    case = climbing()
    fact = course._climbs_to_the_end(case, case.progress)
    assert line(fact) == "GL510 | warning | unknown? | ended_worse from 8000 | 8000 | 3.809 of 2"
    assert "rising since about step 8,000 and still rises at the end, from about 1 to 1.6" in fact.message


@pytest.mark.parametrize(
    ("change", "lasting", "trouble", "found"),
    [
        ({}, 0.33, 1.0, True),
        ({"kept": 0.75}, 0.33, 1.0, True),
        ({"kept": 0.76}, 0.33, 1.0, False),
        ({"in_noise": 6.0}, 0.33, 1.0, True),
        ({"in_noise": 5.9}, 0.33, 1.0, False),
        ({"rebound": 0.15}, 0.33, 1.0, True),
        ({"rebound": 0.14}, 0.33, 1.0, False),
        ({}, 0.33, 0.5, True),
        ({}, 0.33, 0.49, False),
        ({}, 0.15, 1.0, True),
        ({}, 0.14, 1.0, False),
        ({"times": 2.1}, 0.33, 1.0, True),
        ({"times": 2.0}, 0.33, 1.0, False),
        ({"order": 0.8}, 0.33, 1.0, False),  # the loss comes down again
    ],
)
def test_when_both_climb_to_the_end(change, lasting, trouble, found, rises, monkeypatch):
    rises(8000, lasting)
    monkeypatch.setattr(course, "rise_is_trouble", lambda _: trouble)
    case = climbing(**change)
    assert (course._climbs_to_the_end(case, case.progress) is not None) == found


def test_the_level_before_a_climb_is_that_of_the_half_before():
    value = np.concatenate((np.full(20, 100.0), np.full(20, 2.0), np.full(40, 8.0)))
    assert course._climb(value, 40)[0] == 4.0
    value[20:37] = value[40:56] = np.nan
    assert course._climb(value, 40)[0] == 4.0
    value[56] = np.nan
    assert course._climb(value, 40) == (0.0, 0.0)


# --- since when


@pytest.mark.parametrize(("rows", "step", "lasting"), [(1200, 8650, 0.279), (300, 2160, 0.28), (12_000, 86_370, 0.28)])
def test_since_when_a_loss_rises(rows, step, lasting):
    # From its lowest level 35 % of the way up to where it ends, the median of the last twentieth: over .329 of the climb.
    row = np.arange(rows) / rows
    loss = np.where(row < 0.5, 4.0 - 6.0 * row, np.where(row < 7 / 12, 1.0, 1.0 + 4.8 * (row - 7 / 12)))
    since, lasts = course._rise(run(loss))
    assert since == pytest.approx(step, rel=0.003)
    assert lasts == pytest.approx(lasting, abs=0.003)


@pytest.mark.parametrize("first", [600.0, -50.0])
def test_the_lowest_level_is_that_of_a_fortieth_of_the_rows(first):
    # Of 25 rows around the valley the middle one is 6, and the last fifty end at 374.5: 35 % of the way is 135.
    loss = np.abs(np.arange(1000.0) - 600)
    loss[:11] = first  # half a window at the start is no level
    assert course._rise(run(loss)) == (7350, pytest.approx(0.265))


def test_a_loss_that_only_rises_does_so_from_the_start():
    assert course._rise(run(np.full(60, 2.0))) == (0, 1.0)
    since, lasting = course._rise(run(np.concatenate((np.full(40, 1.0), np.full(20, np.nan), np.full(40, 3.0)))))
    assert (since, lasting) == (600, 0.5)
    # What ends at its lowest level leaves it in the last row.
    late = np.concatenate((np.linspace(4.0, 1.0, 57), [1.0, 1.0, 1.0]))
    assert course._rise(run(late))[0] <= 590
    assert course._rise(run(np.linspace(4.0, 1.0, 60)))[0] == 0


def after(rows, row, *, before, ends):
    """A norm that is unlike in all rows but those that its levels are taken from."""
    width = max(rows // 20, 5)
    norm = np.full(rows, 50.0)
    norm[max(row - 4 * width, 0) : max(row - width, 1)] = before
    norm[-width:] = ends
    return run(np.linspace(2, 1, rows), norm)


@pytest.mark.parametrize(
    ("rows", "row", "before", "ends", "words"),
    [
        (1200, 800, 2.0, 6.0, "; the norm ends at 3 times its level before (2 to 6)"),
        (60, 40, 2.0, 6.0, "; the norm ends at 3 times its level before (2 to 6)"),
        (60, 8, 2.0, 6.0, "; the norm ends at 3 times its level before (2 to 6)"),
        (60, 7, 2.0, 6.0, ""),  # two rows
        (1200, 800, 2.0, 2.62, "; the norm ends at 1.3 times its level before (2 to 2.62)"),
        (1200, 800, 2.0, 2.58, "; the norm went from 2 to 2.58"),
        (1200, 800, 0.0, 6.0, "; the norm went from 0 to 6"),
    ],
)
def test_what_the_norm_did(rows, row, before, ends, words):
    assert course._norm_too(after(rows, row, before=before, ends=ends), 10 * row) == words


def test_norms_that_are_missing():
    norm = np.full(1200, 2.0)
    norm[560:737], norm[1140:1197] = np.nan, np.nan
    assert course._norm_too(run(np.linspace(2, 1, 1200), norm), 8000) == "; the norm went from 2 to 2"
    less = norm.copy()
    less[737] = np.nan
    assert course._norm_too(run(np.linspace(2, 1, 1200), less), 8000) == ""
    less = norm.copy()
    less[1197] = np.nan
    assert course._norm_too(run(np.linspace(2, 1, 1200), less), 8000) == ""


# --- at chance


def stuck(level=LN10, *, first=None, sway=0.01, start=None, rows=N):
    """A loss that sways around one level, its first tenth around another."""
    loss = level + sway * np.resize([1.0, -1.0], rows)
    loss[: rows // 10] += 0.0 if first is None else first - level
    return with_progress(run(loss), start=level if start is None else start)


def test_what_is_said_of_chance(monkeypatch):
    monkeypatch.setattr(course, "never_learned", lambda _: 0.5)
    case = stuck()
    fact = course._at_chance(case, case.progress)
    assert line(fact) == "GL511 | warning | not_learning? | stalled from 0 | - | 1 of 1.005"
    assert "stays at 2.303 from beginning to end, which is ln 10: what guessing among 10 classes gives" in fact.message


@pytest.mark.parametrize(
    ("change", "grade", "found"),
    [
        ({}, 0.5, True),
        ({}, 0.49, False),
        ({"level": np.log(10) * 1.0049}, 1.0, True),
        ({"level": np.log(10) * 1.0051}, 1.0, False),
        ({"start": np.log(10) * 1.099}, 1.0, True),
        ({"start": np.log(10) * 1.101}, 1.0, False),
        ({"start": np.log(10) * 0.901}, 1.0, True),
        ({"start": np.log(10) * 0.899}, 1.0, False),
        ({"start": 0.0}, 1.0, False),
        # A first tenth that was better by eight deviations of the noise (.021) was no guess.
        ({"first": np.log(10) - 0.15}, 1.0, True),
        ({"first": np.log(10) - 0.165}, 1.0, False),
        # Nor by eight times half a percent of the level, .092, where the noise is less.
        ({"first": np.log(10) - 0.09, "sway": 1e-6}, 1.0, True),
        ({"first": np.log(10) - 0.094, "sway": 1e-6}, 1.0, False),
    ],
)
def test_when_a_loss_is_at_chance(change, grade, found, monkeypatch):
    monkeypatch.setattr(course, "never_learned", lambda _: grade)
    case = stuck(**change)
    assert (course._at_chance(case, case.progress) is not None) == found


@pytest.mark.parametrize(("row", "found"), [(119, False), (120, True)])
def test_a_row_of_the_first_tenth_that_was_far_better_was_no_guess(row, found, monkeypatch):
    monkeypatch.setattr(course, "never_learned", lambda _: 1.0)
    loss = LN10 + 0.01 * np.resize([1.0, -1.0], N)
    loss[row] = 1.0
    case = with_progress(run(loss), start=LN10)
    assert (course._at_chance(case, case.progress) is not None) == found


def test_the_level_of_chance_is_that_of_the_second_half(monkeypatch):
    monkeypatch.setattr(course, "never_learned", lambda _: 1.0)
    # More of the second half is at ln 10 than not, but less of the last four fifths.
    case = with_progress(run(LN10 * np.repeat([1.0, 1.02, 1.0], [240, 640, 320])), start=LN10)
    assert "which is ln 10" in course._at_chance(case, case.progress).message


LN2 = float(np.log(2.0))


def coin(away=0.0, *, sway=0.05, rows=800, first=None, start=LN2, last=None):
    """A loss that lies some share above ln 2, its first eighth and its last one elsewhere."""
    loss = LN2 * (1.0 + away + sway * np.resize([1.0, -1.0, 0.0, 0.5, -0.5], rows))
    if first is not None:
        loss[: rows // 8] += LN2 * first
    if last is not None:
        loss[-(rows // 8) :] += LN2 * last
    return with_progress(run(loss), start=start)


def test_what_is_said_of_a_coin():
    case = coin(0.01)
    fact = course._at_noisy_chance(case, case.progress)
    assert line(fact) == "GL511 | warning | not_learning 0.7 | stalled from 0 | - | 1.01 of 1.025 in 800"
    assert "stays at 0.7 to the end, which is ln 2: what guessing between two classes gives" in fact.message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        # Half of the rows: two errors are 2 * 1.2533 * 1.4826 * .025 / 20, .0046; and of an eighth .0093.
        ({"away": 0.029}, True),
        ({"away": 0.030}, False),
        ({"away": -0.009}, True),
        ({"away": -0.010}, False),
        ({"first": 0.5}, True),  # it comes down to it
        ({"first": -0.3}, False),  # it was better
        ({"last": 0.033}, True),
        ({"last": 0.037}, False),
        ({"last": -0.013}, True),
        ({"last": -0.017}, False),
        ({"sway": 0.17}, True),
        ({"sway": 0.18}, False),  # an error of .008
        ({"rows": 200, "sway": 0.02}, True),
        ({"rows": 199, "sway": 0.02}, False),
        ({"start": LN2 * 0.9951}, True),
        ({"start": LN2 * 0.9949}, False),
    ],
)
def test_when_a_noisy_loss_is_a_coin(change, found):
    case = coin(**change)
    assert (course._at_noisy_chance(case, case.progress) is not None) == found


# --- hardly moves

STANDS = {"start": 2.0, "end": 2.0, "in_noise": 2.9, "rebound": 0.0, "relative": 0.2}


def still(**figures):
    """A loss with a deviation of a tenth from row to row."""
    loss = 2.0 + 0.5 * 0.09539 * np.resize([1.0, -1.0], N)
    return with_progress(run(loss), **(STANDS | {"plainly_fell": False} | figures))


def test_what_is_said_of_one_that_hardly_moves():
    case = still()
    fact = course._hardly_moves(case, case.progress)
    assert line(fact) == "GL511 | note | unknown? | stalled from None | -"
    assert "hardly moves: 2 at first, 2 at the end, within its own noise of 0.1 from row to row" in fact.message
    assert fact.doubts == {"unknown", "lr_too_high", "no_warmup"}


@pytest.mark.parametrize(
    ("change", "doubts"),
    [
        ({"in_noise": 2.9}, True),
        ({"in_noise": 3.0}, False),
        ({"in_noise": 2.5, "rebound": 1.19}, True),
        ({"in_noise": 2.5, "rebound": 1.21}, False),  # three deviations of the noise
        ({"in_noise": 1.0, "rebound": 1.49}, True),
        ({"in_noise": 1.0, "rebound": 1.51}, False),
    ],
)
def test_when_a_high_rate_is_doubted(change, doubts):
    case = still(**change)
    assert ("lr_too_high" in course._hardly_moves(case, case.progress).doubts) == doubts


@pytest.mark.parametrize(
    ("change", "grade", "found"),
    [
        ({"end": 2.39}, 0.0, True),
        ({"end": 2.41}, 0.0, False),
        ({"end": 1.59}, 0.0, False),
        ({"in_noise": 6.0}, 0.0, True),
        ({"in_noise": 6.1}, 0.0, False),
        ({"start": 0.0, "end": 0.0}, 0.0, False),
        ({}, 0.49, True),
        ({}, 0.5, False),
    ],
)
def test_when_a_loss_hardly_moves(change, grade, found, monkeypatch):
    monkeypatch.setattr(course, "never_learned", lambda _: grade)
    case = still(**change)
    assert (course._hardly_moves(case, case.progress) is not None) == found


@pytest.mark.parametrize(("share", "doubted"), [(0.99, True), (1.01, False)])
def test_noise_that_lasts_is_noise(share, doubted):
    # Neighbours differ by a deviation of a tenth, and long waves scatter by some times that.
    loss = 2.0 + 0.5 * 0.09539 * np.resize([1.0, -1.0], N) + 0.5 * np.sin(np.arange(N) / 40)
    lasting = course._scatter(loss) / 0.1
    assert 4.0 < lasting < 7.0
    case = with_progress(
        run(loss), **(STANDS | {"plainly_fell": False, "in_noise": 1.0, "rebound": 1.5 * lasting * share})
    )
    assert ("lr_too_high" in course._hardly_moves(case, case.progress).doubts) == doubted


def test_the_scatter_is_that_around_a_line():
    row = np.arange(200.0)
    assert course._scatter(5.0 + 0.1 * row + np.resize([1.0, -1.0], 200)) == pytest.approx(1.4826, rel=0.02)
    assert course._scatter(row**2) > 1000.0


def test_the_first_that_fits_is_told():
    case = measured(columns=risen(), progress=DIVERGED | {"kept": 0.0, "in_noise": 50.0})
    assert [f.outcome for f in course.find(case)] == ["diverged"]


# --- a level that is learned in its turn


@pytest.mark.parametrize(("norm", "pulls"), [(0.5, True), (0.49, False), (3.0, True), (np.nan, True)])
def test_a_norm_far_below_its_level_before_rules_other_data_out(norm, pulls, rises):
    rises(step=500)
    high = np.arange(1000) >= 500
    case = with_progress(run(np.where(high, 6.0, 2.0), np.where(high, norm, 1.0), every=1), **DIVERGED)
    fact = course._diverged(case, case.progress)
    assert (fact.doubts, fact.rules_out - OF_BATCHES) == ((LEVELS, frozenset()) if pulls else (frozenset(), LEVELS))


@pytest.mark.parametrize(
    ("low", "rows", "found"), [(3, 290, False), (2, 290, True), (5, 490, False), (4, 490, True), (0, 490, True)]
)
def test_a_first_row_that_was_easy_is_no_level_to_diverge_from(low, rows, found, rises):
    rises(step=10)
    loss = np.full(10 + rows, 6.0)
    loss[:10] = 2.0
    loss[20 : 20 + low] = 2.0  # three rows, or one in a hundred
    case = with_progress(run(loss, every=1), **DIVERGED)
    assert (course._diverged(case, case.progress) is not None) == found


# --- shocks


@pytest.mark.parametrize(("height", "of_norm", "calm"), [(1.4, 2.9, True), (1.6, 1.0, False), (1.0, 3.1, False)])
def test_a_rise_begins_with_a_shock_where_loss_or_norm_stands_above_what_follows(height, of_norm, calm):
    loss, norm = np.where(np.arange(N) < 500, 1.0, 4.0), np.ones(N)
    loss[503], norm[503] = 4.0 * height, of_norm
    assert shock.begins_without_a_shock(run(loss, norm, every=1), 500) is calm


def test_a_rise_of_few_rows_may_have_begun_with_anything():
    loss = np.where(np.arange(N) < N - 19, 1.0, 4.0)
    assert not shock.begins_without_a_shock(run(loss, every=1), N - 19)


# --- rates and norms at a rise


def rated(*last, rows=40, before=1.0, known=None):
    """A run whose rate ends with some values."""
    lr = np.full(rows, before)
    lr[rows - len(last) :] = last
    if known is not None:
        lr[: rows - known] = np.nan
    return make({"loss": np.linspace(2, 1, rows), "lr": lr}, step=10 * np.arange(rows), threshold=None)


@pytest.mark.parametrize(
    ("case", "new"),
    [
        (rated(1.1, 1.1, 1.0, 1.1, 1.21), True),  # of forty rows two are a twentieth
        (rated(1.1, 1.1, 1.0, 1.1, 1.2), False),
        (rated(1.1, 1.1, 1.01, 1.1, 1.21), False),
        (rated(1.3, 1.0, 1.1, 1.21), False),  # it was higher before
        (rated(1.21, 1.0, 1.1, 1.21), True),
        (rated(0.0, 0.5, 1.21), False),
        (rated(1.0, 1.1, 1.21, known=4), True),
        (rated(1.0, 1.1, 1.21, known=3), False),
        (rated(1.0, 1.21, rows=20), True),
        (rated(1.0, 1.21, rows=19), False),
    ],
)
def test_whether_the_rate_was_never_as_high(case, new):
    step = case.signals.step[-1]
    assert course._at_a_new_rate(case, step) == new
    assert not course._at_a_new_rate(case, step - 10) or not new


@pytest.mark.parametrize(
    ("start", "end", "norm", "resumed", "above"),
    [
        (10.0, 11.0, (1.0, 2.1), False, False),
        (10.0, 11.1, (1.0, 2.1), False, True),
        (10.0, 11.1, (1.0, 2.0), False, False),
        (10.0, 11.1, (2.0, 4.1), False, True),
        (10.0, 11.1, (2.0, 3.9), False, False),
        (0.5, 0.6, (1.0, 2.1), False, True),
        (10.0, 11.1, None, False, False),
        (10.0, 11.1, (1.0, 2.1), True, False),
        (0.0, 11.1, (1.0, 2.1), False, False),
        (-10.0, 11.1, (1.0, 2.1), False, False),
    ],
)
def test_whether_loss_and_norm_end_far_above_what_they_were(start, end, norm, resumed, above, monkeypatch):
    monkeypatch.setattr(course, "_norm_around", lambda *_: norm)
    signals = SimpleNamespace(from_the_start=not resumed)
    case = SimpleNamespace(progress=SimpleNamespace(start=start, end=end), signals=signals)
    assert course._above_the_start(case, 100) == above


# --- what an end that is worse speaks against


@pytest.fixture
def around(monkeypatch):
    """Sets what is known of the run around a rise."""

    def set_all(*, norm=None, calm=False, new_rate=False, above=False, lost=0.0):
        monkeypatch.setattr(course, "_norm_around", lambda *_: norm)
        monkeypatch.setattr(course, "begins_without_a_shock", lambda *_: calm)
        monkeypatch.setattr(course, "_at_a_new_rate", lambda *_: new_rate)
        monkeypatch.setattr(course, "_above_the_start", lambda *_: above)
        monkeypatch.setattr(course, "progress_lost", lambda _: lost)

    return set_all


@pytest.mark.parametrize("calm", [True, False])
@pytest.mark.parametrize(
    ("known", "guesses", "out", "doubts"),
    [
        ({}, False, {"batch_size_change"}, None),
        ({}, True, LEVELS, None),
        ({"new_rate": True}, False, set(), LEVELS),
        ({"above": True}, False, set(), LEVELS),
        ({"above": True}, True, LEVELS, None),
        ({"above": True, "norm": (2.0, 1.0)}, False, set(), LEVELS),
        ({"above": True, "norm": (2.0, 0.99)}, False, LEVELS, None),
    ],
)
def test_what_an_end_that_is_worse_speaks_against(known, guesses, out, doubts, calm, around):
    around(calm=calm, **known)
    found = course._against(None, 100, guesses=guesses)
    assert found["rules_out"] == set(out) | (OF_BATCHES if calm else set())
    assert found.get("doubts") == doubts


@pytest.mark.parametrize(
    ("known", "cause"), [({}, "unknown"), ({"new_rate": True}, "lr_too_high"), ({"above": True}, "lr_too_high")]
)
def test_which_end_a_high_rate_explains(known, cause, rises, around):
    rises()
    around(lost=1.0, **known)
    case = measured(progress=WORSE)
    assert course._ended_worse(case, case.progress).otherwise == cause


@pytest.mark.parametrize(
    ("lost", "figures", "found"),
    [
        (0.5, {}, True),
        (0.49, {}, False),
        (0.5, {"in_noise": 6.0}, False),
        (0.0, {"best": 2.0, "end": 3.41, "kept": 0.84, "rebound": 0.16}, True),
        (0.0, {"best": 2.0, "end": 3.4, "kept": 0.84, "rebound": 0.16}, False),
    ],
)
def test_half_of_the_descent_or_nearly_twice_the_best(lost, figures, found, rises, around):
    rises()
    around(lost=lost)
    case = measured(progress=WORSE | {"kept": 0.9, "in_noise": 6.1} | figures)
    assert (course._ended_worse(case, case.progress) is not None) == found


@pytest.mark.parametrize(("lasting", "said"), [(0.2, True), (0.19, False)])
def test_a_run_that_guesses_again_for_a_fifth_of_its_rows(lasting, said, rises, around):
    rises(lasting=lasting)
    around(lost=1.0)
    case = guessing()
    assert ("which is ln 10" in course._ended_worse(case, case.progress).message) == said
