"""A short run of the fuzzer, and what its long runs found."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.batches import case, run_batches, run_cases
from benchmarks.fuzz.judging import judge
from benchmarks.fuzz.samples import samples
from gradlens.readers import READERS

ROOT = Path(__file__).parent.parent.parent


def test_every_format_has_a_sample():
    assert {sample.format for sample in samples()} == set(READERS)


def test_a_case_can_be_made_again():
    assert case(0, 7) == case(0, 7)
    assert case(0, 7).data != case(1, 7).data


def test_some_hundred_cases():
    outcomes, failures = run_cases(1, range(210))
    assert not failures, next(iter(failures.values()))
    assert min(outcomes["read"], outcomes["refused"]) > 20


@pytest.mark.slow
def test_some_thousand_cases():
    done = Counter()
    for _, (outcomes, failures) in run_batches(2, range(3000)):
        assert not failures, next(iter(failures.values()))
        done += outcomes
    assert done.total() == 3000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("means", "by"), [("os.abort()", "SIGABRT"), ("while True: pass", "SIGXCPU"), ("bytes(8 << 30)", "MemoryError")]
)
def test_a_case_that_ends_the_process_is_found_and_the_others_go_on(means, by):
    code = (
        "import os, signal\nfrom benchmarks.fuzz import batches, judging\n"
        "batches.PART = 10\nbatches._MORE_SECONDS = 2\nreal = batches.judge\n"
        "def judge(path, number, input_format=None):\n"
        "    if batches.case(0, 14).turn == number:\n"
        f"        {means}\n"
        "    return real(path, number=number, input_format=input_format)\n"
        "batches.judge = judge\n"
        "for count, found in batches.run_batches(0, range(30)):\n"
        "    print(count, found.outcomes['failed'], *found.failures.values())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert sum(int(line.split()[0]) for line in done.stdout.splitlines() if line[:1].isdigit()) == 30
    assert "case 14 (" in done.stdout
    assert by in done.stdout


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
