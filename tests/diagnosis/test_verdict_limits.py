"""What is made of facts and signs, at its limits: who decides, which cause is named, how sure one may be, and what is said."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.case import cause_of, decide, doubted_by, ruled_out_by
from gradlens.diagnosis.deciding import is_unlike, left_out, ruling, stands, without
from gradlens.diagnosis.facts import Fact
from gradlens.diagnosis.kind import loss_kind
from gradlens.diagnosis.opinion import SecondOpinion
from gradlens.diagnosis.outcome import outcome_of
from gradlens.diagnosis.ranking import EXPERIMENTS, confidence_of, diagnose, experiment, with_line
from gradlens.diagnosis.status import not_judged, status_of, verdict_of, why_insufficient
from gradlens.diagnosis.weighing import Beliefs, Ceiling, Weights, load_weights, weigh
from gradlens.reports.analysis import CheckResult, Finding
from gradlens.reports.base import Severity
from gradlens.run import Columns, Run, Series
from tests.diagnosis.test_sign_limits import EVENT, measured
from tests.synthetic import N, healthy, make

OTHERS = ("overfitting", "clip_too_loose", "lr_zero")


def of(cause, confidence, **more):
    """Confidences of which one is given, what is left among causes that nobody means."""
    rest = 1.0 - confidence - sum(more.values())
    return {cause: confidence, **more, **dict.fromkeys(OTHERS, rest / 3)}


# --- who decides


def decides(
    by_signs,
    cautious,
    *,
    learned=0.9,
    also=("healthy", 0.0),
    proven=False,
    serious=False,
    excluded=(),
    doubted=(),
    outside=0.0,
    missing=0.0,
    plain=False,
    overshot=False,
):
    second = SecondOpinion(
        learned={also[0]: also[1], "healthy": learned}, cautious=of(*cautious), outside=outside, missing=missing
    )
    return ruling(
        of(*by_signs),
        second,
        proven=proven,
        serious=serious,
        excluded=frozenset(excluded),
        doubted=frozenset(doubted),
        plain=plain,
        overshot=overshot,
    )


@pytest.mark.parametrize(
    ("by_signs", "cautious", "options", "who"),
    [
        (("exploding", 0.99), ("lr_too_high", 0.6), {}, "named"),
        (("healthy", 0.97), ("lr_too_high", 0.6), {}, "warned"),
        (("bad_data", 0.6), ("healthy", 0.6), {"learned": 0.1}, "calmed"),
        (("bad_data", 0.6), ("healthy", 0.6), {"learned": 0.09}, "signs"),
        (("no_warmup", 0.6), ("healthy", 0.6), {"learned": 0.1}, "calmed"),
        (("postclip_logged", 0.6), ("healthy", 0.6), {"learned": 0.999}, "signs"),
        (("fp16_overflow", 0.6), ("healthy", 0.6), {"learned": 0.999}, "signs"),
        (("exploding", 0.6), ("healthy", 0.6), {"learned": 0.3, "also": ("exploding", 0.4)}, "signs"),
        (("exploding", 0.6), ("healthy", 0.6), {"learned": 0.3, "also": ("bad_data", 0.4)}, "calmed"),
        # What only facts decide, and did not, is no evidence against an alarm of the signs.
        (("exploding", 0.6), ("healthy", 0.6), {"learned": 0.02, "also": ("lr_zero", 0.9)}, "signs"),
        # Odd batches are in healthy runs, too: that both see them does not keep an alarm.
        (("bad_data", 0.6), ("healthy", 0.6), {"learned": 0.3, "also": ("bad_data", 0.4)}, "calmed"),
        (("batch_size_change", 0.6), ("healthy", 0.6), {"learned": 0.3, "also": ("batch_size_change", 0.4)}, "calmed"),
        (("no_warmup", 0.6), ("healthy", 0.6), {"learned": 0.59, "overshot": True}, "signs"),
        (("no_warmup", 0.6), ("healthy", 0.6), {"learned": 0.6, "overshot": True}, "calmed"),
        (("exploding", 0.6), ("healthy", 0.6), {"learned": 0.59, "overshot": True}, "calmed"),
        (("no_warmup", 0.6), ("healthy", 0.6), {"learned": 0.99, "plain": True}, "signs"),
        (("lr_restart", 0.6), ("healthy", 0.6), {"learned": 0.999}, "signs"),
        (("exploding", 0.949), ("unknown", 0.6), {}, "signs"),
        (("clip_too_tight", 0.6), ("unknown", 0.6), {}, "named"),
        (("l2_contamination", 0.6), ("healthy", 0.6), {"learned": 0.999}, "signs"),
        (("healthy", 0.6), ("bad_data", 0.5), {}, "warned"),
        (("healthy", 0.6), ("bad_data", 0.49), {}, "signs"),
        (("healthy", 0.6), ("clip_before_unscale", 0.89), {}, "signs"),
        (("healthy", 0.6), ("l2_contamination", 0.89), {}, "signs"),
        (("healthy", 0.6), ("data_shift", 0.79), {}, "signs"),
        (("healthy", 0.6), ("data_shift", 0.8), {}, "warned"),
        (("healthy", 0.6), ("unknown", 0.5), {}, "warned"),
        (("healthy", 0.6), ("unknown", 0.49), {}, "signs"),
        (("healthy", 0.6), ("fp16_overflow", 0.99), {}, "signs"),
        (("healthy", 0.6), ("loss_scale_collapse", 0.99), {}, "signs"),
        (("healthy", 0.6), ("data_shift", 0.8), {"serious": True}, "named"),
        (("bad_data", 0.6), ("adam_beta2_lag", 0.9), {}, "named"),
        (("data_shift", 0.6), ("bad_data", 0.9), {}, "named"),
        (("data_shift", 0.6), ("exploding", 0.9), {}, "named"),
        (("data_shift", 0.6), ("exploding", 0.9), {"outside": 0.4, "missing": 0.6}, "named"),
        (("data_shift", 0.6), ("exploding", 0.9), {"outside": 0.41}, "signs"),
        (("data_shift", 0.6), ("exploding", 0.9), {"missing": 0.61}, "signs"),
        # A fact that doubts a cause divides its odds by two.
        (("healthy", 0.7), ("bad_data", 0.67), {"doubted": ["bad_data"]}, "warned"),
        (("healthy", 0.7), ("bad_data", 0.66), {"doubted": ["bad_data"]}, "signs"),
        # And that it is none of the list is no reason to warn of a loss that hardly moves.
        (("healthy", 0.7), ("unknown", 0.99), {"doubted": ["unknown"]}, "signs"),
        (("healthy", 0.7), ("unknown", 0.99), {"doubted": ["unknown"], "serious": True}, "named"),
    ],
)
def test_who_decides(by_signs, cautious, options, who):
    assert decides(by_signs, cautious, **options) == who


@pytest.mark.parametrize(("outside", "missing", "unlike"), [(0.4, 0.6, False), (0.41, 0.0, True), (0.0, 0.61, True)])
def test_what_a_run_is_unlike(outside, missing, unlike):
    assert is_unlike(SecondOpinion(learned={}, cautious={}, outside=outside, missing=missing)) == unlike


@pytest.mark.parametrize(
    ("confidence", "out", "doubted", "left"),
    [
        ({"healthy": 0.2, "bad_data": 0.8}, ["bad_data"], [], {"healthy": 1.0}),
        ({"healthy": 0.2, "bad_data": 0.5, "lr_zero": 0.3}, ["bad_data"], [], {"healthy": 0.4, "lr_zero": 0.6}),
        ({"healthy": 0.2, "bad_data": 0.6, "lr_zero": 0.2}, ["bad_data"], [], {"healthy": 0.5, "lr_zero": 0.5}),
        # The next best has less than a fifth: what the excluded had goes to healthy.
        ({"healthy": 0.2, "bad_data": 0.61, "lr_zero": 0.19}, ["bad_data"], [], {"healthy": 0.81, "lr_zero": 0.19}),
        # Not where the excluded was not first.
        ({"healthy": 0.6, "bad_data": 0.25, "lr_zero": 0.15}, ["bad_data"], [], {"healthy": 0.8, "lr_zero": 0.2}),
        ({"healthy": 0.8, "lr_zero": 0.2}, ["healthy"], [], {"healthy": 0.8, "lr_zero": 0.2}),
        ({"healthy": 0.4, "bad_data": 0.6}, [], ["bad_data"], {"healthy": 0.4 / 0.7, "bad_data": 0.3 / 0.7}),
        ({"bad_data": 1.0}, ["bad_data"], [], {"healthy": 1.0}),
        ({"lr_zero": 0.0}, [], [], {"healthy": 1.0}),
        ({"healthy": 0.12, "bad_data": 0.5, "lr_zero": 0.38}, ["bad_data"], ["lr_zero"],
         {"healthy": 0.62 / 0.81, "lr_zero": 0.19 / 0.81}),
    ],
)  # fmt: skip
def test_what_is_left_without_some_causes(confidence, out, doubted, left):
    assert without(confidence, frozenset(out), frozenset(doubted)) == pytest.approx(left)


# --- the decision of a case

TABLE = Weights(
    bias={"healthy": 0.0, "bad_data": -2.0, "lr_too_high": -2.0},
    signs={"healthy": {}, "bad_data": {"a": 3.0}, "lr_too_high": {"b": 3.0}},
)


def fact(cause=None, *, severity=Severity.WARNING, **others):
    return Fact(code="GL999", severity=severity, message="m", advice="a", cause=cause, **others)


def judged(grades, *facts, cautious=None, ceilings=None, learned=None, **more):
    """Who decides, and the first cause with its confidence."""
    out = ruled_out_by(facts) | doubted_by(facts)
    by_signs = weigh(grades, weights=TABLE, excluded=out, ceilings=ceilings)
    second = None if cautious is None else SecondOpinion(learned=learned or cautious, cautious=cautious, **more)
    who, beliefs = decide(by_signs, grades, facts, second, ceilings or {}, TABLE)
    return who, beliefs.cause, beliefs.ranking[0][1]


LR = {"healthy": 0.2, "bad_data": 0.1, "lr_too_high": 0.7}


def test_without_curves_the_signs_decide():
    assert judged({"a": 1.0})[:2] == ("signs", "bad_data")


@pytest.mark.parametrize(
    ("facts", "who", "cause", "confidence"),
    [
        ((), "named", "lr_too_high", 0.7),
        ((fact("bad_data"),), "signs", "bad_data", None),
        ((fact("bad_data", severity=Severity.NOTE),), "named", "lr_too_high", 0.7),
        ((fact(),), "named", "lr_too_high", 0.7),
        # What a fact rules out is only heard from curves that are sure of it, and where something is wrong anyway.
        ((fact(rules_out=frozenset({"lr_too_high"})),), "named", "lr_too_high", 0.7),
        ((fact(severity=Severity.NOTE, rules_out=frozenset({"lr_too_high"})),), "calmed", "healthy", None),
        ((fact(severity=Severity.NOTE, rules_out=frozenset({"bad_data"})),), "warned", "lr_too_high", 0.7 / 0.9),
        ((fact(severity=Severity.NOTE, doubts=frozenset({"lr_too_high"})),), "named", "lr_too_high", 0.7 / (0.6 + 0.7)),
    ],
)
def test_facts_signs_and_curves(facts, who, cause, confidence):
    found = judged({"a": 1.0}, *facts, cautious=LR)
    assert found[:2] == (who, cause)
    if confidence is not None:
        assert found[2] == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("cause", "p", "serious", "left"),
    [
        ("lr_too_high", 0.5, True, []),
        ("lr_too_high", 0.49, True, ["lr_too_high"]),
        ("lr_too_high", 0.5, False, ["lr_too_high"]),
        ("data_shift", 0.9, True, ["data_shift"]),  # levels decide, as arithmetic does
        ("lr_zero", 0.9, True, ["lr_zero"]),
    ],
)
def test_what_curves_do_not_name(cause, p, serious, left):
    second = SecondOpinion(learned={cause: p, "healthy": 1 - p}, cautious={cause: 0.6, "healthy": 0.4})
    assert left_out(frozenset({cause, "bad_data"}), second, serious=serious) == {*left, "bad_data"}


@pytest.mark.parametrize(("cause", "who"), [(None, "named"), ("bad_data", "signs")])
def test_signs_of_a_doubted_cause_count_where_the_curves_decide(cause, who):
    doubt = (fact(cause, doubts=frozenset({"lr_too_high"}), confidence=0.99),)
    by_signs = weigh({"a": 1.0}, weights=TABLE, excluded=doubted_by(doubt))
    found, heard = decide(by_signs, {"a": 1.0}, doubt, SecondOpinion(learned=LR, cautious=LR), {}, TABLE)
    assert found == who
    assert ("lr_too_high" in heard.weighed) == (who == "named")


def test_a_ceiling_that_puts_another_cause_first_leaves_it_to_the_signs():
    low = {"bad_data": Ceiling(at=0.2, why="few rows")}
    assert judged({"a": 1.0}, cautious=LR)[0] == "named"
    assert judged({"a": 1.0}, cautious=LR, ceilings=low)[:2] == ("signs", "healthy")
    # And so does one that the curves cannot pass.
    low = {"lr_too_high": Ceiling(at=0.1, why="few rows")}
    assert judged({"a": 1.0}, cautious=LR, ceilings=low)[:2] == ("signs", "bad_data")
    high = {"lr_too_high": Ceiling(at=0.6, why="few rows")}
    assert judged({"a": 1.0}, cautious=LR, ceilings=high) == ("named", "lr_too_high", pytest.approx(0.6))


def test_a_serious_fact_keeps_its_alarm():
    calm = {"healthy": 0.8, "bad_data": 0.1, "lr_too_high": 0.1}
    assert judged({"a": 1.0}, cautious=calm)[0] == "calmed"
    assert judged({"a": 1.0}, fact(), cautious=calm)[0] == "signs"
    assert judged({"a": 1.0}, fact(severity=Severity.NOTE), cautious=calm)[0] == "calmed"


def beliefs(*ranking):
    return Beliefs(ranking=ranking, arguments={}, weighed={})


@pytest.mark.parametrize(
    ("ranking", "facts", "cause"),
    [
        ((("bad_data", 0.8),), (), "bad_data"),
        ((("bad_data", 0.8),), (fact(severity=Severity.NOTE, unnamed=frozenset({"bad_data"})),), "unknown"),
        ((("bad_data", 0.8),), (fact(otherwise="lr_too_high", unnamed=frozenset({"bad_data"})),), "lr_too_high"),
        ((("healthy", 0.8),), (), "healthy"),
        ((("healthy", 0.99),), (fact("lr_zero", confidence=0.5),), "lr_zero"),
        ((("bad_data", 0.9),), (fact("lr_zero", confidence=0.9),), "lr_zero"),
        ((("bad_data", 0.91),), (fact("lr_zero", confidence=0.9),), "bad_data"),
        ((("healthy", 0.8),), (fact("lr_zero", severity=Severity.NOTE),), "healthy"),
        ((("healthy", 0.8),), (fact(otherwise="exploding"),), "exploding"),
        ((("healthy", 0.8),), (fact(),), "unknown"),
        ((("bad_data", 0.3),), (fact(otherwise="exploding"),), "bad_data"),
        ((("healthy", 0.8),), (fact(), fact("lr_zero"), fact("nan_sudden")), "lr_zero"),
        ((("healthy", 0.8),), (fact(severity=Severity.NOTE, otherwise="exploding"), fact(otherwise="vanishing")), "vanishing"),
    ],
)  # fmt: skip
def test_which_cause_is_named(ranking, facts, cause):
    assert cause_of(beliefs(*ranking), facts, "signs") == cause


def test_what_is_ruled_out_is_not_only_doubted():
    facts = (fact(rules_out=frozenset({"bad_data"})), fact(doubts=frozenset({"bad_data", "vanishing"})))
    assert ruled_out_by(facts) == {"bad_data"}
    assert doubted_by(facts) == {"vanishing"}


@pytest.mark.parametrize(
    ("who", "cause", "first", "by_signs", "only"),
    [
        ("warned", "lr_too_high", "lr_too_high", 0.149, True),
        ("warned", "lr_too_high", "lr_too_high", 0.15, False),
        ("named", "lr_too_high", "lr_too_high", 0.1, True),
        ("signs", "lr_too_high", "lr_too_high", 0.1, False),
        ("calmed", "healthy", "healthy", 0.1, False),
        ("warned", "lr_zero", "lr_too_high", 0.1, False),  # a fact names another
    ],
)
def test_what_is_seen_in_the_curves_only(who, cause, first, by_signs, only):
    case = measured(
        _judged=(who, beliefs((first, 0.7))), cause=cause, by_signs=beliefs(("healthy", 0.5), (cause, by_signs))
    )
    assert case.seen_in_curves_only == only


# --- how sure a log lets one be


def ceiling_of(case, cause):
    found = case.ceilings.get(cause)
    return None if found is None else (found.at, found.why)


ROW = replace(EVENT, first=600, last=600)


@pytest.mark.parametrize(
    ("events", "bursts", "every", "why"),
    [
        ((), (), 1, "it would rest on one or two rows"),
        ((ROW, ROW), (), 1, "it would rest on one or two rows"),
        ((ROW, ROW, ROW), (), 1, None),
        ((), (replace(ROW, last=602),), 1, None),
        ((ROW,), (replace(ROW, last=601),), 1, None),
        ((ROW, ROW, ROW), (), 4, None),
        ((ROW, ROW, ROW), (), 5, "it needs every step, and a row stands for 5"),
    ],
)
def test_a_verdict_on_rows(events, bursts, every, why):
    case = measured(events=events, bursts=bursts, step=every * np.arange(N))
    for cause in ("bad_data", "clip_too_loose", "adam_beta2_lag"):
        assert ceiling_of(case, cause) == (None if why is None else (0.79, why))


@pytest.mark.parametrize(
    ("rows", "plain", "at"), [(49, 0.0, 0.45), (49, 0.99, 0.45), (49, 1.0, 0.6), (50, 0.0, None), (50, 1.0, None)]
)
@pytest.mark.parametrize("sign", ["ends_nonfinite", "loss_explodes", "diverges_in_few_rows"])
def test_a_verdict_on_the_course_of_few_rows(rows, plain, at, sign):
    signs = {"ends_nonfinite": 0.0, "loss_explodes": 0.0, "diverges_in_few_rows": 0.0, sign: plain}
    case = measured(rows)
    case.__dict__["signs"] = signs
    why = f"{rows} rows, fewer than 50, hardly show the course of a run"
    for cause in ("lr_too_high", "no_warmup", "vanishing", "batch_size_change"):
        assert ceiling_of(case, cause) == (None if at is None else (at, why))


@pytest.mark.parametrize(
    ("loss", "norm", "at", "why"),
    [
        (400, 400, 1.0, "no trouble seen in 400 rows leaves room for it"),
        (300, 400, 0.85, "no trouble seen in 300 rows"),
        (400, 200, 0.70, "no trouble seen in 200 rows"),
        (100, 100, 0.62, "in 100 rows"),
        (50, 50, 0.54, "in 50 rows"),
        (25, 25, 0.40, "in 25 rows"),
        (20, 20, 0.38, "in 20 rows"),
        (10, 10, 0.34, "in 10 rows"),
        (5, 5, 0.34, "in 5 rows"),
        (400, 0, 0.43, "no trouble seen without norms leaves room for it"),
        (0, 400, 0.43, "no trouble seen without a loss leaves room for it"),
        (25, 0, 0.40, "in 25 rows"),
        (0, 0, 0.0, "neither loss nor norm is finite anywhere"),
    ],
)
def test_how_sure_seeing_nothing_makes(loss, norm, at, why):
    row = np.arange(400)
    run = healthy(400)
    case = make({
        "loss": np.where(row < loss, run["loss"], np.nan), "grad_norm": np.where(row < norm, run["grad_norm"], np.nan),
    })  # fmt: skip
    found = case._healthy_ceiling
    assert found.at == pytest.approx(at)
    assert why in found.why
    assert case.ceilings["healthy"] == found


@pytest.mark.parametrize(
    ("kind", "heard"), [("descending", True), ("preference", True), ("signless", True), ("policy", False), ("value", False), ("summed", False)]
)  # fmt: skip
def test_the_second_opinion_is_of_losses_like_those_it_was_learned_from(kind, heard):
    case = make(healthy(200))
    case.__dict__["loss_kind"] = kind
    assert (case.second is not None) == heard


def test_the_second_opinion_needs_rows():
    for rows in (39, 40):
        run = healthy(200)
        run["loss"][rows:] = np.nan
        assert (make(run).second is None) == (rows < 40)


# --- the weights


def test_a_sum_is_in_the_order_of_the_table_and_ties_keep_it():
    table = Weights(
        bias={"healthy": 0.0, "bad_data": 1.0}, signs={"healthy": {}, "bad_data": {"a": 1.0, "b": -1.0, "c": 2.0}}
    )
    found = weigh({"a": 1.0, "b": 1.0, "c": 0.25, "d": 1.0}, weights=table)
    assert [a.sign for a in found.arguments["bad_data"]] == ["a", "b", "c"]
    assert found.weighed["bad_data"].score == 1.5
    assert found.weighed["bad_data"].bias == 1.0


def test_ceilings_of_what_is_not_weighed_take_nothing():
    found = weigh(
        {"a": 1.0},
        weights=TABLE,
        ceilings={"vanishing": Ceiling(at=0.1, why="w"), "bad_data": Ceiling(at=0.99, why="w")},
    )
    assert found.ranking == weigh({"a": 1.0}, weights=TABLE).ranking
    assert found.weighed["bad_data"].ceiling == 0.99
    alone = Weights(bias={"healthy": 0.0}, signs={"healthy": {}})
    assert weigh({}, weights=alone, ceilings={"healthy": Ceiling(at=0.2, why="w")}).of("healthy") == 1.0
    assert weigh({}).ranking == weigh({}, weights=load_weights()).ranking


# --- the outcome


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"in_noise": 1.49, "plainly_fell": False}, "stalled"),
        ({"relative": 0.0199, "plainly_fell": False}, "stalled"),
        ({"in_noise": 1.49, "relative": 0.0199, "plainly_fell": True}, "learned"),
        ({"kept": 0.599}, "ended_worse"),
        ({"kept": 0.6}, "learned"),
        ({"explosion": 0.917, "start": 1.0, "end": 1.01}, "diverged"),
        ({"explosion": 0.916, "start": 1.0, "end": 1.01}, "learned"),
    ],
)
def test_what_became_of_a_run(change, word):
    found = outcome_of(measured(progress={"kept": 1.0, "in_noise": 9.0, "relative": 0.5} | change), [])
    assert (found.word, found.since_step) == (word, None)


def test_the_first_of_several_facts_dates_an_outcome():
    facts = [
        fact(outcome="stalled", since_step=9),
        fact(outcome="stalled", since_step=4),
        fact(outcome=None, since_step=1),
    ]
    assert outcome_of(measured(), facts).since_step == 9
    dead = measured(step=10 * np.arange(N), numerics={"dead_from": 700})
    assert (outcome_of(dead, []).word, outcome_of(dead, []).since_step) == ("nonfinite", 7000)


# --- the status


def finding(code="GL301", cause=None, message="what is seen", severity=Severity.WARNING, **more):
    return Finding(code=code, name=code, severity=severity, message=message, advice="", cause=cause, **more)


def results(*states):
    return tuple(
        CheckResult(code=f"GL{i}", name=f"check {i}", status=status, reason=reason)
        for i, (status, reason) in enumerate(states)
    )


@pytest.mark.parametrize(
    ("cause", "severities", "rows", "status"),
    [
        ("healthy", (), 400, "clear"),
        ("healthy", (), 150, "insufficient"),
        ("healthy", (Severity.NOTE,), 400, "clear"),
        ("healthy", (Severity.NOTE, Severity.WARNING), 400, "problem"),
        ("healthy", (Severity.ERROR,), 150, "problem"),
        ("bad_data", (), 150, "problem"),
        ("undetermined", (), 400, "clear"),
    ],
)
def test_the_status(cause, severities, rows, status):
    case = measured(rows, cause=cause)
    assert status_of(case, tuple(finding(severity=s) for s in severities)) == status


def test_why_a_run_cannot_be_called_clear():
    assert why_insufficient(measured()) == ""
    assert why_insufficient(measured(provenance=SimpleNamespace(placeholder=True, reason="all are 1"))) == "all are 1"
    assert why_insufficient(measured(outcome=SimpleNamespace(word="stalled"))).startswith("the loss hardly moves")
    assert why_insufficient(make({"grad_norm": healthy()["grad_norm"]})) == "no loss"
    assert why_insufficient(measured(progress=None)).startswith("the course of this loss says nothing")
    scaled = measured()
    scaled.__dict__["provenance"] = replace(scaled.provenance, verdict="loss_scaled")
    assert why_insufficient(scaled).startswith("the norms still carry the loss scale")
    run = healthy()
    beyond = make({**run, "grad_norm": 1e12 * run["grad_norm"]})
    assert why_insufficient(beyond).startswith("the norms are out of all proportion to the loss")
    # One that has neither loss nor rows enough is told by its rows; one row every second step is sampled.
    assert why_insufficient(make({"grad_norm": healthy(150)["grad_norm"]})) == "150 rows, at least 200 are needed"
    assert "one every 2 steps: at least 400" in why_insufficient(make(healthy(399), step=2 * np.arange(399)))
    assert why_insufficient(make(healthy(200), step=np.arange(200))) == ""


def test_headlines():
    notes = (finding("GL009", severity=Severity.NOTE), finding("GL012", severity=Severity.NOTE))
    case = measured(150, cause="healthy")
    told = verdict_of(case, notes, results(("passed", "")))
    assert told.headline == "Not enough to judge: 150 rows, at least 200 are needed. Nothing alarming so far."
    told = verdict_of(case, (*notes, finding("GL301", severity=Severity.NOTE)), results(("passed", "")))
    assert told.headline == "Not enough to judge: 150 rows, at least 200 are needed."
    case = measured(cause="healthy")
    assert verdict_of(case, (), results(("failed", ""))).headline == "No problem found (1 check ran)."
    states = results(("passed", ""), ("failed", ""), ("skipped", "why"), ("errored", ""), ("passed", ""))
    assert verdict_of(case, (), states).headline == "No problem found (3 checks ran; 2 lacked data)."
    case = measured(cause="lr_too_high")
    assert verdict_of(case, (), ()).headline == "Lr too high."
    assert verdict_of(case, (finding(severity=Severity.NOTE, cause="lr_too_high"),), ()).headline == "Lr too high."
    spoken = (
        finding(severity=Severity.NOTE, cause="lr_too_high"),
        finding(message="one"),
        finding(message="two", cause="lr_too_high"),
    )
    assert verdict_of(case, spoken, ()).headline == "Two."
    assert verdict_of(case, spoken[:2], ()).headline == "One."


def test_the_verdict_has_the_outcome():
    case = measured(cause="healthy", outcome=SimpleNamespace(word="learned", since_step=7))
    told = verdict_of(case, (), results(("passed", ""), ("skipped", "a"), ("failed", "")))
    assert (told.outcome, told.since_step, told.judged) == ("learned", 7, ("check 0", "check 2"))


def test_what_was_not_judged():
    def left(case, *states):
        return [(n.what, n.why, n.remedy) for n in not_judged(case, results(*states))]

    case = measured()
    assert left(case, ("skipped", "something else"), ("skipped", "something else"), ("errored", "")) == [
        ("check 0, check 1", "something else", ""),
        ("check 2", "", "report this"),
    ]
    assert left(case, ("skipped", "the run did not clip"), ("passed", "the log has no loss")) == []
    assert left(case, ("skipped", "the log has no validation loss"))[0][:2] == (
        "overfitting",
        "the log has no validation loss",
    )
    case.__dict__["loss_descends"] = False
    assert left(case, ("skipped", "the log has no validation loss")) == []
    case.threshold_source = "assumed"
    assert left(case) == [("clipping", "the log does not say the threshold", "pass --threshold C, or none")]
    assert left(make({"loss": healthy()["loss"]}, source="assumed")) == []


# --- the diagnosis


def ranked(*ranking, cause="bad_data", status="problem", facts=(), findings=(), excluded=frozenset()):
    """The diagnosis of a case that is weighed so."""
    case = measured(beliefs=beliefs(*ranking), by_signs=beliefs(*ranking), cause=cause, facts=facts, second=None, ruled_out=excluded,
                    doubted=frozenset())  # fmt: skip
    case.__dict__["_judged"] = ("signs", case.beliefs)
    verdict = SimpleNamespace(status=status, headline="the headline")
    found = diagnose(case, tuple(findings), verdict)
    return found, [(r.cause, pytest.approx(r.confidence)) for r in found.ranking]


def test_a_ranking_as_it_is_weighed():
    found, order = ranked(
        ("bad_data", 0.6), ("healthy", 0.2), ("vanishing", 0.1), ("exploding", 0.06), ("lr_zero", 0.04)
    )
    assert order == [("bad_data", 0.6), ("vanishing", 0.1), ("exploding", 0.06), ("lr_zero", 0.04)]
    assert (found.cause, found.confidence, found.summary) == ("bad_data", 0.6, "the headline")
    assert all(r.shifts == () for r in found.ranking)


def test_of_many_causes_three_are_kept_and_those_above_a_hundredth():
    _, order = ranked(
        ("bad_data", 0.9), ("vanishing", 0.02), ("exploding", 0.01), ("lr_zero", 0.01), ("no_warmup", 0.009)
    )
    assert [cause for cause, _ in order] == ["bad_data", "vanishing", "exploding", "lr_zero"]
    _, order = ranked(("bad_data", 0.99), ("vanishing", 0.005), ("exploding", 0.004), ("lr_zero", 0.001))
    assert [cause for cause, _ in order] == ["bad_data", "vanishing", "exploding"]


def test_a_fact_makes_room_for_what_it_names():
    proof = fact("lr_zero", confidence=0.9)
    found, order = ranked(
        ("bad_data", 0.5), ("healthy", 0.2), ("vanishing", 0.25), ("lr_zero", 0.05), cause="lr_zero", facts=(proof,)
    )
    # .9 for the fact; what is left, .1, is shared by .5 and .25.
    assert order == [("lr_zero", 0.9), ("bad_data", 0.1 * 2 / 3), ("vanishing", 0.1 / 3)]
    assert found.ranking[0].shifts[-1].why == "a fact of the log names it"
    assert found.ranking[0].shifts[-1].by == pytest.approx(0.85)
    assert found.ranking[1].shifts[-1].why == "room for what a fact of the log names"
    assert found.ranking[1].shifts[-1].by == pytest.approx(0.1 * 2 / 3 - 0.5)
    assert found.decided.startswith("A fact of the log decided for lr zero")
    # What has room already keeps it.
    _, order = ranked(("bad_data", 0.05), ("healthy", 0.9), ("lr_zero", 0.05), cause="lr_zero", facts=(proof,))
    assert order == [("lr_zero", 0.9), ("bad_data", 0.05)]


def test_what_is_ruled_out_is_not_ranked():
    _, order = ranked(("bad_data", 0.6), ("vanishing", 0.3), ("exploding", 0.1), excluded=frozenset({"vanishing"}))
    assert [cause for cause, _ in order] == ["bad_data", "exploding"]


def test_a_clear_run_is_healthy():
    found, order = ranked(("healthy", 0.7), ("vanishing", 0.2), ("exploding", 0.1), cause="healthy", status="clear")
    assert order[0] == ("healthy", 0.7)
    assert found.experiment == experiment("healthy", "vanishing")
    found, order = ranked(("healthy", 0.7), ("vanishing", 0.2), cause="healthy", status="insufficient")
    assert order == [("undetermined", 0.3), ("vanishing", 0.2)]
    assert found.ranking[0].shifts[-1].why == "what the weights give to no problem at all"


def test_what_the_summary_points_at():
    notes = (
        finding(cause="bad_data", severity=Severity.NOTE, message="a note"),
        finding(message="other"),
        finding(cause="bad_data", message="it"),
    )
    assert ranked(("bad_data", 0.6), ("lr_zero", 0.2), findings=notes)[0].summary == "it"
    assert ranked(("bad_data", 0.6), ("lr_zero", 0.2), findings=notes[:2])[0].summary == "the headline"


def test_a_problem_without_a_cause_needs_steps_to_replay():
    for steps, severity, found in (
        ((5,), Severity.WARNING, True),
        ((), Severity.WARNING, False),
        ((5,), Severity.NOTE, False),
    ):
        told, _ = ranked(
            ("healthy", 0.6), ("lr_zero", 0.2), cause="healthy", findings=[finding(steps=steps, severity=severity)]
        )
        assert told.cause == "unknown"
        assert bool(told.experiment) == found


def test_experiments():
    assert experiment("exploding", "vanishing") == "log norms of single layers at step 0"
    assert all(experiment(*pair) == text == experiment(*reversed(list(pair))) for pair, text in EXPERIMENTS.items())
    assert experiment("healthy", "undetermined") == ""
    # One cause alone is confirmed.
    found, _ = ranked(("exploding", 1.0), cause="exploding")
    assert found.experiment == "log norms of single layers"
    layers = {f"grad_norm/{k}": np.ones(N) for k in "ab"}
    case = make(healthy(), layers=layers, threshold=5.0)
    for name, value in {
        "beliefs": beliefs(("exploding", 1.0)),
        "cause": "exploding",
        "facts": (),
        "second": None,
    }.items():
        case.__dict__[name] = value
    case.__dict__["by_signs"], case.__dict__["_judged"] = case.beliefs, ("signs", case.beliefs)
    told = diagnose(case, (), SimpleNamespace(status="problem", headline=""))
    assert told.experiment == "compare the norms of single layers"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("log the RMS of g²/v", "; to log it: rec = gradlens.Recorder(path, model, optimizer, update_every=1)"),
        ("repeat at a third of the rate", "; or log loss_after with gradlens.Recorder"),
        ("log it", ""),
    ],
)
def test_the_line_that_logs_a_column(text, said):
    assert with_line(text, measured()) == text + said


# --- the kind of a loss


def kind(loss=None, norm=None, *, name="loss", others=()):
    loss = np.linspace(2.0, 1.0, 60) if loss is None else np.asarray(loss, dtype=float)
    step = np.arange(len(loss))
    series = {
        name: Series(name=name, step=step, value=loss),
        **{o: Series(name=o, step=step, value=loss) for o in others},
    }
    if norm is not None:
        series["norm"] = Series(name="norm", step=step, value=np.resize(np.asarray(norm, dtype=float), len(loss)))
    columns = Columns(step="step", loss=name, grad_norm=None if norm is None else "norm")
    return loss_kind(Run(id="k", source="k", format="test", series=series, columns=columns))


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("loss", (), "descending"),
        ("loss", ("rewards/chosen", "rewards/rejected"), "preference"),
        ("loss", ("rewards/margins",), "preference"),
        ("pg_loss", (), "policy"),
        ("d_loss", (), "adversarial"),
        ("vf_loss", (), "value"),
        ("loss", ("reward",), "value"),
        ("loss", ("reward", "entropy"), "policy"),
        ("loss", ("reward_model_lr",), "descending"),
        ("loss", ("loss_d",), "adversarial"),
        ("loss", ("disc_loss",), "adversarial"),
        ("loss", ("discriminator_loss",), "adversarial"),
        ("loss", ("discriminator_lr",), "descending"),
    ],
)
def test_kinds_by_name(name, others, expected):
    assert kind(name=name, others=others) == expected


def signs(first, last, rows=60):
    """A loss of some sign of which so many of the twenty values of the first and of the last third are negative, and others positive."""
    value = np.ones(rows)
    value[:first], value[rows - last :] = -1.0, -1.0
    return value


def crossing(start, rows=20, n=300):
    """A loss with a tenth of noise that comes down through 0 within some rows, so that its first third has both signs, too."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(n)
    return -0.05 + start * np.exp(-np.arange(n) / rows) + noise


