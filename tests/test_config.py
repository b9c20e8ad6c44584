"""How frameworks spell a training's settings, and what a settings file may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradlens.config import (
    SPELLINGS,
    TrainingConfig,
    load_mapping,
    load_training_config,
    misspelt,
    parse_threshold,
    require_readable,
    training_config,
)
from gradlens.errors import ConfigError

TEXT = {"optimizer", "lr_schedule", "precision"}


@pytest.mark.parametrize(("field", "spelling"), [(f, s) for f, spellings in SPELLINGS.items() for s in spellings])
def test_every_spelling_is_understood(field, spelling):
    value = True if field == "decoupled_weight_decay" else "cosine" if field in TEXT else 4.0
    for key in (spelling, spelling.upper(), spelling.replace("_", "-"), f"trainer.{spelling}"):
        mapping = value
        for part in reversed(key.split(".")):
            mapping = {part: mapping}
        assert getattr(training_config(mapping), field) == value, key


@pytest.mark.parametrize(
    ("value", "threshold"),
    [(1.5, 1.5), ("0.5", 0.5), (0, 0.0), (-1, 0.0), (None, 0.0), (False, 0.0), ("none", 0.0), (" Off ", 0.0),
     (float("inf"), 0.0), ("wide", None), ([1.0], None)],
)  # fmt: skip
def test_a_threshold_as_frameworks_spell_it(value, threshold):
    assert parse_threshold(value) == threshold


def test_a_setting_beyond_any_float_is_none():
    found = training_config({"learning_rate": 10**400, "max_grad_norm": -(10**5000), "weight_decay": 0.1})
    assert (found.learning_rate, found.max_grad_norm, found.weight_decay) == (None, None, 0.1)


def test_shallow_settings_beat_deep_ones_and_side_models_come_last():
    found = training_config(
        {"scheduler": {"lr": 1e-6}, "lr": 1e-3, "critic": {"grad_clip": 9.0}, "actor": {"grad_clip": 1.0}}
    )
    assert (found.learning_rate, found.max_grad_norm) == (1e-3, 1.0)


@pytest.mark.parametrize("betas", [[0.9, 0.95], (0.9, 0.95), "(0.9, 0.95)", {"desc": None, "value": [0.9, 0.95]}])
def test_betas_come_as_a_pair(betas):
    found = training_config({"betas": betas})
    assert (found.beta1, found.beta2) == (0.9, 0.95)


def test_precision_by_a_switch_and_what_is_not_set():
    found = training_config({"bf16": True, "fp16": False, "batch_size": -1, "warmup": True})
    assert found == TrainingConfig(precision="bf16")
    assert not training_config({"hidden_size": 512})


def test_the_stronger_of_two_wins_field_by_field():
    weak = TrainingConfig(learning_rate=1.0, beta2=0.999, origin="log")
    strong = TrainingConfig(learning_rate=2.0, origin="a.toml")
    merged = weak.merged(strong)
    assert (merged.learning_rate, merged.beta2, merged.origin) == (2.0, 0.999, "a.toml, log")
    assert weak.merged(TrainingConfig(origin="nothing")) is weak
    assert merged.to_dict() == {"learning_rate": 2.0, "beta2": 0.999, "origin": "a.toml, log"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"lr": 0.1}'),
        ("a.yaml", "lr: 0.1"),
        ("a.yml", "lr: 0.1"),
        ("a.toml", "lr = 0.1"),
        ("a.JSON", '\ufeff{"lr": 0.1}'),
    ],
)
def test_files_of_three_formats(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    config, typos = load_training_config(path)
    assert (config.learning_rate, config.origin, typos) == (0.1, name, [])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", b"{", "a.json"), ("a.toml", b"lr = ", "a.toml"), ("a.yaml", b"a: [", "a.yaml"), ("a.json", b"[1]", "holds a list"),
        ("a.txt", b"lr=1", "unknown format .txt"), ("a", b"", "no suffix"), ("a.json", b'{"lr": "\xff"}', "not UTF-8"),
        ("a.json", b'{"lr": "fast"}', "'fast' is not a number"), ("a.json", b'{"betas": 0.9}', "not two numbers"),
        ("a.json", b'{"decoupled_weight_decay": "maybe"}', "true or false"), ("a.json", b'{"width": 3}', "none of its 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_with_the_path(tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConfigError) as error:
        load_training_config(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file") as error:
        load_mapping(tmp_path / "none.toml")
    assert "--config" in error.value.hint


def test_settings_that_say_they_are_not_set_are_readable():
    require_readable({"lr": None, "warmup_steps": "auto", "batch_size": -1, "clip": "none"}, "here")


def test_keys_that_look_like_a_typo():
    assert misspelt({"learning_rat": 1, "hidden_size": 2, "lr": 3}) == [("learning_rat", "learning_rate")]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_settings_without_end_are_refused(tmp_path):
    link = tmp_path / "settings.json"
    link.symlink_to("/dev/zero")
    for path in (Path("/dev/zero"), link):
        with pytest.raises(ConfigError, match="more than 16 MiB, which no settings have"):
            load_mapping(path)
