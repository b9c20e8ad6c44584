"""A short run of the fuzzer, and what its long runs found."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.__main__ import run_part
from benchmarks.fuzz.judging import judge
from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.samples import samples
from gradlens.readers import READERS


def test_every_format_has_a_sample():
    assert {sample.format for sample in samples()} == set(READERS)


def test_a_case_can_be_made_again():
    sample = samples()[0]
    assert mutated(sample, samples(), random.Random("0:7")) == mutated(sample, samples(), random.Random("0:7"))


def test_some_hundred_cases():
    outcomes, failures = run_part(1, 0, 210, None)
    assert not failures, next(iter(failures.values()))
    assert min(outcomes["read"], outcomes["refused"]) > 20


@pytest.mark.slow
def test_some_thousand_cases():
    _, failures = run_part(2, 0, 3000, None)
    assert not failures, next(iter(failures.values()))


numbers = st.one_of(
    st.floats(width=64), st.floats(width=32), st.integers(), st.sampled_from([5e-324, 1e308, -1e308, 2**53 + 1, 2**63, -0.0]),
    st.none(), st.booleans(), st.text(max_size=12), st.lists(st.floats(), max_size=3),
)  # fmt: skip
names = st.one_of(
    st.sampled_from(["step", "loss", "grad_norm", "lr", "loss_scale", "epoch", "train/loss", "eval_loss", "skipped"]),
    st.text(max_size=10),
)
records = st.lists(
    st.one_of(st.dictionaries(names, numbers, max_size=6), numbers, st.lists(numbers, max_size=3)), max_size=60
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=records)
def test_records_of_any_structure(rows, write_jsonl):
    judge(write_jsonl(rows), number=0)


@pytest.mark.parametrize(
    "curve",
    [
        lambda i: 1e308 if i % 2 else -1e308, lambda _: 1e308, lambda i: 1e308 * (i % 2), lambda i: 10.0 ** min(i, 308),
        lambda i: 5e-324 * (i % 3), lambda i: 3.4e38 * (1 - 2 * (i % 2)), lambda i: 2.0 ** (i - 150), lambda _: 0.0,
        lambda _: math.nan, lambda i: math.inf if i % 5 else 1.0, lambda i: math.nan if i > 1 else 1.0, lambda i: 2**53 + i,
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [0, 3 * 3, 3 * 1])
def test_numbers_at_the_edge(write_jsonl, curve, number):
    rows = [{"step": i, "loss": curve(i), "grad_norm": abs(curve(i + 1)), "lr": 1e-3} for i in range(300)]
    assert judge(write_jsonl(rows), number=number) == "read"


def test_a_loss_scale_of_infinities_has_no_differences(write_jsonl):
    rows = [{"step": i, "loss": 2.0, "grad_norm": 1.0 + i % 3, "loss_scale": math.inf} for i in range(60)]
    assert judge(write_jsonl(rows), number=9) == "read"
