"""The training loop: one real optimiser step after another, with what the run's spec does to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from benchmarks.runs.families import build_task
from benchmarks.runs.optimisers import FlatParameters, build_optimiser, squared_ratio
from benchmarks.runs.recording import Recording
from benchmarks.runs.scaling import LossScale
from benchmarks.runs.schedule import rate_at

if TYPE_CHECKING:
    from benchmarks.runs.families.base import Batch
    from benchmarks.runs.spec import Spec

EVALUATIONS = 20
# The last four evaluations give the final value, so that one lucky batch order decides less.
LATE = (0.925, 0.975)


def evaluation_steps(steps: int) -> frozenset[int]:
    """Steps before which the run is evaluated: every twentieth of the run, and two more near its end."""
    regular = {round(steps * k / EVALUATIONS) for k in range(EVALUATIONS)}
    return frozenset(regular | {round(steps * share) for share in LATE})


def train(spec: Spec) -> Recording:
    """Train one run and return everything it wrote down.

    A run whose weights have become non-finite is stopped 30 to 300 rows later, as its owner would.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        return _train(spec)
    finally:
        # A mode of the processor: whoever runs after us in this process must not inherit it.
        torch.set_flush_denormal(False)


def _train(spec: Spec) -> Recording:
    """Run the loop itself."""
    task = build_task(spec)
    module = task.module
    flat = FlatParameters(module)
    optimiser = build_optimiser(spec, flat.vector)
    scaler = LossScale.of(spec.scaler)
    data_rng = torch.Generator().manual_seed(10_000 + spec.seed)
    bad_rng = torch.Generator().manual_seed(20_000 + spec.seed)
    bad_steps, evaluations = frozenset(spec.bad_steps), evaluation_steps(spec.steps)
    recording = Recording(spec=spec)
    repeated: Batch | None = None
    saved: dict[str, torch.Tensor] = {}
    resumed, offset, lost_rows = False, spec.first_step, 0
    patience = 30 + 90 * (spec.seed % 4)
    step = 0
    while step < spec.steps and lost_rows < patience:
        phase = next(name for begin, name in reversed(spec.phases) if begin <= step)
        if spec.resume and not resumed:
            crash, checkpoint = spec.resume
            if step == checkpoint:
                saved = {name: value.clone() for name, value in module.state_dict().items()}
            if step == crash:
                resumed, step = True, checkpoint
                module.load_state_dict(saved)
                optimiser = build_optimiser(spec, flat.vector)
                offset = spec.first_step - checkpoint if spec.resume_renumber else offset
        if step in evaluations:
            # Quiet data before the real ones are only a prelude: what counts is the data to come.
            judged_on = spec.phases[-1][1] if phase == "easy" else phase
            recording.evaluations.append((len(recording), task.evaluate(judged_on)))

        size = spec.batch_change[1] if spec.batch_change and step >= spec.batch_change[0] else spec.batch
        batch = task.batch(data_rng, size, phase)
        if step in bad_steps:
            batch = repeated if repeated is not None else task.corrupt(batch, spec.bad_kind, bad_rng)
            repeated = batch if spec.bad_same else None
        half = spec.precision == "fp16"
        if half and batch[0].is_floating_point():
            batch = (batch[0].half().float(), *batch[1:])
        rate = rate_at(spec, step)
        scale = scaler.scale if half else 1.0

        loss = task.loss(batch)
        shown = loss if not spec.l2_in_loss else loss + 0.5 * spec.l2 * flat.vector.detach().square().sum()
        flat.gradient.zero_()
        (loss * scale).backward()
        if half:
            # What float16 gradients would hold: infinite above 65504, zero below 6e-8, 11 bits between.
            flat.gradient.copy_(flat.gradient.half().float() / scale if scale > 0 else flat.gradient * math.nan)
        data_norm = float(flat.gradient.norm())
        overflow = half and not math.isfinite(data_norm)
        if spec.l2:
            flat.gradient.add_(flat.vector.detach(), alpha=spec.l2)
        norm = float(flat.gradient.norm())
        layers = flat.layer_norms() if spec.log_layers else {}
        ratio = squared_ratio(optimiser, flat.vector, spec.beta2)
        coefficient = 1.0 if spec.clip is None else min(1.0, spec.clip / (norm + 1e-6))
        logged = norm * coefficient if spec.log_postclip else norm
        if overflow:
            recording.skipped += 1
            logged = math.nan if spec.overflow_as == "nan" or math.isnan(float(loss.detach())) else math.inf
            update = 0.0
        else:
            flat.gradient.mul_(coefficient)
            optimiser.param_groups[0]["lr"] = rate
            before = flat.vector.detach().clone()
            optimiser.step()
            update = float((flat.vector.detach() - before).norm())
        if half:
            scaler.update(overflow=overflow)
        task.after_step(step)
        weights = float(flat.vector.detach().norm())
        after = None
        if spec.log_after:
            with torch.no_grad():
                after = float(task.loss(batch))
        recording.add(
            step=step + offset,
            loss=float(shown.detach()),
            grad_norm=logged,
            true_norm=norm,
            data_norm=data_norm,
            lr=rate,
            loss_scale=scale,
            update_norm=update,
            weight_norm=weights,
            rms_ratio=ratio,
            batch_size=len(batch[0]),
            bad_batch=float(step in bad_steps),
            loss_after=after,
            **{f"grad_norm/{name}": value for name, value in layers.items()},
        )
        lost_rows = lost_rows + 1 if not math.isfinite(weights) else 0
        step += 1
    recording.evaluations.append((len(recording), task.evaluate(spec.phases[-1][1])))
    return recording
