"""Recipes and faults of the families whose scores were watched while the rules were made on those of `develop`.

`build.py` has the notation. Nothing was fitted to these runs until the weights that ship, which learn from every split.
"""

from __future__ import annotations

from typing import Any

Family = tuple[dict[str, dict[str, Any]], tuple[str, ...]]

_FP16 = {"precision": "fp16", "opt": "adamw"}

# A recipe a line: it is read as a table.
# fmt: off
# ruff: noqa: E501
FAMILIES: dict[str, Family] = {
    "postnorm": (
        {
            "plain": {"seed": 6, "lr": 0.002, "warmup": 120, "beta2": 0.98, "schedule": "inverse_sqrt", "batch": 8, "steps": 900, "clip": 0.95},
            "bare": {"seed": 7, "opt": "adam", "lr": 0.003, "schedule": "linear", "batch": 8, "steps": 800},
            "hot": {"seed": 8, "opt": "adam", "lr": 0.01, "warmup": 200, "schedule": "cosine", "batch": 8, "steps": 800},
            "averaged": {"seed": 9, "lr": 0.003, "warmup": 60, "weight_decay": 0.1, "schedule": "wsd", "batch": 8, "steps": 1500, "clip": 0.78, "log_every": 10, "log_average": True, "log_decimals": 4},
        },
        (
            "plain lr_too_high x30",
            "bare lr_too_high x100",
            "hot no_warmup direct",
            "plain bad_data garbage-few6",
            "bare bad_data constant-every55",
            "bare data_shift shift-at60",
            "averaged data_shift shift-at50",
            "plain clip_too_tight m0.05",
            "plain clip_too_loose m50-garbage-few8",
            "bare postclip_logged q0.4",
            "averaged lr_restart at60-x4",
            "plain batch_size_change to64-at50",
            "bare resume_artifact 65to55",
            "bare vanishing sigmoid-d12",
            "averaged lr_too_high x30",
        ),
    ),
    "adding": (
        {
            "plain": {"seed": 5, "opt": "adam", "lr": 0.01, "steps": 1500, "clip": 0.97},
            "gentle": {"seed": 6, "lr": 0.005, "warmup": 100, "beta2": 0.99, "schedule": "wsd", "steps": 2000, "batch": 24},
            "half": {"seed": 5, "lr": 0.01, "steps": 1200, "scaler": {"init_scale": 2.0**21, "growth_interval": 400}, **_FP16},
        },
        (
            "plain lr_too_high x30",
            "gentle lr_too_high x100",
            "plain bad_data target_x20-few5",
            "gentle bad_data x8-every110",
            "half fp16_overflow growth8",
            "half loss_scale_collapse drip14",
            "plain clip_too_tight m0.03",
            "plain clip_too_loose m1000-target_x20-few6",
            "plain postclip_logged q0.5",
            "plain data_shift shift-at60",
            "gentle data_shift soft-at65",
            "plain adam_beta2_lag 0.999-lr1-target_x500-early10",
            "gentle resume_artifact 70to55-renumber",
            "plain exploding cell_relu-g2",
            "gentle exploding cell_relu-g1.7",
            "plain vanishing sigmoid-d8",
            "gentle batch_size_change to3-at70",
        ),
    ),
    "denoise": (
        {
            "plain": {"seed": 5, "lr": 0.002, "steps": 1600, "schedule": "cosine", "beta2": 0.99, "clip": 0.82},
            "momentum": {"seed": 6, "opt": "nesterov", "lr": 0.1, "steps": 1500, "warmup": 40, "schedule": "linear"},
            "half": {"seed": 7, "lr": 0.002, "steps": 1000, "warmup": 30, **_FP16},
            "slow": {"seed": 6, "opt": "sgd", "lr": 0.02, "steps": 900},
            "hot": {"seed": 7, "lr": 0.03, "warmup": 150, "steps": 900, "schedule": "cosine"},
            "sparse": {"seed": 8, "opt": "adam", "lr": 0.001, "steps": 4000, "batch": 16, "log_every": 50, "log_average": True, "log_decimals": 4, "schedule": "step"},
        },
        (
            "plain lr_too_high x100",
            "momentum lr_too_high x30",
            "sparse lr_too_high x100",
            "hot no_warmup direct",
            "plain bad_data x8-few8",
            "momentum bad_data target_x20-burst6",
            "half fp16_overflow growth9",
            "half fp16_overflow hover-nan",
            "half loss_scale_collapse burst42",
            "momentum clip_too_tight m0.03",
            "plain clip_too_loose m80-x8-few6",
            "plain postclip_logged q0.65",
            "slow l2_contamination wd0.03",
            "plain data_shift shift-at45",
            "momentum data_shift shift-at60",
            "plain adam_beta2_lag 0.999-lr1-target_x500-early10",
            "plain batch_size_change to250-at50",
            "momentum batch_size_change to4-at60",
            "plain resume_artifact 60to52",
            "momentum lr_restart at70-x2",
            "momentum exploding relu-d8-g3",
            "plain vanishing sigmoid-d10",
        ),
    ),
    "recsys": (
        {
            "plain": {"seed": 5, "opt": "adam", "lr": 0.01, "steps": 1500, "batch": 64, "drop_last": False},
            "ada": {"seed": 6, "opt": "adagrad", "lr": 0.1, "steps": 1500, "batch": 32, "clip": 0.9},
            "decayed": {"seed": 7, "lr": 0.02, "beta2": 0.95, "l2": 0.0003, "schedule": "step", "steps": 1500, "batch": 64, "clip": 0.97},
        },
        (
            "plain lr_too_high x30",
            "ada lr_too_high x30",
            "decayed lr_too_high x30-noclip",
            "plain bad_data target_x20-few6",
            "ada bad_data target_x20-every94-same",
            "plain data_shift shift-at60",
            "ada data_shift shift-at50",
            "ada clip_too_tight m0.03",
            "decayed clip_too_loose m1000-target_x20-few7",
            "plain postclip_logged q0.5",
            "plain batch_size_change to8-at60",
            "plain resume_artifact 60to48",
            "decayed lr_restart at85-x1",
            "plain adam_beta2_lag 0.999-lr1-target_x500-early10",
            "decayed adam_beta2_lag 0.9999-lr2-easy2main-at40",
        ),
    ),
    "moe": (
        {
            "plain": {"seed": 5, "lr": 0.003, "steps": 1300, "warmup": 30, "schedule": "cosine", "clip": 0.85},
            "sgd": {"seed": 6, "opt": "sgdm", "lr": 0.02, "steps": 1000, "schedule": "inverse_sqrt"},
            "hot": {"seed": 8, "opt": "adam", "lr": 0.05, "warmup": 150, "steps": 800, "schedule": "linear"},
            "amsgrad": {"seed": 7, "opt": "amsgrad", "lr": 0.005, "steps": 800, "batch": 16, "clip": 0.97},
        },
        (
            "plain lr_too_high x100",
            "sgd lr_too_high x30",
            "hot no_warmup direct",
            "plain bad_data target_x20-few6",
            "amsgrad bad_data x8-burst8",
            "sgd clip_too_tight m0.03",
            "amsgrad clip_too_loose m1000-target_x20-few6",
            "plain postclip_logged q0.4",
            "sgd data_shift shift-at55",
            "plain data_shift soft-at60",
            "plain batch_size_change to256-at60",
            "sgd resume_artifact 50to40-renumber",
            "plain lr_restart n1-x3",
            "plain adam_beta2_lag 0.999-lr1-target_x500-early10",
            "sgd exploding relu-d8-g3",
            "amsgrad vanishing sigmoid-d10",
        ),
    ),
    "policy": (
        {
            "plain": {"seed": 5, "opt": "adam", "lr": 0.003, "steps": 1500, "clip": 0.9},
            "rms": {"seed": 6, "opt": "rmsprop", "lr": 0.001, "beta2": 0.99, "steps": 2000, "batch": 16, "schedule": "linear"},
            "small": {"seed": 7, "opt": "sgdm", "lr": 0.01, "steps": 2500, "batch": 8, "clip": 0.97},
        },
        (
            "plain lr_too_high x300",
            "rms lr_too_high x300",
            "small lr_too_high x30-noclip",
            "plain bad_data target_x20-few7",
            "rms bad_data target_x20-burst8",
            "small clip_too_tight m0.02",
            "plain clip_too_loose m500-target_x20-few7",
            "plain postclip_logged q0.5",
            "plain data_shift shift-at55",
            "rms batch_size_change to128-at50",
            "plain resume_artifact 60to45",
            "plain adam_beta2_lag 0.999-lr1-target_x500-early10",
        ),
    ),
}
