"""Which spelling means which quantity: the one table that all readers share.

Names are compared after `plain`: lower case, every run of separators (space, `-`, `_`, `.`, `/`, `:`) a single `_`.
A role takes the candidate that stands first in its table; the report says what was taken, and an option overrides it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[\s\-_./:]+")


def plain(name: str) -> str:
    """A name in the form in which spellings are compared."""
    return _SEPARATORS.sub("_", name.strip().lower()).strip("_")


#: Exact spellings by role after `plain`, the most telling first.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "step": (
        "trainer_global_step", "training_global_step", "train_global_step", "global_step", "step", "iteration", "iter",
        "current_steps", "num_updates", "update", "updates", "train_step", "steps", "global_step_max_steps",
        "time_batch", "time_step", "itr", "batch", "epoch",
    ),
    "loss": (
        "loss", "train_loss", "training_loss", "lm_loss", "train_lm_loss", "loss_train_total", "loss_train",
        "loss_train_loss", "total_loss", "train_total_loss", "reduced_train_loss", "train_loss_step",
        "loss_metrics_global_avg_loss", "loss_metrics_loss", "train_crossentropyloss", "train_ce_loss",
        "train_cross_entropy_loss", "learning_loss", "train_train_loss", "lm_loss_training_lm_loss", "actor_pg_loss",
        "critic_vf_loss", "actor_loss", "policy_loss", "critic_loss", "train_loss_local", "loss_avg", "train_loss_avg",
        "train_mean_loss", "train_avg_loss", "running_loss", "train_epoch_loss", "batch_loss", "train_batch_loss",
        "losses_total", "losses_train", "nll_loss", "mse_loss", "loss_total", "loss_value", "model_loss", "train",
    ),
    "grad_norm": (
        "grad_norm", "train_grad_norm", "gnorm", "gradient_norm", "total_grad_norm", "optim_total_grad_norm",
        "train_gnorm", "train_gradient_norm", "global_grad_norm", "train_global_grad_norm", "gradnorm",
        "grad_norm_total", "train_total_grad_norm", "total_norm", "grad_2_0_norm_total", "grad_norm_2_0_total",
        "l2_norm_grad_global", "learning_raw_grad_norm", "raw_grad_norm", "actor_grad_norm", "critic_grad_norm",
        "grad_total_norm", "grad_norm_global", "grad_norm_all", "grad_l2_norm", "grad_gnorm", "grad_norm_val",
        "grad_norm_preclip", "grad_norm_pre_clip", "grad_norm_before_clip", "pre_clip_grad_norm", "norm",
        "train_norm", "grad_norm_avg", "learning_grad_norm", "model_grad_norm", "grad_norm_square",
    ),
    "grad_norm_clipped": (
        "grad_norm_clipped", "clipped_grad_norm", "grad_norm_post_clip", "grad_norm_after_clip", "post_clip_grad_norm",
        "train_grad_norm_clipped", "grad_norm_postclip",
    ),
    "lr": (
        "lr", "learning_rate", "train_learning_rate", "train_lr", "optim_learning_rate_group0", "optim_lr_group_0",
        "optim_lr", "actor_lr", "critic_lr", "lr_0", "current_lr_0", "current_lr", "cur_lr", "learning_rate_0",
        "learning_rate_learning_rate", "learning_current_learning_rate", "lr_group0", "learnrate_pg0", "lr_pg0",
    ),
    "loss_scale": (
        "loss_scale", "train_loss_scale", "lossscale", "amp_scaler", "grad_scale", "grad_scaler_scale", "amp_scale",
        "fp16_loss_scale", "scaler_scale", "loss_scale_loss_scale", "scale",
    ),
    "log2_loss_scale": ("lg_loss_scale", "log2_loss_scale"),
    "clip_fraction": ("clip", "optim_clipping_rate", "percent_clipped", "clip_rate", "clip_fraction", "clipped"),
    "val_loss": (
        "val_loss", "eval_loss", "valid_loss", "validation_loss", "test_loss", "loss_val", "loss_eval", "val_loss_epoch",
        "dev_loss", "loss_valid", "lm_loss_validation",
    ),
    "skipped": (
        "number_of_skipped_iterations", "skipped", "optim_step_skipped", "number_of_nan_iterations", "skipped_steps",
    ),
    "batch_size": ("batch_size", "global_batch_size", "bsz", "train_batch_size"),
    "epoch": ("epoch", "train_epoch"),
}  # fmt: skip

_RANK: dict[str, dict[str, int]] = {
    role: {spelling: rank for rank, spelling in enumerate(spellings)} for role, spellings in SPELLINGS.items()
}

#: `lr-Adam/pg1`, `lr-AdamW`: Lightning's LearningRateMonitor.
_LR_MONITOR = re.compile(r"lr-\w+(/pg\d+)?(-momentum)?$")
_LAYER = re.compile(
    r"^(?:train/)?(?:grad_[0-9.]+_norm|l2_norm/grad|grad_norms?|grad/norm|gradnorm|gradients?/norm|grad_norm_layers?)[/.](?P<layer>.+)$"
)
_LAYER_SUFFIX = re.compile(r"^optim/grad/(?P<layer>.+)\.norm$")
_NOT_LAYERS = frozenset({"total", "global", "all", "grad_norm", "var", "square"})


def layer_of(name: str) -> str | None:
    """The layer whose gradient norm `name` is, or None: `grad_norm/conv1.weight` gives `conv1.weight`."""
    for pattern in (_LAYER, _LAYER_SUFFIX):
        match = pattern.match(name)
        if match and plain(match["layer"]) not in _NOT_LAYERS and not plain(match["layer"]).endswith("total"):
            return match["layer"]
    return None


def rank_of(role: str, name: str) -> int | None:
    """How telling `name` is for `role`: 0 is best; None where it does not mean that."""
    rank = _RANK[role].get(plain(name))
    if rank is None and role == "lr" and _LR_MONITOR.match(name) and not name.endswith("momentum"):
        return len(_RANK[role])
    return rank


def choose(role: str, names: Iterable[str]) -> str | None:
    """The name that stands for `role`, the first of equals, or None."""
    ranked = [(rank, place, name) for place, name in enumerate(names) if (rank := rank_of(role, name)) is not None]
    return min(ranked)[2] if ranked else None


#: Pairs of optimizers that share a log, by the part of the name that tells them apart.
_GROUP_MARK = re.compile(
    r"^(?P<before>.*?)(?P<mark>(?<![a-z0-9])(?:actor|critic|generator|discriminator|policy|value|encoder|decoder"
    r"|gen|disc|g|d|[0-9])(?![a-z0-9.]))(?P<after>.*)$",
    re.IGNORECASE,
)


def _mark(name: str) -> str | None:
    match = _GROUP_MARK.match(name.replace("_", " "))
    return match["mark"].lower() if match else None


def find_groups(names: Iterable[str]) -> tuple[str, ...]:
    """The marks of several optimizers: at least two different names that mean a gradient norm once the mark is gone."""
    marks: dict[str, None] = {}
    for name in names:
        mark = _mark(name)
        if mark is None:
            continue
        rest = plain(without_mark(name, mark))
        if rest in _RANK["grad_norm"] or (rest.endswith("grad_norm") and layer_of(name) is None):
            marks[mark] = None
    return tuple(marks) if len(marks) > 1 else ()


def without_mark(name: str, mark: str) -> str:
    """A name without the mark of its optimizer: `grad_norm_g` gives `grad norm`."""
    return re.sub(rf"(?i)(?<![a-z0-9]){re.escape(mark)}(?![a-z0-9])", " ", name.replace("_", " "))


def belongs(name: str, mark: str) -> bool:
    """Whether a column carries the mark of one optimizer."""
    return _mark(name) == mark


def is_known(name: str) -> bool:
    """Whether a name has any role, so that it is worth decoding when only the needed columns are."""
    shape = plain(name)
    return (
        any(shape in ranks for ranks in _RANK.values())
        or _LR_MONITOR.match(name) is not None
        or layer_of(name) is not None
        or "norm" in shape
        or shape.endswith(("loss", "_lr", "step"))
    )
