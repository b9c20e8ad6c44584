"""The log formats: one line each. The order decides ties of detection; the first of equals is asked first."""

from __future__ import annotations

from gradlens.registry import Entry

READERS: dict[str, Entry] = {
    "jsonl": Entry(
        target="gradlens.readers.jsonl:JsonLinesReader",
        title="JSON lines: one object a record",
        patterns=("*.jsonl", "*.ndjson", "*.json", "log.txt"),
    ),
}
