"""Arrow and Parquet files that lie about what they hold: refused, without memory for what they claim, and never a crash."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest

import gradlens

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

#: A number of rows that stands nowhere else in the head of a batch.
N = 1237


def table(n=N, **more):
    step = np.arange(n)
    return pa.table({"step": step, "loss": 2.0 / (1.0 + step / 50.0), **more})


def packed(content, kind="stream", compression=None):
    sink = pa.BufferOutputStream()
    make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with make(sink, content.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(content)
    return sink.getvalue().to_pybytes()


def exchanged(data, old, new, count=-1):
    assert old in data
    return data.replace(old, new, count)


def q(*numbers):
    return struct.pack(f"<{len(numbers)}q", *numbers)


def read(tmp_path, data, name="run.arrow", **options):
    path = tmp_path / name
    path.write_bytes(data)
    return gradlens.read(path, **options)


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_what_is_true_is_read(tmp_path, kind, compression):
    texts = pa.array(["1.5", "2.5", None, "none"] * 10).dictionary_encode()
    (run,) = read(tmp_path, packed(table(40, grad_norm=texts), kind, compression))
    assert run.loss.value.tolist() == (2.0 / (1.0 + np.arange(40) / 50.0)).tolist()
    assert run.grad_norm.value.tolist() == [1.5, 2.5] * 10


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("columns", ["all", "needed"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (-1, "a batch of -1 rows"),
        (-(2**63), "a batch of -9223372036854775808 rows"),
        (N + 1, "too small"),
        (N + 1000, "too small"),
        (10**12, "1,000,000,000,000 rows of 2 columns unpack to more than 256 MiB"),
        (2**63 - 1, "unpack to more than 256 MiB"),
    ],
)
def test_rows_that_are_not_there(tmp_path, kind, columns, rows, message):
    # Without a check a thousand rows too many were read from whatever lay behind the file in memory.
    data = exchanged(packed(table(), kind), q(N), q(rows))
    with pytest.raises(gradlens.GradlensError, match=message):
        read(tmp_path, data, columns=columns)


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize(
    ("start", "size"),
    [(-8, N * 8), (0, -8), (0, 2**62), (2**62, N * 8), (2**62, 2**62), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))],
)
def test_buffers_that_are_elsewhere(tmp_path, kind, start, size):
    data = exchanged(packed(table(), kind), q(0, N * 8), q(start, size), 1)
    with pytest.raises(gradlens.GradlensError, match="a buffer beyond its batch"):
        read(tmp_path, data)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (-5, "unpacks to -5 bytes"),
        (2**62, "unpack to more than 256 MiB"),
        (1 << 33, "unpack to more than 256 MiB"),
        (N * 8 + 8, "run.arrow"),
    ],
)
def test_buffers_that_unpack_to_something_else(tmp_path, compression, said, message):
    data = exchanged(packed(table(), compression=compression), q(N * 8), q(said))
    with pytest.raises(gradlens.GradlensError, match=message):
        read(tmp_path, data)


def test_zeros_that_unpack_to_more_than_a_log_has(tmp_path, monkeypatch):
    zeros = np.zeros(200_000)
    data = packed(pa.table({"step": zeros, "loss": zeros}), "file", "zstd")
    assert len(data) < 20_000
    assert read(tmp_path, data)
    monkeypatch.setattr("gradlens.readers.arrow._FREE_BYTES", 1 << 20)
    with pytest.raises(gradlens.GradlensError, match="200,000 rows of 2 columns unpack to more than 1 MiB"):
        read(tmp_path, data)


@pytest.mark.parametrize("place", range(24))
@pytest.mark.parametrize("number", [-1, 2**31, 2**62])
def test_a_footer_that_points_elsewhere(tmp_path, place, number):
    # The last numbers before the length of the footer are the places of the batches, among others.
    data = bytearray(packed(table(60), "file"))
    (size,) = struct.unpack_from("<i", data, len(data) - 10)
    at = (len(data) - 10 - size + 7) // 8 * 8 + 8 * place
    if at + 8 > len(data) - 10:
        pytest.skip("beyond the footer")
    data[at : at + 8] = q(number)
    try:
        (run,) = read(tmp_path, bytes(data))
    except gradlens.GradlensError:
        return
    assert len(run.loss) == 60


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_no_number_of_a_head_crashes(tmp_path, kind, compression):
    whole = packed(table(30), kind, compression)
    code = (
        "import struct, sys, gradlens\n"
        "whole = open(sys.argv[1], 'rb').read()\n"
        "for at in range(int(sys.argv[2]), len(whole) - 4, 4 * 7):\n"
        "    for kind, number in (('q', -1), ('q', 1 << 62), ('i', 1 << 30), ('i', -5)):\n"
        "        data = bytearray(whole)\n"
        "        struct.pack_into('<' + kind, data, min(at, len(data) - struct.calcsize(kind)), number)\n"
        "        open(sys.argv[1] + '.arrow', 'wb').write(data)\n"
        "        try:\n"
        "            gradlens.read(sys.argv[1] + '.arrow', input_format='parquet')\n"
        "        except gradlens.GradlensError:\n"
        "            pass\n"
    )
    (tmp_path / "whole").write_bytes(whole)
    # In a process of its own, which a crash may end, and with little more memory than it needs.
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_AS, ({3 << 30}, {3 << 30}))\n{code}"
    start = str({"stream": 0, "file": 8}[kind])
    done = subprocess.run(
        [sys.executable, "-c", limited, str(tmp_path / "whole"), start], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_byte_of_the_foot_of_a_parquet_file_crashes(tmp_path):
    path = tmp_path / "whole"
    pq.write_table(table(30, extra=[None, 1.5] * 15, notes=["a", None] * 15), path)
    code = (
        "import sys, gradlens\n"
        "whole = open(sys.argv[1], 'rb').read()\n"
        "for at in range(len(whole) - 8 - int.from_bytes(whole[-8:-4], 'little'), len(whole) - 8, 3):\n"
        "    data = bytearray(whole)\n"
        "    data[at] ^= (1, 2, 0x80)[at // 3 % 3]\n"
        "    open(sys.argv[1] + '.parquet', 'wb').write(data)\n"
        "    try:\n"
        "        gradlens.read(sys.argv[1] + '.parquet')\n"
        "    except gradlens.GradlensError:\n"
        "        pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_column_that_is_not_read_may_contradict_its_schema(tmp_path):
    path = tmp_path / "run.parquet"
    pq.write_table(table(30, extra=[None, 1.5] * 15), path)
    # In the schema `extra` has a value in each row (a field 3 of 0 in place of 1), in its own description it has not.
    path.write_bytes(path.read_bytes().replace(b"\x25\x02\x18\x05extra", b"\x25\x00\x18\x05extra"))
    command = [sys.executable, "-m", "gradlens", "analyze", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "histogram size mismatch" in done.stderr


def long_text(n, digits):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), ["1." + "0" * digits])


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_long_text_in_each_row_is_held_once(tmp_path, form):
    # 20 GB of text, of which the file has 100 kB.
    content = table(200_000, grad_norm=long_text(200_000, 100_000))
    path = tmp_path / f"run.{form}"
    if form == "parquet":
        pq.write_table(content, path)
    else:
        path.write_bytes(packed(content))
    (run,) = gradlens.read(path)
    assert len(run.grad_norm) == 200_000
    assert set(run.grad_norm.value.tolist()) == {1.0}


def test_texts_of_parquet_that_are_no_utf8(tmp_path):
    texts = pa.array([b"1.5", b"\xff\xfe", b"2.5", None, b" "] * 8)
    schema = pa.schema([("step", pa.int64()), ("loss", pa.float64()), ("grad_norm", pa.string())])
    # As a damaged file has them: pyarrow looks at no text when it reads.
    unchecked = pa.Array.from_buffers(pa.string(), 40, texts.buffers())
    path = tmp_path / "run.parquet"
    pq.write_table(pa.table([*table(40).columns, unchecked], schema=schema), path)
    (run,) = gradlens.read(path)
    assert run.grad_norm.value.tolist() == [1.5, 2.5] * 8
    assert {notice.code: notice.count for notice in run.notices}["text-cell"] == 8


def test_columns_that_cannot_hold_numbers_are_said(tmp_path):
    content = table(40, notes=[["a"]] * 40, flag=[True] * 40, image=[b"\0"] * 40, empty=pa.nulls(40))
    path = tmp_path / "run.parquet"
    pq.write_table(content, path)
    (run,) = gradlens.read(path)
    assert sorted(run.series) == ["loss"]
    assert {notice.code: notice.count for notice in run.notices}["text-column"] == 4
