"""What is done to a healthy run. Each function takes the healthy spec and a strength, and returns the changed fields.

A strength is a few words joined by hyphens; they go into the run's name, so that a name says what was done.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.runs.spec import ClipRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.runs.spec import Spec

Changes = dict[str, Any]


def _number(word: str) -> float:
    """The number in words like x10, d8, g2.5, n3, at60."""
    return float(word.lstrip("abcdefghijklmnopqrstuvwxyzC"))


def _dice(spec: Spec, strength: str) -> random.Random:
    return random.Random(f"{spec.run} {strength}")


def _is_shift(shock: str) -> bool:
    """Whether a shock's words name phases of the data rather than a bad batch."""
    return shock.startswith("easy2")


def _place(spec: Spec, share: float) -> int:
    return round(spec.steps * share)


def lr_too_high(spec: Spec, strength: str) -> Changes:
    """`x10`: ten times the rate; `x10-noclip` also takes the clipping away."""
    factor, *rest = strength.split("-")
    changes: Changes = {"lr": spec.lr * _number(factor)}
    return changes | ({"clip_rule": None} if rest else {})


def no_warmup(spec: Spec, strength: str) -> Changes:  # noqa: ARG001 - all faults are called alike
    """The peak rate from the first step on."""
    return {"warmup": 0}


def bad_data(spec: Spec, strength: str) -> Changes:
    """`shuffle-one`, `x30-few5`, `garbage-burst8`, `shuffle-every45`; `-same` repeats one and the same bad batch."""
    kind, pattern, *rest = strength.split("-")
    dice = _dice(spec, strength)
    first, last = _place(spec, 0.25), _place(spec, 0.95)
    if pattern == "one":
        steps = [dice.randrange(first, _place(spec, 0.7))]
    elif pattern.startswith("few"):
        steps = sorted(dice.sample(range(first, last), int(_number(pattern))))
    elif pattern.startswith("burst"):
        begin = dice.randrange(first, _place(spec, 0.7))
        steps = list(range(begin, begin + int(_number(pattern))))
    else:
        period = int(_number(pattern))
        steps = list(range(dice.randrange(period), spec.steps, period))
    return {"bad_kind": kind, "bad_steps": tuple(steps), "acted_steps": tuple(steps), "bad_same": bool(rest)}


def fp16_overflow(spec: Spec, strength: str) -> Changes:  # noqa: ARG001 - all faults are called alike
    """`growth10`: the scale doubles after 10 clean steps; `hover`: it creeps along the limit; `-nan` logs NaN."""
    kind, *rest = strength.split("-")
    if kind == "hover":
        scaler = {"init_scale": 2.0**18, "growth_factor": 1.15, "backoff_factor": 0.87, "growth_interval": 4}
    else:
        scaler = {"init_scale": 2.0**16, "growth_interval": _number(kind)}
    return {"precision": "fp16", "scaler": scaler, "overflow_as": "nan" if rest else "inf"}


def loss_scale_collapse(spec: Spec, strength: str) -> Changes:
    """Inputs that overflow float16: `burst40`, `forever`, or `drip12` (every twelfth batch from a third on)."""
    begin = _place(spec, 0.3 + 0.3 * _dice(spec, strength).random())
    if strength == "forever":
        steps = tuple(range(begin, spec.steps))
    elif strength.startswith("drip"):
        steps = tuple(range(_place(spec, 0.33), spec.steps, int(_number(strength))))
    else:
        steps = tuple(range(begin, begin + int(_number(strength))))
    return {"bad_kind": "overflow", "bad_steps": steps, "acted_steps": steps}


def _reference(spec: Spec) -> str:
    return spec.clip_rule.reference if spec.clip_rule else spec.run


def clip_too_tight(spec: Spec, strength: str) -> Changes:
    """`m0.05`: a twentieth of the median norm."""
    return {"clip_rule": ClipRule(reference=_reference(spec), quantile=0.5, factor=_number(strength))}


def clip_too_loose(spec: Spec, strength: str) -> Changes:
    """`m100-x30-few5`: a hundred times the median norm, and bad data; `m100` alone: the data has tails of its own."""
    factor, _, bad = strength.partition("-")
    rule = ClipRule(reference=_reference(spec), quantile=0.5, factor=_number(factor))
    return {"clip_rule": rule} | (bad_data(spec, bad) if bad else {})


def postclip_logged(spec: Spec, strength: str) -> Changes:
    """`q0.5`: clipped at the median of the norms, and the norm logged afterwards."""
    return {"clip_rule": ClipRule(reference=_reference(spec), quantile=_number(strength)), "log_postclip": True}


def _architecture(spec: Spec, strength: str) -> Changes:
    """`relu-d8-g2.5`, `cell_tanh-g6`, `nosync-gamma1.05`: what becomes of `arch`; `lr0.3` multiplies the rate."""
    arch: Changes = dict(spec.arch)
    changes: Changes = {}
    for word in strength.split("-"):
        if word.startswith("cell_"):
            arch["cell"] = word.removeprefix("cell_")
        elif word == "nosync":
            arch["sync"] = 1
        elif word == "nobias":
            arch["bias"] = False
        elif word.startswith("gamma"):
            arch["gamma"] = _number(word)
        elif word.startswith("lr"):
            changes["lr"] = spec.lr * _number(word)
        elif word[0] in "dg" and word[1:2].isdigit():
            arch["depth" if word[0] == "d" else "gain"] = _number(word)
        else:
            arch["act"] = word
    return changes | {"arch": arch}


