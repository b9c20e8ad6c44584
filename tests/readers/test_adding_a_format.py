"""The guide to adding a format is tried out as it stands."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import gradlens
from gradlens.readers import detect
from gradlens.readers.console import grammars
from gradlens.readers.console.reader import ConsoleReader
from gradlens.registry import Entry

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "adding-a-format.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def _clean_tables():
    detect.table.cache_clear()
    detect.load.cache_clear()
    yield
    detect.table.cache_clear()
    detect.load.cache_clear()


def test_the_grammar(tmp_path, monkeypatch):
    printed = next(text for kind, text in BLOCKS if kind == "text")
    entry = next(text for kind, text in BLOCKS if kind == "python" and text.startswith("Grammar("))
    grammar = eval(entry, {"Grammar": grammars.Grammar, "Line": grammars.Line})
    path = tmp_path / "train.log"
    path.write_text(printed)
    monkeypatch.setattr(ConsoleReader, "grammars", (*grammars.GRAMMARS, grammar))
    (run,) = gradlens.read(path)
    assert run.loss.step.tolist() == [100, 200]
    assert run.loss.value.tolist() == [2.75, 2.5]
    np.testing.assert_array_equal(run.grad_norm.value, [1.25, np.nan])
    assert run.lr.value.tolist() == [3e-4, 3e-4]


@pytest.mark.usefixtures("_clean_tables")
def test_the_reader(tmp_path, monkeypatch):
    source = next(text for kind, text in BLOCKS if "class TraceReader" in text)
    line = next(text for kind, text in BLOCKS if text.startswith('"trace"'))
    module = types.ModuleType("gradlens.readers.trace")
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, "gradlens.readers.trace", module)
    added = eval("{" + line + "}", {"Entry": Entry})
    monkeypatch.setattr("gradlens.readers.detect.READERS", {**detect.READERS, **added})
    path = tmp_path / "run.trace"
    path.write_text("%trace step,loss,grad_norm\n1,2.5,1.5;2,nan,inf;3,2.0;4,1.75,1.25")
    (run,) = gradlens.read(path)
    assert run.format == "trace"
    assert run.loss.step.tolist() == [1, 2, 4]
    assert {n.code: n.count for n in run.notices}["malformed-record"] == 1
