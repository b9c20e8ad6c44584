"""Events of any kind, parsed with TensorBoard's own protobuf classes.

Only for records that `places.py` calls irregular: histograms, settings of the hparams plug-in and in texts, tensors whose
number has no fixed place, and messages written in an unusual way.
"""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.event_pb2 import Event as EventMessage
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from gradlens.readers.events.contents import Event, Floats, Histogram, Plugins, Scalar
from gradlens.readers.events.places import DTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Sixteen-bit floats stand in `half_val` as the integers that have their bits.
_SIXTEEN = frozenset({types_pb2.DT_HALF, types_pb2.DT_BFLOAT16})
#: The fields that hold the numbers of other types one by one.
_VALUES = ("float_val", "double_val", "int_val", "int64_val", "bool_val", "uint32_val", "uint64_val")
_MAX_TEXT = 1 << 20


def read_message(data: bytes, plugins: Plugins) -> Event:
    """One event.

    Raises
    ------
    ValueError
        The bytes are not such message, a text that is not UTF-8 included.
    """
    event = Event(is_plain=False)
    try:
        message = EventMessage.FromString(data)
        event.wall_time, event.step = message.wall_time, message.step
        for value in message.summary.value:
            _read_value(value, plugins, event)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    return event


def _read_value(value: Any, plugins: Plugins, event: Event) -> None:
    """One `Summary.Value`; what is neither scalar, histogram nor settings (images, audio) is passed over."""
    tag = value.tag
    if value.metadata.plugin_data.plugin_name:
        plugins[tag] = value.metadata.plugin_data.plugin_name
    plugin = plugins.get(tag, "")
    kind = value.WhichOneof("value")
    if plugin == "hparams":
        event.config.update(_hyperparameters(value.metadata.plugin_data.content))
    elif kind == "simple_value":
        event.scalars.append(Scalar(tag, value.simple_value))
    elif kind == "tensor":
        _read_tensor(value.tensor, tag, plugin, event)
    elif kind == "histo":
        event.histograms.append(_old_histogram(value.histo, tag))


def _read_tensor(tensor: Any, tag: str, plugin: str, event: Event) -> None:
    """One tensor: a scalar, a table of a histogram, or a text that may hold settings; others are passed over."""
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype == types_pb2.DT_STRING:
        event.config.update(_settings_in_text(tag, tensor.string_val))
    elif plugin == "histograms":
        event.histograms += _new_histogram(_numbers(tensor), shape, tag)
    elif prod(shape) == 1:
        numbers = _numbers(tensor)
        # A TensorProto whose values are left out holds zeros.
        is_zero = not len(numbers) and tensor.dtype in DTYPES and not tensor.tensor_content
        if len(numbers) == 1 or is_zero:
            event.scalars.append(Scalar(tag, float(numbers[0]) if len(numbers) else 0.0))


def _numbers(tensor: Any) -> Floats:
    """All numbers of a tensor, float64[n]; empty for types that are not real numbers."""
    content = tensor.tensor_content
    if content:
        is_bfloat = tensor.dtype == types_pb2.DT_BFLOAT16
        kind = "<u2" if is_bfloat else DTYPES.get(tensor.dtype)
        if kind is None or len(content) % np.dtype(kind).itemsize:
            return np.empty(0)
        numbers = np.frombuffer(content, kind)
        return _from_bits(numbers, tensor.dtype) if is_bfloat else numbers.astype(np.float64)
    if tensor.dtype in _SIXTEEN:
        return _from_bits(np.array(tensor.half_val, np.int64).astype(np.uint16), tensor.dtype)
    return np.concatenate([np.array(getattr(tensor, name), np.float64) for name in _VALUES])


def _from_bits(bits: NDArray[np.uint16], dtype: int) -> Floats:
    """Sixteen-bit floats: IEEE half, or the upper half of a float32 (bfloat16)."""
    if dtype == types_pb2.DT_BFLOAT16:
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return bits.view(np.float16).astype(np.float64)


def _new_histogram(numbers: Floats, shape: tuple[int, ...], tag: str) -> list[Histogram]:
    """A table of left edge, right edge and count of each bucket; none where it is not such a table."""
    if len(shape) != 2 or shape[1] != 3 or len(numbers) != prod(shape) or not len(numbers):
        return []
    rows = numbers.reshape(shape)
    return [Histogram(tag, np.append(rows[:, 0], rows[-1, 1]), rows[:, 2].copy())]


def _old_histogram(histogram: Any, tag: str) -> Histogram:
    """A `HistogramProto`: right edges and counts; the outermost edges are the extremes, as TensorBoard shows them."""
    limits, counts = np.array(histogram.bucket_limit, np.float64), np.array(histogram.bucket, np.float64)
    size = min(len(limits), len(counts))
    if not size:
        return Histogram(tag, np.empty(0), np.empty(0))
    edges = np.concatenate(([histogram.min], limits[: size - 1], [histogram.max]))
    return Histogram(tag, edges, counts[:size])


def _hyperparameters(content: bytes) -> dict[str, Any]:
    """The settings in the content of the hparams plug-in."""
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    found = {}
    # A map has no order of its own.
    for name in sorted(settings):
        kind = settings[name].WhichOneof("kind")
        if kind in {"number_value", "string_value", "bool_value"}:
            found[name] = getattr(settings[name], kind)
    return found


def _settings_in_text(tag: str, strings: Any) -> dict[str, Any]:
    """The settings that trainers log as a JSON text (`args`, `model_config` of Hugging Face)."""
    if len(strings) != 1 or not strings[0].lstrip().startswith(b"{") or len(strings[0]) > _MAX_TEXT:
        return {}
    try:
        settings = json.loads(strings[0])
    except (ValueError, RecursionError):
        return {}
    # The trainer's own arguments are the run's settings; anything else keeps its name.
    name = tag.removesuffix("/text_summary")
    return settings if name in {"args", "config", "hparams"} else {name: settings}
