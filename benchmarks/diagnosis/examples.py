"""The labelled runs of the repository, as cases and as examples to learn from."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import gradlens
from benchmarks.diagnosis.fit import Example
from benchmarks.runs.archive import FOLDER, SPLITS, archived
from benchmarks.runs.recording import EXTRA
from gradlens.config import TrainingConfig, training_config
from gradlens.diagnosis.case import Case, build_case
from gradlens.run import Columns, Run, Series
from gradlens.signals.axis import signals_of

GIVEN = Path(__file__).parent / "given.npz"
SOURCES = {"given": GIVEN} | {split: FOLDER / f"{split}.npz" for split in SPLITS}
#: What signs were made from while looking at it, and what was made last, to be scored by weights that never saw it.
LOOKED_AT, LAST = ("given", "develop", "test", "fresh", "blind"), "unseen"
#: Schedules that jump up by plan. A response to such a jump is what the given runs call `lr_restart`, and no log tells a plan
#: from an accident: healthy runs of them are not scored, and of others `lr_restart` counts as right.
PLANNED_JUMPS = frozenset({"warm_restarts", "doubled_restarts"})
#: Columns that have the name of their role.
ROLES = ("loss", "grad_norm", "lr", "loss_scale", "val_loss")
#: Families that are one architecture under two names are left out together.
TOGETHER = {"gru": "gru and lstm", "lstm": "gru and lstm"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Labelled:
    """One labelled run."""

    run: Run
    label: Mapping[str, Any]

    @property
    def family(self) -> str:
        """What is left out together."""
        return TOGETHER.get(self.label["family"], self.label["family"])

    @property
    def accepted(self) -> frozenset[str] | None:
        """The causes that count as right; None for runs that are not scored."""
        is_planned = self.label["schedule"] in PLANNED_JUMPS
        if self.label["expected"] == "healthy":
            return None if is_planned else frozenset({"healthy"})
        if self.label["manifested"]:
            planned = ("lr_restart",) if is_planned else ()
            return frozenset({self.label["expected"], *self.label.get("also_acceptable", ()), *planned})
        return None

    def case(self, *, with_config: bool = False) -> Case:
        """The case as the analyzer would build it, with the threshold given as an option."""
        config = known_config(self.label) if with_config else TrainingConfig()
        return build_case(
            self.run, signals_of(self.run), config=config, threshold=self.label["clip"], threshold_source="option"
        )

    def example(self, case: Case | None = None, *, with_config: bool = False) -> Example:
        """The graded signs (of a case already built, where given) with the accepted causes."""
        return Example(
            run=self.label["run"],
            family=self.family,
            signs=(case or self.case(with_config=with_config)).signs,
            accepted=self.accepted or frozenset(),
        )


def known_config(label: Mapping[str, Any]) -> TrainingConfig:
    """What a user knows of the training before it starts."""
    return training_config(
        {
            "optimizer": label["opt"], "learning_rate": label["lr"], "betas": [0.9, label["beta2"]],
            "weight_decay": label["l2"], "decoupled_weight_decay": False, "warmup_steps": label["warmup"],
            "lr_schedule": label["schedule"], "max_grad_norm": label["clip"], "batch_size": label["batch"],
            "precision": label["precision"], "log_interval": label["log_every"],
        }
    )  # fmt: skip


#: Extra columns of the archive that say something about the cause itself, or that only faulty runs have.
TELLING = frozenset({"bad_batch", "loss_after"})


def load(source: str, *, extra: bool = False, only: Container[str] | None = None) -> Iterator[Labelled]:
    """The labelled runs of one source (`given` or a part of `benchmarks.runs`), all or those named.

    `extra` adds columns that ordinary logs lack.
    """
    for label, rows in archived(SOURCES[source], only):
        yield Labelled(run=run_of(str(label["run"]), rows, extra=extra), label=label)


def run_of(name: str, rows: list[dict[str, Any]], *, extra: bool = False) -> Run:
    """A run from rows as training wrote them, without the columns that ordinary logs lack unless they are asked for."""
    left_out = TELLING if extra else frozenset(EXTRA)
    names = dict.fromkeys(key for row in rows for key in row if key != "step" and key not in left_out)
    series = {key: _series(key, rows) for key in names}
    return Run(
        id=name,
        source=name,
        format="archive",
        series=series,
        columns=columns_of(series),
        layers=_layers(series),
        # The default is a read-only view, which worker processes cannot be sent.
        histograms={},
    )


def columns_of(series: Mapping[str, Series]) -> Columns:
    """The roles of the columns, which have their names."""
    return Columns(step="step", **{role: role for role in ROLES if role in series})


def with_series(labelled: Labelled, series: Mapping[str, Series], **label: Any) -> Labelled:
    """The same run with other series, and other entries of its label."""
    run = replace(labelled.run, series=series, columns=columns_of(series), layers=_layers(series))
    return Labelled(run=run, label={**labelled.label, **label})


def _series(key: str, rows: list[dict[str, Any]]) -> Series:
    present = [row for row in rows if key in row]
    return Series(
        name=key,
        step=np.array([row["step"] for row in present], dtype=np.int64),
        value=np.array([row[key] for row in present], dtype=np.float64),
    )


def scaled(labelled: Labelled, *, loss: float = 1.0, norm: float = 1.0, offset: int = 0) -> Labelled:
    """The same run with all losses or all norms (and the threshold) multiplied, or all steps moved."""
    series = {}
    for key, s in labelled.run.series.items():
        factor = norm if key.startswith("grad_norm") else loss if key in {"loss", "val_loss"} else 1.0
        series[key] = Series(name=key, step=s.step + offset, value=s.value * factor)
    clip = labelled.label["clip"]
    return with_series(labelled, series, clip=None if clip is None else clip * norm)


def thinned(labelled: Labelled) -> Labelled:
    """The same run with every second row."""
    keep = labelled.run.series["loss"].step[::2]
    series = {}
    for key, s in labelled.run.series.items():
        full = len(s) == len(labelled.run.series["loss"])
        chosen = np.arange(0, len(s), 2) if full else np.flatnonzero(np.isin(s.step, keep))
        series[key] = Series(name=key, step=s.step[chosen], value=s.value[chosen])
    return with_series(labelled, series)


def cut(labelled: Labelled, share: float) -> Labelled:
    """The run as its log stood after a share of its rows."""
    longest = max(labelled.run.series.values(), key=len)
    last = longest.step[max(int(share * len(longest)) - 1, 0)]
    series = {}
    for name, s in labelled.run.series.items():
        # Up to the first time that the step is reached: later attempts had not begun.
        reached = np.flatnonzero(s.step >= last)
        end = len(s) if share == 1.0 or not len(reached) else int(reached[0]) + (s.step[reached[0]] == last)
        if end:
            series[name] = Series(name=name, step=s.step[:end], value=s.value[:end])
    return with_series(labelled, series)


#: Other names for the columns, as trainers spell them.
RESPELLED = {"loss": "train/loss", "grad_norm": "train/grad_norm", "lr": "train/learning_rate", "step": "global_step"}


def respelled(labelled: Labelled) -> Labelled:
    """The same run, written row by row with other names of the columns and read back."""
    step = labelled.run.series["loss"].step.tolist()
    rows: list[dict[str, float]] = [{RESPELLED["step"]: number} for number in step]
    for key, s in labelled.run.series.items():
        values = iter(zip(s.step.tolist(), s.value.tolist(), strict=True))
        pending = next(values, None)
        for row, number in zip(rows, step, strict=True):
            if pending is not None and pending[0] == number:
                # Norms of layers keep their names, which are the trainer's own.
                row[RESPELLED.get(key, key)] = pending[1]
                pending = next(values, None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (run,) = gradlens.read(path)
    return Labelled(run=run, label=labelled.label)


def _layers(series: Mapping[str, Series]) -> dict[str, Series]:
    return {key: s for key, s in series.items() if key.startswith("grad_norm/")}