@pytest.mark.parametrize(("start", "expected"), [(3.0, "descending"), (0.35, "signless"), (-3.0, "signless")])
def test_a_density_comes_down_through_zero(start, expected):
    assert kind(crossing(start)) == expected


@pytest.mark.parametrize(
    ("loss", "norm", "expected"),
    [
        (np.zeros(60), 1.0, "policy"),
        (np.zeros(60), [1.0, 0.0], "descending"),
        (np.zeros(60), None, "descending"),
        ([0.0, 1e-9, *[0.0] * 58], 1.0, "descending"),
        ([0.0], 1.0, "descending"),
        ([0.0, 0.0], 1.0, "policy"),
        (signs(1, 1), None, "signless"),  # a twentieth
        (signs(0, 20), None, "descending"),
        (signs(1, 0), None, "descending"),
        (signs(19, 19), None, "signless"),
        (signs(20, 19), None, "descending"),
        (signs(1, 1, 15), None, "signless"),
        (signs(1, 1, 14), None, "descending"),
        (np.append(signs(1, 1, 15), np.nan), None, "signless"),
        (np.where(np.arange(60) == 30, np.nan, signs(1, 1)), None, "signless"),
    ],
)
def test_kinds_by_sign(loss, norm, expected):
    assert kind(loss, norm) == expected


