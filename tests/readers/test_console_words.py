"""What a console log says in words: how it ended."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens

TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 211, in <module>
    main()
{error}
"""


def lines(first=1, n=250):
    g = np.random.default_rng(2)
    loss = 1.0 + 2.0 * np.exp(-np.arange(first, first + n) / 60) + 0.01 * g.standard_normal(n)
    return "".join(f"step {first + i} | loss {x:.4f} | grad_norm 0.{60 + i % 7}\n" for i, x in enumerate(loss))


def judged(tmp_path, text):
    (tmp_path / "train.log").write_text(text)
    return gradlens.analyze(tmp_path / "train.log").runs[0]


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "AssertionError",
    ],
)
def test_a_run_that_ends_in_an_exception_is_no_clear_one(tmp_path, error):
    run = judged(tmp_path, lines() + TRACEBACK.format(error=error))
    assert run.verdict.status == "problem"
    assert run.diagnosis.cause == "unknown"
    told = next(f for f in run.findings if f.code == "GL407")
    assert error in told.message
    assert ("smaller batch" in told.advice) == ("memory" in error and "illegal" not in error)


def test_each_rank_may_say_it(tmp_path):
    text = TRACEBACK.format(error="RuntimeError: NCCL error: unhandled system error")
    run = judged(tmp_path, lines() + "".join(f"[rank3]: {line}\n" for line in text.splitlines()))
    assert "NCCL error" in next(f for f in run.findings if f.code == "GL407").message


@pytest.mark.parametrize(
    "text",
    [
        TRACEBACK.format(error="KeyboardInterrupt"),
        TRACEBACK.format(error="ConnectionError: no route to host") + lines(first=251, n=50),
    ],
    ids=["stopped from the keyboard", "the run went on"],
)
def test_what_did_not_end_the_run_is_not_told(tmp_path, text):
    run = judged(tmp_path, lines() + text)
    assert run.verdict.status == "clear"
    assert not [f for f in run.findings if f.code == "GL407"]


@pytest.mark.parametrize(
    "said",
    [
        "Loss is nan, stopping training",
        "Loss is inf, stopping training",
        "Loss is tensor(nan, device='cuda:0'), stopping training",
        "Batch 37: Invalid loss, terminating training",
        "ERROR:tensorflow:Model diverged with loss = NaN.",
        "Monitored metric train_loss = nan is not finite. Previous best value was 1.2. Signaling Trainer to stop.",
    ],
)
def test_trainers_give_up_in_their_own_words(tmp_path, said):
    run = judged(tmp_path, lines() + said + "\n")
    assert run.verdict.status == "problem"
    assert said in next(f for f in run.findings if f.code == "GL407").message


@pytest.mark.parametrize(
    "said",
    [
        "RuntimeError: CUDA error: device-side assert triggered",
        "[rank3]: torch.distributed.DistBackendError: NCCL communicator was aborted",
        "RuntimeError: Function 'MulBackward0' returned nan values in its 0th output.",
    ],
)
def test_the_last_line_of_a_traceback_tells_alone(tmp_path, said):
    run = judged(tmp_path, lines() + said + "\n")
    assert run.verdict.status == "problem"
    assert said.split(": ", 1)[-1][:20] in next(f for f in run.findings if f.code == "GL407").message


@pytest.mark.parametrize("said", ["TestError: 0.031", "Test Error: high", "Error: retrying"])
def test_an_error_that_was_measured_ends_nothing(tmp_path, said):
    assert not [f for f in judged(tmp_path, lines() + said + "\n").findings if f.code == "GL407"]
