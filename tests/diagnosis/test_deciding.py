import numpy as np
import pytest

from gradlens.checks.engine import run_checks
from gradlens.diagnosis import case as cases
from gradlens.diagnosis.deciding import (
    CALM_ALONE,
    DOUBT,
    MAX_MISSING,
    MAX_MISSING_TO_WARN,
    MAX_OUTSIDE,
    NEVER_CALMED,
    NEXT_BEST,
    OVERSHOOTS,
    PLAIN,
    PLAIN_SIGNS,
    WARNS,
    confidences,
    level_with,
    overshoots,
    plainly_unstable,
    ruling,
    stands,
    stated_by,
    without,
)
from gradlens.diagnosis.opinion import SecondOpinion, likeness_of, load_learned
from gradlens.diagnosis.ranking import diagnose
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.status import verdict_of
from gradlens.diagnosis.traits import measure, trait_names
from tests import synthetic
from tests.diagnosis.test_traits import curves

LITTLE = 0.01


def said(by_signs, cautious, *, learned=("healthy", 0.9), outside=0.0, missing=0.0, **facts):
    """Who decides where each names one cause; what is left goes to a cause that nobody means."""
    known = {"proven": False, "serious": False, "excluded": frozenset()} | facts
    second = SecondOpinion(learned=dict([learned]), cautious=sure_of(*cautious), outside=outside, missing=missing)
    return ruling(sure_of(*by_signs), second, **known)


def sure_of(cause, confidence):
    return {cause: confidence, **dict.fromkeys(("overfitting", "clip_too_loose", "lr_zero"), (1.0 - confidence) / 3)}


@pytest.mark.parametrize(
    ("by_signs", "cautious", "expected"),
    [
        (("exploding", 0.6), ("lr_too_high", 0.4), "named"),
        (("exploding", 0.99), ("lr_too_high", 0.4), "named"),
        (("exploding", 0.6), ("exploding", 0.99), "agreed"),
        (("lr_too_high", 0.6), ("unknown", 0.99), "signs"),
        (("clip_too_tight", 0.6), ("unknown", 0.99), "named"),
        (("adam_beta2_lag", 0.6), ("bad_data", 0.99), "named"),
        (("data_shift", 0.6), ("bad_data", 0.99), "named"),
        (("bad_data", 0.6), ("data_shift", 0.99), "named"),
        (("lr_restart", 0.6), ("data_shift", 0.99), "signs"),
        (("adam_beta2_lag", 0.6), ("lr_restart", 0.99), "named"),
        (("lr_too_high", 0.6), ("healthy", 0.5), "calmed"),
        (("lr_too_high", 0.99), ("healthy", 0.99), "calmed"),
        (("exploding", 0.6), ("healthy", 0.99), "calmed"),
        (("healthy", 0.7), ("schedule_mismatch", 0.4), "warned"),
        (("healthy", 0.7), ("unknown", WARNS["unknown"] - LITTLE), "signs"),
        (("healthy", 0.7), ("l2_contamination", 0.9), "warned"),
        (("healthy", 0.7), ("l2_contamination", 0.89), "signs"),
        (("healthy", 0.7), ("vanishing", 0.9), "warned"),
        (("healthy", 0.7), ("vanishing", 0.89), "signs"),
        (("healthy", 0.7), ("clip_before_unscale", 0.9), "warned"),
        (("healthy", 0.7), ("clip_before_unscale", 0.89), "signs"),
        (("healthy", 0.7), ("postclip_logged", 0.99), "signs"),
        (("healthy", 0.7), ("data_shift", WARNS["data_shift"]), "warned"),
        (("healthy", 0.7), ("data_shift", WARNS["data_shift"] - LITTLE), "signs"),
        (("healthy", 0.7), ("healthy", 0.99), "agreed"),
    ],
)
def test_who_decides(by_signs, cautious, expected):
    assert said(by_signs, cautious) == expected


OVERRULED = (
    (("exploding", 0.6), ("lr_too_high", 0.9)),
    (("lr_too_high", 0.6), ("healthy", 0.9)),
    (("healthy", 0.7), ("schedule_mismatch", 0.9)),
)


@pytest.mark.parametrize(("by_signs", "cautious"), OVERRULED)
def test_nothing_is_overruled_where_a_fact_proves_a_cause_or_the_run_is_unlike_all(by_signs, cautious):
    assert said(by_signs, cautious) != "signs"
    assert said(by_signs, cautious, proven=True) == "signs"
    assert said(by_signs, cautious, outside=MAX_OUTSIDE + LITTLE) == "signs"
    assert said(by_signs, cautious, missing=MAX_MISSING + LITTLE) == "signs"
    assert ruling(sure_of(*by_signs), None, proven=False, serious=False, excluded=frozenset()) == "signs"