def negative(first=-1.0, last=-1.0, *, rows=60, positive=0, sway=0.1):
    value = np.repeat([first, 0.5 * (first + last), last], rows // 3) + sway * np.resize(
        [1.0, 0.0, -1.0, 0.0], rows // 3 * 3
    )
    value[rows // 2 : rows // 2 + positive] = 1.0
    return value


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "signless"),
        ({"rows": 15}, "signless"),
        ({"rows": 12}, "descending"),
        ({"positive": 3}, "signless"),
        ({"positive": 4}, "descending"),
        # A deviation of .105 from row to row: within two of them.
        ({"last": -1.20}, "signless"),
        ({"last": -1.22}, "descending"),
        ({"first": -1.20}, "signless"),
        ({"first": -1.22}, "descending"),
    ],
)
def test_negative_losses_that_stay_within_their_noise(change, expected):
    assert kind(negative(**change)) == expected


def test_the_first_three_rows_tell_where_a_loss_begins():
    assert kind(np.append([0.5, 0.5], negative())) == "descending"
    assert kind(np.append(0.5, negative())) == "signless"


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ([2.0] * 10, "summed"),
        ([2.0] * 9, "descending"),
        ([2.0, 2.9, *[2.0] * 9], "summed"),
        ([2.0, 3.1, *[2.0] * 9], "descending"),
        ([2.0, 1.4, *[1.4] * 9], "summed"),
        ([2.0, 1.3, *[1.3] * 9], "descending"),
        ([2.0, 2.0, 4.0, *[2.0] * 9], "summed"),
        ([2.0, 2.0, 4.1, *[2.0] * 9], "descending"),
        ([2.0, *[2.0] * 6, *[2.19] * 3], "summed"),
        ([2.0, *[2.0] * 6, *[2.21] * 3], "descending"),
        ([2.0, *[2.0] * 8, 0.0], "descending"),
        ([-2.0, *[2.0] * 9], "descending"),
        ([2.0, *[2.0] * 8, np.nan, 2.0], "descending"),
    ],
)
def test_a_sum_of_all_losses_so_far(added, expected):
    assert kind(np.cumsum(added)) == expected


