"""What is known of a training's set-up: from the log itself, from files beside it, or from `--config`.

`TrainingConfig` is the one place that knows how frameworks spell their settings. Every field is None where nothing is
known; `max_grad_norm` is 0.0 where clipping is known to be off.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from gradlens.errors import ConfigError
from gradlens.frozen import frozen

#: Spellings by field. Keys are compared in lower case, without separators, whole or as the last parts of a dotted path.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "optimizer": (
        "optimizer", "optim", "opt", "optimizer_type", "optimizer_name", "optimizer.type", "optimizer.name", "optim.type",
        "optim.name",
    ),
    "learning_rate": ("learning_rate", "lr", "max_lr", "peak_lr", "base_lr", "optimizer.lr", "optimizer.params.lr"),
    "beta1": ("beta1", "adam_beta1", "b1"),
    "beta2": ("beta2", "adam_beta2", "b2"),
    "weight_decay": ("weight_decay", "wd", "l2", "optimizer.weight_decay", "optimizer.params.weight_decay"),
    "decoupled_weight_decay": ("decoupled_weight_decay",),
    "warmup_steps": (
        "warmup_steps", "warmup", "warmup_iters", "lr_warmup_iters", "lr_warmup_steps", "warmup_updates",
        "num_warmup_steps", "warmup_num_steps", "lr_scheduler.warmup_steps",
    ),
    "lr_schedule": ("lr_schedule", "lr_scheduler_type", "lr_decay_style", "lr_scheduler", "schedule", "scheduler.type"),
    "max_grad_norm": (
        "max_grad_norm", "clip_norm", "clip_grad", "grad_clip", "gradient_clip_val", "gradient_clipping",
        "grad_clipping", "grad_norm_clip", "training.max_norm", "clip_grad_norm", "max_norm", "grad_clip_norm",
        "gradient_clip", "gradient_clipping_threshold", "clip_max_norm", "clip_gradients", "clip_gradient",
        "grad_norm_max", "max_gradient_norm", "clip_grad_max_norm", "grad_max_norm", "clip_grad_value_norm", "clip_gnorm",
        "grad_norm_clipping", "clip_grad_thresh", "grad_clip_thresh", "clip",
    ),
    "batch_size": (
        "batch_size", "global_batch_size", "train_batch_size", "per_device_train_batch_size", "train_batch",
        "training.global_batch_size", "batch",
    ),
    "gradient_accumulation_steps": (
        "gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum", "update_freq", "grad_accum_steps",
    ),
    "precision": ("precision", "mixed_precision", "dtype", "amp_dtype", "torch_dtype"),
    "world_size": ("world_size", "num_gpus", "n_gpus", "num_processes", "distributed_world_size"),
    "log_interval": ("log_interval", "log_every", "logging_steps", "log_every_n_steps", "steps_per_print", "log_freq"),
    "total_steps": (
        "total_steps", "max_steps", "num_training_steps", "max_train_steps", "train_steps", "num_train_steps",
        "train_iters", "max_iters", "max_iterations", "num_iterations", "total_num_update", "max_update", "max_updates",
    ),
}  # fmt: skip


@frozen
class TrainingConfig:
    """The set-up of a training as far as it is known; unknown fields are None.

    `max_grad_norm` is 0.0 where clipping is known to be off. `origin` says where it was found (for the report).
    """

    optimizer: str | None = None
    learning_rate: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    weight_decay: float | None = None
    decoupled_weight_decay: bool | None = None
    warmup_steps: float | None = None
    lr_schedule: str | None = None
    max_grad_norm: float | None = None
    batch_size: float | None = None
    gradient_accumulation_steps: float | None = None
    precision: str | None = None
    world_size: float | None = None
    log_interval: float | None = None
    total_steps: float | None = None
    origin: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(self) if f.name != "origin")

    def merged(self, stronger: TrainingConfig) -> TrainingConfig:
        """The same configuration with every field that `stronger` knows taken from there."""
        known = {
            f.name: getattr(stronger, f.name)
            for f in fields(self)
            if f.name != "origin" and getattr(stronger, f.name) is not None
        }
        if not known:
            return self
        origins = [o for o in (stronger.origin, self.origin if self else "") if o]
        return replace(self, **known, origin=", ".join(dict.fromkeys(origins)))

    def to_dict(self) -> dict[str, Any]:
        """The known fields."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None and v != ""}


def _plain(key: str) -> str:
    return "".join(c for c in key.lower() if c.isalnum() or c == ".")


