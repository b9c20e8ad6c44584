"""Small synthetic runs with known faults: a smooth descent with seeded noise, and one thing done to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.diagnosis.case import Case, build_case
from gradlens.run import Columns, HistogramSeries, Notice, Run, Series
from gradlens.signals.axis import signals_of

N = 1200


def healthy(n=N, seed=0, noise=0.06):
    """Loss from 4 to about 1.6, norm from 1.2 to .4, rate with warm-up and cosine decay."""
    rng = np.random.default_rng(seed)
    row = np.arange(n)
    loss = (1.6 + 2.4 * np.exp(-row / (0.06 * n))) * np.exp(noise * rng.normal(size=n))
    norm = (0.4 + 0.8 * np.exp(-row / (0.05 * n))) * np.exp(0.1 * rng.normal(size=n))
    warm = n // 12
    rate = 1e-3 * np.where(row < warm, (row + 1) / warm, 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * (row - warm) / n)))
    return {"loss": loss, "grad_norm": norm, "lr": rate}


def make(columns, *, step=None, threshold=1.0, source="option", layers=None, notices=(), config=None) -> Case:
    """A case from columns; `step` may repeat or go back."""
    n = len(next(iter(columns.values())))
    step = np.arange(n) if step is None else np.asarray(step)
    layers = layers or {}
    series = {k: Series(name=k, step=step.astype(np.int64), value=np.asarray(v, dtype=float))
              for k, v in {**columns, **layers}.items()}  # fmt: skip
    roles = {k: k for k in ("loss", "grad_norm", "lr", "loss_scale", "val_loss") if k in series}
    run = Run(
        id="synthetic", source="synthetic", format="test", series=series, columns=Columns(step="step", **roles),
        notices=tuple(notices), layers={k: series[k] for k in layers},
    )  # fmt: skip
    return build_case(
        run, signals_of(run), config=config or TrainingConfig(), threshold=threshold, threshold_source=source
    )


def case_healthy():
    return make(healthy())


def case_healthy_rare_log():
    return make(healthy(150), step=np.arange(150) * 10)


def case_healthy_short():
    return make(healthy(60))


def case_after_clipping():
    run = healthy()
    run["grad_norm"] = np.minimum(run["grad_norm"], 0.42 * (1 - 1e-6))
    return make(run, threshold=0.42)


def case_loss_scaled():
    run = healthy()
    scale = 2.0 ** (10 + np.arange(N) // 150)
    run["grad_norm"] = run["grad_norm"] * scale
    run["loss_scale"] = scale
    return make(run)


def case_placeholder():
    run = healthy()
    run["grad_norm"] = np.zeros(N)
    return make(run)


def case_averaged():
    return make(healthy(), notices=[Notice(code="norm-averaged", message="averaged")])


def case_irregular():
    keep = np.sort(np.random.default_rng(1).choice(N, 900, replace=False))
    return make({k: v[keep] for k, v in healthy().items()}, step=keep)


def case_gap():
    step = np.arange(N)
    step[600:] += 400
    return make(healthy(), step=step)


def case_resumed():
    step = np.concatenate([np.arange(700), np.arange(620, 1120)])
    return make(healthy(), step=step)


def case_two_optimizers():
    run = healthy()
    run["grad_norm"][1::2] *= 8.0
    return make(run, threshold=50.0)


def case_no_norm():
    run = healthy()
    return make({"loss": run["loss"], "lr": run["lr"]})


def case_clipped():
    return make(healthy(), threshold=0.1, config=TrainingConfig(optimizer="sgd"))


def case_bad_batches():
    run = healthy()
    for row in (250, 420, 610, 777, 901, 1100):
        run["loss"][row] *= 3.0
        run["grad_norm"][row] *= 12.0
    return make(run, threshold=1.0)


def case_periodic():
    run = healthy()
    run["loss"][200::75] *= 2.5
    run["grad_norm"][200::75] *= 8.0
    return make(run, threshold=1.0)


def case_burst():
    run = healthy()
    run["loss"][600:608] *= 3.0
    run["grad_norm"][600:608] *= 12.0
    return make(run, threshold=1.0)


def case_out_of_reach():
    run = healthy()
    for row in (250, 420, 610, 777, 901, 1100):
        run["loss"][row : row + 2] *= 3.0
        run["grad_norm"][row : row + 2] *= 12.0
    return make(run, threshold=50.0)


def case_rate_too_high():
    run = healthy()
    hill = 1.6 * np.exp(-(((np.arange(N) - 320) / 170) ** 2))
    run["loss"] = run["loss"] * (1 + hill)
    run["grad_norm"] = run["grad_norm"] * (1 + hill)
    return make(run, threshold=5.0)


def case_no_warmup():
    run = healthy()
    run["lr"] = 1e-3 * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * np.arange(N) / N)))
    run["loss"][1:3] = [8.5, 5.5]
    run["grad_norm"][1:3] = [9.0, 3.0]
    return make(run, threshold=None)


def case_rate_jump():
    run = healthy()
    row = np.arange(N)
    run["lr"][700:] = run["lr"][100 : 100 + N - 700]
    after = np.where(row >= 700, 0.5 * np.exp(-(row - 700) / 150), 0)
    run["loss"] = run["loss"] * (1 + after)
    run["grad_norm"] = run["grad_norm"] * (1 + after)
    return make(run, threshold=5.0)


def case_shift():
    run = healthy()
    run["loss"][700:] *= 1.6
    run["grad_norm"][700:] *= 1.5
    return make(run, threshold=5.0)


def case_batch_size():
    run = healthy()
    rng = np.random.default_rng(5)
    run["grad_norm"][600:] *= 2.8
    run["loss"][600:] = np.median(run["loss"][550:600]) * np.exp(0.17 * rng.normal(size=N - 600))
    return make(run, threshold=5.0)


def case_overflow():
    run = healthy()
    run["grad_norm"][100::20] = np.inf
    run["loss_scale"] = np.full(N, 65536.0)
    return make(run)


def case_scale_collapse():
    run = healthy()
    scale = np.full(N, 65536.0)
    scale[800:840] = 65536.0 * 0.5 ** np.arange(40)
    scale[840:] = 2.0**-24
    run["grad_norm"][800:840] = np.nan
    run["loss"][800:840] = np.nan
    run["grad_norm"][840:] = 0.0
    run["loss_scale"] = scale
    return make(run)


def case_exploding():
    run = healthy()
    run["grad_norm"][880:900] = 0.4 * np.exp(np.linspace(0, 12, 20))
    run["loss"][890:900] = 1.6 * np.exp(np.linspace(0, 4, 10))
    run["grad_norm"][900:] = np.nan
    run["loss"][900:] = np.nan
    return make(run, threshold=None)


def case_single_nans():
    run = healthy()
    run["loss"][[300, 700]] = [np.nan, -np.inf]
    run["grad_norm"][[301, 900]] = np.inf
    return make(run)


def case_vanishing():
    rng = np.random.default_rng(2)
    run = healthy()
    run["loss"] = 2.3 * np.exp(0.01 * rng.normal(size=N))
    run["grad_norm"] = 0.02 * np.exp(0.23 * rng.normal(size=N))
    return make(run, threshold=1.0)


def case_lost_progress():
    run = healthy()
    run["loss"][900:] += np.linspace(0, 2.0, N - 900)
    return make(run, threshold=5.0)


def case_oscillation():
    run = healthy()
    run["loss"] = run["loss"] * np.exp(0.15 * np.sin(2 * np.pi * np.arange(N) / 50))
    return make(run)


def case_dominant_layer():
    run = healthy()
    layers = {f"grad_norm/{i}": run["grad_norm"] * (1.0 if i == 2 else 0.05) for i in range(4)}
    return make(run, layers=layers)


def case_lag():
    run = healthy()
    run["loss"][400] *= 3.0
    run["grad_norm"][400] *= 200.0
    after = np.arange(N - 401) / 12.0
    run["loss"][401:] *= 1 + 1.2 * after * np.exp(1 - after)
    config = TrainingConfig(optimizer="adamw", beta1=0.9, beta2=0.9999)
    return make(run, threshold=None, config=config)


def case_penalty():
    run = healthy()
    run["grad_norm"] = 3.0 * np.exp(-np.arange(N) / 900) * np.exp(0.002 * np.random.default_rng(3).normal(size=N))
    return make(run, threshold=10.0)


def case_norm_spike():
    run = healthy()
    run["grad_norm"][700] *= 150.0
    return make(run, threshold=1.0)


def case_steps_too_long():
    """Every tenth step is probed: most end higher than they began."""
    run = healthy()
    rng = np.random.default_rng(5)
    before = np.where(np.arange(N) % 10 == 0, run["loss"], np.nan)
    slope = -0.05 * before
    return make({
        **run, "loss_before": before, "loss_after": before * (1.0 + 0.02 * rng.uniform(0.5, 1.5, N)),
        "grad_dot_update": slope, "update_norm": np.full(N, 0.1), "weight_norm": np.full(N, 10.0) * np.linspace(1, 10, N),
    })  # fmt: skip


def case_policy():
    run = healthy()
    run["loss"] = 0.02 * np.random.default_rng(4).normal(size=N)
    return make({**run, "reward": np.linspace(0.0, 2.0, N)}, threshold=5.0)


def case_clipped_before_unscaling():
    run = healthy()
    run["grad_norm"] = np.where(np.arange(N) < 700, 2.0**-16, 2.0**-17) * np.ones(N)
    return make(run)


def case_rate_of_zero():
    run = healthy()
    run["lr"] = np.zeros(N)
    run["loss"] = 2.3 * np.exp(0.01 * np.random.default_rng(5).normal(size=N))
    return make(run, threshold=5.0)


def case_rate_ends_early():
    run = healthy()
    run["lr"] = 1e-3 * np.clip(1.0 - np.arange(N) / 300, 0.0, 1.0)
    return make(run, threshold=5.0)


def case_schedule_wraps():
    run = healthy()
    run["lr"] = 5e-4 * (1.0 + np.cos(np.pi * np.arange(N) / 300))
    return make(run, threshold=5.0)


def case_overfitting():
    run = healthy()
    row = np.arange(N)
    return make(
        {**run, "val_loss": 2.0 - 0.6 * np.minimum(row, 400) / 400 + 0.8 * np.maximum(row - 400, 0) / 800},
        threshold=5.0,
    )


def case_evaluations_lost() -> Case:
    """A run that learns, whose evaluations are NaN from two thirds on."""
    run = healthy(1200)
    row = np.arange(1200.0)
    return make(
        {**run, "val_loss": np.where(row < 800, 2.0 - 0.6 * row / 800, np.nan)},
    )


def case_sudden_nan():
    run = healthy()
    run["loss"][900:] = np.nan
    run["grad_norm"][900:] = np.nan
    return make(run, threshold=5.0)


def case_nan_throughout():
    return make({**healthy(), "loss": np.full(N, np.nan), "grad_norm": np.full(N, np.nan)}, threshold=None)


def case_norm_never_finite():
    return make({**healthy(), "grad_norm": np.full(N, np.nan)}, threshold=None)


def case_gave_up():
    return make(
        healthy(),
        threshold=5.0,
        notices=[Notice(code="fatal-line", message="the trainer gave up: Loss is nan, stopping")],
    )


def case_nothing_learned():
    return make({"loss": np.full(N, 2.302585), "grad_norm": np.zeros(N)}, threshold=None)


def case_at_chance():
    run = healthy()
    run["loss"] = np.log(10.0) * np.exp(0.004 * np.random.default_rng(6).normal(size=N))
    return make(run, threshold=5.0)


def case_layer_goes_first():
    rng = np.random.default_rng(7)
    run = healthy()
    layers = {f"grad_norm/layers.{k}.weight": 0.3 * np.exp(0.1 * rng.normal(size=N)) for k in range(8)}
    layers["grad_norm/layers.3.weight"][850:900] *= np.exp(np.linspace(0, 8, 50))
    layers["grad_norm/layers.3.weight"][900:] = np.nan
    for name, value in layers.items():
        if "layers.3." not in name:
            value[901:] = np.nan
    run["loss"][901:] = np.nan
    run["grad_norm"][901:] = np.nan
    return make(run, threshold=None, layers=layers)


def case_recurring():
    run = healthy(4 * N)
    for row in (900, 1600, 2300, 3000, 3700):
        fade = np.exp(-np.arange(60) / 20.0)
        run["loss"][row : row + 60] *= 1 + 0.6 * fade
        run["grad_norm"][row - 3 : row + 57] *= 1 + 12.0 * fade
    return make(run, threshold=None)


def case_partly_lost():
    run = healthy(noise=0.01)
    row = np.arange(N)
    run["loss"] = 4.0 + 3.0 * np.exp(-row / 40) + 1.2 * np.maximum(row / N - 0.86, 0.0) / 0.14
    run["loss"] += 0.01 * np.random.default_rng(3).normal(size=N)
    return make(run, threshold=None)


def case_beyond_fp16():
    case = make({**healthy(), "loss_scale": np.full(N, 65536.0)})
    histogram = HistogramSeries(
        name="gradients/block_3",
        step=np.array([400, 800]),
        limits=(np.array([-1.0, 0.0, 1.0, 7e4]), np.array([-1.0, 0.0, 7e4, 1e5])),
        counts=(np.array([500.0, 400.0, 3.0]), np.array([500.0, 490.0, 2.0])),
    )
    run = replace(case.run, histograms={histogram.name: histogram})
    return build_case(run, signals_of(run), config=TrainingConfig(), threshold=1.0, threshold_source="option")


#: For each check: the runs in which it must find something.
FINDS = {
    "GL001": (case_after_clipping,), "GL002": (case_loss_scaled,), "GL003": (case_placeholder,),
    "GL004": (case_averaged,), "GL005": (case_healthy_rare_log, case_irregular), "GL006": (case_gap,),
    "GL007": (case_resumed,), "GL008": (case_two_optimizers,), "GL009": (case_no_norm, case_healthy_short),
    "GL101": (case_clipped,), "GL102": (case_out_of_reach,), "GL103": (case_clipped,),
    "GL201": (case_rate_too_high,), "GL202": (case_no_warmup,), "GL203": (case_rate_jump,),
    "GL301": (case_bad_batches, case_burst), "GL302": (case_burst,), "GL303": (case_periodic,),
    "GL304": (case_shift,), "GL305": (case_batch_size,), "GL401": (case_overflow,), "GL402": (case_scale_collapse,),
    "GL403": (case_scale_collapse,), "GL404": (case_single_nans,), "GL501": (case_exploding,), "GL502": (case_vanishing,),
    "GL503": (case_partly_lost,), "GL504": (case_oscillation,), "GL505": (case_dominant_layer,),
    "GL010": (case_policy,), "GL104": (case_clipped_before_unscaling,), "GL204": (case_rate_of_zero, case_rate_ends_early),
    "GL205": (case_schedule_wraps,), "GL306": (case_overfitting,), "GL307": (case_evaluations_lost,), "GL405": (case_sudden_nan, case_nan_throughout),
    "GL406": (case_norm_never_finite,), "GL407": (case_gave_up,), "GL408": (case_beyond_fp16,), "GL514": (case_nothing_learned,), "GL510": (case_lost_progress,),
    "GL511": (case_at_chance,), "GL512": (case_layer_goes_first,), "GL513": (case_recurring,),
    "GL506": (case_lag,), "GL507": (case_penalty,), "GL508": (case_norm_spike,), "GL509": (case_steps_too_long,),
}  # fmt: skip

#: The cause that must come first in a run.
CAUSES = {
    case_healthy: "healthy", case_healthy_rare_log: "healthy", case_healthy_short: "healthy", case_gap: "healthy",
    case_averaged: "healthy", case_irregular: "healthy", case_no_norm: "healthy", case_norm_spike: "healthy",
    case_single_nans: "healthy", case_dominant_layer: "healthy", case_placeholder: "healthy", case_after_clipping: "postclip_logged",
    case_resumed: "resume_artifact", case_clipped: "clip_too_tight", case_out_of_reach: "clip_too_loose",
    case_rate_too_high: "lr_too_high", case_no_warmup: "no_warmup", case_rate_jump: "lr_restart",
    case_bad_batches: "bad_data", case_periodic: "bad_data", case_burst: "bad_data", case_shift: "data_shift",
    case_batch_size: "batch_size_change", case_overflow: "fp16_overflow", case_scale_collapse: "loss_scale_collapse",
    case_exploding: "exploding", case_vanishing: "vanishing", case_lag: "adam_beta2_lag",
    case_penalty: "l2_contamination",
}  # fmt: skip

#: The cause that a fact proves, whatever is weighed.
PROVEN = {
    case_clipped_before_unscaling: "clip_before_unscale", case_rate_of_zero: "lr_zero", case_rate_ends_early: "schedule_mismatch",
    case_schedule_wraps: "schedule_mismatch", case_overfitting: "overfitting", case_sudden_nan: "nan_sudden",
    case_nan_throughout: "nan_sudden", case_norm_never_finite: "unknown", case_nothing_learned: "not_learning",
    case_layer_goes_first: "exploding", case_recurring: "recurring_instability", case_gave_up: "unknown",
    case_beyond_fp16: "fp16_overflow",
}  # fmt: skip
