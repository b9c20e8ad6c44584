"""Pairs of small programs: what became of them is measured on their task."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from benchmarks.programs import PAIRS, Judged, Program, judged, page, state_of, train  # noqa: E402


def test_the_program_without_a_fault_learns_and_logs_each_step():
    trained = train(Program(epochs=4), 0)
    assert trained.learned > 0.9
    assert trained.log["step"] == [float(step) for step in range(1, 4 * (900 // 48) + 1)]
    assert trained.log["loss"][-1] < trained.log["loss"][0]
    assert set(trained.log) == {"step", "loss", "grad_norm", "lr"}


@pytest.mark.parametrize(("every", "rows"), [(0, 2), (4, 9)])
def test_rows_are_means_of_epochs_or_of_some_steps(every, rows):
    assert len(train(Program(epochs=2, every=every), 0).log["loss"]) == rows


@pytest.mark.parametrize("fault", [{"update": "other network"}, {"update": "zeroed"}, {"rate": 0.0}])
def test_a_fault_that_lets_nothing_be_learned(fault):
    assert train(Program(epochs=2, classes=10, **fault), 0).learned < 0.3


@pytest.mark.parametrize(
    ("learned", "loss", "state"),
    [
        (0.9, 0.1, "fine"),
        (0.5, 0.4, "harmed"),
        (0.1, 2.0, "stuck"),
        (-1.0, 2.0, "not finite"),
        (0.9, float("nan"), "not finite"),
    ],
)
def test_what_became_of_a_training(learned, loss, state):
    assert state_of(learned, 0.95, {"loss": [2.0, loss]}) == state


def test_a_pair_is_judged_with_its_fault_and_without():
    with_fault, without = judged([pair for pair in PAIRS if pair[0] == "one input is NaN"])
    assert (with_fault.state, with_fault.found, with_fault.named) == ("not finite", True, True)
    assert (without.faulty, without.state, without.found) == (False, "fine", False)


def test_the_page_counts_what_was_found():
    text = page([
        Judged("a", True, "stuck", "problem", "unknown", True), Judged("b", True, "stuck", "clear", "healthy", False),
        Judged("a", False, "fine", "clear", "healthy", False),
    ])  # fmt: skip
    assert "| learned nothing, or are not finite | 2 | 1 (50%) | 1 |" in text
    assert "| fine | 1 | 0 (0%) | – |" in text