def test_without_a_loss_there_is_no_kind():
    norm = Series(name="n", step=np.arange(20), value=np.ones(20))
    run = Run(id="k", source="k", format="test", series={"n": norm}, columns=Columns(step="step", grad_norm="n"))
    assert loss_kind(run) == "descending"


# --- how sure


def test_caution_decides_and_does_not_make_sure():
    learned = {"healthy": 0.3, "bad_data": 0.5, "lr_too_high": 0.2}
    calm = {"healthy": 0.8, "bad_data": 0.15, "lr_too_high": 0.05}
    # The first two share what they have, so that the verdict is first; the third keeps its own.
    who, cause, sure = judged({}, cautious=calm, learned=learned)
    assert (who, cause) == ("agreed", "healthy")
    assert sure == pytest.approx(0.4, abs=1e-5)


def test_signs_that_decide_against_the_curves_are_half_as_sure():
    grades, facts = {"a": 1.0}, (fact("bad_data"),)
    alone = judged(grades, *facts)[2]
    who, cause, sure = judged(grades, *facts, cautious=LR)
    assert (who, cause) == ("signs", "bad_data")
    # The mean of both, but that the curves' own cause may have no more.
    other = (dict(weigh(grades, weights=TABLE).ranking)["lr_too_high"] + 0.7) / 2
    assert sure == pytest.approx(max((alone + 0.1) / 2, (alone + 0.1) / 4 + other / 2), abs=1e-5)
    assert sure < alone
    # A run unlike those that the curves know is judged by the signs as if there were no curves.
    assert judged(grades, *facts, cautious=LR, outside=1.0) == ("signs", "bad_data", alone)