_BY_SPELLING: dict[str, tuple[str, int]] = {
    _plain(spelling): (name, rank) for name, spellings in SPELLINGS.items() for rank, spelling in enumerate(spellings)
}
_TEXT = frozenset({"optimizer", "lr_schedule", "precision"})
_SIDE_MODELS = frozenset({"critic", "ref", "reward", "rewardmodel", "rollout", "teacher", "ema"})
#: Sections of the training, of what else has settings of such names, and of what is not trained at all: of a path the last
#: of these words counts, `model.optim.lr` is the optimizer's.
_TRAIN_SECTIONS = frozenset({
    "train", "training", "trainer", "trainerargs", "optim", "optimizer", "optimizers", "optimwrapper", "optimization", "solver",
    "schedule", "scheduler", "lrscheduler",
})  # fmt: skip
_OTHER_SECTIONS = frozenset(
    {"model", "backbone", "head", "tokenizer", "data", "dataset", "dataloader", "finetune", "pretrained"}
)
_NO_TRAINING = frozenset(
    {"eval", "evaluation", "val", "valid", "validation", "test", "inference", "generation", "predict", "sampling"}
)
_SECTIONS = _TRAIN_SECTIONS | _OTHER_SECTIONS | _NO_TRAINING
_OFF = frozenset({"none", "null", "off", "false", "no", "inf", ""})
_BETAS = frozenset({"betas", "adambetas"})
#: How alike an unknown key must be to a spelling to pass for a typo of it: two letters of twelve. Our own choice.
_TYPO_LIKENESS, _TYPO_LENGTH = 0.9, 6


def _flatten(mapping: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        # W&B wraps each value of config.yaml as {"desc": ..., "value": ...}.
        if isinstance(value, Mapping) and "value" in value and set(value) <= {"desc", "value"}:
            value = value["value"]  # noqa: PLW2901
        if isinstance(value, Mapping) and depth < 8:
            yield from _flatten(value, path, depth + 1)
        else:
            yield path, value


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # an integer beyond any float, as JSON may hold it
        return None
    return number if math.isfinite(number) else None


def parse_threshold(value: Any) -> float | None:
    """A clipping threshold as frameworks spell it: 0, -1, inf, None, False and "none" are 0.0 (off); None if unreadable."""
    if (
        value is None
        or value is False
        or value == math.inf
        or (isinstance(value, str) and value.strip().lower() in _OFF)
    ):
        return 0.0
    number = _number(value)
    return None if number is None else max(number, 0.0)


def _convert(name: str, value: Any) -> Any:
    if name == "max_grad_norm":
        return parse_threshold(value)
    if name == "decoupled_weight_decay":
        return value if isinstance(value, bool) else None
    if name in _TEXT:
        return str(value) if isinstance(value, (str, int)) and str(value) else None
    number = None if isinstance(value, bool) else _number(value)
    # -1 is how frameworks spell "not set".
    return None if number is not None and number < 0 else number


def training_config(mapping: Mapping[str, Any], *, origin: str = "") -> TrainingConfig:
    """The known settings in a nested mapping, by the spellings of the usual frameworks.

    Where several spellings of one setting are present the one listed first in `SPELLINGS` counts. `betas` gives
    both betas; `fp16: true` and `bf16: true` give the precision. Unknown keys are ignored, since configurations hold
    hundreds of settings that say nothing about stability.
    """
    best: dict[str, tuple[int, int, Any]] = {}
    found: dict[str, Any] = {}
    for path, value in _flatten(mapping):
        plain = _plain(path)
        parts = plain.split(".")
        last = parts[-1]
        if last in _BETAS:
            pair = _betas(value)
            if pair:
                found["beta1"], found["beta2"] = pair
        if last in {"fp16", "bf16"} and value is True:
            found.setdefault("precision", last)
        for tail in (".".join(parts[-2:]), last):
            hit = _BY_SPELLING.get(tail)
            if hit is None:
                continue
            name, rank = hit
            section = next((part for part in reversed(parts[:-1]) if part in _SECTIONS), "")
            if section in _NO_TRAINING:
                break
            converted = _convert(name, value)
            # Shallow keys beat deep ones: `lr` at the top is the run's, below `scheduler.` it may be a floor.
            # An actor-critic's own threshold is the actor's, and a reference model is not trained at all.
            other = 50 * (section in _OTHER_SECTIONS) + 100 * bool(_SIDE_MODELS.intersection(parts))
            order = (rank + other, len(parts))
            if converted is not None and (name not in best or order < best[name][:2]):
                best[name] = (*order, converted)
            break
    found = {**found, **{name: value for name, (_, _, value) in best.items()}}
    return TrainingConfig(**found, origin=origin) if found else TrainingConfig()


def _betas(value: Any) -> tuple[float, float] | None:
    if isinstance(value, str):
        value = value.strip("()[] ").split(",")
    if isinstance(value, (list, tuple)) and len(value) >= 2:
        first, second = _number(value[0]), _number(value[1])
        if first is not None and second is not None:
            return first, second
    return None


#: Settings are kilobytes; a device has no end.
MAX_BYTES = 16 << 20


def load_mapping(path: Path) -> dict[str, Any]:
    """A JSON, YAML or TOML file as a mapping.

    Raises
    ------
    ConfigError
        Missing, unreadable, without end, not a mapping, or a suffix that is none of the three.
    """
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(
                f"{path}: more than {MAX_BYTES >> 20} MiB, which no settings have",
                hint="check the path given to --config",
            )
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", hint="check the path given to --config") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}") from error
    suffix = path.suffix.lower()
    if suffix not in {".json", ".yaml", ".yml", ".toml"}:
        raise ConfigError(f"{path}: unknown format {suffix or '(no suffix)'}", hint="use .json, .yaml or .toml")
    try:
        if suffix == ".toml":
            import tomllib

            data: Any = tomllib.loads(text)
        elif suffix in {".yaml", ".yml"}:
            import yaml

            data = yaml.safe_load(text)
        else:
            data = json.loads(text)
    except Exception as error:
        raise ConfigError(f"{path}: {error}", hint=f"the file is not valid {suffix[1:].upper()}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds a {type(data).__name__}, not settings", hint="write `name: value` pairs")
    return data