def test_without_norms_nothing_is_warned_of_that_no_sign_shows():
    shown = (("healthy", 0.7), ("schedule_mismatch", 0.9))
    assert said(*shown, missing=MAX_MISSING_TO_WARN) == "warned"
    assert said(*shown, missing=MAX_MISSING_TO_WARN + LITTLE) == "signs"
    assert said(*shown, missing=MAX_MISSING_TO_WARN + LITTLE, serious=True) == "named"


def test_a_grave_fact_leaves_the_alarm_and_lets_its_cause_change():
    assert [said(*pair, serious=True) for pair in OVERRULED] == ["named", "signs", "named"]


@pytest.mark.parametrize("cause", ["bad_data", "lr_too_high", "no_warmup"])
def test_an_alarm_is_calmed_only_where_the_curves_say_nothing_else(cause):
    assert said((cause, 0.6), ("healthy", 0.9), learned=("healthy", CALM_ALONE)) == "calmed"
    assert said((cause, 0.6), ("healthy", 0.9), learned=("healthy", CALM_ALONE - LITTLE)) == "signs"


@pytest.mark.parametrize(
    ("cause", "plain", "expected"),
    [
        ("lr_too_high", True, "signs"),
        ("lr_too_high", False, "calmed"),
        ("no_warmup", True, "signs"),
        ("exploding", True, "calmed"),
    ],
)
def test_the_alarm_of_a_rate_too_high_stands_where_the_loss_shows_it(cause, plain, expected):
    assert said((cause, 0.6), ("healthy", 0.9), plain=plain) == expected


@pytest.mark.parametrize("name", OVERSHOOTS)
def test_a_loss_overshoots_by_any_of_its_signs(name):
    assert overshoots(dict.fromkeys(SIGNS, 0.0) | {name: PLAIN})
    assert not overshoots(dict.fromkeys(SIGNS, 1.0) | dict.fromkeys(OVERSHOOTS, PLAIN - LITTLE))


@pytest.mark.parametrize("name", PLAIN_SIGNS)
def test_a_loss_is_plainly_unstable_by_any_of_its_signs(name):
    assert plainly_unstable(dict.fromkeys(SIGNS, 0.0) | {name: PLAIN})
    assert not plainly_unstable(dict.fromkeys(SIGNS, 1.0) | dict.fromkeys(PLAIN_SIGNS, PLAIN - LITTLE))


@pytest.mark.parametrize("cause", sorted(NEVER_CALMED))
def test_what_a_sign_measures_directly_is_never_calmed(cause):
    assert said((cause, 0.6), ("healthy", 0.999), learned=("healthy", 0.999)) == "signs"


def test_what_a_fact_rules_out_is_never_named():
    out = frozenset({"lr_too_high"})
    assert said(("exploding", 0.6), ("lr_too_high", 0.9), excluded=out) == "calmed"
    assert without({"lr_too_high": 1.0}, out) == {"healthy": 1.0}


def test_what_the_first_cause_had_is_not_handed_to_the_next_where_a_fact_rules_it_out():
    out, little = frozenset({"lr_too_high"}), NEXT_BEST - LITTLE
    found = without({"healthy": 0.1, "lr_too_high": 0.9 - little, "bad_data": little}, out)
    assert found == pytest.approx({"healthy": 1.0 - little, "bad_data": little})
    for first in (0.3, 0.65):
        found = without({"healthy": 0.1, "lr_too_high": first, "bad_data": 0.9 - first}, out)
        assert found["bad_data"] == pytest.approx((0.9 - first) / (1.0 - first))


def test_what_a_fact_doubts_must_be_far_likelier_to_be_named():
    doubted = frozenset({"lr_too_high"})
    assert said(("healthy", 0.7), ("lr_too_high", 0.9), doubted=doubted) == "warned"
    found = without({"healthy": 0.4, "lr_too_high": 0.6}, frozenset(), doubted)
    assert found["healthy"] == pytest.approx(0.4 / (0.4 + 0.6 / DOUBT))


def test_likeness_counts_what_lies_outside_and_what_is_missing():
    learned = load_learned()
    ordinary, missing = likeness_of(measure(curves()), learned)
    assert ordinary[0] < MAX_OUTSIDE
    assert missing[0] < MAX_MISSING
    outside, missing = likeness_of(
        np.stack([np.full(len(trait_names()), 1e30), np.full(len(trait_names()), np.nan)]), learned
    )
    assert outside.tolist() == [1.0, 0.0]
    assert missing.tolist() == [0.0, 1.0]


