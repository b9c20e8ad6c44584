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
    "console": Entry(
        target="gradlens.readers.console:ConsoleReader",
        title="Console output of trainers: Megatron-LM, torchtitan, nanoGPT, verl, fairseq, DeepSpeed and others",
        patterns=("*.log", "*.out", "*.err", "*.txt"),
    ),
}
