"""Recipes and faults of sixteen families of tasks unlike the others, made last, without knowing rules or scores.

They were scored once before they led to any change, and few were made since. `evaluate` judges them by weights that saw
none of them; the weights that ship have learned from them. `build.py` has the notation.
"""

from __future__ import annotations

from typing import Any

Family = tuple[dict[str, dict[str, Any]], tuple[str, ...]]

_FP16 = {"precision": "fp16", "opt": "adamw"}

# A recipe a line: it is read as a table.
# fmt: off
# ruff: noqa: E501
FAMILIES: dict[str, Family] = {
    "gan": (
        {
            "plain": {"seed": 61, "opt": "rmsprop", "lr": 0.001, "beta2": 0.99, "schedule": "linear", "steps": 1200, "batch": 64, "arch": {"blur": 0.5}, "clip": 0.95},
            "steady": {"seed": 62, "opt": "rmsprop", "lr": 0.0005, "beta2": 0.99, "steps": 2500, "batch": 48, "log_every": 10, "log_average": True, "arch": {"blur": 0.5}},
            "hinge": {"seed": 63, "opt": "rmsprop", "lr": 0.0005, "beta2": 0.99, "schedule": "cosine", "steps": 1000, "batch": 64, "log_decimals": 3, "arch": {"blur": 0.6, "hinge": True}},
        },
        (
            "plain lr_too_high x100-noclip",
            "plain bad_data target_x20-few6",
            "plain data_shift shift-at55",
            "plain batch_size_change to4-at55",
        ),
    ),
    "finetune": (
        {
            "plain": {"seed": 61, "lr": 0.0001, "warmup": 20, "weight_decay": 0.01, "schedule": "linear", "steps": 400, "batch": 32, "arch": {"angle": 0.25}, "clip": 0.97},
            "tiny": {"seed": 62, "opt": "adam", "lr": 0.00001, "steps": 1000, "batch": 16, "log_every": 10, "log_average": True, "log_decimals": 3, "arch": {"angle": 0.2}},
            "barely": {"seed": 67, "opt": "adam", "lr": 0.000005, "steps": 500, "batch": 32, "arch": {"angle": 0.15, "before": 600}},
            "head": {"seed": 63, "opt": "sgdm", "lr": 0.01, "steps": 300, "batch": 16, "arch": {"frozen": True, "head": True}},
            "half": {"seed": 64, "lr": 0.0002, "schedule": "cosine", "steps": 600, "batch": 24, "scaler": {"init_scale": 2.0**21, "growth_interval": 300}, "arch": {"angle": 0.4}, **_FP16},
            "cycles": {"seed": 65, "opt": "sgd", "lr": 0.01, "schedule": "warm_restarts", "steps": 900, "batch": 24, "arch": {"angle": 0.35}},
            "deep": {"seed": 66, "opt": "adam", "lr": 0.0003, "beta2": 0.98, "schedule": "linear", "steps": 500, "batch": 24, "arch": {"head": True}},
        },
        (
            "cycles lr_too_high x30",
            "plain bad_data shuffle-few6",
            "deep bad_data shuffle-one",
            "plain clip_too_tight m0.03",
            "plain clip_too_loose m40-shuffle-few5",
            "half fp16_overflow growth8",
            "half loss_scale_collapse burst45",
            "plain lr_restart at60-x100",
            "plain data_shift shift-at55",
            "plain postclip_logged q0.5",
        ),
    ),
    "lora": (
        {
            "plain": {"seed": 61, "lr": 0.002, "warmup": 30, "schedule": "cosine", "steps": 800, "batch": 16, "clip": 0.95},
            "bare": {"seed": 62, "opt": "adam", "lr": 0.001, "steps": 900, "batch": 16, "arch": {"rank": 2}},
            "near": {"seed": 63, "lr": 0.003, "beta2": 0.95, "schedule": "stairs", "steps": 500, "batch": 16, "arch": {"new": 0.4}},
            "hot": {"seed": 66, "opt": "adam", "lr": 0.2, "warmup": 120, "schedule": "linear", "steps": 600, "batch": 16},
            "half": {"seed": 65, "lr": 0.002, "steps": 600, "batch": 16, "scaler": {"init_scale": 2.0**22, "growth_interval": 300}, **_FP16},
        },
        (
            "plain lr_too_high x300-noclip",
            "hot no_warmup direct",
            "bare bad_data garbage-few6",
            "half fp16_overflow growth10",
            "near lr_restart at70-x10",
            "bare batch_size_change to2-at55",
            "plain postclip_logged q0.55",
            "near resume_artifact 60to50",
        ),
    ),
    "prefer": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.0005, "warmup": 50, "schedule": "linear", "steps": 800, "batch": 32, "clip": 0.96},
            "lion": {"seed": 62, "opt": "lion", "lr": 0.0001, "schedule": "cosine", "steps": 600, "batch": 32},
            "rms": {"seed": 63, "opt": "rmsprop", "lr": 0.0003, "beta2": 0.99, "steps": 2000, "batch": 8, "log_every": 10, "log_decimals": 3},
            "cycles": {"seed": 64, "opt": "sgdm", "lr": 0.02, "schedule": "warm_restarts", "steps": 900, "batch": 32},
            "sparse": {"seed": 65, "lr": 0.0002, "beta2": 0.98, "weight_decay": 0.01, "schedule": "wsd", "steps": 3000, "batch": 12, "log_every": 25, "log_average": True},
        },
        (
            "plain lr_too_high x300-noclip",
            "plain bad_data swap-few6",
            "plain vanishing sigmoid-d12",
            "rms batch_size_change to128-at50",
            "plain clip_too_tight m0.02",
            "lion resume_artifact 60to50",
        ),
    ),
    "ppo": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.003, "schedule": "linear", "steps": 1500, "batch": 128, "clip": 0.95},
            "calm": {"seed": 62, "opt": "rmsprop", "lr": 0.002, "beta2": 0.99, "schedule": "linear", "steps": 2500, "batch": 64, "log_every": 5},
            "sparse": {"seed": 63, "opt": "adam", "lr": 0.002, "schedule": "cosine", "steps": 5000, "batch": 64, "log_every": 50, "log_average": True},
            "big": {"seed": 64, "opt": "adam", "lr": 0.003, "beta2": 0.99, "schedule": "cosine", "steps": 1500, "batch": 128, "arch": {"price": 1.0}, "clip": 0.92},
        },
        (
            "plain lr_too_high x30-noclip",
            "plain bad_data target_x20-few6",
            "big exploding relu-d8-g3",
            "plain adam_beta2_lag 0.999-lr1-target_x500-early15",
            "calm batch_size_change to4-at55",
            "big clip_too_loose m300-target_x20-few5",
        ),
    ),
    "td3": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.003, "steps": 1500, "batch": 64, "arch": {"actor": 1.0}, "clip": 0.97},
            "slow": {"seed": 62, "opt": "rmsprop", "lr": 0.001, "beta2": 0.99, "steps": 2500, "batch": 32, "log_every": 10, "arch": {"actor": 0.3, "slow": 0.05}},
            "near": {"seed": 63, "opt": "adam", "lr": 0.003, "beta2": 0.99, "schedule": "linear", "steps": 1200, "batch": 64, "arch": {"actor": 0.3, "slow": 0.05, "gamma": 0.9}},
            "wsd": {"seed": 65, "lr": 0.001, "beta2": 0.95, "schedule": "wsd", "steps": 1500, "batch": 48, "log_decimals": 4, "arch": {"slow": 0.05, "actor": 0.5}},
        },
        (
            "near exploding gamma1.1",
            "near bad_data target_x20-few7",
            "slow data_shift shift-at55",
            "near lr_restart at70-x10",
            "near adam_beta2_lag 0.999-lr1-target_x500-early12",
            "plain postclip_logged q0.5",
            "wsd clip_too_tight m0.01",
        ),
    ),
    "skipgram": (
        {
            "sum": {"seed": 61, "opt": "sgd", "lr": 0.05, "schedule": "linear", "steps": 1500, "batch": 64, "arch": {"sum": True}, "clip": 0.97},
            "adam": {"seed": 62, "opt": "adam", "lr": 0.005, "steps": 1200, "batch": 64},
            "bits": {"seed": 63, "opt": "adagrad", "lr": 0.1, "steps": 2000, "batch": 32, "log_every": 10, "log_decimals": 3, "arch": {"bits": True}},
            "smooth": {"seed": 64, "opt": "adam", "lr": 0.003, "schedule": "wsd", "steps": 2000, "batch": 16, "log_smooth": 0.98},
            "slow": {"seed": 65, "opt": "sgd", "lr": 0.01, "steps": 800, "batch": 64, "arch": {"sum": True}},
        },
        (
            "adam lr_too_high x100",
            "sum bad_data shuffle-burst9",
            "sum clip_too_tight m0.03",
            "sum clip_too_loose m30-shuffle-few6",
            "smooth data_shift shift-at60",
            "adam batch_size_change to4-at50",
            "sum resume_artifact 55to47",
        ),
    ),
    "pinn": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.003, "schedule": "exponential", "steps": 1500, "batch": 64, "clip": 0.9},
            "momentum": {"seed": 62, "opt": "nesterov", "lr": 0.0003, "steps": 1500, "batch": 48, "log_decimals": 4},
            "hot": {"seed": 63, "opt": "adam", "lr": 0.1, "warmup": 150, "schedule": "linear", "steps": 900, "batch": 64},
            "cycles": {"seed": 64, "opt": "adam", "lr": 0.002, "schedule": "doubled_restarts", "steps": 1400, "batch": 64, "arch": {"ends": 100.0}},
            "slow": {"seed": 65, "opt": "sgd", "lr": 0.00002, "steps": 600, "batch": 64},
        },
        (
            "momentum lr_too_high x30",
            "hot no_warmup direct",
            "momentum bad_data target_x20-burst6",
            "cycles data_shift shift-at60",
            "plain clip_too_loose m20000-target_x20-few5",
            "cycles adam_beta2_lag 0.999-lr1-target_x500-early15",
            "momentum exploding d4-g3",
            "slow l2_contamination wd30",
            "plain lr_restart at75-x30",
            "plain postclip_logged q0.5",
        ),
    ),
    "energy": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.001, "steps": 1000, "batch": 64, "clip": 0.97},
            "rms": {"seed": 62, "opt": "rmsprop", "lr": 0.0005, "beta2": 0.99, "schedule": "inverse_sqrt", "steps": 1500, "batch": 32, "log_every": 5},
            "linear": {"seed": 63, "lr": 0.002, "beta2": 0.9, "schedule": "linear", "steps": 900, "batch": 64},
        },
        (
            "plain lr_too_high x300-noclip",
            "plain bad_data x8-few6",
            "plain data_shift shift-at55",
            "linear exploding relu-d8-g3",
            "plain batch_size_change to4-at55",
            "linear lr_restart at80-x20",
        ),
    ),
    "crftag": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.003, "warmup": 40, "schedule": "cosine", "steps": 700, "batch": 16, "clip": 0.95},
            "momentum": {"seed": 62, "opt": "sgdm", "lr": 0.005, "schedule": "stairs", "steps": 800, "batch": 12},
            "drop": {"seed": 63, "lr": 0.002, "weight_decay": 0.05, "dropout": 0.2, "schedule": "linear", "steps": 700, "batch": 16, "arch": {"mean": True}},
            "sparse": {"seed": 64, "opt": "rmsprop", "lr": 0.001, "beta2": 0.98, "steps": 2500, "batch": 4, "log_every": 10},
            "hot": {"seed": 67, "opt": "adam", "lr": 0.14, "warmup": 120, "schedule": "linear", "steps": 600, "batch": 16},
        },
        (
            "plain lr_too_high x300-noclip",
            "hot no_warmup direct",
            "plain bad_data shuffle-few7",
            "momentum exploding relu-d8-g3",
            "momentum clip_too_tight m0.02",
            "drop resume_artifact 60to50",
            "plain clip_too_loose m15-shuffle-few6",
            "drop data_shift soft-at55",
        ),
    ),
    "multitask": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.003, "schedule": "cosine", "steps": 1200, "batch": 32, "clip": 0.97},
            "sum": {"seed": 62, "opt": "adam", "lr": 0.002, "beta2": 0.99, "schedule": "linear", "steps": 1200, "batch": 32, "arch": {"scale": 20.0, "sum": True}},
            "learned": {"seed": 63, "lr": 0.003, "beta2": 0.98, "schedule": "wsd", "steps": 1000, "batch": 24, "log_every": 5, "arch": {"scale": 5.0, "learned": True}},
            "half": {"seed": 64, "lr": 0.002, "steps": 800, "batch": 32, "scaler": {"init_scale": 2.0**20, "growth_interval": 400}, **_FP16},
            "slow": {"seed": 65, "opt": "sgd", "lr": 0.002, "steps": 600, "batch": 32},
            "hot": {"seed": 67, "opt": "adam", "lr": 0.08, "warmup": 150, "schedule": "linear", "steps": 800, "batch": 32},
        },
        (
            "plain lr_too_high x100-noclip",
            "hot no_warmup direct",
            "half bad_data x30-every90",
            "half fp16_overflow hover",
            "half loss_scale_collapse drip9",
            "slow l2_contamination wd4",
            "plain adam_beta2_lag 0.999-lr1-x100-early15",
            "sum exploding relu-d8-g3",
            "sum resume_artifact 70to60-renumber",
        ),
    ),
    "mixup": (
        {
            "plain": {"seed": 61, "opt": "sgdm", "lr": 0.05, "schedule": "cosine", "steps": 800, "batch": 32, "clip": 0.95},
            "cycles": {"seed": 62, "opt": "adam", "lr": 0.002, "schedule": "doubled_restarts", "steps": 900, "batch": 24},
            "half": {"seed": 63, "lr": 0.002, "schedule": "wsd", "steps": 600, "batch": 24, "scaler": {"init_scale": 2.0**19, "growth_interval": 300}, **_FP16},
            "tiny": {"seed": 64, "opt": "rmsprop", "lr": 0.0005, "beta2": 0.99, "steps": 2500, "batch": 4, "log_every": 10, "log_average": True},
            "slow": {"seed": 65, "opt": "sgd", "lr": 0.01, "steps": 600, "batch": 32},
        },
        (
            "plain lr_too_high x10-noclip",
            "half bad_data shuffle-one",
            "half fp16_overflow growth9-nan",
            "half loss_scale_collapse forever",
            "plain vanishing sigmoid-d12",
            "slow l2_contamination wd0.5",
            "tiny batch_size_change to128-at50",
        ),
    ),
    "dice": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.002, "warmup": 30, "schedule": "linear", "steps": 600, "batch": 16, "clip": 0.9},
            "cross": {"seed": 62, "opt": "sgdm", "lr": 0.05, "steps": 800, "batch": 8, "arch": {"cross": 1.0}},
            "picture": {"seed": 63, "lr": 0.003, "beta2": 0.95, "schedule": "inverse_sqrt", "steps": 700, "batch": 16, "log_decimals": 3, "arch": {"picture": True}},
            "half": {"seed": 64, "lr": 0.003, "schedule": "step", "steps": 500, "batch": 16, "scaler": {"init_scale": 2.0**22, "growth_interval": 250}, **_FP16},
        },
        (
            "cross bad_data shuffle-few6",
            "half fp16_overflow growth12",
            "half loss_scale_collapse burst40",
            "cross vanishing sigmoid-d12",
            "plain data_shift shift-at50",
            "cross clip_too_loose m60-shuffle-few5",
            "picture lr_restart at75-x10",
        ),
    ),
    "curriculum": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.003, "steps": 1200, "batch": 32, "arch": {"first": 8}, "clip": 0.96},
            "cosine": {"seed": 62, "lr": 0.005, "schedule": "cosine", "steps": 900, "batch": 24, "log_every": 5, "arch": {"stages": 3}},
            "long": {"seed": 63, "opt": "rmsprop", "lr": 0.001, "beta2": 0.99, "steps": 2000, "batch": 24, "arch": {"stages": 8, "first": 4}},
            "half": {"seed": 64, "lr": 0.003, "steps": 600, "batch": 24, "scaler": {"init_scale": 2.0**22, "growth_interval": 300}, "arch": {"first": 8}, **_FP16},
            "hot": {"seed": 65, "opt": "adam", "lr": 0.1, "warmup": 150, "schedule": "linear", "steps": 800, "batch": 24, "arch": {"first": 8}},
        },
        (
            "plain lr_too_high x100-noclip",
            "hot no_warmup direct",
            "plain bad_data target_x20-few6",
            "half fp16_overflow growth10",
            "half loss_scale_collapse drip10",
            "plain lr_restart at85-x10",
            "plain adam_beta2_lag 0.999-lr1-target_x20-early15",
            "plain batch_size_change to4-at88",
            "cosine vanishing sigmoid-d14",
        ),
    ),
    "hinge": (
        {
            "plain": {"seed": 61, "opt": "sgd", "lr": 0.1, "steps": 2000, "batch": 32},
            "square": {"seed": 62, "opt": "adam", "lr": 0.002, "schedule": "linear", "steps": 1000, "batch": 24, "arch": {"square": True}, "clip": 0.9},
            "kernel": {"seed": 63, "opt": "nesterov", "lr": 0.1, "steps": 1500, "batch": 8, "log_every": 10, "arch": {"hidden": False}},
            "blur": {"seed": 64, "opt": "adagrad", "lr": 0.02, "steps": 900, "batch": 24, "arch": {"blur": 0.3}},
            "slow": {"seed": 65, "opt": "sgd", "lr": 0.005, "steps": 600, "batch": 32},
        },
        (
            "plain lr_too_high x100",
            "plain bad_data shuffle-few7",
            "square clip_too_tight m0.05",
            "blur data_shift shift-at50",
            "slow l2_contamination wd0.5",
            "plain exploding relu-d8-g3",
            "blur batch_size_change to2-at60",
        ),
    ),
    "focal": (
        {
            "plain": {"seed": 61, "opt": "adam", "lr": 0.002, "schedule": "linear", "steps": 1200, "batch": 64, "clip": 0.95},
            "tiny": {"seed": 66, "opt": "sgdm", "lr": 0.03, "steps": 3000, "batch": 8, "log_every": 10},
            "cycles": {"seed": 63, "lr": 0.002, "schedule": "warm_restarts", "dropout": 0.1, "steps": 900, "batch": 128},
            "short": {"seed": 64, "opt": "adam", "lr": 0.005, "beta2": 0.99, "steps": 200, "batch": 96},
            "slow": {"seed": 65, "opt": "sgd", "lr": 0.02, "steps": 500, "batch": 64},
        },
        (
            "short bad_data x30-one",
            "cycles data_shift shift-at55",
            "plain clip_too_tight m0.005",
            "slow l2_contamination wd0.1",
            "plain adam_beta2_lag 0.9999-lr3-x100-early20",
            "tiny batch_size_change to256-at50",
            "plain postclip_logged q0.6",
            "cycles clip_too_loose m100-x30-few6",
        ),
    ),
}
