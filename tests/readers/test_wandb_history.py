"""History records of W&B whose names are known: the same as each understood from its fields."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlens.readers.base import ReadOptions
from gradlens.readers.wandb_offline import HistoryParser


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


names = st.sampled_from(["loss", "lr", "_step", "grad/norm", "a" * 130, "\x82\x01", "ä", "x\x82\x01\x011"])
values = st.one_of(
    st.floats().map(json.dumps), st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["-0", "1e5", "null", '"NaN"', '"0.5"', "true", "[1]", "[0.1, 0.2]", '{"a": 1, "b": {"c": 2}}', "01", "1.", "", "9" * 140]),
)  # fmt: skip


@st.composite
def items(draw):
    name, value = draw(names).encode(), draw(values).encode()
    key = (
        field(2, name[:3]) + field(2, name[3:])
        if draw(st.integers(0, 4)) == 0
        else field(draw(st.sampled_from([1, 2])), name)
    )
    parts = [key, field(16, value)]
    return field(1, b"".join(reversed(parts) if draw(st.integers(0, 9)) == 0 else parts))


@st.composite
def messages(draw):
    message = b"".join(draw(st.lists(items(), max_size=5)))
    message += draw(st.sampled_from([b"", field(2, b"\x08\x05"), field(2, b""), b"\x12\x05\x08"]))
    return message if draw(st.integers(0, 4)) else message[: draw(st.integers(0, len(message)))]


def parsed(parser, message):
    try:
        return repr(parser.parse(message))
    except ValueError as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=8), st.sampled_from(["all", "needed"]))
def test_same_as_field_by_field(found, columns):
    options = ReadOptions(columns=columns)
    together = HistoryParser(options)
    for message in found:
        alone = HistoryParser(options)
        alone._learn = lambda *_: None
        assert parsed(together, message) == parsed(alone, message), message


def test_rates_of_several_groups():
    parser = HistoryParser(ReadOptions(columns="needed"))
    message = field(1, field(2, b"optim") + field(2, b"lr") + field(16, b"[0.1, 0.2, null]"))
    assert parser.parse(message) == parser.parse(message) == {"optim/lr/0": 0.1, "optim/lr/1": 0.2}


def test_names_are_learnt():
    parser = HistoryParser(ReadOptions())
    message = field(1, field(2, b"loss") + field(16, b"0.5"))
    assert parser.parse(message) == {"loss": 0.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HistoryParser, "_slowly", None)
        assert parser.parse(message * 2) == {"loss": 0.5}