def exploding(spec: Spec, strength: str) -> Changes:
    """A network whose signal grows from layer to layer (or values that chase themselves), without clipping."""
    return _architecture(spec, strength) | {"clip_rule": None}


def vanishing(spec: Spec, strength: str) -> Changes:
    """A deep plain stack whose signal fades; per-layer norms are logged where the strength says `layers`."""
    words = strength.split("-")
    plain = "-".join(w for w in words if w != "layers")
    return _architecture(spec, plain) | {"log_layers": "layers" in words}


def l2_contamination(spec: Spec, strength: str) -> Changes:  # noqa: ARG001 - all faults are called alike
    """`wd0.1`: a penalty in the gradients that the norm is taken of; `-inloss` logs it in the loss too."""
    amount, *rest = strength.split("-")
    return {"l2": _number(amount), "l2_in_loss": bool(rest)}


def lr_restart(spec: Spec, strength: str) -> Changes:
    """`n2-x3`: two restarts of the schedule at three times its peak; `at60-x5`: one at 60 % of the run."""
    where, factor = strength.split("-")
    if where.startswith("n"):
        count = int(_number(where))
        steps = tuple(_place(spec, 0.3 + 0.6 * k / count + 0.1 / count) for k in range(count))
    else:
        steps = (_place(spec, _number(where) / 100),)
    return {"restarts": steps, "restart_peak": _number(factor), "acted_steps": steps}


def data_shift(spec: Spec, strength: str) -> Changes:
    """`shift-at60`, `soft-at50`, `easy2main-at40`, `easy-at60`: another phase of the data from a place on."""
    kind, where = strength.split("-")
    step = _place(spec, _number(where) / 100)
    before, after = kind.split("2") if "2" in kind else ("main", kind)
    return {"phases": ((0, before), (step, after)), "acted_steps": (step,)}


def adam_beta2_lag(spec: Spec, strength: str) -> Changes:
    """`0.999-lr5-easy2main-at40`, `0.99-lr1-x100-early20`: a shock, and a second moment slow to follow or forget it.

    Nothing is clipped, and the rate may be raised: with clipping, or far from the edge, the lag does no harm.
    """
    beta2, factor, shock = strength.split("-", 2)
    if _is_shift(shock):
        changes = data_shift(spec, shock)
    else:
        kind, where = shock.split("-")
        step = _place(spec, _number(where) / 100)
        changes = {"bad_kind": kind, "bad_steps": (step,), "acted_steps": (step,)}
    return {"beta2": float(beta2), "lr": spec.lr * _number(factor), "clip_rule": None} | changes


def batch_size_change(spec: Spec, strength: str) -> Changes:
    """`to256-at50`."""
    size, where = strength.split("-")
    step = _place(spec, _number(where) / 100)
    return {"batch_change": (step, int(_number(size))), "acted_steps": (step,)}


def resume_artifact(spec: Spec, strength: str) -> Changes:
    """`60to50` (per cent of the run): back to a checkpoint without optimiser state; `-renumber` counts from 0 again."""
    span, *rest = strength.split("-")
    crash, checkpoint = (_place(spec, float(word) / 100) for word in span.split("to"))
    checkpoint = min(checkpoint, crash - 1) if "from" not in rest else crash
    return {"resume": (crash, checkpoint), "resume_renumber": "renumber" in rest, "acted_steps": (crash,)}


FAULTS: dict[str, Callable[[Spec, str], Changes]] = {
    function.__name__: function
    for function in (
        lr_too_high,
        no_warmup,
        bad_data,
        fp16_overflow,
        loss_scale_collapse,
        clip_too_tight,
        clip_too_loose,
        postclip_logged,
        exploding,
        vanishing,
        l2_contamination,
        lr_restart,
        data_shift,
        adam_beta2_lag,
        batch_size_change,
        resume_artifact,
    )
}


def with_fault(spec: Spec, fault: str, strength: str) -> list[Spec]:
    """The faulty runs that one entry of the catalogue asks for, with the healthy `spec` as twin.

    Adam's lag is measured against the same shock under beta2 = 0.95, which is a run of its own (a shift or bad data).
    """
    name = f"{spec.family}-s{spec.seed}-{fault}-{spec.recipe}-{strength}"
    changed = replace(
        spec,
        run=name,
        fault=fault,
        strength=strength,
        twin=spec.run,
        log_after=True,
        **FAULTS[fault](spec, strength),
    )
    if fault != "adam_beta2_lag":
        return [changed]
    rest = strength.partition("-")[2]
    cause = "data_shift" if _is_shift(rest.partition("-")[2]) else "bad_data"
    label = f"{rest}-b2-0.95"
    quick = replace(
        changed,
        run=f"{spec.family}-s{spec.seed}-{cause}-{spec.recipe}-{label}",
        fault=cause,
        strength=label,
        beta2=0.95,
    )
    return [quick, replace(changed, twin=quick.run)]
