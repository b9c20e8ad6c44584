"""Mutants of a module: one comparison, constant, operator or condition changed at a time, put into the loaded module in place."""

from __future__ import annotations

import ast
import gc
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """A change of a module: the indices of its node and of the change among those of the module's tree and of the node."""

    path: Path
    line: int
    what: str
    node: int
    change: int

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.path.as_posix()}:{self.line}"

    @property
    def module(self) -> str:
        """The name that the module is imported by."""
        return ".".join(part for part in self.path.with_suffix("").parts if part != "__init__")

    @property
    def at_load(self) -> bool:
        """Whether its line runs when the module loads, and in no function."""
        functions = [n for n in ast.walk(self._plain()) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return not any(f.body[0].lineno <= self.line <= (f.end_lineno or 0) for f in functions)

    def _plain(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def tree(self) -> ast.Module:
        """The module with the change."""
        tree = self._plain()
        node = next(n for i, n in enumerate(ast.walk(tree)) if i == self.node)
        list(_changes(node))[self.change][1](node)
        return ast.fix_missing_locations(tree)


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a module, in the order of its text; what only type checkers read is left alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(n) for node in ast.walk(tree) for part in _for_types(node) for n in ast.walk(part)}
    found = [
        Mutant(path, getattr(node, "lineno", 0), what, number, place)
        for number, node in enumerate(ast.walk(tree))
        if id(node) not in left_out
        for place, (what, _) in enumerate(_changes(node))
    ]
    return sorted(found, key=lambda m: (m.line, m.node, m.change))


def _for_types(node: ast.AST) -> list[ast.AST]:
    """What is only read by type checkers, and decorators: that a class is frozen changes no result."""
    if isinstance(node, ast.If) and _is_for_types(node):
        return [node]
    parts = [getattr(node, "annotation", None), getattr(node, "returns", None), *getattr(node, "decorator_list", ())]
    return [part for part in parts if isinstance(part, ast.AST)]


def _is_for_types(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if new := SWAPS.get(type(op)):
                yield f"{type(op).__name__} -> {new.__name__}", partial(_compare, place=place, op=new())
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and (new := SWAPS.get(type(node.op))):
        yield f"{type(node.op).__name__} -> {new.__name__}", partial(_set, name="op", value=new())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", _without_not
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        other = not node.value if isinstance(node.value, bool) else node.value * 2 + 1
        yield f"{node.value} -> {other}", partial(_set, name="value", value=other)
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "condition always true", partial(_set, name="test", value=ast.Constant(value=True))
        yield "condition never true", partial(_set, name="test", value=ast.Constant(value=False))


def _set(node: Any, *, name: str, value: object) -> None:
    setattr(node, name, value)


def _compare(node: Any, *, place: int, op: ast.AST) -> None:
    node.ops[place] = op


def _without_not(node: Any) -> None:
    """`not x` becomes `+bool(x)`."""
    node.op = ast.UAdd()
    node.operand = ast.Call(func=ast.Name(id="bool", ctx=ast.Load()), args=[node.operand], keywords=[])


def put_in_place(mutant: Mutant, functions: dict[str, list[types.FunctionType]]) -> bool:
    """Exchange the code of the functions that the change is in; False where it is in none, but runs when the module loads.

    Whoever has imported a function by name has the same object, so its code is changed for all. `functions` are those of
    each module that live in this process.
    """
    path = sys.modules[mutant.module].__file__ or ""
    codes = {
        (c.co_qualname, c.co_firstlineno): c for c in _codes(compile(mutant.tree(), path, "exec", dont_inherit=True))
    }
    exchanged = False
    for function in functions.get(mutant.module, ()):
        old = function.__code__
        new = codes.get((old.co_qualname, old.co_firstlineno))
        if new is not None and _differ(old, new) and new.co_freevars == old.co_freevars:
            function.__code__ = new
            exchanged = True
    return exchanged


def live_functions() -> dict[str, list[types.FunctionType]]:
    """All functions of this process by their modules, those behind caches and properties included."""
    found: dict[str, list[types.FunctionType]] = {}
    for thing in gc.get_objects():
        # Not isinstance, which asks the object: some in PyTorch warn when they are asked.
        if type(thing) is types.FunctionType:
            found.setdefault(thing.__module__, []).append(thing)
    return found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _differ(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two codes do something else; where their parts stand in the text does not count."""
    if one.co_code != other.co_code or one.co_names != other.co_names or len(one.co_consts) != len(other.co_consts):
        return True
    return any(
        _differ(a, b)
        if isinstance(a, types.CodeType) and isinstance(b, types.CodeType)
        else (type(a), a) != (type(b), b)
        for a, b in zip(one.co_consts, other.co_consts, strict=True)
    )
