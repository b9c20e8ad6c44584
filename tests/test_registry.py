"""Plug-ins of other packages are found, and looking for them is cheap."""

from __future__ import annotations

import sys

import pytest

from gradlens import registry
from gradlens.registry import Entry, with_plugins


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    info = tmp_path / "foo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gradlens.readers]\nfoo = foo_plugin:ENTRY\n")
    (tmp_path / "foo_plugin.py").write_text(
        "from gradlens.registry import Entry\nENTRY = Entry(target='foo_plugin:Foo', title='foo logs')\nclass Foo: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry._any_plugins.cache_clear()
    yield
    registry._any_plugins.cache_clear()
    sys.modules.pop("foo_plugin", None)


def test_a_plugin_is_found_and_built_in_names_win(plugin):
    own = {"foo": Entry(target="a:b", title="ours"), "bar": Entry(target="a:c", title="ours")}
    assert with_plugins("gradlens.readers", {})["foo"].title == "foo logs"
    assert with_plugins("gradlens.readers", {})["foo"].load().__name__ == "Foo"
    assert with_plugins("gradlens.readers", own)["foo"].title == "ours"
    assert with_plugins("gradlens.checks", {}) == {}
