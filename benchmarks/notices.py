"""Every notice that the program can give, with its words, found in the source: the table of `docs/notices.md`."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "gradlens"
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
#: What stands for a part of a message that the log decides.
PART = "…"


def notices() -> dict[str, list[str]]:
    """The messages of each code, in order of the codes."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _assigned(tree.body)
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.Module):
                names = {**constants, **_assigned(ast.walk(scope))}
                for call in _calls(scope):
                    for code, messages in _notice(call, names):
                        found[code] |= messages
    return {code: sorted(found[code]) for code in sorted(found)}


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    """The calls in a function, not in those within it."""
    todo = list(ast.iter_child_nodes(scope))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        todo += ast.iter_child_nodes(node)


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """What names are set to by these statements."""
    names: dict[str, list[ast.expr]] = defaultdict(list)
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names[target.id].append(node.value)
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for part, value in zip(target.elts, node.value.elts, strict=False):
                        if isinstance(part, ast.Name):
                            names[part.id].append(value)
    return names


def _notice(call: ast.Call, names: dict[str, list[ast.expr]]) -> Iterator[tuple[str, set[str]]]:
    """Codes and messages of `book.add(code, message, ...)` and of `Notice(code=..., message=...)`."""
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    is_add = isinstance(call.func, ast.Attribute) and call.func.attr == "add" and len(call.args) >= 2
    is_made = isinstance(call.func, ast.Name) and call.func.id == "Notice"
    if is_add:
        code, message = call.args[0], call.args[1]
    elif is_made and "code" in arguments and "message" in arguments:
        code, message = arguments["code"], arguments["message"]
    else:
        return
    for text in _texts(code, names):
        if CODE.fullmatch(text):
            yield text, {" ".join(words.split()) for words in _texts(message, names)}


def _texts(node: ast.expr, names: dict[str, list[ast.expr]], depth: int = 0) -> list[str]:
    """The texts that an expression can be; parts that only the log knows are an ellipsis."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else PART for part in node.values]
        return ["".join(parts)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body, names, depth) + _texts(node.orelse, names, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in _texts(node.left, names, depth) for b in _texts(node.right, names, depth)]
    if isinstance(node, ast.Name) and node.id in names and depth < 4:
        return [text for value in names[node.id] for text in _texts(value, names, depth + 1)]
    return [PART]
