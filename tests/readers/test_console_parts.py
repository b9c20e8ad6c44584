"""Console logs read part by part: the same runs as from the whole text, wherever the parts end."""

from __future__ import annotations

import gzip
import io
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlens.errors import GradlensError
from gradlens.readers.base import ReadOptions
from gradlens.readers.console import parts as console_parts
from gradlens.readers.console import records as console_records
from gradlens.readers.console.parts import ConsoleText
from gradlens.readers.console.reader import ConsoleReader
from gradlens.readers.console.text import clean
from gradlens.sources.files import Source
from tests.readers.console_examples import EXAMPLES

PIECES = [
    "a",
    "1.5",
    " ",
    "\x1b[31m",
    "\x1b[0;1m",
    "\x1b]0;title\x07",
    "\r\n",
    "\r",
    "\n",
    "é",
    "█",
    "🚀",
    "x\0",
    "\x1b",
]
NOISE = [
    "loading shard 3\n",
    "Gradient overflow.\n",
    "\n",
    "lr: 0.5, clip_grad = 2.0\n",
    "  3%|#| 3/90 [00:01<00:29]\r",
    "=" * 80 + "\n",
]


def shown(data):
    """All that reading gives, in a form that can be compared."""
    try:
        runs = ConsoleReader().read([Source(name="log", data=data)], ReadOptions())
    except GradlensError as error:
        return str(error)
    return [
        (
            run.name,
            run.n_rows,
            [(c.name, c.value.tobytes(), None if c.row is None else c.row.tolist()) for c in run.columns],
            list(run.config.items()),
            run.notices,
            run.step_column,
        )
        for run in runs
    ]


@st.composite
def logs(draw):
    """Examples of one trainer, some of them several times, with noise before, between and after them."""
    examples = EXAMPLES[draw(st.sampled_from(sorted(EXAMPLES)))]
    noise = st.lists(st.sampled_from(NOISE), max_size=4).map("".join)
    long_noise = st.sampled_from(["", "", "nothing to see here\n" * 300])
    text = draw(noise)
    for example in draw(st.lists(st.sampled_from(examples), min_size=1, max_size=3)):
        text += example.text + draw(noise) + draw(long_noise)
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))


@settings(max_examples=300, deadline=None)
@given(logs(), st.integers(1, 3000), st.integers(600, 2000), st.integers(900, 4000))
def test_same_as_whole(text, part, tail, patience):
    data = text.encode()
    whole = shown(data)
    with (
        mock.patch.object(console_parts, "PART", part),
        mock.patch.object(console_records, "_TAIL", tail),
        mock.patch.object(console_records, "_PATIENCE", patience),
    ):
        assert shown(data) == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60), st.binary(max_size=3), st.integers(1, 40), st.data())
def test_parts_are_the_text(pieces, garbage, part, data):
    raw = "".join(pieces).encode() + garbage.translate(None, b"\x1b\r\n")
    whole = clean(raw.decode(errors="replace"))
    with mock.patch.object(console_parts, "PART", part):
        text = ConsoleText(io.BytesIO(raw))
        assert "".join(text) == "".join(text) == whole
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    around, place = text.around(begin, end)
    assert around[begin - place : end - place] == whole[begin:end]


@pytest.mark.parametrize("in_memory", [10, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_packed_and_in_other_encodings(encoding, in_memory):
    text = "modèle 🚀\n" + "".join(example.text for example in EXAMPLES["megatron"])
    with mock.patch.object(console_parts, "_MAX_IN_MEMORY", in_memory):
        assert shown(text.encode(encoding)) == shown(text.encode())
        assert shown(gzip.compress(text.encode(encoding))) == shown(text.encode())


def test_a_damaged_packed_log_is_refused():
    packed = bytearray(gzip.compress(EXAMPLES["megatron"][0].text.encode() * 50))
    packed[-6] ^= 1  # the checksum
    assert isinstance(shown(bytes(packed)), str)


def test_a_packed_log_that_is_cut_off_is_read_up_to_there():
    packed = gzip.compress(EXAMPLES["megatron"][0].text.encode() * 50)
    assert not isinstance(shown(packed[:-20]), str)


def test_a_record_longer_than_many_parts():
    lines = "".join(f"    optim/norm/layer{n}={n / 8}\n" for n in range(2000))
    text = "".join(f"[step={n}/9]\n    train/CrossEntropyLoss={9 - n}\n{lines}" for n in (1, 2))
    with mock.patch.object(console_parts, "PART", 500):
        (run,) = ConsoleReader().read([Source(name="log", data=text.encode())], ReadOptions())
    assert run.n_rows == 2
    assert len(run.columns) == 2002
    np.testing.assert_array_equal([c.value[1] for c in run.columns[2:]], np.arange(2000) / 8)


def test_a_long_log_is_read_as_its_start_middle_and_end_say():
    text = "launcher: noise\n" * 2000 + EXAMPLES["torchtitan"][0].text * 400
    whole = shown(text.encode())
    with (
        mock.patch("gradlens.readers.console.reader._PROBE_BYTES", 10_000),
        mock.patch.object(console_parts, "PART", 5000),
    ):
        assert shown(text.encode()) == whole
