"""Which spelling means which quantity: the one table that all readers share.

Names are compared after `plain`: lower case, every run of separators (space, `-_./:`, brackets) a single `_`.
A role takes the candidate that stands first in its table; the report says what was taken, and an option overrides it.
Series with one name for each layer (`grad_norm/layers.0.weight`) count as layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from gradlens.config import SPELLINGS as SETTINGS

_SEPARATORS = re.compile(r"[\s\-_./:()\[\]]+")


def plain(name: str) -> str:
    """A name in the form in which spellings are compared."""
    return _SEPARATORS.sub("_", name.strip().lower()).strip("_")


#: Exact spellings by role after `plain`, the most telling first.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "step": (
        "trainer_global_step", "training_global_step", "train_global_step", "global_step", "step", "iteration", "iter",
        "current_steps", "num_updates", "update", "updates", "train_step", "steps", "global_step_max_steps",
        "current_iteration", "cur_iter", "global_iter", "global_iteration", "n_iter", "optimizer_step", "train_steps",
        "num_steps", "training_step", "time_batch", "time_step", "time_total_timesteps", "total_timesteps",
        "timesteps_total", "t_env", "env_step", "itr", "it", "batch_idx", "batch", "tick",
        "progress_tick", "progress_tick_mean", "epoch", "epochs", "train_epoch",
    ),
    "loss": (
        "loss", "train_loss", "training_loss", "lm_loss", "lmloss", "train_lm_loss", "loss_train_total", "loss_train",
        "loss_train_loss", "total_loss", "tot_loss", "train_total_loss", "loss_total", "reduced_train_loss",
        "train_loss_step", "loss_metrics_global_avg_loss", "loss_metrics_loss", "train_crossentropyloss",
        "train_ce_loss", "train_cross_entropy_loss", "learning_loss", "train_train_loss", "lm_loss_training_lm_loss",
        "actor_pg_loss", "actor_loss", "policy_loss", "pg_loss", "policy_gradient_loss", "train_policy_loss",
        "critic_vf_loss", "critic_loss", "vf_loss", "value_loss", "train_loss_local", "loss_avg", "avg_loss",
        "train_loss_avg", "train_mean_loss", "train_avg_loss", "mean_loss", "loss_mean", "smooth_loss", "running_loss",
        "train_epoch_loss", "batch_loss", "train_batch_loss", "losses_total", "losses_train", "losses_loss", "nll_loss",
        "mse_loss", "ce_loss", "cross_entropy_loss", "loss_value", "loss_train_epoch", "train_loss_epoch", "model_loss",
        "loss_step", "step_loss",
        "avr_loss", "xent", "cross_entropy", "ce", "rmse_trn", "cost", "act_loss", "cri_loss",
        "train_step_loss", "loss_loss", "total_train_loss", "train_losses_total",
        "g_loss", "d_loss", "gan_loss", "loss_gen", "loss_disc", "loss_total_loss", "train", "mse", "nll", "bce",
    ),
    # What training brings up: the loss is minus it, where the log has none.
    "log_likelihood": (
        "log_likelihood", "train_log_likelihood", "loglikelihood", "train_loglikelihood", "mean_log_likelihood", "avg_log_likelihood",
        "log_likelihood_mean", "log_lik", "loglik", "train_loglik", "train_log_lik", "marginal_log_likelihood", "log_marginal_likelihood",
        "avg_loglik", "mean_loglik", "logprob_mean", "mean_log_prob", "mll", "train_mll", "train_ll", "llh", "train_llh",
    ),
    # The loss is its logarithm, where the log has none.
    "perplexity": ("ppl", "perplexity", "train_ppl", "train_perplexity", "training_perplexity"),
    "grad_norm": (
        "grad_norm", "train_grad_norm", "gnorm", "gradient_norm", "total_grad_norm", "optim_total_grad_norm",
        "train_gnorm", "train_gradient_norm", "training_grad_norm", "global_grad_norm", "train_global_grad_norm",
        "global_gradient_norm", "gradnorm", "grad_norm_total", "train_total_grad_norm", "total_norm",
        "total_gradient_norm", "train_total_norm", "grad_2_0_norm_total", "grad_norm_2_0_total", "l2_norm_grad_global",
        "learning_raw_grad_norm", "raw_grad_norm", "train_raw_grad_norm", "grad_norm_preclip", "grad_norm_pre_clip",
        "grad_norm_before_clip", "grad_norm_before_clipping", "pre_clip_grad_norm", "preclip_grad_norm",
        "unclipped_grad_norm", "grad_norm_unclipped", "actor_grad_norm", "critic_grad_norm", "grad_total_norm",
        "grad_norm_global", "grad_norm_all", "grad_norm_l2", "grad_l2_norm", "grads_norm", "grad_norms", "norm_grad",
        "gradients_norm", "gradients_global_norm", "grad_global_norm", "global_norm", "grads_global_norm",
        "optim_grad_norm", "optimizer_grad_norm", "grad_norm_grad_norm", "grad_norm_step", "train_grad_norm_step",
        "grad_norm_val", "grad_norm_value", "grad_norm_avg", "grad_norm_mean", "grad_norm_median", "avg_grad_norm",
        "mean_grad_norm", "train_grad_norm_epoch", "norm", "train_norm", "learning_grad_norm",
        "grad_gnorm", "grad_l2", "train_grad_l2", "l2_grad_norm", "gradient_global_norm", "gradient_l2_norm", "grdn", "grad",
    ),
    "grad_norm_squared": (
        "grad_norm_square", "grad_norm_squared", "grad_norm_sq", "squared_grad_norm", "grad_sq_norm", "grad_norm2",
        "train_grad_norm_square", "train_grad_norm_squared", "gradient_norm_squared",
    ),
    "grad_norm_clipped": (
        "grad_norm_clipped", "clipped_grad_norm", "grad_norm_post_clip", "grad_norm_postclip", "grad_norm_after_clip",
        "grad_norm_after_clipping", "post_clip_grad_norm", "postclip_grad_norm", "train_grad_norm_clipped",
        "train_clipped_grad_norm", "learning_grad_norm",
    ),
    "lr": (
        "lr", "learning_rate", "train_learning_rate", "train_lr", "training_learning_rate", "training_lr",
        "optim_learning_rate_group0", "optim_lr_group_0", "optim_lr_group0", "optim_lr", "actor_lr", "critic_lr",
        "lr_0",
        "current_lr_0", "current_lr", "cur_lr", "base_lr", "learning_rate_0", "lr_last", "learning_rate_learning_rate",
        "learning_current_learning_rate", "lr_group0", "learnrate_pg0", "lr_pg0", "lr_g", "lr_d", "optim0_lr0", "lr_lr",
        "learning_rate_group_0", "train_learning_rate_group_0", "lr_param_group_0", "max_lr", "lr_first",
        "learning_rate_lr", "opt_lr", "optimizer_lr", "lr_abs", "time_lr", "optimizer_learning_rate", "lr_avg",
        "learningrate", "l_r", "lrate",
    ),
    "loss_scale": (
        "loss_scale", "train_loss_scale", "lossscale", "loss_scaler", "amp_scaler", "grad_scale", "grad_scaler",
        "grad_scaler_scale", "amp_scale", "fp16_loss_scale", "fp16_loss_scalar", "loss_scalar", "scaler_scale",
        "loss_scale_loss_scale", "train_grad_scale", "scaler", "amp_loss_scale", "fp16_scale", "train_fp16_loss_scale",
        "fp16_grad_scale",
    ),
    "log2_loss_scale": ("lg_loss_scale", "log2_loss_scale"),
    "clip_fraction": (
        "clip", "optim_clipping_rate", "percent_clipped", "clip_rate", "clip_fraction", "clipped", "train_clip",
        "clipping_rate", "clipped_fraction", "grad_clip_fraction",
    ),
    "val_loss": (
        "val_loss", "eval_loss", "valid_loss", "validation_loss", "test_loss", "loss_val", "loss_eval",
        "val_loss_epoch",
        "dev_loss", "loss_valid", "loss_validation", "lm_loss_validation", "eval_train_loss", "validation_lm_loss", "cv_loss",
    ),
    "skipped": (
        "number_of_skipped_iterations", "skipped", "optim_step_skipped", "number_of_nan_iterations", "skipped_steps",
    ),
    "batch_size": ("batch_size", "global_batch_size", "bsz", "train_batch_size"),
    # What the recorder writes, and others' names for it.
    "weight_norm": (
        "weight_norm", "param_norm", "params_norm", "parameter_norm", "weights_norm", "train_weight_norm",
        "train_param_norm", "l2_norm_param_global", "param_norm_total",
    ),
    "update_norm": ("update_norm", "train_update_norm", "updates_norm", "step_norm"),
    "rms_ratio": ("rms_ratio",),
    "data_norm": ("data_norm",),
    "penalized_norm": ("penalized_norm",),
    "loss_before": ("loss_before",),
    "loss_after": ("loss_after",),
    "grad_dot_update": ("grad_dot_update",),
    "tokens": ("tokens", "batch_tokens", "tokens_per_batch"),
    "batch_id": ("batch_id",),
    "epoch": ("epoch", "train_epoch", "training_epoch", "trainer_epoch", "current_epoch"),
}  # fmt: skip

_RANK: dict[str, dict[str, int]] = {
    role: {spelling: rank for rank, spelling in enumerate(spellings)} for role, spellings in SPELLINGS.items()
}

#: `lr-Adam/pg1`, `lr-AdamW`: Lightning's LearningRateMonitor.
_LR_MONITOR = re.compile(r"lr-\w+(/pg\d+)?(-momentum)?$")
_LAYER = re.compile(
    r"^(?:train/)?(?:grad_(?:[0-9.]+|inf)_norm|l2_norm/grad|grad_norms?|grad/norm|gradnorm|gradients?/norm|grad_norm_layers?)[/.](?P<layer>.+)$"
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


#: `unet_grad_norm`, `text_encoder/grad_norm`: the norm of one optimizer or module.
_NAMED_NORM = re.compile(r"^(?P<owner>.+?)[_/ .\-](?:grad(?:ient)?[_ .\-]?norm|gnorm)$", re.IGNORECASE)
#: First parts of such names that say how the norm was taken, not whose it is.
_NOT_OWNERS = frozenset({
    "train", "training", "trainer", "total", "global", "raw", "optim", "optimizer", "avg", "mean", "max", "min",
    "median", "std", "var",
    "clipped", "post_clip", "postclip", "pre_clip", "preclip", "unclipped", "before_clip", "after_clip", "log", "eval",
    "val", "test", "param", "running", "ema", "squared", "learning", "l2", "step", "epoch", "metrics", "stats",
    "debug", "info", "final", "normalized", "relative", "expected",
})  # fmt: skip
#: Last parts of paths that are telling wherever they stand: `info/learner/default_policy/learner_stats/grad_gnorm`.
_TELLING: dict[str, tuple[str, ...]] = {
    "loss": ("loss", "total_loss", "train_loss"),
    "grad_norm": ("grad_norm", "gnorm", "gradient_norm", "total_grad_norm", "grad_gnorm"),
    "lr": ("lr", "learning_rate", "cur_lr"),
    "loss_scale": ("loss_scale",),
}
_OTHER_PHASES = frozenset({
    "val", "valid", "validation", "eval", "evaluation", "test", "dev", "cv", "final", "holdout", "best", "summary", "timing",
    "time", "perf",
})  # fmt: skip
#: What stands in front of a name that an evaluation measured, the most usual first.
_EVALUATED = ("val", "valid", "validation", "eval", "evaluation", "dev", "cv", "test")
_TRAIN = re.compile(r"^(?:train(?:ing|er)?)[_/ .\-]+", re.IGNORECASE)
#: More norms than this that differ only by a name or number are those of layers, not of optimizers.
_MAX_OPTIMIZERS = 4


def rank_of(role: str, name: str) -> int | None:
    """How telling `name` is for `role`: 0 is best; None where it does not mean that."""
    rank, count = _RANK[role].get(plain(name)), len(_RANK[role])
    if rank is not None:
        # W&B counts its own calls in `_step`; the trainer's counter says more.
        return rank + count if role == "step" and name.strip().startswith("_") else rank
    if role == "lr" and _LR_MONITOR.match(name) and not name.endswith("momentum"):
        rank = count
    elif role == "lr" and name.endswith("/0") and (first := rank_of(role, name[:-2])) is not None:
        rank = count + first  # the first of the rates of several groups of parameters, which were logged as a list
    elif role == "grad_norm" and _owner_by_name(name) is not None and layer_of(name) is None:
        rank = count
    elif role == "loss" and (inner := _RANK[role].get(plain(_TRAIN.sub("", name)))) is not None:
        rank = count + inner  # `train/g_loss`
    elif (tail := _tail(name)) in _TELLING.get(role, ()):
        rank = 2 * count + _TELLING[role].index(tail)
    return rank


_SHAPES = frozenset(shape for ranks in _RANK.values() for shape in ranks)


def has_role(name: str) -> bool:
    """Whether `rank_of` has a rank for a name in any role, for a fraction of the work of asking for each.

    A log may have a million columns: those that mean nothing are to be left out before roles are filled.
    """
    return (
        plain(name) in _SHAPES
        or plain(_TRAIN.sub("", name)) in _RANK["loss"]
        or rank_of("lr", name) is not None
        or rank_of("grad_norm", name) is not None
        or any(_tail(name) in tails for tails in _TELLING.values())
    )


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LOSS_WORDS = frozenset({"loss", "losses", "nll", "cost", "objective", "objf", "xent", "crossentropy", "elbo"})
#: Words beside `loss` in the names of what is no loss, and of losses that are not those of a training step.
_NO_LOSS = _OTHER_PHASES | frozenset({
    "scale", "scaler", "scaling", "weight", "weights", "ratio", "coef", "coeff", "count", "num", "delta", "norm", "std", "var",
    "min", "max", "sec", "secs", "seconds", "lr", "ema", "lowest", "target", "improvement", "diff", "change", "per", "number",
    "valid", "previous", "prev", "tol",
})  # fmt: skip
_STEP_WORDS = frozenset(
    {
        "timesteps",
        "interacts",
        "step",
        "steps",
        "iter",
        "iters",
        "iteration",
        "iterations",
        "update",
        "updates",
        "batch",
        "itr",
    }
)
_NO_STEP = _OTHER_PHASES | _LOSS_WORDS | frozenset({
    "per", "sec", "size", "speed", "max", "warmup", "remaining", "rate", "lr", "norm", "s", "seconds", "num_steps", "of", "skipped",
    "nan", "scale", "data", "avg", "mean", "reward", "length", "duration", "elapsed", "loader",
})  # fmt: skip


def step_rank(name: str) -> int | None:
    """How telling a name is for the step, spellings that no table has included: `Learning iteration`, `train_num_updates`."""
    rank = rank_of("step", name)
    if rank is None:
        words = {word.lower() for word in _WORD.findall(name)}
        if not words.isdisjoint(_STEP_WORDS) and words.isdisjoint(_NO_STEP):
            rank = 2 * len(_RANK["step"])
        elif name in {"#", "#1"}:  # the bare count in front of a line, and the column that tables call so
            rank = 2 * len(_RANK["step"]) + 1
    return rank


def _tail(name: str) -> str:
    """The last part of a path, `a/b/total_loss`, unless a part before it says that it is not of training."""
    *path, last = name.split("/")
    return plain(last) if path and not _OTHER_PHASES.intersection(map(plain, path)) else ""


@lru_cache(maxsize=1 << 16)
def is_loss_like(name: str) -> bool:
    """Whether a name that no table has is that of a part of a training loss: `train/box_loss`, `Value function loss`."""
    words = {word.lower() for word in _WORD.findall(name)}
    is_loss = (
        not words.isdisjoint(_LOSS_WORDS)
        or any(word.endswith("loss") for word in words)
        or {"cross", "entropy"} <= words
    )
    return is_loss and words.isdisjoint(_NO_LOSS)


def is_loss(name: str) -> bool:
    """Whether a name means the loss of the training or a part of it."""
    return rank_of("loss", name) is not None or is_loss_like(name)


@lru_cache(maxsize=1 << 16)
def is_core(name: str) -> bool:
    """Whether a name means a loss, what stands for one, or a gradient norm of the training."""
    return is_loss(name) or any(rank_of(role, name) is not None for role in ("log_likelihood", "grad_norm"))


@lru_cache(maxsize=1 << 16)
def is_measure(name: str) -> bool:
    """Whether a name means a loss, what stands for one, a gradient norm or a learning rate, whose values should be numbers."""
    return any(rank_of(role, name) is not None for role in ("loss", "log_likelihood", "grad_norm", "lr"))


def choose(role: str, names: Iterable[str]) -> str | None:
    """The name that stands for `role`, the first of equals, or None."""
    ranked = [(rank, place, name) for place, name in enumerate(names) if (rank := rank_of(role, name)) is not None]
    return min(ranked)[2] if ranked else None


def evaluated(loss: str, names: Iterable[str]) -> str | None:
    """The column that an evaluation measured as training measured `loss`: `val/cls_loss` beside `train/cls_loss`, or None."""
    shapes: dict[str, str] = {}
    for name in names:
        shapes.setdefault(plain(name), name)
    own = plain(_TRAIN.sub("", loss))
    return next((shapes[shape] for phase in _EVALUATED if (shape := f"{phase}_{own}") in shapes), None)


def facts_of(norm: str | None) -> frozenset[str]:
    """What the name of a norm says about where it was measured."""
    shape = plain((norm or "").rsplit("/", 1)[-1] if (norm or "").endswith("grad_gnorm") else norm or "")
    if (
        shape == "grad_gnorm"
        or "clipped" in shape.replace("unclipped", "")
        or "post_clip" in shape
        or "after_clip" in shape
    ):
        return frozenset({"post_clip"})
    if (
        "raw_grad_norm" in shape
        or "unclipped" in shape
        or any(w in shape for w in ("pre_clip", "preclip", "before_clip"))
    ):
        return frozenset({"pre_clip"})
    return frozenset()


#: Words that tell two optimizers of one log apart; spellings of one optimizer share a line.
_MARKS: dict[str, str] = {
    "actor": "actor", "critic": "critic", "policy": "policy", "value": "value", "encoder": "encoder",
    "decoder": "decoder",
    "generator": "generator", "gen": "generator", "g": "generator",
    "discriminator": "discriminator", "disc": "discriminator", "d": "discriminator",
} | {str(n): str(n) for n in range(10)}  # fmt: skip
_MARK = re.compile(rf"(?<![a-z0-9.])(?:{'|'.join(sorted(_MARKS, key=len, reverse=True))})(?![a-z0-9.])", re.IGNORECASE)


#: Words for losses of two players, and of agents: training does not bring them down.
_CONTESTED = frozenset({
    "actor", "critic", "policy", "pg", "vf", "qf", "q", "td", "value", "generator", "discriminator", "gen", "disc", "g", "d",
    "gan", "adv", "adversarial",
})  # fmt: skip


def is_contested(loss: str) -> bool:
    """Whether a loss is one that good training need not bring down, by its name: `actor/pg_loss`, `loss_disc`, `d_loss`.

    Generator and discriminator each gain what the other loses; the surrogate loss of a policy gradient has no floor; a
    critic's loss grows with the returns that its agent learns to collect.
    """
    words = plain(loss).split("_")
    return plain(loss) != "loss_value" and not _CONTESTED.isdisjoint(words)


def _owner_by_name(name: str) -> str | None:
    match = _NAMED_NORM.match(_TRAIN.sub("", name))
    owner = plain(match["owner"]) if match else ""
    return owner if owner and _NOT_OWNERS.isdisjoint({owner, owner.rpartition("_")[2]}) else None


def _mark(name: str) -> str | None:
    match = _MARK.search(name.replace("_", " "))
    return _MARKS[match[0].lower()] if match else None


def _norm_owner(name: str) -> str | None:
    """Whose gradient norm `name` is, or None where it is the only one or no norm."""
    mark = _mark(name)
    if mark is not None and plain(without_mark(name, mark)) in _RANK["grad_norm"]:
        return mark
    return _owner_by_name(name)


def find_groups(names: Iterable[str]) -> tuple[str, ...]:
    """The optimizers of a log by mark: two to four norms that differ only in it, and no norm of the whole."""
    names = [n for n in names if layer_of(n) is None]
    owners = {n: owner for n in names if (owner := _norm_owner(n)) is not None}
    if any(n not in owners and plain(n) in _RANK["grad_norm"] for n in names):
        return ()
    marks = tuple(dict.fromkeys(owners.values()))
    return marks if 1 < len(marks) <= _MAX_OPTIMIZERS else ()


#: The two that train against each other.
_PLAYERS = ("generator", "discriminator")


def find_players(names: Iterable[str]) -> tuple[str, ...]:
    """Generator and discriminator by mark, where a log has a loss of each and no other; otherwise empty.

    What stands beside the two, `loss_mel` or the loss of the whole, tells more of the training than their game.
    """
    losses = [n for n in names if layer_of(n) is None and is_loss(n)]
    # `Loss/scores/fake/mean` is of a group called Loss, `Loss/G/loss/mean` a loss.
    losses = [n for n in losses if rank_of("loss", n) is not None or is_loss_like("/".join(n.split("/")[-2:]))]
    owners = {name: _mark(name) for name in losses}
    if not set(owners.values()) <= set(_PLAYERS):
        return ()
    return _PLAYERS if set(_PLAYERS) <= set(owners.values()) else ()


def numbered_layers(names: Iterable[str]) -> set[str]:
    """Norms of layers that are spelt like those of optimizers: `layer0_grad_norm` to `layer11_grad_norm`."""
    owners: dict[str, str] = {}
    for name in names:
        owner = _norm_owner(name)
        if owner is not None:
            owners[name] = owner
    return set(owners) if len(set(owners.values())) > _MAX_OPTIMIZERS else set()


def owner_of(name: str, marks: Iterable[str]) -> str | None:
    """Which of the optimizers a column belongs to, or None."""
    marks = tuple(marks)
    mark = _mark(name)
    if mark in marks:
        return mark
    shape = plain(_TRAIN.sub("", name))
    own = [m for m in marks if m not in _MARKS.values() and (shape.startswith(f"{m}_") or shape.endswith(f"_{m}"))]
    return max(own, key=len) if own else None


def without_mark(name: str, mark: str) -> str:
    """A name without the mark of its optimizer: `grad_norm_g` gives `grad norm`."""
    spelt = name.replace("_", " ")
    if mark in _MARKS.values():
        return _MARK.sub(lambda word: " " if _MARKS[word[0].lower()] == mark else word[0], spelt)
    return re.sub(rf"(?i)\b{re.escape(mark.replace('_', ' '))}\b", " ", spelt)


#: Words of columns that only agents, adversaries and preference trainers log: they tell what a loss beside them means.
COMPANIONS = frozenset({
    "reward", "rewards", "return", "returns", "advantage", "advantages", "episode", "kl", "entropy", "clipfrac", "ratio", "surrogate",
    "discriminator", "disc", "completion", "completions", "chosen", "margins", "won", "acc", "accuracy", "dice", "iou", "miou", "jaccard",
    "f1", "recall", "rew",
})  # fmt: skip


def is_companion(name: str) -> bool:
    """Whether a column tells what kind of loss stands beside it, or what comes of it: `reward`, `train/approx_kl`, `train_acc`."""
    return not COMPANIONS.isdisjoint(plain(name).split("_"))


def is_known(name: str) -> bool:
    """Whether a name has any role, so that it is worth decoding when only the needed columns are."""
    shape, mark = plain(name), _mark(name)
    shapes = {shape, shape if mark is None else plain(without_mark(name, mark))}
    return (
        not shapes.isdisjoint(_SHAPES)
        or rank_of("lr", name) is not None
        or layer_of(name) is not None
        or "norm" in shape
        or is_companion(name)
        or shape.endswith(("loss", "_lr", "step"))
        or is_loss_like(name)
        or step_rank(name) is not None
        # A threshold that is logged with every row.
        or shape in SETTINGS["max_grad_norm"]
    )
