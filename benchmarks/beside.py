"""One training with four bad batches, looked at by gradlens, trainspotter, trainscope and Trackio.

    python -m benchmarks.beside FOLDER [--given] [--steps 800]

Trains a small network in PyTorch once, and gives each of the tools that is installed what it asks for: a log (gradlens,
trainspotter), a line in the loop (trainscope, Trackio). Writes what the command of each prints to FOLDER/TOOL.txt; pages of
a browser are to be looked at by a person. `docs/comparison.md` says what was seen. With `--given`, trainspotter judges the
labelled runs that came with the project, too: any warning or error counts. Takes about a minute, or three.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gradlens

STEPS, BAD = 800, (310, 420, 555, 690)


def train(folder: Path, steps: int) -> None:
    """The run: a log as JSON lines, and the recordings of the tools that sit in the loop."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    centres = torch.randn(4, 12)
    model = torch.nn.Sequential(
        torch.nn.Linear(12, 48), torch.nn.Tanh(), torch.nn.Linear(48, 48), torch.nn.Tanh(), torch.nn.Linear(48, 4)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 40) * (1 - step / steps))
    scope, board = attached(folder, model, optimizer), tracked()
    with (folder / "run.jsonl").open("w", encoding="utf-8") as log:
        for step in range(steps):
            labels = torch.randint(0, 4, (32,))
            x = centres[labels] * 0.7 + torch.randn(32, 12)
            if step in BAD:
                x, labels = x * 25, labels[torch.randperm(32)]
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            row = {"step": step, "loss": loss.item(), "grad_norm": norm.item(), "lr": schedule.get_last_lr()[0]}
            log.write(json.dumps(row) + "\n")
            if scope is not None:
                scope.step(row["loss"], batch_index=step)
            if board is not None:
                board.log({name: value for name, value in row.items() if name != "step"}, step=step)
            optimizer.step()
            schedule.step()
    if scope is not None:
        scope.detach()
    if board is not None:
        board.finish()


def attached(folder: Path, model: Any, optimizer: Any) -> Any:
    """A recording of trainscope, with its defaults; None where it is not installed."""
    with contextlib.suppress(ImportError):
        from trainscope import TrainScope
        from trainscope.core.config import TrainScopeConfig

        os.chdir(folder)
        return TrainScope(model, optimizer, config=TrainScopeConfig()).attach()
    return None


def tracked() -> Any:
    """A run of Trackio, on this machine; None where it is not installed."""
    with contextlib.suppress(ImportError):
        import trackio

        trackio.init(project="beside", name="run")
        return trackio
    return None


def printed(folder: Path, tool: str, module: str, *words: str) -> None:
    """What a command prints, with the version of its tool."""
    try:
        version = importlib.metadata.version(tool)
    except importlib.metadata.PackageNotFoundError:
        print(f"{tool}: not installed")
        return
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    target = folder / f"{tool}.txt"
    target.write_text(f"{tool} {version}: {' '.join(words)}\n\n{done.stdout}{done.stderr}", encoding="utf-8")
    print(f"{target}: exit {done.returncode}, {len(done.stdout.splitlines())} lines")


def given(folder: Path) -> None:
    """How many healthy and faulty runs trainspotter and gradlens as shipped warn of, among those that came with the project."""
    from benchmarks.diagnosis.examples import load

    counts = {(program, healthy): [0, 0] for program in ("trainspotter", "gradlens") for healthy in (True, False)}
    log = folder / "given.jsonl"
    for one in load("given"):
        accepted = one.accepted
        if not accepted:
            continue
        series = one.run.series
        rows: dict[int, dict[str, float]] = {}
        for name, values in series.items():
            for step, value in zip(values.step.tolist(), values.value.tolist(), strict=True):
                rows.setdefault(step, {"step": step})[name] = value
        log.write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")
        words = [sys.executable, "-m", "trainspotter.cli", "analyze", str(log), "--output", "json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if not done.stdout.strip():
            raise RuntimeError(f"trainspotter: {done.stderr.strip().splitlines()[-1:]}")
        warned = any(finding["severity"].lower() != "info" for finding in json.loads(done.stdout)["findings"])
        report = gradlens.analyze(one.run, threshold=one.label["clip"]).runs[0]
        alarmed = any(finding.severity.rank for finding in report.findings)
        for program, told in (("trainspotter", warned), ("gradlens", alarmed)):
            count = counts[program, "healthy" in accepted]
            count[0] += told
            count[1] += 1
    for (program, healthy), (many, total) in counts.items():
        print(f"{program}: warns of {many} of {total} {'healthy' if healthy else 'faulty'} runs ({many / total:.0%})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--given", action="store_true")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.given:
        given(folder)
    train(folder, arguments.steps)
    printed(folder, "gradlens", "gradlens", "analyze", "run.jsonl", "--threshold", "none")
    printed(folder, "trainspotter", "trainspotter.cli", "analyze", "run.jsonl")
    recordings = sorted((folder / "trainscope_runs").glob("*/"))
    if recordings:
        printed(folder, "trainscope", "trainscope", "report", "--run", str(recordings[-1].relative_to(folder)))
    printed(folder, "trackio", "trackio.cli", "list", "metrics", "--project", "beside", "--run", "run")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
