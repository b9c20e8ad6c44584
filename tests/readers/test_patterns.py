"""No pattern that is put to the text of a log takes time that grows with the square of a line."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import time

import pytest

import gradlens.readers
import gradlens.reading
from gradlens.readers.console.fields import RecordKind, pattern_of
from gradlens.readers.console.grammars import GRAMMARS
from tests.readers.console_examples_more import ALL as EXAMPLES

#: A line of so many characters takes a pattern a millisecond or two; where each letter is tried with all the others, a second.
LENGTH, SECONDS = 20_000, 0.25
PIECES = (
    "\n", " ", "\t", " \n", "9", "1.", "1 ", "1,", "1.5e", "a", "a ", "a.", "a/", "a_", "a-", "A", "-", "[", "]", "(", ")", "()", "a(", "{", "}",
    "|", "| ", "|a", "=", "a=", "a=1 ", "a: 1 ", ", ", ":", "::", "'", "''", '"', '"a":', "/", "%", "1%|", "<", ">", ".", "..", "_", "#", "# ",
    "--a", "\\", "\\\\", "I ", "INFO ", "[1]", "[1", "1/2 ", "1/2 [", "12:00:00 ", "2024-01-01 ", "step 1 ", "loss: ", "loss 1 ", "Epoch 1 ",
    "\na", "\n1", "\n ", "\n- a", "\na: ", "\na:\n", "\n|", "\n[", "{'loss': ", "'a': ", "optimizer=dict(", "nan ", "1,000", "\x1b[", "é", "0" * 9 + " ",
)  # fmt: skip


def modules():
    for package in (gradlens.readers, gradlens.reading):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)
    for name in ("vocabulary", "config", "sources.files"):
        yield importlib.import_module(f"gradlens.{name}")


def patterns_of_modules():
    found = {}
    for module in modules():
        for name, value in vars(module).items():
            for pattern in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(pattern, re.Pattern):
                    searched = not is_only_matched(name, inspect.getsource(module))
                    found.setdefault(pattern, (f"{module.__name__.rpartition('.')[2]}.{name}", searched))
    return [pytest.param(pattern, searched, id=name) for pattern, (name, searched) in found.items()]


def is_only_matched(name, source):
    """Whether a pattern is only asked about one place of a text, and never looked for in it."""
    uses = re.findall(rf"(?<!\w){name}\b(?!(?::.*)? = )(\.\w+)?", source)
    return bool(uses) and set(uses) <= {".match", ".fullmatch"}


def patterns_of(grammar):
    """The patterns of a grammar that meet a whole log, and those that meet one line of it."""
    in_text = [RecordKind(line).pattern for line in grammar.lines]
    in_text += [pattern_of(text) for text in (grammar.new_run, grammar.restart) if text]
    return in_text, [pattern_of(line.block) for line in grammar.lines if line.block]


def beginnings(text):
    """Beginnings of the lines of an example, each of which may begin a record that does not go on."""
    for line in dict.fromkeys(text.split("\n")[-8:]):
        ends = [m.end() for m in re.finditer(r"[\w.]+|[^\w.]+", line)]
        yield from (line[:end] for end in ends[:40])


def slow_on(pattern, pieces, *, searched=True):
    """The pieces of which many in a row take a pattern long."""
    is_bytes = isinstance(pattern.pattern, bytes)
    for piece in pieces:
        text = piece * (LENGTH // len(piece))
        data = text.encode() if is_bytes else text
        began = time.process_time()
        for _ in pattern.finditer(data) if searched else (pattern.match(data), pattern.fullmatch(data)):
            pass
        if time.process_time() - began > SECONDS:
            yield piece


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "searched"), patterns_of_modules())
def test_patterns_of_readers(pattern, searched):
    assert not list(slow_on(pattern, PIECES, searched=searched))


@pytest.mark.slow
@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_patterns_of_grammars(grammar):
    own = {begin for example in EXAMPLES[grammar.name] for begin in beginnings(example.text)} - {""}
    in_text, in_line = patterns_of(grammar)
    for pattern in in_text:
        assert not list(slow_on(pattern, (*PIECES, *sorted(own))))
    for pattern in in_line:
        assert not list(slow_on(pattern, (piece for piece in (*PIECES, *sorted(own)) if "\n" not in piece)))


def test_a_pattern_that_takes_the_square_is_found():
    assert list(slow_on(re.compile(r"^\s*x", re.MULTILINE), ["a", "\n"])) == ["\n"]
