"""Settings that consoles print: YAML with sections, Python's `dict(...)`, optimizers as PyTorch prints them."""

from __future__ import annotations

import pytest

import gradlens
from gradlens.readers.console.settings import settings_in

YAML = """\
model:
  name: vit
  lr: 5.0
trainer:
  max_epochs: 3
  gradient_clip_val: 0.5
optim:
  name: adamw
  lr: 0.001
  betas:
  - 0.9
  - 0.95
  weight_decay: 0.01
eval:
  batch_size: 999
"""
FLOW = """\
optimizer:
    type: AdamW
    lr: 0.001
    betas: [0.9, 0.95]
    weight_decay: 0.01
optim_wrapper:
    clip_grad: {max_norm: 0.5, norm_type: 2}
"""
PYTHON = """\
optim_wrapper = dict(
    clip_grad=dict(max_norm=0.5, norm_type=2),
    optimizer=dict(lr=0.001, type='AdamW', betas=(0.9, 0.95), weight_decay=0.01),
    type='OptimWrapper')
"""
PRINTED = """\
AdamW (
Parameter Group 0
    amsgrad: False
    betas: (0.9, 0.95)
    eps: 1e-08
    lr: 0.001
    weight_decay: 0.01
)
max_grad_norm: 0.5
"""


def read(tmp_path, head):
    path = tmp_path / "run.log"
    path.write_text(head + "".join(f"step: {n}  loss: {4 - n / 128:.4f}  grad_norm: 1.0000\n" for n in range(1, 31)))
    (run,) = gradlens.read(path)
    assert run.loss.step.tolist() == list(range(1, 31))
    return run.config


@pytest.mark.parametrize(
    "head", [YAML, "Config:\n" + YAML, FLOW, PYTHON, PRINTED], ids=["yaml", "titled", "flow", "python", "printed"]
)
def test_the_settings_of_the_training_are_found(head, tmp_path):
    config = read(tmp_path, head)
    assert (config.max_grad_norm, config.learning_rate, config.weight_decay) == (0.5, 0.001, 0.01)
    assert (config.beta1, config.beta2) == (0.9, 0.95)
    assert config.optimizer.lower() == "adamw"
    assert config.batch_size is None


@pytest.mark.parametrize(
    "block",
    [
        "a: &x\n  b: 1\nc: *x\nd: 2\n",
        "run: !!python/object/apply:os.system\n  args: ['false']\na: 1\nb: 2\n",
        "a:\n   b: 1\n  c: 2\n d: 3\ne: 4\n",
        "a:\n" * 50_000,
    ],
    ids=["anchors", "objects", "broken", "long"],
)
def test_what_is_no_plain_yaml_is_no_setting(block):
    assert settings_in(block, 0, len(block)) == {}


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"model": {"lr": 5.0}, "train": {"optim": {"lr": 0.001}}}, 0.001),
        ({"model": {"optim": {"lr": 0.001}}, "lr": 0.002}, 0.002),
        ({"model": {"optim": {"lr": 0.001}, "backbone": {"lr": 3.0}}}, 0.001),
        ({"eval": {"lr": 5.0}}, None),
        ({"model": {"lr": 5.0}}, 5.0),
    ],
)
def test_the_section_that_the_loop_used_counts(settings, rate):
    from gradlens.config import training_config

    assert training_config(settings).learning_rate == rate
