"""JSON lines in which each record says whether it is of training: OpenMMLab's `*.log.json` with `"mode": "train"`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradlens.errors import MalformedLogError
from gradlens.readers.base import (
    NoticeBook,
    RawRun,
    Reader,
    ReadOptions,
    TableBuilder,
    as_float,
    load_json,
    values_of_list,
)
from gradlens.sources.files import Source

#: Keys that say which phase of training a record is of, and the words that mean training.
_KEYS = ("mode", "split", "phase", "stage", "subset")
_TRAIN = frozenset({"train", "training", "train_inner", "trn"})
_PHASE = re.compile(rf"\"(?:{'|'.join(_KEYS)})\"\s*:\s*\"(?P<phase>\w+)\"")


class PhasedJsonReader(Reader):
    """JSON lines in which each record says `"mode": "train"`: OpenMMLab `*.log.json`.

    Records of other phases keep their place under `<phase>/<name>`, so that they are never taken for training.
    """

    name = "phased-jsonl"
    settings_in = "the first line"

    def sniff(self, source: Source) -> float:
        lines = [line for line in source.head_text.splitlines()[:60] if line.strip()]
        records = [line for line in lines if line.lstrip().startswith("{")]
        if not records or len(records) < len(lines) - 1:
            return 0.0
        phases = [m["phase"].lower() for line in records if (m := _PHASE.search(line))]
        known = sum(phase in _TRAIN for phase in phases)
        return 0.92 if known and len(phases) >= 0.5 * len(records) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, table, config = NoticeBook(), TableBuilder(), dict[str, Any]()
        lines = source.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
        for number, line in enumerate(lines, 1):
            text = line.strip().strip("\0")
            if not text:
                continue
            try:
                record = load_json(text, book, f"line {number}")
            except ValueError:
                code = "truncated-record" if number == len(lines) else "malformed-record"
                book.add(code, "not a complete JSON object, left out", f"line {number}")
                continue
            if not isinstance(record, dict):
                book.add("malformed-record", "not a JSON object, left out", f"line {number}")
                continue
            phase = next((str(record[k]).lower() for k in _KEYS if isinstance(record.get(k), str)), None)
            if phase is None and not table.n_rows:
                # The first line of OpenMMLab's logs holds the environment and the configuration.
                config.update({k: v for k, v in record.items() if isinstance(v, (str, int, float, dict))})
            prefix = "" if phase is None or phase in _TRAIN else f"{phase}/"
            row = {f"{prefix}{k}": v for k, v in _numbers(record, book, f"line {number}") if options.wanted(k)}
            if prefix:
                book.add("other-phase", f"records of phases other than training, kept as {prefix}...", f"line {number}")
            if row:
                table.add(row)
        if not table.n_rows:
            raise MalformedLogError(f"{source.name}: no number in any record (lines read: {len(lines):,})")
        return [
            RawRun(
                columns=table.columns(), n_rows=table.n_rows, config=config, notices=book.notices(), step_column=None
            )
        ]


def _numbers(record: Mapping[str, Any], book: NoticeBook, where: str) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        if isinstance(value, list):
            for name, number, _ in values_of_list(key, value):
                if number is not None:
                    yield name, number
                else:
                    book.add("unreadable-value", f"{name} is a list, not a number, left out", where)
        elif (number := as_float(value)) is not None:
            yield key, number
