"""Settings in files beside a log: `args.json`, `hparams.yaml`, W&B's `config.yaml`, Hydra's, DeepSpeed's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradlens.config import TrainingConfig, training_config
from gradlens.readers.base import load_json
from gradlens.sources.files import Source

#: File names, the most specific last: where several are there, later ones are stronger.
_NAMES = (
    "ds_config.json", "deepspeed_config.json", "config.json", "params.json", "hyperparams.yaml", "hparams.yml",
    "hparams.yaml", "config.yml", "config.yaml", ".hydra/config.yaml", "files/config.yaml", "train_config.json",
    "train_config.yaml", "training_config.json", "training_config.yaml", "training_args.yaml", "training_args.json",
    "args.yaml", "args.json",
)  # fmt: skip
_MAX_BYTES = 2_000_000
#: Keys of a model's configuration, whose `dtype` or `batch` says nothing about the training.
_MODEL_KEYS = frozenset({"architectures", "model_type", "hidden_size", "vocab_size"})


def config_beside(source: Source) -> TrainingConfig | None:
    """The training's settings in files of the log's folder, or None. A file that cannot be read counts as absent."""
    found: TrainingConfig | None = None
    for path in settings_files(source.folder):
        if path == source.path:
            continue
        settings = _load(path)
        if settings is None or (path.name == "config.json" and _MODEL_KEYS & settings.keys()):
            continue
        config = training_config(settings, origin=path.name)
        if config:
            found = config if found is None else found.merged(config)
    return found


def settings_files(folder: Path | None) -> Iterator[Path]:
    """The files of a folder that hold settings of the logs in it, by their names; links may lead anywhere."""
    if folder is None:
        return
    # W&B keeps what the run printed in `files/`, its settings as well.
    for name in _NAMES:
        path = folder / name
        try:
            if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                yield path
        except OSError:
            continue


def _load(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    try:
        if path.suffix == ".json":
            data: object = load_json(text)
        else:
            import yaml

            data = yaml.safe_load(text)
    except Exception:  # noqa: BLE001 -- Lightning writes Python objects into hparams.yaml, which safe_load refuses
        # Its patterns are compiled only where there is a file to look at.
        from gradlens.readers.console.settings import settings_in

        data = dict(settings_in(text, 0, len(text)))
    return data if isinstance(data, dict) else None
