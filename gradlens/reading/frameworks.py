"""Which framework wrote a log, by the names that only it writes: what is known of its norm.

Formats such as JSON lines, CSV or event files say nothing of where a norm was measured; the names in them often do.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradlens.frozen import frozen
from gradlens.vocabulary import plain


@frozen
class Signature:
    """A framework writes all of `names`; `facts` is what its source says of the norm."""

    framework: str
    names: frozenset[str]
    facts: frozenset[str]


_PRE = frozenset({"pre_clip"})
_HF = frozenset({"pre_clip", "filtered"})

#: In each of them the norm is the value that the clipping function returned, which is the norm before clipping.
SIGNATURES: tuple[Signature, ...] = (
    Signature(
        framework="Transformers",
        names=frozenset({"train_grad_norm", "train_learning_rate", "train_loss", "train_epoch"}),
        facts=_HF,
    ),
    Signature(framework="ms-swift", names=frozenset({"grad_norm", "global_step_max_steps"}), facts=_HF),
    Signature(framework="ms-swift", names=frozenset({"grad_norm", "train_speed_iter_s"}), facts=_HF),
    # LogProcessor(window_size=10, mean_pattern=r".*(loss|time|data_time|grad_norm).*"); LogBuffer averages the interval.
    Signature(
        framework="MMEngine", names=frozenset({"grad_norm", "data_time", "time", "loss"}), facts=_PRE | {"averaged"}
    ),
    Signature(
        framework="mmcv",
        names=frozenset({"train_grad_norm", "train_loss", "learning_rate", "momentum"}),
        facts=_PRE | {"averaged"},
    ),
    Signature(framework="torchtitan", names=frozenset({"grad_norm", "loss_metrics_global_avg_loss"}), facts=_PRE),
    Signature(framework="OLMo", names=frozenset({"optim_total_grad_norm"}), facts=_PRE),
    Signature(framework="verl", names=frozenset({"actor_grad_norm", "actor_pg_loss"}), facts=_PRE | {"averaged"}),
    Signature(framework="NeMo", names=frozenset({"grad_norm", "reduced_train_loss"}), facts=_PRE),
    Signature(framework="Lightning", names=frozenset({"grad_2_0_norm_total"}), facts=_PRE),
    Signature(
        framework="BEiT", names=frozenset({"train_grad_norm", "train_loss_scale", "epoch"}), facts=_PRE | {"averaged"}
    ),
    Signature(framework="fairseq", names=frozenset({"gnorm", "loss_scale", "ppl", "wps"}), facts=_HF | {"averaged"}),
    Signature(framework="ESPnet", names=frozenset({"grad_norm", "optim0_lr0", "iter_time"}), facts=_PRE | {"averaged"}),
    Signature(framework="PyMARL", names=frozenset({"grad_norm", "td_error_abs", "target_mean"}), facts=_PRE),
    Signature(framework="nanotron", names=frozenset({"grad_norm", "lm_loss", "consumed_tokens"}), facts=_PRE),
    Signature(framework="Megatron-LM", names=frozenset({"grad_norm", "lm_loss", "learning_rate"}), facts=_PRE),
)


def facts_by_names(names: Iterable[str]) -> frozenset[str]:
    """What is known of the norm in a log with these names; nothing where no framework is recognised."""
    shapes = {plain(name) for name in names}
    return next((s.facts for s in SIGNATURES if s.names <= shapes), frozenset())
