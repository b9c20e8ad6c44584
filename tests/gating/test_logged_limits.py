"""What a candidate's log leaves open, at its limits: summaries by hand."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from gradlens.gating.heard import QUIET, taken_columns, worth_telling
from gradlens.gating.logged import column_notices, judge_log, with_columns_of
from gradlens.gating.missing import ends_early, missing_inside
from gradlens.run import MISSING_VALUES, Columns, Notice, Run, Series
from gradlens.signals.axis import signals_of
from tests.gating.by_hand import summary


def judged(*candidates, baselines=None, named=()):
    """Name, outcome, candidate, baseline and reason of what is said."""
    found = judge_log(candidates, [summary("usual")] if baselines is None else baselines, frozenset(named))
    return [(m.name, m.outcome, m.candidate, m.baseline, m.reason) for m in found]


def noticed(*codes, rows=1000, count=1, **more):
    notices = tuple(Notice(code=code, message=f"{code} it is", count=count) for code in codes)
    return replace(summary("it", **more), rows=rows, last_step=rows - 1, notices=notices)


def taking(name="it", *, log="test", **taken):
    return replace(summary(name), taken=MappingProxyType(taken), format=log)


def test_nothing_is_said_of_a_whole_log():
    assert judged(summary()) == []
    assert judged(noticed("log-interval", count=99)) == []


@pytest.mark.parametrize("code", ["unreadable-file", "empty-file", "unreadable-folder", "truncated-archive"])
def test_files_that_could_not_be_read(code):
    assert judged(noticed(code)) == [("log", "inconclusive", 1.0, None, f"cannot judge: {code} it is")]
    assert judged(noticed(code, count=1200))[0][4] == f"cannot judge: {code} it is (1,200)"


@pytest.mark.parametrize(
    ("count", "rows", "said"),
    [(3, 299, True), (3, 300, False), (2, 100, False), (11, 1000, True), (10, 1000, False)],
)
def test_records_that_could_not_be_read(count, rows, said):
    found = judged(noticed("short-row", rows=rows, count=count))
    assert [f[4] for f in found] == ([f"cannot judge: {count} records of it could not be read"] if said else [])


def test_all_kinds_of_lost_records_are_added():
    found = judged(noticed("short-row", "malformed-record", "damaged-record", rows=200))
    assert found[0][4] == "cannot judge: 3 records of it could not be read"


@pytest.mark.parametrize(("replaced", "said"), [(100, False), (101, True)])
def test_rows_that_a_later_attempt_replaced(replaced, said):
    found = judged(replace(summary("it"), rows=1000, replaced=replaced))
    assert bool(found) == said
    if said:
        assert "101 rows of it repeat steps" in found[0][4]


def test_several_reasons_are_counted_and_told():
    run = replace(noticed("empty-file", "short-row", count=50), replaced=500)
    ((_, outcome, count, _, reason),) = judged(run)
    assert (outcome, count) == ("inconclusive", 3.0)
    assert reason == "cannot judge: empty-file it is (50); and 2 more"
    (result,) = judge_log([run], [summary()], frozenset())
    assert "; 50 records of it could not be read; 500 rows of it" in result.advice
    (result,) = judge_log([noticed("empty-file")], [summary()], frozenset())
    assert "mend the log" in result.advice
    assert result.tolerance == 0.0


@pytest.mark.parametrize(
    ("interval", "usual", "said"),
    [(1.5, (1.0,), False), (1.6, (1.0,), True), (2.9, (1.0, 2.0), False), (3.1, (1.0, 2.0), True), (9.0, (None,), False), (None, (1.0,), False)],
)  # fmt: skip
def test_a_log_that_is_sparser(interval, usual, said):
    run = replace(summary("it", log_interval=interval), rows=2)
    baselines = [replace(summary(log_interval=u), rows=80) for u in usual]
    found = [f[4] for f in judged(run, baselines=baselines) if "logs every" in f[4]]
    assert bool(found) == said
    if said:
        assert f"it logs every {interval:g} steps, the baseline every {max(usual):g}" in found[0]


@pytest.mark.parametrize(
    ("rows", "before", "said"),
    [
        (77, 80, True),
        (78, 80, False),  # three rows
        (77, 77, False),  # the baseline lacks three of eighty itself, and a hundredth more is allowed
        (76, 77, True),
        (80, 80, False),
    ],
)
def test_rows_that_are_missing(rows, before, said):
    found = judged(replace(summary("it"), rows=rows), baselines=[replace(summary(), rows=before)])
    assert [f[4] for f in found] == (
        [f"cannot judge: {80 - rows} rows are missing between the first and the last step of it"] if said else []
    )


def test_the_baseline_with_most_holes_counts():
    baselines = [replace(summary(), rows=rows) for rows in (80, 70, 80)]
    assert judged(replace(summary("it"), rows=70), baselines=baselines) == []
    assert judged(replace(summary("it"), rows=400, last_step=402, first_step=0), baselines=[summary()]) == []


@pytest.mark.parametrize(
    ("candidate", "baselines", "named", "said"),
    [
        (taking(loss="b"), [taking(loss="a")], (), True),
        (taking(loss="a"), [taking(loss="a")], (), False),
        (taking(loss="b"), [taking(loss="a"), taking(loss="b")], (), False),
        (taking(loss="b"), [taking(loss="a")], ("loss",), False),
        (taking(loss="b"), [taking(loss="a")], ("grad_norm",), True),
        (taking(loss="b", log="other"), [taking(loss="a")], (), False),
        (taking(loss="b"), [taking(loss="a"), taking(loss="a", log="other")], (), False),
        (taking(), [taking(loss="a")], (), False),
        (taking(loss="b"), [taking()], (), False),
        (taking(grad_norm="b"), [taking(grad_norm="a")], (), True),
    ],
)
def test_another_column(candidate, baselines, named, said):
    found = judged(candidate, baselines=baselines, named=named)
    assert bool(found) == said
    if said:
        role = next(iter(candidate.taken))
        assert (
            f"of it is its column b, that of the baseline was a: name it with --{role.replace('_', '-')}" in found[0][4]
        )


@pytest.mark.parametrize(
    ("one", "two", "messages"),
    [
        ({"loss": "b"}, {"loss": "a"}, ["the loss is b in the candidate and a in the baseline"]),
        ({"loss": "a"}, {"loss": "a"}, []),
        ({"loss": "a"}, {}, []),
        ({}, {"grad_norm": "a"}, []),
        ({"loss": "a", "grad_norm": "x"}, {"loss": "a", "grad_norm": "y"},
         ["the gradient norm is x in the candidate and y in the baseline"]),
    ],
)  # fmt: skip
def test_columns_that_differ_are_told(one, two, messages):
    assert [n.message for n in column_notices([taking(**one)], [taking(**two)])] == messages


def dead(count, *, norms=100, at=3, name="it"):
    zeros = np.zeros(8)
    zeros[at] = count
    return summary(name, dead=zeros, norms=norms / 8)


@pytest.mark.parametrize(
    ("count", "norms", "before", "said"),
    [
        (3, 592, 0, True),
        (3, 600, 0, False),  # half a per cent of 603
        (2, 96, 0, False),
        (3, 96, 1, True),
        (3, 96, 2, False),  # twice the share of the baseline, and half a per cent
        (5, 96, 2, True),
    ],
)
def test_norms_that_are_dead(count, norms, before, said):
    found = judged(dead(count, norms=norms), baselines=[dead(before, norms=96)])
    assert [f[:2] for f in found] == ([("dead_norms", "fail")] if said else [])
    if said:
        share = before / (96 + before)
        assert found[0][2:4] == (pytest.approx(count / (norms + count)), pytest.approx(share))
        assert found[0][4] == f"{count} norms of it are zero or below"


def test_the_run_with_most_dead_norms_is_told():
    results = list(judge_log([dead(4, name="a"), dead(9, name="b", at=5), dead(1, name="c")], [], frozenset()))
    assert [(r.outcome, r.baseline, r.worst_steps) for r in results] == [("inconclusive", None, (50, 59))]
    assert "9 norms of b" in results[0].reason
    assert results[0].tolerance == pytest.approx(0.005)
    (result,) = judge_log([dead(50)], [dead(1), dead(3)], frozenset())
    assert result.tolerance == pytest.approx(0.005 + 2 * 3 / 103)


# --- columns of the baseline


def logged(*names, loss="b", lacks=()):
    """A run of ten rows with some columns, one of which lacks some rows."""
    step = np.arange(10)
    series = {
        name: Series(name=name, step=np.delete(step, lacks if name == "a" else []), value=np.ones(10 - (len(lacks) if name == "a" else 0)))
        for name in names
    }  # fmt: skip
    notices = (
        Notice(code=MISSING_VALUES, message="m", column="loss"),
        Notice(code=MISSING_VALUES, message="n", column="grad_norm"),
    )
    return Run(
        id="r", source="r", format="test", series=series, columns=Columns(step="step", loss=loss), notices=notices
    )


@pytest.mark.parametrize(
    ("run", "baselines", "named", "taken"),
    [
        (logged("a", "b"), [taking(loss="a")], (), "a"),
        (logged("a", "b"), [taking(loss="a"), taking(loss="a")], (), "a"),
        (logged("a", "b"), [taking(loss="a"), taking(loss="b")], (), "b"),
        (logged("a", "b"), [taking(loss="a")], ("loss",), "b"),
        (logged("a", "b"), [taking(loss="a")], ("grad_norm",), "a"),
        (logged("b"), [taking(loss="a")], (), "b"),
        (logged("a", "b"), [taking()], (), "b"),
        (logged("a", loss=None), [taking(loss="a")], (), None),
        (logged("a", "b", lacks=range(10)), [taking(loss="a")], (), "b"),
        (logged("a", "b", loss="a"), [taking(loss="a")], (), "a"),
    ],
)
def test_the_column_that_was_judged_before(run, baselines, named, taken):
    found = with_columns_of(run, baselines, frozenset(named))
    assert found.columns.loss == taken
    assert ("column-of-baseline" in [n.code for n in found.notices]) == (taken != run.columns.loss)


@pytest.mark.parametrize(("lacks", "told"), [((), None), ((3, 4), (2, 3, False)), ((3, 8, 9), (3, 3, True))])
def test_what_that_column_lacks_is_told(lacks, told):
    found = with_columns_of(logged("a", "b", lacks=lacks), [taking(loss="a")], frozenset())
    missing = [n for n in found.notices if n.code == MISSING_VALUES and n.column == "loss"]
    assert [(n.count, n.first_step, n.to_the_end) for n in missing] == ([] if told is None else [told])
    assert [n.message for n in found.notices if n.column == "grad_norm"] == ["n"]


# --- what ends early


def lasting(loss=100, norm=100, other=100, *, every=1, notices=()):
    series = {}
    for name, rows in (("loss", loss), ("grad_norm", norm), ("lr", other)):
        if rows:
            series[name] = Series(name=name, step=every * np.arange(rows), value=np.ones(rows))
    roles = {name: name for name in series}
    run = Run(
        id="r", source="r", format="test", series=series, columns=Columns(step="step", **roles), notices=tuple(notices)
    )
    return run, signals_of(run)


@pytest.mark.parametrize(
    ("options", "roles"),
    [
        ({}, []),
        ({"other": 103}, []),
        ({"other": 104}, ["loss", "grad_norm"]),  # three rows
        ({"other": 103, "every": 10}, []),
        ({"other": 104, "every": 10}, ["loss", "grad_norm"]),
        ({"loss": 1001, "norm": 1001, "other": 1021}, []),
        ({"loss": 1001, "norm": 1001, "other": 1022}, ["loss", "grad_norm"]),  # a fiftieth of the steps
        ({"norm": 0, "other": 200}, ["loss"]),
        ({"loss": 1, "norm": 1, "other": 200}, []),
        ({"loss": 2, "norm": 2, "other": 200}, ["loss", "grad_norm"]),
    ],
)
def test_loss_and_norm_that_both_end(options, roles):
    found = ends_early(*lasting(**options))
    assert list(found) == roles
    if roles:
        assert "other columns go on to step" in found["loss"]


def lacking(column, *, to_the_end, count=5, first=7):
    return Notice(code=MISSING_VALUES, message="m", column=column, count=count, first_step=first, to_the_end=to_the_end)


def test_values_that_end():
    run, signals = lasting(loss=50, notices=[lacking("loss", to_the_end=True), lacking("lr", to_the_end=True)])
    assert ends_early(run, signals) == {"loss": "the loss ends at step 49; the rows from step 7 to the end have none"}
    assert ends_early(*lasting(notices=[lacking("loss", to_the_end=False)])) == {}
    run, signals = lasting(loss=0, notices=[lacking("loss", to_the_end=True)])
    assert ends_early(run, signals) == {}


def test_values_that_are_missing_inside():
    run, _ = lasting(
        notices=[lacking("loss", to_the_end=False, count=1200), lacking("grad_norm", to_the_end=False, first=9)]
    )
    assert (
        missing_inside(run)
        == "1,200 rows hold no loss and 5 rows hold no gradient norm where one is due (first at step 7)"
    )
    assert missing_inside(lasting(notices=[lacking("loss", to_the_end=True)])[0]) is None
    assert "hold no value" in missing_inside(lasting(notices=[lacking(None, to_the_end=False)])[0])


# --- what is heard


def test_what_is_worth_telling():
    loud = Notice(code="short-row", message="m")
    assert worth_telling([loud, *(Notice(code=code, message="m") for code in QUIET)]) == (loud,)


def test_the_columns_that_were_taken():
    run, _ = lasting()
    assert dict(taken_columns(run)) == {"loss": "loss", "grad_norm": "grad_norm"}
    assert dict(taken_columns(lasting(norm=0)[0])) == {"loss": "loss"}