def test_what_a_fact_explains_is_no_evidence_of_health():
    sure_of_it = {"healthy": 0.02, "bad_data": 0.96, "lr_too_high": 0.02}
    harmless = fact(severity=Severity.NOTE, rules_out=frozenset({"bad_data"}))
    who, cause, sure = judged({}, harmless, cautious=sure_of_it)
    assert (who, cause) == ("agreed", "healthy")
    # Between 0.98, were all of it healthy, and an even choice of what is left.
    assert sure == pytest.approx((0.98 + 0.5) / 2)


@pytest.mark.parametrize(
    ("said", "ranking", "cause"),
    [
        ("named", ("lr_too_high", 0.41), "lr_too_high"),
        ("agreed", ("lr_too_high", 0.41), "lr_too_high"),
        ("signs", ("lr_too_high", 0.41), "not_learning"),
        ("signs", ("lr_too_high", 0.91), "lr_too_high"),
        ("named", ("unknown", 0.95), "not_learning"),
        ("agreed", ("healthy", 0.95), "not_learning"),
    ],
)
def test_why_a_run_does_not_learn_is_said_where_the_curves_decided(said, ranking, cause):
    assert cause_of(beliefs(ranking), (fact("not_learning"),), said) == cause
    # A validation loss that rises is what became of a run, too.
    became = "overfitting" if cause == "not_learning" else cause
    assert cause_of(beliefs(ranking), (fact("overfitting"),), said) == became


