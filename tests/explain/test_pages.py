"""`gradlens explain`: a page for every check, cause, sign and method, in prose, with the figures that are applied."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from gradlens.checks import engine
from gradlens.diagnosis.signs import PARTS, SIGNS
from gradlens.diagnosis.weighing import load_weights
from gradlens.errors import UsageError
from gradlens.explain import METHODS, catalogue, page
from gradlens.explain.causes import CAUSES
from gradlens.explain.pages import names
from gradlens.explain.signs import parts_of
from gradlens.reports.base import Cause


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize(("kind", "name"), list(names()))
def test_every_name_leads_to_a_page_in_prose(kind, name):
    text = page(name)
    assert text.lower().startswith((f"{kind} ", "part of signs", "check", "lesson"))
    # A lesson of the same name comes first, and the method after it.
    assert kind != "method" or f"method {name}" in text.lower()
    assert name.lower() in text.partition("\n")[0].lower()
    assert not re.search(r"^\s*[-=]{3,}\s*$", text, flags=re.MULTILINE)
    assert "`" not in text
    assert "{" not in text
    assert not re.search(r"^(Parameters|Returns|Raises)$", text, flags=re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80 or "http" in text
    assert len(text) > 120


def test_every_cause_is_described():
    assert set(CAUSES) == set(get_args(Cause))


@pytest.mark.parametrize("cause", [cause for cause, signs in load_weights().signs.items() if signs])
def test_the_page_of_a_cause_has_its_bias_and_all_weights(cause):
    text = flat(page(cause))
    weights = load_weights()
    assert f"{weights.bias[cause]:+.2f}" in text
    for sign, weight in weights.signs[cause].items():
        if weight:
            assert f"{weight:+.2f} {sign} " in text
    for check in engine.load_checks():
        assert (check.cause == cause) == (f"{check.code} {check.name}" in text)


def test_the_page_of_a_cause_says_how_sure_it_can_be():
    assert "5 % of the confidence" in flat(page("lr_too_high"))
    assert "At most 45 %" in flat(page("lr_too_high"))
    assert "At most 79 %" in flat(page("bad_data"))
    assert "43 % without a loss" in flat(page("healthy"))


@pytest.mark.parametrize("name", SIGNS)
def test_the_page_of_a_sign_has_its_sentence_its_limits_and_its_causes(name):
    text = flat(page(name))
    assert flat(SIGNS[name].text) in text
    for limit in SIGNS[name].words.values():
        if isinstance(limit, str) or not isinstance(limit, float | int):
            assert str(limit) in text
    for cause, signs in load_weights().signs.items():
        if signs.get(name):
            assert f"{signs[name]:+.2f} {cause} " in text


def test_a_sign_says_what_it_is_made_of_and_what_is_made_of_it():
    assert [part.name for part in parts_of(SIGNS["stalls_at_high_rate"])] == [
        "fast_at_small_rate", "falls_with_rate", "start_is_seen",
    ]  # fmt: skip
    assert "stalls_at_high_rate" in page("fast_at_small_rate")
    assert all(any(part in parts_of(sign) for sign in {**SIGNS, **PARTS}.values()) for part in PARTS.values())


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("GL304", "Check GL304"), ("gl304", "Check GL304"), ("data-shift", "Check GL304"), ("data_shift", "Cause data_shift"),
        ("DATA_SHIFT", "Cause data_shift"), ("lr too high", "Cause lr_too_high"), ("lr-too-high", "Cause lr_too_high"),
        ("norm-quiet", "Sign norm_quiet"), ("clip_rate", "Method clip-rate"), ("tail.xi", "Method pareto-tail"),
        ("threshold_out_of_reach", "Sign threshold_out_of_reach"), ("threshold-out-of-reach", "Check GL102"),
    ],
)  # fmt: skip
def test_which_page_a_word_leads_to(word, title):
    assert page(word).startswith(title)


def test_a_word_of_several_things_names_the_others():
    assert "The cause data_shift" in page("data-shift")


@pytest.mark.parametrize(
    ("word", "near"),
    [("rebound", "rebounds (sign)"), ("lr_to_high", "lr_too_high (cause)"), ("clip-rat", "clip-rate (method)"),
     ("GL30", "GL30"), ("bad-batc", "bad-batch (check)"), ("xyzzy", "lists them all")],
)  # fmt: skip
def test_an_unknown_word_gets_a_suggestion(word, near):
    with pytest.raises(UsageError) as error:
        page(word)
    assert near in error.value.hint


def test_the_catalogue_lists_all_four_kinds():
    text = catalogue()
    for heading in ("Checks", "Causes", "Signs", "Methods behind the figures"):
        assert f"\n{heading}\n" in f"\n{text}"
    listed = flat(text)
    for name in (*(c.code for c in engine.load_checks()), *CAUSES, *SIGNS, *METHODS):
        assert f" {name} " in listed
    assert max(map(len, text.splitlines())) <= 80
