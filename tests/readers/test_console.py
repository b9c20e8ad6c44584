"""The table of line grammars, each against lines of its trainer."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.readers.console.general import GUESS
from gradlens.readers.console.grammars import GRAMMARS
from gradlens.readers.console.text import clean, number_of
from tests.readers.console_examples_more import ALL as EXAMPLES

CASES = [(name, place, example) for name, examples in EXAMPLES.items() for place, example in enumerate(examples)]


def test_every_grammar_has_an_example():
    assert {g.name for g in GRAMMARS} | {GUESS.name} == set(EXAMPLES)


@pytest.mark.parametrize(("name", "place", "example"), CASES, ids=[f"{name}-{place}" for name, place, _ in CASES])
def test_example(name, place, example, tmp_path):
    path = tmp_path / "train.log"
    path.write_text(example.text)
    (run,) = gradlens.read(path, input_format="console")
    for role in ("loss", "grad_norm", "lr", "loss_scale"):
        want, got = getattr(example, role), getattr(run, role)
        if want is not None:
            assert got is not None, f"{role}: no series among {list(run.series)}"
            np.testing.assert_allclose(got.value, want, err_msg=role)
        elif role in {"loss", "grad_norm"}:
            assert got is None
    main = run.loss if example.loss is not None else run.grad_norm
    assert main.step.tolist() == example.step
    if example.grad_norm is not None:
        assert run.grad_norm.step.tolist() == (example.norm_step or example.step)
    for field, value in example.config.items():
        assert getattr(run.config, field) == value, field
    assert example.notices <= {n.code for n in run.notices}


@pytest.mark.parametrize(("name", "place", "example"), CASES, ids=[f"{name}-{place}" for name, place, _ in CASES])
def test_example_is_detected(name, place, example, tmp_path):
    path = tmp_path / "output"
    path.write_bytes(example.text.replace("\n", "\r\n").encode() if "\r" not in example.text else example.text.encode())
    (run,) = gradlens.read(path)
    assert run.format == "console"
    assert len(run.loss if example.loss is not None else run.grad_norm) == len(example.step)


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("1.5", 1.5), ("1.5,", 1.5), ("160.86GiB(90.19%)", 160.86), ("1,125", 1125.0), ("np.float64(0.72)", 0.72),
        ("[9.6e-06", 9.6e-6), ("'2.5'", 2.5), ("4.7329(4.7)", 4.7329), ("tensor(0.5,", 0.5), ("43%", 43.0), ("-inf", -np.inf),
        ("infxxx,", np.inf), ("[-inf000", -np.inf), ("1.#INF", np.inf), ("1,234.5e2", 123450.0),
    ],
)  # fmt: skip
def test_numbers_with_something_around_them(token, value):
    assert number_of(token) == value


@pytest.mark.parametrize("token", ["abc", "", "1.2.3", "7.8723¦7.8704", "0:00:03", "12-3", "1_000", "nanms", "-"])
def test_what_is_no_number(token):
    assert number_of(token) is None


def test_two_colours_glued_are_two_numbers():
    text = clean("step: 1  loss: \x1b[31m7.8723\x1b[m\x1b[32m7.8704\x1b[m")
    assert number_of(text.split()[-1]) is None


def test_several_starts_are_several_runs(tmp_path):
    line = "[2024-01-01 swin] (main.py 186): INFO Train: [{e}/3][0/4]\tlr 0.1\tloss {loss} (0.9)\tgrad_norm 1.5 (1.5)\n"
    start = "CLIP_GRAD: {clip}\n[2024-01-01 swin] (main.py 99): INFO Start training\n"
    text = start.format(clip=5.0) + line.format(e=0, loss=0.5) + line.format(e=1, loss=0.25)
    text += start.format(clip=5.0) + start.format(clip=1.0) + line.format(e=2, loss=0.125)
    path = tmp_path / "log_rank0.txt"
    path.write_text(text)
    first, second = gradlens.read(path)
    assert first.id.endswith("start 1 of 3")
    assert second.id.endswith("start 3 of 3")
    assert first.loss.step.tolist() == [0, 4]
    assert second.loss.value.tolist() == [0.125]
    assert (first.config.max_grad_norm, second.config.max_grad_norm) == (5.0, 1.0)
    assert any(n.code == "several-starts" and n.count == 3 for n in first.notices)


def test_noise_before_the_first_record_is_passed_over(tmp_path):
    path = tmp_path / "slurm.out"
    path.write_text("launcher: noise\n" * 20_000 + EXAMPLES["megatron"][0].text)
    (run,) = gradlens.read(path)
    assert run.loss.step.tolist() == [20, 30]


@pytest.mark.parametrize(
    "text", ["x" * 300_000, "step " * 40_000, "{'a" * 30_000, "| " * 50_000, "iteration 1/2 |" * 4_000, "9" * 100_000]
)
def test_long_lines_take_no_quadratic_time(text, tmp_path):
    import time

    path = tmp_path / "long.log"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(gradlens.GradlensError):
        gradlens.read(path)
    assert time.process_time() - start < 10