@pytest.mark.parametrize(
    ("proven", "fact_is_sure", "curves", "stays"),
    [
        ("not_learning", 0.9, {"lr_too_high": 0.4, "healthy": 0.3}, False),
        ("not_learning", 0.9, {"lr_too_high": 0.39, "healthy": 0.3}, True),
        ("overfitting", 0.9, {"lr_too_high": 0.4, "healthy": 0.3}, False),
        ("overfitting", 0.9, {"unknown": 0.9}, True),
        ("vanishing", 0.7, {"lr_too_high": 0.7}, True),
        ("vanishing", 0.7, {"lr_too_high": 0.71}, False),
        ("nan_sudden", 0.7, {"lr_too_high": 0.99}, True),
        ("vanishing", 0.7, {"healthy": 0.99}, True),
    ],
)
def test_what_a_fact_proves_gives_way_to_curves(proven, fact_is_sure, curves, stays):
    assert stands(proven, fact_is_sure, curves) == stays


# --- confidence


def believed(named, *, weighing, facts=(), nameless=None, cause=None):
    """A case as far as confidences need it: what the weighing says, what facts prove, and the cause that is named."""
    told = SimpleNamespace(of=lambda wanted: dict(weighing).get(wanted, 0.0), cause=weighing[0][0])
    return SimpleNamespace(beliefs=told, facts=facts, nameless=nameless, cause=cause or named)


