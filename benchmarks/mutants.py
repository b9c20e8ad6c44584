"""Mutation testing: `python -m benchmarks.mutants gradlens/gating/judge.py --tests tests/gating/test_judge.py [--sample N]`.

One comparison, constant, operator or condition of a module is changed at a time, and the tests are run on it. A mutant that no
test fails on is printed with its line: either a test is missing or the change means nothing. Each mutant runs in a fork of a
process that has loaded the packages already. Takes about as long as the tests, times the mutants.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import io
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
TIMEOUT_S = 120


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, description and source of each mutant."""
    tree = ast.parse(source)
    for number, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node):
            mutant = copy.deepcopy(tree)
            same = next(n for i, n in enumerate(ast.walk(mutant)) if i == number)
            change(same)
            yield getattr(node, "lineno", 0), what, ast.unparse(ast.fix_missing_locations(mutant))


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if new := SWAPS.get(type(op)):
                yield f"{type(op).__name__} -> {new.__name__}", lambda n, p=place, o=new: n.ops.__setitem__(p, o())
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and (new := SWAPS.get(type(node.op))):
        yield f"{type(node.op).__name__} -> {new.__name__}", lambda n, o=new: setattr(n, "op", o())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", _without_not
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield f"{node.value} -> {node.value * 2 + 1}", lambda n: setattr(n, "value", n.value * 2 + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", lambda n: setattr(n, "value", not n.value)
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "condition always true", lambda n: setattr(n, "test", ast.Constant(value=True))
        yield "condition never true", lambda n: setattr(n, "test", ast.Constant(value=False))


def _without_not(node: ast.UnaryOp) -> None:
    """`not x` becomes `+bool(x)`."""
    node.op = ast.UAdd()
    node.operand = ast.Call(func=ast.Name(id="bool", ctx=ast.Load()), args=[node.operand], keywords=[])


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:  # noqa: ARG002
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))

    def exec_module(self, module: Any) -> None:
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)  # noqa: S102 -- our own source, changed


def survives(module: str, path: Path, source: str, tests: list[str]) -> bool:
    """Whether the tests pass on a mutant."""
    child = os.fork()
    if child == 0:
        signal.alarm(TIMEOUT_S)
        sys.meta_path.insert(0, _Loader(module, path, source))
        import pytest

        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", *tests])
        os._exit(0 if code == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--tests", nargs="+", required=True)
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random, instead of all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    import numpy as np
    import pytest

    del np, pytest
    total = killed = 0
    for path in given.modules:
        name = ".".join(path.with_suffix("").parts)
        every = list(mutants(path.read_text(encoding="utf-8")))
        chosen = (
            every if given.sample is None else random.Random(given.seed).sample(every, min(given.sample, len(every)))
        )
        for line, what, source in sorted(chosen):
            total += 1
            if survives(name, path, source, given.tests):
                print(f"{path}:{line}: survived: {what}", flush=True)
            else:
                killed += 1
    print(f"{killed} of {total} mutants killed ({killed / max(total, 1):.0%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
