"""The limits of a sign are data beside it, and what is printed is built from them."""

from __future__ import annotations

import ast
import inspect
import string

import pytest

from gradlens.diagnosis.signs import MODULES, PARTS, SIGNS, Ramp, base
from gradlens.diagnosis.signs.base import log_share, percent, share, times
from gradlens.diagnosis.weighing import load_weights

ALL = {**SIGNS, **PARTS}


def named_in(template):
    return {field for _, field, _, _ in string.Formatter().parse(template) if field}


def test_ramp():
    rising, falling = Ramp(1.0, 2.0), Ramp(2.0, 1.0)
    assert (rising(0.0), rising(1.5), rising(9.0)) == (0.0, 0.5, 1.0)
    assert (falling(0.0), falling(9.0)) == (1.0, 0.0)
    assert rising(None) == rising(float("nan")) == 0.0


@pytest.mark.parametrize(
    ("ramp", "words"),
    [
        (Ramp(5.7, 8.6), "5.7 to 8.6"),
        (share(0.75, 0.4), "75 to 40 %"),
        (share(0.02, 0.004), "2 to 0.4 %"),
        (times(150.0, 1000.0), "150 to 1,000"),
        (Ramp(0.3, 0.6, "ln"), "1.35 to 1.82"),
        (Ramp(3.0, 4.0, "log10"), "1,000 to 10,000"),
        (log_share(0.05, 0.015), "5 to 1.5 %"),
    ],
)
def test_limits_in_words(ramp, words):
    assert str(ramp) == words


def test_a_share_in_words():
    assert percent(0.35) == "35 %"


@pytest.mark.parametrize("name", ALL)
def test_every_limit_is_told(name):
    """A limit that neither the sentence nor the docstring names would be known to the code alone."""
    grade = ALL[name].grade
    told = named_in(inspect.getdoc(grade)) | named_in(templates()[name])
    assert set(grade.__kwdefaults__ or {}) <= told
    assert told <= set(ALL[name].words)
    assert "{" not in ALL[name].text + ALL[name].explanation


@pytest.mark.parametrize("name", ALL)
def test_a_sentence_reads_alone(name):
    """No sign refers to another one that may not be printed, or not before it."""
    text = f" {ALL[name].text} "
    assert not [word for word in (" these ", " those rows", " such ", " this ", " that row") if word in text]
    assert not ALL[name].text.endswith(".")
    assert len(ALL[name].text) <= 110


def templates():
    """The sentence of every sign as it stands in the code."""
    found = {}
    for module in (*MODULES, base):
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef):
                calls = [d for d in node.decorator_list if isinstance(d, ast.Call)]
                if calls:
                    found[node.name] = ast.literal_eval(calls[0].args[0])
    return found


def test_no_ramp_is_hidden_in_a_grade():
    """Ramps stand among the keyword defaults, where their sentence finds them."""
    for module in MODULES:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef):
                inside = {
                    call.func.id
                    for statement in node.body
                    for call in ast.walk(statement)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                }
                assert not inside & {"Ramp", "share", "times", "log_share"}, f"{module.__name__}.{node.name}"


def test_only_what_has_a_weight_is_a_sign():
    weighed = {sign for table in load_weights().signs.values() for sign in table}
    assert set(SIGNS) == weighed
    assert not set(PARTS) & weighed