@pytest.mark.parametrize(
    ("named", "weighed", "more", "confidence"),
    [
        ("bad_data", 0.7, {"weighing": [("bad_data", 0.7), ("healthy", 0.3)]}, 0.7),
        ("healthy", None, {"weighing": [("bad_data", 0.7), ("healthy", 0.3)]}, 0.3),
        # What proves it says how sure it is, and the weighing may be surer.
        ("lr_zero", 0.2, {"weighing": [("healthy", 0.8)], "facts": (fact("lr_zero", confidence=0.9),)}, 0.9),
        ("lr_zero", 0.95, {"weighing": [("lr_zero", 0.95)], "facts": (fact("lr_zero", confidence=0.9),)}, 0.95),
        ("lr_zero", None, {"weighing": [("healthy", 0.8)], "facts": (fact("lr_zero", confidence=0.9),)}, 0.9),
        # A problem whose cause the log does not show is as sure as the cause that is not named.
        ("unknown", 0.1, {"weighing": [("bad_data", 0.6), ("healthy", 0.3)], "nameless": "bad_data"}, 0.6),
        (
            "unknown",
            0.1,
            {"weighing": [("bad_data", 0.6), ("healthy", 0.3)], "nameless": "bad_data", "cause": "exploding"},
            0.1,
        ),
        # What remains open is never surer than a coin.
        ("undetermined", None, {"weighing": [("healthy", 0.8)]}, 0.2),
        ("undetermined", None, {"weighing": [("bad_data", 0.9), ("healthy", 0.1)]}, 0.5),
        # What usually explains the trouble that a fact shows.
        ("unknown", 0.1, {"weighing": [("healthy", 0.8)]}, 0.5),
        ("unknown", 0.6, {"weighing": [("healthy", 0.8)]}, 0.6),
        ("unknown", 0.1, {"weighing": [("bad_data", 0.8)]}, 0.1),
        ("unknown", 0.1, {"weighing": [("healthy", 0.8)], "cause": "exploding"}, 0.1),
        ("healthy", 0.8, {"weighing": [("healthy", 0.8)]}, 0.8),
    ],
)
def test_how_sure_the_named_cause_is(named, weighed, more, confidence):
    assert confidence_of(believed(named, **more), named, weighed) == pytest.approx(confidence)


def test_the_ranking_tells_its_ceilings_and_at_most_six_reasons():
    case = measured(events=(), bursts=())
    found = diagnose(case, (), verdict_of(case, (), results(("passed", ""))))
    assert any(ranked.ceiling is not None for ranked in found.ranking)
    for ranked in found.ranking:
        weighed = case.beliefs.weighed.get(ranked.cause)
        assert ranked.ceiling == (None if weighed is None else weighed.ceiling)
        assert len(ranked.because) <= 6
