"""Logs are untrusted: nothing in the package can run what one holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gradlens

FILES = sorted(Path(gradlens.__file__).parent.rglob("*.py"))
#: What runs code or loads objects from data; the recorder sends webhooks and runs commands that its caller names.
CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
METHODS = {
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("os", "system"),
    ("os", "popen"),
    ("numpy", "fromregex"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_call_that_runs_data(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {a.name.split(".")[0] for a in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in MODULES
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in CALLS
            elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                assert (node.func.value.id, node.func.attr) not in METHODS
            assert not any(k.arg in {"shell", "allow_pickle"} and not _is_false(k.value) for k in node.keywords)


def _is_false(node):
    return isinstance(node, ast.Constant) and node.value is False