def judged(monkeypatch, build, cautious):
    """A case for which the curves say what is given, its findings and its diagnosis."""

    def told(traits, grades, *, recorded, learned):
        assert len(grades) == len(SIGNS)
        return SecondOpinion(learned=sure_of(*cautious), cautious=sure_of(*cautious))

    monkeypatch.setattr(cases, "second_opinion", told)
    case = build()
    findings, results = run_checks(case)
    verdict = verdict_of(case, findings, results)
    return case, findings, verdict, diagnose(case, findings, verdict)


def test_what_only_the_curves_show_is_a_warning_of_its_own(monkeypatch):
    case, findings, verdict, found = judged(monkeypatch, synthetic.case_healthy, ("schedule_mismatch", 0.9))
    assert case.ruling == "warned"
    assert verdict.status == "problem"
    assert found.cause == "schedule_mismatch"
    # What the rate rules out, a rate of zero, leaves the others a little more.
    assert found.confidence == pytest.approx(0.9, abs=0.04)
    assert [f.code for f in findings if f.severity.rank > 0] == ["GL011"]
    assert "no single sign" in findings[0].message
    assert found.decided.startswith("The curves decided for schedule mismatch (90%)")


def late_shift():
    """So near to the end that nobody knows whether it comes back: progress that is lost for long is not calmed."""
    run = synthetic.healthy()
    run["loss"][1010:] *= 1.6
    run["grad_norm"][1010:] *= 1.5
    return synthetic.make(run, threshold=5.0)


def test_a_calmed_alarm_stays_as_a_note(monkeypatch):
    case, findings, verdict, found = judged(monkeypatch, late_shift, ("healthy", 0.9))
    assert (case.by_signs.cause, case.ruling) == ("data_shift", "calmed")
    # It ends far above its lowest level, so it is not called clear either.
    assert verdict.status == "insufficient"
    assert found.cause == "undetermined"
    assert not any(f.severity.rank > 0 for f in findings)
    (note,) = [f for f in findings if f.cause == "data_shift"]
    assert "no alarm, since the curves as a whole look like those of healthy runs" in note.message
    assert "so that there is no alarm" in found.decided


def test_another_cause_is_named_with_its_sum(monkeypatch):
    case, findings, verdict, found = judged(monkeypatch, synthetic.case_rate_too_high, ("batch_size_change", 0.8))
    assert case.ruling == "named"
    assert verdict.status == "problem"
    assert found.cause == "batch_size_change"
    shift = next(s for s in found.ranking[0].shifts if "curves" in s.why)
    assert found.ranking[0].share + shift.by == pytest.approx(found.confidence)
    assert any(f.code == "GL011" and f.cause == "batch_size_change" for f in findings)
    assert any(f.cause == "lr_too_high" and f.message.startswith("less likely") for f in findings)
    assert found.opinions[0].ranking[0].cause == "lr_too_high"


# --- the sum of confidences


