"""Patience."""

from __future__ import annotations

from gradlens.watching.standing import Standing


def test_told_once_after_looks_on_end():
    standing = Standing(2)
    assert standing.saw({"a"}) == set()
    assert standing.saw({"a", "b"}) == {"a"}
    assert standing.saw({"a"}) == set()
    assert standing.saw({"b"}) == set()
    assert standing.saw({"b"}) == {"b"}


def test_what_needs_no_patience_is_told_once_as_well():
    standing = Standing(3)
    assert standing.tell({"a"}) == {"a"}
    assert standing.tell({"a"}) == set()
    assert all(not standing.saw({"a"}) for _ in range(5))
