"""The log formats: one line each. The order decides ties of detection; the first of equals is asked first."""

from __future__ import annotations

from gradlens.registry import Entry

READERS: dict[str, Entry] = {
    "tensorboard": Entry(
        target="gradlens.readers.tensorboard:TensorBoardReader",
        title="TensorBoard event files, scalars and histograms, simple and tensor values",
        patterns=("*tfevents*",),
    ),
    "jsonl": Entry(
        target="gradlens.readers.jsonl:JsonLinesReader",
        title="JSON lines: one object a record",
        patterns=("*.jsonl", "*.ndjson", "*.json", "log.txt"),
    ),
    "hf-trainer-state": Entry(
        target="gradlens.readers.hf:TrainerStateReader",
        title="Hugging Face trainer_state.json",
        patterns=("trainer_state*.json",),
    ),
    "wandb": Entry(
        target="gradlens.readers.wandb_offline:WandbOfflineReader",
        title="W&B offline runs (run-*.wandb)",
        patterns=("*.wandb",),
    ),
    "wandb-csv": Entry(
        target="gradlens.readers.wandb_csv:WandbCsvReader",
        title="W&B chart exports (CSV)",
        patterns=("wandb_export*.csv",),
    ),
    "tensorboard-download": Entry(
        target="gradlens.readers.tensorboard_download:TensorBoardDownloadReader",
        title="Downloads from TensorBoard's page (CSV or JSON, one tag a file)",
        patterns=("*-tag-*.csv", "*-tag-*.json"),
    ),
    "sacred": Entry(
        target="gradlens.readers.sacred:SacredReader",
        title="Sacred info.json and metrics.json",
        patterns=("info.json", "metrics.json"),
    ),
    "console": Entry(
        target="gradlens.readers.console:ConsoleReader",
        title="Console output of trainers: Megatron-LM, torchtitan, nanoGPT, verl, fairseq, DeepSpeed and others",
        patterns=("*.log", "*.out", "*.err", "*.txt"),
    ),
}
