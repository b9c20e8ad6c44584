"""TensorBoard's `Event` messages, parsed one at a time with the place of each number.

The field numbers are those of tensorboard/compat/proto (event, summary, tensor, types) and of the hparams plug-in. The
result also says where wall time, step and scalars stand, from which `event_layout` decodes whole groups of records.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradlens.readers.protowire import BYTES, FIXED32, FIXED64, VARINT, Field, double, fields, signed, text, varint

_FLOAT, _DOUBLE, _STRING, _BFLOAT16 = 1, 2, 7, 14
#: Numbers of `DataType` and what `tensor_content` holds for them, little-endian.
_CONTENT = {
    _FLOAT: "<f4", _DOUBLE: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2",
    22: "<u4", 23: "<u8",
}  # fmt: skip
#: Field of `TensorProto` that holds the values of a type one by one: (dtype of packed fixed-width numbers, or None).
_FLOAT_VAL, _DOUBLE_VAL, _HALF_VAL = 5, 6, 13
_VARINT_VALS = frozenset({7, 10, 11, 16, 17})
_MAX_TEXT = 1 << 20


Floats = NDArray[np.float64]


class Scalar(NamedTuple):
    """One number of an event: where it stands (`offset`, `dtype`), or offset -1 where it has no fixed place."""

    tag: str
    value: float
    offset: int
    dtype: str


class Histogram(NamedTuple):
    """One histogram of an event: float64[k+1] edges and float64[k] counts."""

    tag: str
    limits: Floats
    counts: Floats


@dataclass(slots=True)
class Event:
    """What an event holds of use here; offsets are -1 where a field is absent."""

    wall_time: float = 0.0
    wall_offset: int = -1
    step: int = 0
    step_offset: int = -1
    step_width: int = 0
    scalars: list[Scalar] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    #: Holds nothing but wall time, step and scalars, each once and at a fixed place.
    is_plain: bool = True


class Plugins(dict[str, str]):
    """Which plug-in a tag belongs to: the writers say it with the first value of a tag only."""


def read_event(data: bytes, plugins: Plugins) -> Event:
    """One event.

    Raises
    ------
    ValueError
        The bytes are no such message.
    """
    event = Event()
    summaries = 0
    for part in fields(data, 0, len(data)):
        if part.number == 1 and part.wire == FIXED64:
            event.is_plain &= event.wall_offset < 0
            event.wall_offset, event.wall_time = part.start, double(data, part)
        elif part.number == 2 and part.wire == VARINT:
            event.is_plain &= event.step_offset < 0
            event.step_offset, event.step_width, event.step = part.start, part.end - part.start, signed(part.value)
        elif part.number == 5 and part.wire == BYTES:
            summaries += 1
            for entry in fields(data, part.start, part.end):
                if entry.number == 1 and entry.wire == BYTES:
                    _read_value(data, entry, plugins, event)
                else:
                    event.is_plain = False
        else:
            event.is_plain = False
    event.is_plain &= summaries == 1 and all(s.offset >= 0 for s in event.scalars)
    return event


def _read_value(data: bytes, value: Field, plugins: Plugins, event: Event) -> None:
    """One `Summary.Value`; what is neither scalar, histogram nor settings (images, audio, graphs) is passed over."""
    parts: dict[int, Field] = {}
    for part in fields(data, value.start, value.end):
        event.is_plain &= part.number not in parts
        parts[part.number] = part
    tag = text(data, parts[1]) if 1 in parts else ""
    content = b""
    if 9 in parts:
        name, content = _plugin_data(data, parts[9])
        if name:
            plugins[tag] = name
    plugin = plugins.get(tag, "")
    if plugin == "hparams":
        event.is_plain = False
        event.config.update(_hyperparameters(content))
    elif 2 in parts and parts[2].wire == FIXED32:
        start = parts[2].start
        event.scalars.append(Scalar(tag, struct.unpack_from("<f", data, start)[0], start, "<f4"))
    elif 8 in parts and parts[8].wire == BYTES:
        _read_tensor(data, parts[8], tag, plugin, event)
    else:
        event.is_plain = False
        if 5 in parts and parts[5].wire == BYTES:
            event.histograms.append(_old_histogram(data, parts[5], tag))


def _read_tensor(data: bytes, tensor: Field, tag: str, plugin: str, event: Event) -> None:
    """One tensor: a scalar, a table of a histogram, or a text that may hold settings; others are passed over."""
    dtype = 0
    shape: tuple[int, ...] = ()
    values: list[Field] = []
    for part in fields(data, tensor.start, tensor.end):
        if part.number == 1 and part.wire == VARINT:
            dtype = part.value
        elif part.number == 2 and part.wire == BYTES:
            shape = _shape(data, part)
        elif part.number != 3:
            values.append(part)
    if dtype == _STRING:
        strings = [data[v.start : v.end] for v in values if v.number == 8 and v.wire == BYTES]
        event.config.update(_settings_in_text(tag, strings))
    elif plugin == "histograms":
        event.histograms += _new_histogram(_numbers(data, dtype, values), shape, tag)
    elif prod(shape) == 1:
        place = _place(dtype, values)
        numbers = _numbers(data, dtype, values)
        # A TensorProto whose values are left out holds zeros.
        if len(numbers) == 1 or (not values and dtype in _CONTENT):
            event.scalars.append(Scalar(tag, float(numbers[0]) if len(numbers) else 0.0, *(place or (-1, ""))))
            return
    event.is_plain = False


def _shape(data: bytes, shape: Field) -> tuple[int, ...]:
    return tuple(
        sum(signed(size.value) for size in fields(data, dim.start, dim.end) if size.number == 1)
        for dim in fields(data, shape.start, shape.end)
        if dim.number == 2 and dim.wire == BYTES
    )


def _place(dtype: int, values: list[Field]) -> tuple[int, str] | None:
    """Where the only number of a tensor stands, if as bytes of fixed width."""
    if len(values) != 1:
        return None
    (value,) = values
    size = value.end - value.start
    if value.number == _FLOAT_VAL and dtype == _FLOAT and size == 4:
        return value.start, "<f4"
    if value.number == _DOUBLE_VAL and dtype == _DOUBLE and size == 8:
        return value.start, "<f8"
    if value.number == 4 and value.wire == BYTES and dtype in _CONTENT and size == np.dtype(_CONTENT[dtype]).itemsize:
        return value.start, _CONTENT[dtype]
    return None


def _numbers(data: bytes, dtype: int, values: list[Field]) -> Floats:
    """All numbers of a tensor, float64[n]; empty for types that are no real numbers."""
    found: list[Floats] = []
    for value in values:
        raw = data[value.start : value.end]
        if value.number == 4 and value.wire == BYTES:
            if dtype == _BFLOAT16 and len(raw) % 2 == 0:
                found.append(_from_bits(np.frombuffer(raw, "<u2"), dtype))
            elif dtype in _CONTENT and len(raw) % np.dtype(_CONTENT[dtype]).itemsize == 0:
                found.append(np.frombuffer(raw, _CONTENT[dtype]).astype(np.float64))
        elif value.number == _FLOAT_VAL and len(raw) % 4 == 0:
            found.append(np.frombuffer(raw, "<f4").astype(np.float64))
        elif value.number == _DOUBLE_VAL and len(raw) % 8 == 0:
            found.append(np.frombuffer(raw, "<f8"))
        elif value.number in _VARINT_VALS or value.number == _HALF_VAL:
            numbers = [value.value] if value.wire == VARINT else _packed(raw)
            if value.number == _HALF_VAL:
                found.append(_from_bits(np.array(numbers, np.uint64).astype(np.uint16), dtype))
            else:
                unsigned = value.number in {16, 17}
                found.append(np.array([n if unsigned else signed(n) for n in numbers], np.float64))
    return np.concatenate(found) if found else np.empty(0)


def _from_bits(bits: NDArray[np.uint16], dtype: int) -> Floats:
    """Sixteen-bit floats: IEEE half, or the upper half of a float32 (bfloat16)."""
    if dtype == _BFLOAT16:
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return bits.view(np.float16).astype(np.float64)


def _packed(raw: bytes) -> list[int]:
    numbers, at = [], 0
    while at < len(raw):
        number, at = varint(raw, at, len(raw))
        numbers.append(number)
    return numbers


def _new_histogram(numbers: Floats, shape: tuple[int, ...], tag: str) -> list[Histogram]:
    """A table of left edge, right edge and count of each bucket; none where it is not such a table."""
    if len(shape) != 2 or shape[1] != 3 or len(numbers) != prod(shape) or not len(numbers):
        return []
    rows = numbers.reshape(shape)
    return [Histogram(tag, np.append(rows[:, 0], rows[-1, 1]), rows[:, 2].copy())]


def _old_histogram(data: bytes, histogram: Field, tag: str) -> Histogram:
    """A `HistogramProto`: right edges and counts; the outermost edges are the extremes, as TensorBoard shows them."""
    low = high = 0.0
    limits = counts = np.empty(0)
    for part in fields(data, histogram.start, histogram.end):
        if part.number in {1, 2} and part.wire == FIXED64:
            low, high = (double(data, part), high) if part.number == 1 else (low, double(data, part))
        elif part.number in {6, 7} and (part.end - part.start) % 8 == 0:
            numbers = np.frombuffer(data[part.start : part.end], "<f8")
            if part.number == 6:
                limits = np.append(limits, numbers)
            else:
                counts = np.append(counts, numbers)
    size = min(len(limits), len(counts))
    edges = np.concatenate(([low], limits[: max(size - 1, 0)], [high])) if size else np.empty(0)
    return Histogram(tag, edges, counts[:size])


def _plugin_data(data: bytes, metadata: Field) -> tuple[str, bytes]:
    name, content = "", b""
    for part in fields(data, metadata.start, metadata.end):
        if part.number == 1 and part.wire == BYTES:
            for inner in fields(data, part.start, part.end):
                if inner.number == 1:
                    name = text(data, inner)
                elif inner.number == 2:
                    content = data[inner.start : inner.end]
    return name, content


def _hyperparameters(content: bytes) -> dict[str, Any]:
    """The settings in the content of the hparams plug-in (`session_start_info.hparams`)."""
    found: dict[str, Any] = {}
    for session in fields(content, 0, len(content)):
        if session.number != 3 or session.wire != BYTES:
            continue
        for entry in fields(content, session.start, session.end):
            if entry.number != 1 or entry.wire != BYTES:
                continue
            parts = {p.number: p for p in fields(content, entry.start, entry.end)}
            if 1 in parts and 2 in parts:
                for kind in fields(content, parts[2].start, parts[2].end):
                    if kind.number == 2 and kind.wire == FIXED64:
                        found[text(content, parts[1])] = double(content, kind)
                    elif kind.number == 3:
                        found[text(content, parts[1])] = text(content, kind)
                    elif kind.number == 4:
                        found[text(content, parts[1])] = bool(kind.value)
    return found


def _settings_in_text(tag: str, strings: list[bytes]) -> dict[str, Any]:
    """The settings that trainers log as a JSON text (`args`, `model_config` of Hugging Face)."""
    if len(strings) != 1 or not strings[0].lstrip().startswith(b"{") or len(strings[0]) > _MAX_TEXT:
        return {}
    try:
        settings = json.loads(strings[0])
    except ValueError:
        return {}
    # The trainer's own arguments are the run's settings; anything else keeps its name.
    name = tag.removesuffix("/text_summary")
    return settings if name in {"args", "config", "hparams"} else {name: settings}
