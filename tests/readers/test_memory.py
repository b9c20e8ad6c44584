"""Reading takes no more memory than three times the columns and 50 MB, however long the log is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import gradlens

def high_water():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

before = high_water()
(run,) = gradlens.read(sys.argv[1])
print(8 * sum(len(s) for s in run.series.values()) + 8 * len(run.loss), high_water() - before)
"""


def megatron(handle):
    """30 MB, most of it noise before, between and after the records."""
    noise = "".join(f"[rank{n % 8}]: W0501 12:00 a warning that nobody reads, number {n}\n" for n in range(20_000))
    handle.write("clip_grad ....................... 0.5\n" + noise * 2)
    for step in range(1, 40_001):
        handle.write(
            f" [2024-05-01 12:00:01] iteration {step:8d}/   40000 | consumed samples: {step * 1024:12d}"
            f" | learning rate: 1.0E-04 | lm loss: {2 + 1 / step:.6E} | loss scale: 1.0 | grad norm: 1.{step % 1000:03d} |\n"
        )
        if step % 5000 == 0:
            handle.write(noise)
    handle.write(noise * 8)


def trainer(handle):
    """Records between progress bars that overwrite themselves, without a single line feed: 24 MB."""
    for step in range(1, 200_001):
        handle.write(
            f"\r {step // 2000}%|██████████          | {step}/200000 [01:00<02:00, 3.33it/s]                               "
        )
        if step % 10 == 0:
            handle.write(f"{{'loss': {1 + 1 / step}, 'grad_norm': 1.5, 'learning_rate': 1e-05, 'epoch': 0.5}}")


def state(handle):
    history = [{"loss": 2 + 1 / n, "grad_norm": 1.5, "learning_rate": 1e-5, "step": n} for n in range(1, 200_001)]
    json.dump({"best_metric": None, "log_history": history, "global_step": 200_000}, handle, indent=2)


def records(handle):
    json.dump(
        [{"step": n, "loss": 2 + 1 / n, "grad_norm": 1.5, "lr": 1e-5} for n in range(1, 200_001)], handle, indent=2
    )


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the high-water mark is read from /proc")
@pytest.mark.parametrize(
    ("write", "name"),
    [(megatron, "m.log"), (trainer, "t.log"), (state, "trainer_state.json"), (records, "log.json")],
    ids=["megatron", "trainer", "state", "records"],
)
def test_bounded(write, name, tmp_path):
    path = tmp_path / name
    with path.open("w") as handle:
        write(handle)
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True)
    columns, peak = map(int, done.stdout.split())
    assert peak <= 3 * columns + 50e6
