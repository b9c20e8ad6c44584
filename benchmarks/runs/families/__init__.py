"""The kinds of training: one file each, registered here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.runs.families.base import Task
    from benchmarks.runs.spec import Spec

# By split; `benchmarks/runs/catalogue/__init__.py` says what each is.
DEVELOP = ("convbn", "grureg", "contrast", "fittedq", "prenorm", "noisy", "vae", "resmlp", "parity", "copy", "density")
TEST = ("postnorm", "adding", "denoise", "recsys", "moe", "policy")
FRESH = (
    "mlpdigits", "cnndigits", "vit", "charlm", "gpt", "tcn", "mixer", "autoenc", "graph", "triplet", "ssm", "distil", "ctc",
    "reinforce", "ranker", "huber",
)  # fmt: skip
BLIND = ("wideres", "rnndigits", "lstmlm", "encdec", "quantile", "qvalues", "flow")
UNSEEN = (
    "gan", "finetune", "lora", "prefer", "ppo", "td3", "skipgram", "pinn", "energy", "crftag", "multitask", "mixup", "dice",
    "curriculum", "hinge", "focal",
)  # fmt: skip


def build_task(spec: Spec) -> Task:
    """Return the freshly initialised task of a run; the same family, seed and arch give the same one."""
    module = import_module(f"benchmarks.runs.families.{spec.family}")
    task: Task = module.build(spec)
    return task
