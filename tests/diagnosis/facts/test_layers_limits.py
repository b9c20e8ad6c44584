"""What norms of single layers say, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import layers
from gradlens.run import Series
from tests.diagnosis.facts.shown import lines
from tests.synthetic import healthy, make

ROWS = 200


def layered(*, every=1, dead=None, rows=ROWS, **named):
    """A run of ten steps a row with some layers, itself not finite from some row on."""
    run = healthy(rows)
    if dead is not None:
        run["loss"][dead:] = run["grad_norm"][dead:] = np.nan
    columns = {f"grad_norm/{name}": np.asarray(value, dtype=float) for name, value in named.items()}
    return make(run, step=every * np.arange(rows), layers=columns, threshold=None)


def layer(end=None, begin=None, top=8.0, rows=ROWS):
    """A norm of one that grows from some row on to its end, and is not finite from there on."""
    value = np.ones(rows)
    if begin is not None:
        value[begin:end] = np.geomspace(1.5, top, len(value[begin:end]))
    if end is not None:
        value[end:] = np.nan
    return value


# --- the layer that is not finite first


def test_what_is_said_of_the_first():
    case = layered(every=10, a=layer(150), b=layer(140, 120), c=layer(160), d=layer(170))
    (fact,) = layers.find(case)
    assert lines((fact,)) == ["GL512 | error | exploding 0.85 | nonfinite from 1400 | 1200 1400 | grad_norm/b | 8"]
    assert (
        "grad_norm/b is the first layer that is not finite, at step 1,400, after it had grown since step 1,200 to 8 times its "
        "level; the others follow at step 1,500" in fact.message
    )
    assert fact.advice.startswith("look at b: ")
    assert fact.advice.endswith("step 1,200")
    (fact,) = layers.find(layered(every=10, a=layer(150), b=layer(140), c=layer(160)))
    assert lines((fact,)) == ["GL512 | error | unknown? | nonfinite from 1400 | 1400 | grad_norm/b | None"]
    assert fact.advice.endswith("step 1,400")


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ({"a": layer(140), "b": layer(150)}, True),
        ({"a": layer(140), "b": layer(140)}, True),  # two may lead
        ({"a": layer(140), "b": layer()}, True),  # half of the layers
        ({"a": layer(140), "b": layer(), "c": layer()}, False),
        ({"a": layer(140), "b": layer(140), "c": layer(140)}, False),
        ({**{f"x{k}": layer(140) for k in range(3)}, **{f"y{k}": layer(150) for k in range(6)}}, True),  # a third
        ({**{f"x{k}": layer(140) for k in range(3)}, **{f"y{k}": layer(150) for k in range(5)}}, False),
        ({"a": layer(140)}, False),  # one layer is no layers
        ({"a": np.where(np.arange(ROWS) == 100, np.nan, 1.0), "b": np.where(np.arange(ROWS) == 90, np.inf, 1.0)}, False),
    ],
)  # fmt: skip
def test_which_layer_goes_first(named, found):
    assert [f.outcome for f in layers.find(layered(**named))] == (["nonfinite"] if found else [])


# --- the layer that grows first


def test_what_is_said_of_the_one_that_grows_first():
    case = layered(every=10, dead=160, a=layer(160, 150), b=layer(160, 120, 20.0), c=layer(160, 140), d=layer(160))
    (fact,) = layers.find(case)
    assert lines((fact,)) == ["GL512 | error | exploding 0.85 | nonfinite from 1600 | 1200 1600 | grad_norm/b | 20"]
    assert "grad_norm/b grows first, from step 1,200 on, to 20 times its level by step 1,600" in fact.message
    assert "the other layers follow from step 1,400 on" in fact.message
    assert fact.advice.endswith("around step 1,200")


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (140, 145, True),
        (140, 144, False),
        (100, 109, True),
        (100, 108, False),
    ],  # five rows, and 15 % of the time to the end
)
def test_a_lead_that_counts(first, second, found):
    case = layered(every=10, dead=160, a=layer(160, first), b=layer(160, second), c=layer(160), d=layer(160))
    assert bool(layers.find(case)) == found


def test_one_that_grows_alone_leads_nobody():
    assert layers.find(layered(dead=160, a=layer(160, 100), b=layer(160), c=layer(160), d=layer(160))) == ()
    assert layers.find(layered(a=layer(160, 100), b=layer(160, 120), c=layer(160), d=layer(160))) == ()


# --- growth


def grows(value, end=10_000):
    value = np.asarray(value, dtype=float)
    return layers.grows_since(Series(name="a", step=10 * np.arange(len(value)), value=value), end)


def test_since_when_a_layer_grows():
    assert grows(layer(begin=190, rows=200)) == (1900, pytest.approx(8.0))
    assert grows(layer(begin=190, top=5.01)) is not None
    assert grows(layer(begin=190, top=4.99)) is None
    assert grows(layer(begin=195, rows=200)[:199], end=1950) is None  # what comes after its end does not count


@pytest.mark.parametrize(("rows", "found"), [(40, True), (39, False)])
def test_a_level_needs_forty_rows(rows, found):
    assert bool(grows(layer(begin=rows - 5, rows=rows))) == found


def level(*, before=1.0, noise=0.0):
    """A layer that grows in its last ten rows, and how large it is in the forty before."""
    value = layer(begin=190) * np.exp(noise * np.resize([1.0, 0.0, -1.0], ROWS))
    value[150:190], value[190:] = before, np.geomspace(2.0, 8.0, 10)
    return value


def test_zeros_and_missing_rows_are_left_out():
    row, value = np.arange(ROWS), layer(begin=190)
    half = np.where(row < 100, np.where(row % 2, np.nan, 0.0), value)
    assert grows(half) == (1900, pytest.approx(8.0))
    assert grows(np.where((row >= 100) & (row < 165), 0.0, half)) is None


@pytest.mark.parametrize(
    ("value", "since"),
    [
        # A fifth of its logarithm or three deviations of it, whichever is more.
        (level(before=1.21), 1900),
        (level(before=1.23), 1500),
        (level(before=1.5, noise=0.1), 1900),
        (level(before=1.6, noise=0.1), 1500),
        (np.where(np.arange(ROWS) < 198, 1.0, 9.0), 1980),
    ],
)
def test_growth_begins_beyond_the_noise(value, since):
    assert grows(value)[0] == since


def test_the_last_five_rows_tell_how_far_it_came():
    assert grows(np.append(layer(begin=190)[:-5], np.full(5, 4.9))) is None
    assert grows(np.append(layer(begin=190)[:-5], [6.0, 1.0, 1.0, 1.0, 1.0])) == (1990, pytest.approx(6.0))


# --- from layer to layer


def course(*norms, names=None):
    names = names or [f"layers.{k}.weight" for k in range(len(norms))]
    return layered(rows=60, **{name: np.full(60, norm) for name, norm in zip(names, norms, strict=True)})


def test_what_is_said_of_a_course():
    (fact,) = layers.find(course(1e-2, 1e-1, 1.0, 10.0, 100.0))
    assert lines((fact,)) == ["GL512 | note | unknown? | - | - | 4 of 2 in 5 | 10"]
    assert (
        "from the last layer back to the first the norms shrink by 4.0 powers of ten, 10 times from layer to layer"
        in fact.message
    )
    assert "(grad_norm/layers.4.weight 100, grad_norm/layers.0.weight 0.01)" in fact.message
    (fact,) = layers.find(course(*[1000.0 * 0.2**k for k in range(6)]))
    assert lines((fact,)) == ["GL512 | note | unknown? | - | - | -3.495 of 2 in 6 | 5"]
    assert "grow by 3.5 powers of ten, 5 times" in fact.message
    (fact,) = layers.find(course(0, 0, 0, 0, 0, 0.25))
    assert lines((fact,)) == ["GL512 | error | vanishing 0.9 | - | - | 5 in 6"]
    assert "(5 zeros, grad_norm/layers.5.weight has 0.25)" in fact.message


@pytest.mark.parametrize(
    ("norms", "names", "found"),
    [
        ((1, 10, 100, 1000, 10_000), None, True),
        ((1, 10, 100, 1000, 10_000), [f"layers.{k}.bias" for k in range(5)], False),
        ((1, 10, 100, 1000, 10_000), list("abcde"), False),
        ((1, 10, 100, 1000, 10_000), ["l0.w", "l1.w", "l1.v", "l2.w", "l3.w"], False),  # four layers
        ((1, 10, 100, 1000, 10_000, 0), None, True),
        ((1, np.nan, 10, 100, 1000, 10_000), None, True),
        ((10_000, 1000, 100, 10, 1), ["l9.w", "l10.w", "l11.w", "l12.w", "l13.w"], True),
        ((0, 0, 0, 0, 1), None, True),
        ((0, 0, 0, 1), None, False),
        ((0, 0, 0, 0, 1, 1), None, True),
        ((0, 0, 0, 0, 1, 1, 1), None, False),
        ((0, 0, 0, 0, 0), None, False),
    ],
)
def test_which_layers_make_a_course(norms, names, found):
    assert bool(layers.find(course(*norms, names=names))) == found


def test_the_first_rows_tell_the_course():
    def begins(rows, n=60):
        value = {f"l{k}": np.where(np.arange(n) < rows, 10.0**k, 1.0) for k in range(5)}
        return layered(rows=n, **value)

    assert len(layers.find(begins(6))) == 1  # most of the first ten rows
    assert layers.find(begins(4)) == ()
    assert len(layers.find(begins(16, 300))) == 1  # most of the first tenth
    assert layers.find(begins(14, 300)) == ()


def test_a_head_without_a_number_is_the_last_layer():
    zeros = {f"body.{k}": np.zeros(ROWS) for k in range(5)}
    (fact,) = layers.find(layered(**zeros, head=np.ones(ROWS)))
    assert fact.cause == "vanishing"
    assert "all but the last of 6 layers (5 zeros, grad_norm/head has 1)" in fact.message


@pytest.mark.parametrize(("zeros", "found"), [(10, True), (4, False)])
def test_of_a_short_log_ten_rows_are_the_first_norms(zeros, found):
    late = np.append(np.zeros(zeros), np.ones(60 - zeros))
    named = {f"layer{at}": late for at in range(4)} | {"layer4": np.ones(60)}
    assert (layers._all_but_the_last(layered(rows=60, **named)) is not None) == found
