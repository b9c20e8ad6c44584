"""Frozen dataclasses that are cheap to define behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from gradlens.frozen import frozen


@frozen
class Point:
    """A class with a default and a factory."""

    x: float
    y: float = 2.0
    tags: tuple[str, ...] = dataclasses.field(default_factory=tuple)


@frozen(eq=False)
class Thing:
    """One that is equal only to itself."""

    name: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """The same as `Point` by the standard library."""

    x: float
    y: float = 2.0
    tags: tuple[str, ...] = dataclasses.field(default_factory=tuple)


def test_fields_are_given_by_name():
    with pytest.raises(TypeError):
        Point(1.0)
    with pytest.raises(TypeError):
        Point()
    assert Point(x=1.0).y == 2.0


def test_nothing_is_assigned_added_or_deleted():
    point = Point(x=1.0)
    for name in ("x", "y", "tags"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(point, name, 3)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(point, name)
    with pytest.raises(AttributeError):
        point.z = 1  # it has slots
    assert point == Point(x=1.0)


def test_a_field_that_is_left_out_of_the_hash_may_hold_what_has_none():
    @frozen
    class Told:
        message: str
        values: dict[str, float] = dataclasses.field(default_factory=dict, hash=False)

    one, same, other = (Told(message="a", values={"n": n}) for n in (1.0, 1.0, 2.0))
    assert hash(one) == hash(same) == hash(other)
    assert list(dict.fromkeys([one, same, other])) == [one, other]


def test_equality_and_hash_are_those_of_the_fields():
    assert Point(x=1.0) == Point(x=1.0)
    assert Point(x=1.0) != Point(x=2.0)
    assert Point(x=1.0) != Usual(x=1.0)
    assert len({Point(x=1.0), Point(x=1.0), Point(x=2.0)}) == 2
    assert Thing(name="a") != Thing(name="a")
    assert len({Thing(name="a"), Thing(name="a")}) == 2


def test_shown_as_the_standard_library_shows_it():
    assert repr(Point(x=1.0, tags=("a",))) == repr(Usual(x=1.0, tags=("a",))).replace("Usual", "Point")


def test_the_tools_of_dataclasses_copies_and_pickles_work():
    point = Point(x=1.0, tags=("a",))
    assert dataclasses.is_dataclass(Point)
    assert [f.name for f in dataclasses.fields(point)] == ["x", "y", "tags"]
    assert dataclasses.asdict(point) == {"x": 1.0, "y": 2.0, "tags": ("a",)}
    assert dataclasses.replace(point, x=5.0) == Point(x=5.0, tags=("a",))
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point
