"""The picture of one run for each cause: the curves of its log, with the steps of the findings shaded.

    python -m benchmarks.site.pictures [CAUSE ...] [--out docs/causes]

Writes CAUSE.svg into the folder. Runs are sample logs, runs of the archive, or are trained here (`benchmarks.site.training`).
Takes about half a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gradlens
from benchmarks.diagnosis.examples import Labelled, load
from benchmarks.site.svg import Panel, picture
from benchmarks.site.training import RECIPES, train
from gradlens.reporters.wording import TITLES, capital
from gradlens.reports.analysis import RunReport
from gradlens.run import Run, Series

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "causes"
SAMPLES = ROOT / "sample_logs"

#: Causes of which sample_logs/ has a run: its file and threshold, and what was done to it.
SAMPLED: Mapping[str, tuple[str, float, str]] = {
    "lr_too_high": ("lr_too_high.jsonl", 4.0, "a convolutional network at ten times the rate that suits it"),
    "bad_data": ("bad_data.jsonl", 1.0, "a GRU that was fed six batches of garbage"),
    "fp16_overflow": ("fp16_overflow.jsonl", 4.0, "a convolutional network with a loss scaler that grows too eagerly"),
    "postclip_logged": ("postclip.jsonl", 0.3, "a GRU whose norm was logged after clipping"),
    "clip_too_tight": ("clip_too_tight.jsonl", 0.05, "a convolutional network with a threshold far below every norm"),
}
#: Causes of which the archive has a run: the part of the archive, the run, and what was done to it.
ARCHIVED: Mapping[str, tuple[str, str, str]] = {
    "no_warmup": ("fresh", "ssm-s35-no_warmup-hotter-direct", "a state-space model whose rate begins at its peak, which is too high"),
    "loss_scale_collapse": ("develop", "density-s3-loss_scale_collapse-half-burst38", "batches that overflow for a while"),
    "clip_too_loose": ("develop", "convbn-s0-clip_too_loose-plain-m100-shuffle-few6", "a threshold 100 times too large, bad batches"),
    "exploding": ("develop", "grureg-s1-exploding-sgd-cell_relu-g1.9", "a recurrent cell with ReLU whose weights start too large"),
    "vanishing": ("develop", "copy-s0-vanishing-plain-sigmoid-d12", "twelve layers of sigmoids"),
    "l2_contamination": ("develop", "resmlp-s2-l2_contamination-slow-wd0.8", "a weight penalty of 0.8 inside the loss"),
    "adam_beta2_lag": ("develop", "density-s0-adam_beta2_lag-plain-0.99-lr1-target_x500-early10", "a batch of targets times 500"),
    "lr_restart": ("develop", "convbn-s1-lr_restart-momentum-at70-x3", "the rate jumps to three times its value at 70 % of the run"),
    "data_shift": ("develop", "contrast-s2-data_shift-sgd-shift-at60", "the data change at 60 % of the run"),
    "batch_size_change": ("develop", "copy-s1-batch_size_change-slowly-to2-at70", "batches of two examples from 70 % of the run on"),
    "resume_artifact": ("develop", "copy-s1-resume_artifact-slowly-70to62", "the run is resumed at 70 % from a checkpoint of 62 %"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A run that stands for a cause: the threshold it was clipped at, what was done to it, where it comes from."""

    run: Run
    threshold: float | None
    done: str
    source: str

    def report(self) -> RunReport:
        """What gradlens says of it."""
        return gradlens.analyze(self.run, threshold=self.threshold).runs[0]


@cache
def _archived(part: str) -> Mapping[str, Labelled]:
    wanted = {run for of, run, _ in ARCHIVED.values() if of == part}
    return {str(one.label["run"]): one for one in load(part) if one.label["run"] in wanted}


def shown(cause: str) -> Shown:
    """The run that stands for a cause."""
    if cause in SAMPLED:
        name, threshold, done = SAMPLED[cause]
        (run,) = gradlens.read(SAMPLES / name)
        return Shown(run=run, threshold=threshold, done=done, source=f"`sample_logs/{name}`")
    if cause in ARCHIVED:
        part, name, done = ARCHIVED[cause]
        found = _archived(part)[name]
        return Shown(run=found.run, threshold=found.label["clip"], done=done, source=f"run `{name}` of the archive")
    done, recipe = RECIPES[cause]
    (run,) = gradlens.read(list(train(recipe)))
    return Shown(run=run, threshold=recipe.threshold, done=done, source="trained by `benchmarks/site/training.py`")


CAUSES = (*SAMPLED, *ARCHIVED, *RECIPES)


def panels(one: Shown) -> list[Panel]:
    """Loss and norm, and the rate and the loss scale where they change."""
    run = one.run
    losses = [(name, s.step, s.value) for name, s in (("loss", run.loss), ("validation loss", run.val_loss)) if s]
    found = [Panel(title="loss", curves=losses)] if losses else []
    if run.grad_norm:
        level = (f"C = {one.threshold:g}", one.threshold) if one.threshold else None
        found.append(
            Panel(title="norm", curves=[("gradient norm", run.grad_norm.step, run.grad_norm.value)], level=level)
        )
    for name, series in (("learning rate", run.lr), ("loss scale", run.loss_scale)):
        if series is not None and _changes(series):
            found.append(
                Panel(title=name, curves=[(name, series.step, series.value)], low=True, linear=name == "learning rate")
            )
    return found


def _changes(series: Series) -> bool:
    return bool(series.value.max() > series.value.min())


def svg(cause: str) -> str:
    """The picture of a cause."""
    one = shown(cause)
    title = f"{capital(TITLES[cause])}: {one.done}"  # type: ignore[index]
    marks = [step for finding in one.report().findings if finding.severity.rank > 0 for step in finding.steps]
    return picture(title, caption(one), panels(one), marks)


def caption(one: Shown) -> str:
    """What was done to the run, where it comes from, and what gradlens says of it."""
    found = one.report()
    told = TITLES[found.diagnosis.cause]
    return f"{one.done[:1].upper()}{one.done[1:]} ({one.source}). gradlens says: {told}. {found.verdict.headline}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("causes", nargs="*", metavar="CAUSE", default=CAUSES)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    arguments.out.mkdir(exist_ok=True)
    for cause in arguments.causes:
        target = arguments.out / f"{cause}.svg"
        target.write_text(svg(cause), encoding="utf-8")
        print(f"{target}: {target.stat().st_size / 1024:.0f} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