def require_readable(mapping: Mapping[str, Any], where: str) -> None:
    """Refuse a known setting whose value cannot be read, in what a user wrote down; a log's own may hold anything.

    Keys count whole, or by the name that this program gives the setting: what else a framework calls `batch` deep in its
    configuration may be anything. None, "auto" and negative numbers say that a setting is not set.

    Raises
    ------
    ConfigError
        With `where`, the key and the value.
    """
    for path, value in _flatten(mapping):
        plain = _plain(path)
        last = plain.rpartition(".")[2]
        name = _BY_SPELLING.get(plain, (None,))[0] or next((n for n in SPELLINGS if _plain(n) == last), None)
        if value is None or (isinstance(value, str) and value.strip().lower() in {"auto", *_OFF}):
            continue
        if last in _BETAS and _betas(value) is None:
            raise ConfigError(f"{where}: {path}: {value!r} is not two numbers", hint="write betas: [0.9, 0.999]")
        if name is not None and _convert(name, value) is None and not (_number(value) or 0.0) < 0.0:
            wanted = "a name" if name in _TEXT else "true or false" if name.startswith("decoupled") else "a number"
            raise ConfigError(f"{where}: {path}: {value!r} is not {wanted}", hint="correct it, or leave it out")


def misspelt(mapping: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Unknown keys that look like a typo of a known one, each with the spelling that it is nearest to."""
    import difflib

    found = []
    spelling = {_plain(s): s for spellings in SPELLINGS.values() for s in spellings if "." not in s}
    for path, _ in _flatten(mapping):
        last = _plain(path).rpartition(".")[2]
        if last in spelling or last in _BETAS or len(last) < _TYPO_LENGTH:
            continue
        near = difflib.get_close_matches(last, spelling, n=1, cutoff=_TYPO_LIKENESS)
        found += [(path, spelling[hit]) for hit in near]
    return found


def load_training_config(path: Path) -> tuple[TrainingConfig, list[tuple[str, str]]]:
    """The training's set-up from a file given with `--config`, and the keys in it that look like a typo.

    Raises
    ------
    ConfigError
        The file cannot be read, holds a known setting with an unreadable value, or no known setting.
    """
    data = load_mapping(path)
    require_readable(data, str(path))
    config, typos = training_config(data, origin=path.name), misspelt(data)
    if not config:
        raise ConfigError(
            f"{path}: none of its {len(data)} settings is recognised",
            hint=f"did you mean {typos[0][1]}?" if typos else "choose from " + ", ".join(sorted(SPELLINGS)),
        )
    return config, typos
