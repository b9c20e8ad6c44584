"""Sacred: `info.json` of PyMARL (parallel arrays `x` and `x_T`) and `metrics.json` of the file observer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, as_float, load_json
from gradlens.run import Series
from gradlens.sources.files import Source

_PARALLEL = re.compile(r"\"(?P<name>[^\"\n]{1,200})_T\"\s*:\s*\[")
_METRICS = re.compile(r"^\s*\{\s*\"[^\"\n]{1,200}\"\s*:\s*\{\s*\"steps\"\s*:\s*\[")


class SacredReader(Reader):
    """Sacred's `info.json` (arrays `x` and `x_T`) and `metrics.json`."""

    name = "sacred"
    settings_in = "`config.json` beside it"

    def sniff(self, source: Source) -> float:
        text = source.head_text
        if _METRICS.match(text):
            return 0.9
        return (
            0.9
            if text.lstrip().startswith("{") and any(f'"{m["name"]}"' in text for m in _PARALLEL.finditer(text))
            else 0.0
        )

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options
        (source,) = sources
        try:
            data = load_json(source.read_bytes().decode("utf-8-sig", errors="replace"))
        except ValueError as error:
            raise MalformedLogError(f"{source.name}: {error}") from error
        if not isinstance(data, dict):
            raise MalformedLogError(f"{source.name}: not a JSON object")
        book = NoticeBook()
        series = [s for name, steps, values in _pairs(data) if (s := _series(name, steps, values, book)) is not None]
        if not series:
            raise NoTrainingSeriesError(f"{source.name}: no series with steps of its own")
        return [RawRun(series=tuple(series), notices=book.notices(), norm_facts=frozenset({"pre_clip"}))]


def _pairs(data: Mapping[str, Any]) -> list[tuple[str, Sequence[Any], Sequence[Any]]]:
    found = []
    for name, value in data.items():
        if isinstance(value, dict) and isinstance(value.get("steps"), list) and isinstance(value.get("values"), list):
            found.append((name, value["steps"], value["values"]))
        elif isinstance(value, list) and isinstance(data.get(f"{name}_T"), list):
            found.append((name, data[f"{name}_T"], value))
    return found


def _series(name: str, steps: Sequence[Any], values: Sequence[Any], book: NoticeBook) -> Series | None:
    kept: list[tuple[float, float]] = []
    if len(steps) != len(values):
        book.add(
            "uneven-series",
            f"{name}: {len(values)} values for {len(steps)} steps, the surplus left out",
            count=abs(len(steps) - len(values)),
        )
    for step, value in zip(steps, values, strict=False):
        at, number = as_float(step), _plain(value)
        if at is None or not abs(at) < 2.0**62:
            book.add("malformed-record", f"{name}: a step that is not a number, left out")
        elif number is None:
            if isinstance(value, dict) and any(str(key).startswith("py/") for key in value):
                book.add("pickled-value", f"{name}: values that are pickled objects, never loaded and left out")
            else:
                book.add("malformed-record", f"{name}: a value that is not a number, left out")
        else:
            kept.append((at, number))
    if not kept:
        return None
    step_array, value_array = np.array(kept, dtype=np.float64).T
    return Series(name=name, step=step_array.astype(np.int64), value=value_array.copy())


def _plain(value: Any) -> float | None:
    """A value, out of the wrapper that jsonpickle puts around numpy's scalars."""
    if isinstance(value, dict) and "value" in value:
        value = value["value"]
    return as_float(value)
