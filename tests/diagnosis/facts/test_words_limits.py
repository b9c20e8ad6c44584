"""What the log says in words, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import words
from gradlens.run import Notice
from tests.diagnosis.facts.shown import lines
from tests.synthetic import healthy, make


def noticed(*notices, rows=300, every=1):
    return make(healthy(rows), step=every * np.arange(rows), notices=notices, threshold=5.0)


def scale(highest, last, count=9):
    return Notice(
        code="loss-scale-lines", message="the loss scale", count=count, values={"highest": highest, "last": last}
    )


def overflows(count):
    return Notice(code="overflow-lines", message="overflow", count=count)


FATAL, CRASH = (
    Notice(code="fatal-line", message="it gave up"),
    Notice(code="crash-line", message="OutOfMemoryError: CUDA"),
)
LOW = Notice(code="fatal-line", message="Minimum loss scale reached")


@pytest.mark.parametrize(
    ("notices", "line", "said"),
    [
        ((scale(65536.0, 2.0),), "GL402 | warning | loss_scale_collapse 0.95 | - | - | 2 of 16 | 15 of 8",
         "it falls from 65536 to 2 in 9 lines"),
        ((scale(65536.0, 0.5, 1), overflows(3)), "GL402 | error | loss_scale_collapse 0.95 | - | - | 0.5 of 16 | 17 of 8",
         "in 1 line, with 3 overflows"),
        ((scale(65536.0, 2.0), FATAL), "GL402 | error | loss_scale_collapse 0.95 | - | - | 2 of 16 | 15 of 8",
         "in 9 lines; it gave up"),
        ((scale(4.0, 2.0), LOW), "GL402 | error | loss_scale_collapse 0.95 | - | - | 2 of 16 | 1 of 8", "Minimum loss scale"),
        ((scale(4.0, 0.0),), "GL402 | error | loss_scale_collapse 0.95 | - | - | 0 of 16 | inf of 8", "to 0"),
        ((scale(0.0, 4.0),), "GL402 | warning | loss_scale_collapse 0.95 | - | - | 4 of 16 | inf of 8", "from 0"),
        ((FATAL,), "GL407 | error | unknown? | - | -", "it gave up"),
        ((LOW, overflows(1)), "GL402 | error | loss_scale_collapse 0.9 | - | -", "reached (1 overflow before it)"),
        ((scale(4.0, 2.0), FATAL), "GL407 | error | unknown? | - | -", "it gave up"),
        ((scale(4.0, 2.0), overflows(30)), "GL401 | warning | fp16_overflow 0.7 | - | - | 0.1 of 0.05",
         "30 lines of the log report an overflow, one in 10 steps"),
        ((CRASH, overflows(30)), "GL407 | error | unknown? | - | -", "OutOfMemoryError"),
    ],
)  # fmt: skip
def test_what_is_said(notices, line, said):
    (fact,) = words.find(noticed(*notices))
    assert lines((fact,)) == [line]
    assert said in fact.message


@pytest.mark.parametrize(
    ("message", "memory"),
    [("CUDA out of memory.", True), ("torch.OutOfMemoryError", True), ("KeyError: 'loss'", False)],
)
def test_memory_that_is_used_up_needs_another_advice(message, memory):
    (fact,) = words.find(noticed(Notice(code="crash-line", message=message)))
    assert ("smaller batch" in fact.advice) == memory


@pytest.mark.parametrize(
    ("count", "rows", "every", "found"),
    [(10, 200, 1, True), (9, 100, 1, False), (10, 201, 1, False), (100, 200, 10, True), (99, 200, 10, False)],
)
def test_overflows_in_one_step_of_twenty(count, rows, every, found):
    assert bool(words.find(noticed(overflows(count), rows=rows, every=every))) == found


def test_an_empty_log_has_steps_enough():
    case = make({"loss": np.empty(0), "grad_norm": np.empty(0)}, notices=[overflows(12)])
    assert lines(words.find(case)) == ["GL401 | warning | fp16_overflow 0.7 | - | - | 12 of 0.05"]


def test_nothing_is_said_of_a_silent_log():
    assert words.find(noticed()) == ()
    assert words.find(noticed(scale(4.0, 2.0))) == ()
