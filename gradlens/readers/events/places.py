"""Where the numbers of an event stand in its record: wall time, step and scalars of fixed width.

`layout.py` decodes whole groups of records from that. Everything else (histograms, settings, packed numbers) is only told
apart here and parsed in `messages.py`, with TensorBoard's own classes; these give values but no places, and loading them
takes longer than reading a small log. The field numbers are those of `event.proto`, `summary.proto` and `tensor.proto`.
"""

from __future__ import annotations

import struct
from math import prod

import numpy as np

from gradlens.readers.events.contents import Event, Plugins, Scalar
from gradlens.readers.protowire import BYTES, FIXED32, FIXED64, VARINT, Field, double, fields, signed, text

_WALL_TIME, _STEP, _SUMMARY = 1, 2, 5
_TAG, _SIMPLE_VALUE, _IMAGE, _AUDIO, _TENSOR, _METADATA = 1, 2, 4, 6, 8, 9
_DTYPE, _SHAPE, _VERSION, _CONTENT, _FLOAT_VAL, _DOUBLE_VAL = 1, 2, 3, 4, 5, 6
_FLOAT, _DOUBLE = 1, 2
#: Numbers of `DataType` and what `tensor_content` holds for them, little-endian.
DTYPES = {
    _FLOAT: "<f4", _DOUBLE: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2",
    22: "<u4", 23: "<u8",
}  # fmt: skip
#: Plug-ins whose values are never scalars, and those whose values are of no use here.
_NO_SCALARS, _NO_USE = frozenset({"histograms", "hparams"}), frozenset({"images", "audio"})


def read_places(data: bytes, plugins: Plugins) -> Event:
    """The scalars of an event with their places, and whether it holds more; `plugins` learns what the event tells.

    Raises
    ------
    ValueError
        The bytes are not such message.
    """
    event = Event()
    summaries = 0
    for part in fields(data, 0, len(data)):
        if part.number == _WALL_TIME and part.wire == FIXED64:
            event.is_plain &= event.wall_offset < 0
            event.wall_offset, event.wall_time = part.start, double(data, part)
        elif part.number == _STEP and part.wire == VARINT:
            event.is_plain &= event.step_offset < 0
            event.step_offset, event.step_width, event.step = part.start, part.end - part.start, signed(part.value)
        elif part.number == _SUMMARY and part.wire == BYTES:
            summaries += 1
            for entry in fields(data, part.start, part.end):
                if entry.number == 1 and entry.wire == BYTES:
                    _read_value(data, entry, plugins, event)
                else:
                    event.is_plain = False
        else:
            event.is_plain = False
    event.is_plain &= summaries == 1 and not event.is_irregular
    return event


def _read_value(data: bytes, value: Field, plugins: Plugins, event: Event) -> None:
    """One `Summary.Value`."""
    parts: dict[int, Field] = {}
    for part in fields(data, value.start, value.end):
        # A field that comes twice is merged or replaced; which, the message classes know.
        event.is_irregular |= part.number in parts
        parts[part.number] = part
    tag = text(data, parts[_TAG]) if _TAG in parts else ""
    name = _plugin_name(data, parts[_METADATA]) if _METADATA in parts else ""
    if name:
        plugins[tag] = name
    plugin = plugins.get(tag, "")
    scalar: Scalar | None = None
    if plugin in _NO_USE or not parts.keys().isdisjoint({_IMAGE, _AUDIO}):
        event.is_plain = False
        return
    if plugin in _NO_SCALARS:
        pass
    elif _SIMPLE_VALUE in parts and parts[_SIMPLE_VALUE].wire == FIXED32:
        start = parts[_SIMPLE_VALUE].start
        scalar = Scalar(tag, struct.unpack_from("<f", data, start)[0], start, "<f4")
    elif _TENSOR in parts and parts[_TENSOR].wire == BYTES:
        scalar = _tensor_scalar(data, parts[_TENSOR], tag)
    if scalar is None:
        event.is_irregular = True
    else:
        event.scalars.append(scalar)


def _tensor_scalar(data: bytes, tensor: Field, tag: str) -> Scalar | None:
    """The number of a tensor that holds one, as bytes of fixed width."""
    dtype = 0
    shape: tuple[int, ...] = ()
    values: list[Field] = []
    for part in fields(data, tensor.start, tensor.end):
        if part.number == _DTYPE and part.wire == VARINT:
            dtype = part.value
        elif part.number == _SHAPE and part.wire == BYTES:
            shape = _shape(data, part)
        elif part.number != _VERSION:
            values.append(part)
    place = _place(dtype, values) if prod(shape) == 1 else None
    if place is None:
        return None
    start, kind = place
    return Scalar(tag, float(np.frombuffer(data, kind, 1, start)[0]), start, kind)


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
    if (
        value.number == _CONTENT
        and value.wire == BYTES
        and dtype in DTYPES
        and size == np.dtype(DTYPES[dtype]).itemsize
    ):
        return value.start, DTYPES[dtype]
    return None


def _plugin_name(data: bytes, metadata: Field) -> str:
    names = [
        text(data, inner)
        for part in fields(data, metadata.start, metadata.end)
        if part.number == 1 and part.wire == BYTES
        for inner in fields(data, part.start, part.end)
        if inner.number == 1
    ]
    return names[-1] if names else ""