@pytest.mark.parametrize(
    ("given", "first", "expected"),
    [
        ({"a": 0.5, "b": 0.3, "c": 0.2}, "a", {"a": 0.5, "b": 0.3, "c": 0.2}),
        ({"a": 0.1, "b": 0.7, "c": 0.2}, "a", {"a": 0.4, "b": 0.4, "c": 0.2}),
        ({"a": 0.1, "b": 0.5, "c": 0.4}, "a", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ({"a": 0.2, "b": 0.6, "c": 0.15, "d": 0.05}, "a", {"a": 0.4, "b": 0.4, "c": 0.15, "d": 0.05}),
        ({"b": 0.6, "c": 0.4}, "a", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ({"a": 0.5, "b": 0.5}, "a", {"a": 0.5, "b": 0.5}),
        ({"a": 1.0}, "a", {"a": 1.0}),
    ],
)
def test_what_was_decided_is_first_and_the_sum_stays(given, first, expected):
    found = level_with(given, first)
    assert found == pytest.approx(expected, abs=1e-5)
    assert sum(found.values()) == pytest.approx(sum(given.values()), rel=1e-12)
    assert max(found, key=found.get) == first or given.get(first) == max(given.values())
    assert all(p < found[first] for cause, p in found.items() if cause != first and p != given[cause])


CURVES = {"healthy": 0.5, "bad_data": 0.3, "exploding": 0.2}


def told(ruling_, by_signs, *, learned=CURVES, cautious=None, **facts):
    second = SecondOpinion(learned=learned, cautious=learned if cautious is None else cautious)
    return confidences(ruling_, by_signs, second, **facts)


def test_the_confidences_are_those_of_the_curves_unless_the_signs_decide():
    signs = {"exploding": 0.9, "healthy": 0.1}
    assert told("agreed", signs) == pytest.approx(CURVES)
    # Caution made another cause the first.
    bold = {"healthy": 0.3, "bad_data": 0.4, "exploding": 0.3}
    calm = {"healthy": 0.6, "bad_data": 0.2, "exploding": 0.2}
    assert told("calmed", signs, learned=bold, cautious=calm) == pytest.approx(
        {"healthy": 0.35, "bad_data": 0.35, "exploding": 0.3}, abs=1e-5
    )
    # The signs against the curves: the mean of both.
    assert told("signs", signs) == pytest.approx({"exploding": 0.55, "healthy": 0.3, "bad_data": 0.15})
    assert told("signs", {"overfitting": 1.0}) == pytest.approx(
        {"overfitting": 0.5, "healthy": 0.25, "bad_data": 0.15, "exploding": 0.1}
    )


def test_confidences_without_what_a_fact_rules_out_or_doubts():
    out = frozenset({"bad_data"})
    # Not the first: the others share what it had.
    assert told("agreed", {}, excluded=out) == pytest.approx({"healthy": 5 / 7, "exploding": 2 / 7})
    doubted = told("agreed", {}, doubted=out)
    assert doubted == pytest.approx({"healthy": 0.5 / 0.85, "bad_data": 0.15 / 0.85, "exploding": 0.2 / 0.85})
    # The first: half as if it were healthy, half as if it had never been there.
    learned = {"bad_data": 0.6, "healthy": 0.3, "exploding": 0.1}
    found = told("agreed", {}, learned=learned, cautious={"healthy": 1.0}, excluded=out)
    assert found == pytest.approx({"healthy": (0.9 + 0.75) / 2, "exploding": (0.1 + 0.25) / 2})


@pytest.mark.parametrize(
    ("proven", "confidence", "curves_say", "stays"),
    [
        ("bad_data", 0.6, ("exploding", 0.9), False),
        ("bad_data", 0.9, ("exploding", 0.9), True),
        ("bad_data", 0.1, ("bad_data", 0.9), True),
        ("bad_data", 0.1, ("healthy", 0.9), True),
        ("bad_data", 0.1, ("unknown", 0.9), True),
        ("lr_zero", 0.1, ("exploding", 0.9), True),
        # Why a run does not learn the curves may say.
        ("not_learning", 0.9, ("exploding", 0.4), False),
        ("not_learning", 0.1, ("exploding", 0.39), True),
        ("not_learning", 0.1, ("unknown", 0.9), True),
        ("nan_sudden", 0.1, ("exploding", 0.9), True),
    ],
)
def test_a_fact_gives_way_only_to_surer_curves(proven, confidence, curves_say, stays):
    assert stands(proven, confidence, dict([curves_say])) == stays


@pytest.mark.parametrize(
    ("first", "curves_say", "expected"),
    [
        ("lr_restart", "data_shift", "signs"),
        ("lr_restart", "bad_data", "named"),
        ("clip_too_tight", "data_shift", "named"),
        ("data_shift", "adam_beta2_lag", "named"),
        ("bad_data", "adam_beta2_lag", "named"),
        ("exploding", "unknown", "signs"),
        ("vanishing", "unknown", "signs"),
        ("bad_data", "exploding", "named"),
    ],
)
def test_where_the_curves_know_no_better(first, curves_say, expected):
    assert said((first, 0.6), (curves_say, 0.99)) == expected


def test_an_alarm_of_both_is_not_calmed_by_caution():
    assert said(("exploding", 0.6), ("healthy", 0.9), learned=("healthy", 0.5)) == "calmed"
    both = SecondOpinion(learned={"exploding": 0.6, "healthy": 0.4}, cautious=sure_of("healthy", 0.9))
    known = {"proven": False, "serious": False, "excluded": frozenset()}
    assert ruling(sure_of("exploding", 0.6), both, **known) == "signs"
    assert ruling(sure_of("bad_data", 0.6), both, **known) == "calmed"


def test_what_is_left_adds_up_to_one():
    assert without({"bad_data": 0.0, "healthy": 0.0}, frozenset()) == {"healthy": 1.0}
    # Healthy itself is never ruled out.
    assert without({"healthy": 0.4, "bad_data": 0.6}, frozenset({"healthy"})) == pytest.approx(
        {"healthy": 0.4, "bad_data": 0.6}
    )
    assert without({"bad_data": 0.9, "exploding": 0.1}, frozenset({"bad_data"})) == pytest.approx(
        {"exploding": 0.1, "healthy": 0.9}
    )


def test_curves_do_not_know_a_stated_beta2():
    found = {
        grade: said(("adam_beta2_lag", 0.6), ("bad_data", 0.9), stated=stated_by({"slow_memory": grade}))
        for grade in (0.0, 0.74, 0.75)
    }
    assert found == {0.0: "named", 0.74: "named", 0.75: "signs"}
    assert said(("bad_data", 0.6), ("adam_beta2_lag", 0.9), stated=stated_by({"slow_memory": 1.0})) == "named"
    assert stated_by({}) == frozenset()
