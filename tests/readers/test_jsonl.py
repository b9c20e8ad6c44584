"""JSON lines: the columnar parser against `json.loads` line by line, on everything a log may hold."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gradlens
from gradlens.errors import MalformedLogError
from gradlens.readers.base import ReadOptions
from gradlens.readers.blocks import json_blocks, text_blocks
from gradlens.readers.blocks.decimals import PADDING, parse_decimals
from gradlens.readers.blocks.json_blocks import values_in
from gradlens.readers.jsonl import JsonLinesReader
from gradlens.sources.files import Source
from gradlens.vocabulary import is_measure


def read_text(data: bytes):
    (raw,) = JsonLinesReader().read([Source(name="log.jsonl", data=data)], ReadOptions())
    return raw


def columns_of(raw):
    return {
        c.name: list(zip(range(raw.n_rows) if c.row is None else c.row.tolist(), c.value.tolist(), strict=True))
        for c in raw.columns
    }


def reference(data: bytes):
    """The slow way: every line by itself."""
    columns, n_rows, codes, words = {}, 0, {}, Counter()
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines):
        text = line.decode("utf-8", errors="replace").strip().strip("\0")
        if not text:
            continue
        try:
            record = json.loads(text)
        except ValueError:
            code = "truncated-record" if number == len(lines) - 1 else "malformed-record"
            codes[code] = codes.get(code, 0) + 1
            continue
        if not isinstance(record, dict):
            codes["malformed-record"] = codes.get("malformed-record", 0) + 1
            continue
        found = list(values_in(record, {}))
        row = {name: (value, is_text) for name, value, is_text in found if value is not None}
        lost = {name: is_text for name, value, is_text in found if value is None and name not in row}
        words.update(name for name, is_text in lost.items() if is_text)
        if lists := sum(not is_text for is_text in lost.values()):
            codes["unreadable-value"] = codes.get("unreadable-value", 0) + lists
        for name, (value, is_text) in row.items():
            columns.setdefault(name, []).append((n_rows, value))
            if is_text:
                codes["string-number"] = codes.get("string-number", 0) + 1
        n_rows += bool(row)
    if among := sum(words[name] for name in columns):
        codes["text-cell"] = among
    if named := sum(name not in columns and is_measure(name) for name in words):
        codes["text-column"] = named
    return columns, n_rows, codes


def same_numbers(a, b) -> bool:
    return len(a) == len(b) and all(
        i == j and ((x == y and math.copysign(1, x) == math.copysign(1, y)) or (math.isnan(x) and math.isnan(y)))
        for (i, x), (j, y) in zip(a, b, strict=True)
    )


def assert_same_as_slow(data: bytes) -> None:
    columns, n_rows, codes = reference(data)
    if n_rows == 0:
        with pytest.raises(MalformedLogError):
            read_text(data)
        return
    raw = read_text(data)
    found = columns_of(raw)
    assert list(found) == list(columns)
    assert raw.n_rows == n_rows
    for name, values in columns.items():
        assert same_numbers(found[name], values), name
    assert {n.code: n.count for n in raw.notices} == codes


numbers = st.one_of(
    st.floats(),
    st.floats(width=32),
    st.integers(),
    st.integers(-(10**25), 10**25),
    st.decimals(-(10**6), 10**6, places=4).map(float),
)
texts = st.one_of(
    st.sampled_from(["NaN", "inf", "-Infinity", "1/438", "1,125", "3.5", " 7 ", "007", "np.float64(0.72)", "nan"]),
    st.text(max_size=6),
    st.sampled_from(["<script>", "n/a", "a, b", ""]),
    numbers.map(str),
)
values = st.one_of(
    numbers, texts, st.none(), st.booleans(), st.lists(st.integers(), max_size=2), st.just({}), st.lists(numbers, max_size=3),
    st.lists(st.one_of(numbers, st.none(), st.booleans(), texts, st.just([1]), st.just({})), max_size=3),
    st.dictionaries(st.sampled_from("xyz"), numbers, max_size=2),
)  # fmt: skip
keys = st.one_of(
    st.sampled_from(
        ["step", "loss", "grad_norm", "train/loss", "lr", "lr", "lr/0", "a b", "ä", 'q"', "a,b", "x}", "\\", "config"]
    ),
    st.text(max_size=3),
)
#: Records of a few kinds, each repeated with other values, which is what templates are for.
kinds = st.lists(st.lists(keys, min_size=1, max_size=4, unique=True), min_size=1, max_size=3)
junk = st.sampled_from(
    [
        b"",
        b"  ",
        b"\0\0",
        b"not json",
        b"[1, 2]",
        b"3",
        b'{"a": 01}',
        b'{"a": .5}',
        b'{"loss": 1.}',
        b'{"a": 1} x',
        b"\xff\xfe{}",
    ]
)


@st.composite
def logs(draw):
    lines = []
    names = draw(kinds)
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(names))
        simple = draw(st.booleans())
        for _ in range(draw(st.integers(1, 20))):
            record = {key: draw(numbers if simple else values) for key in kind}
            lines.append(json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", errors="replace"))
        if draw(st.booleans()):
            lines.append(draw(junk))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    data = end.join(lines) + (end if draw(st.booleans()) else b"")
    if draw(st.booleans()):
        data = b"\xef\xbb\xbf" + data
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data


@settings(max_examples=60, deadline=None)
@given(logs(), st.sampled_from([64, 1 << 20]))
def test_same_as_line_by_line(data, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK", block)
        patch.setattr(json_blocks, "_WORTHWHILE", 2)
        assert_same_as_slow(data)


@settings(max_examples=100, deadline=None)
@example(["9223372036854775807.6130094", "18446744073709551615", "1844674407370955161.6", "99999999999999999999.5"])
@given(st.lists(st.one_of(
    numbers.map(str), numbers.map(repr), st.text("0123456789.-+eE", max_size=26),
    st.tuples(st.integers(0, 10**19), st.integers(0, 10**12)).map(lambda p: f"{p[0]}.{p[1]}"),
), min_size=1, max_size=40))  # fmt: skip
def test_decimals_are_exact(tokens):
    data = b" " * PADDING + b",".join(t.encode() for t in tokens)
    lengths = np.array([len(t.encode()) for t in tokens])
    starts = PADDING + np.concatenate(([0], np.cumsum(lengths + 1)[:-1]))
    parsed = parse_decimals(np.frombuffer(data, np.uint8), starts, starts + lengths)
    for token, value, is_plain in zip(tokens, parsed.value.tolist(), parsed.is_plain.tolist(), strict=True):
        if is_plain:
            true = float(json.loads(token))  # raises where the grammar of JSON does not allow it
            assert (value, math.copysign(1, value)) == (true, math.copysign(1, true)), token


RATES = [[0.1 / (n + 1), 0.01 / (n + 1)] for n in range(40)]


class TestLists:
    def test_rates_of_several_groups(self, monkeypatch):
        rows = [{"step": n, "lr": rates, "loss": 1.0} for n, rates in enumerate(RATES)]
        rows[7]["lr"] = [None, math.nan]
        data = "\n".join(map(json.dumps, rows)).encode()
        assert_same_as_slow(data)
        # They change from line to line, and are not reason to parse line by line.
        monkeypatch.setattr(json_blocks, "values_in", None)
        found = columns_of(read_text(data))
        assert found["lr/1"][:2] == [(0, 0.01), (1, 0.005)]
        assert (len(found["lr/0"]), len(found["lr/1"])) == (39, 40)

    @pytest.mark.parametrize("columns", ["all", "needed"])
    def test_the_first_is_the_rate(self, tmp_path, columns):
        path = tmp_path / "run.jsonl"
        for name, place in (("lr", "lr/0"), ("learning_rate", "learning_rate/0"), ("optim", "train/optim/lr/0")):
            rows = [
                {"step": n, "loss": 1.0, **({"train": {"optim": {"lr": rates}}} if name == "optim" else {name: rates})}
                for n, rates in enumerate(RATES)
            ]
            path.write_text("\n".join(map(json.dumps, rows)))
            (run,) = gradlens.read(path, columns=columns)
            assert run.columns.lr == place
            assert run.lr.value.tolist() == [rates[0] for rates in RATES]

    @pytest.mark.parametrize("phase", [{}, {"mode": "train"}])
    def test_lists_where_a_number_belongs_are_counted(self, tmp_path, phase):
        rows = [phase | {"step": n, "loss": [1.0, 2.0] if n in {5, 9} else 1.0, "tokens": [1]} for n in range(20)]
        rows[12]["lr"] = [0.1, {"group": 1}]
        path = tmp_path / "run.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        (run,) = gradlens.read(path)
        counts = {n.code: n.count for n in run.notices}
        assert (run.format, counts["unreadable-value"]) == ("phased-jsonl" if phase else "jsonl", 3)
        assert run.series["lr/0"].value.tolist() == [0.1]

    def test_lists_alone_are_named_in_the_error(self, tmp_path):
        path = tmp_path / "run.jsonl"
        path.write_text("\n".join(json.dumps({"step": n, "loss": [1.0, 2.0]}) for n in range(20)))
        with pytest.raises(gradlens.GradlensError, match="loss is a list, not a number"):
            gradlens.read(path)


def test_a_loss_of_nothing_but_texts_is_noticed(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(json.dumps({"step": n, "loss": "high", "grad_norm": 1.0, "who": "a"}) for n in range(20)))
    (run,) = gradlens.read(path)
    (notice,) = (n for n in run.notices if n.code == "text-column")
    assert "loss" in notice.message


def test_ordinary_numbers_are_not_left_to_float():
    rng = np.random.default_rng(0)
    tokens = [repr(float(x)) for x in rng.lognormal(size=1000).astype(np.float32)] + [str(n) for n in range(1000)]
    tokens += [repr(1e-4 * (1 - n / 1000)) for n in range(1000)] + ["1e-8", "-2.5E+03", "3e22", "0e0", "-0.0e1"]
    data = b" " * PADDING + ",".join(tokens).encode()
    lengths = np.array([len(t) for t in tokens])
    starts = PADDING + np.concatenate(([0], np.cumsum(lengths + 1)[:-1]))
    assert parse_decimals(np.frombuffer(data, np.uint8), starts, starts + lengths).is_plain.all()


@pytest.mark.parametrize("nothing_fits", [True, False])
def test_blocks_give_the_same_as_one(monkeypatch, nothing_fits):
    rows = [{"step": i, "loss": 1 / (i + 1), **({f"k{i % 50}": i} if nothing_fits else {})} for i in range(3000)]
    rows[100]["loss"] = math.nan
    rows[200]["loss"] = "0.5"
    data = "\n".join(map(json.dumps, rows)).encode() + b'\n{"step": 30'
    alone = read_text(data)
    monkeypatch.setattr(text_blocks, "BLOCK", 2048)
    together = read_text(data)
    assert columns_of(alone).keys() == columns_of(together).keys()
    assert all(same_numbers(columns_of(alone)[k], columns_of(together)[k]) for k in columns_of(alone))
    assert alone.notices == together.notices
    assert [(n.code, n.where) for n in alone.notices] == [
        ("string-number", "line 201"),
        ("truncated-record", "line 3001"),
    ]


def test_the_same_text_in_every_line():
    row = {
        "step": 1,
        "loss": math.nan,
        "note": "train",
        "flag": True,
        "none": None,
        "lr": "1e-4",
        "x": "\0",
        "y": "a\0",
    }
    lines = [json.dumps({**row, "step": i, "loss": -math.inf if i % 3 else math.nan}) for i in range(300)]
    lines[7] = lines[7].replace("true", "tru\0")
    lines[9] = lines[9].replace("null", "nul")
    assert_same_as_slow("\n".join(lines).encode())


def test_a_short_block_under_a_long_template(monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK", 1024)
    lines = [json.dumps({"a": 1, "b" * 200: i}) for i in range(50)]
    assert_same_as_slow("\n".join([*lines, '{"a":1,']).encode())


def test_a_line_longer_than_a_block(monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK", 128)
    row = {"step": 1, **{f"grad_norm/layer.{n}": n / 7 for n in range(400)}}
    assert_same_as_slow("\n".join(json.dumps({**row, "step": i}) for i in range(5)).encode())


def test_nested_records_and_settings(tmp_path):
    path = tmp_path / "run.jsonl"
    lines = [{"config": {"max_grad_norm": 0.5, "lr": 1e-3}}]
    lines += [{"step": i, "train": {"loss": 2.0 / (i + 1), "grad_norm": 1.0}, "tags": [1, 2]} for i in range(30)]
    path.write_text("\n".join(map(json.dumps, lines)))
    (run,) = gradlens.read(path)
    assert run.loss.name == "train/loss"
    assert run.config.max_grad_norm == 0.5
    assert len(run.grad_norm) == 30


def test_utf16_and_byte_order_mark(tmp_path):
    text = "\n".join(json.dumps({"step": i, "loss": i / 3}) for i in range(20))
    for encoding in ("utf-16", "utf-8-sig"):
        path = tmp_path / f"{encoding}.jsonl"
        path.write_bytes(text.encode(encoding))
        (run,) = gradlens.read(path, input_format="jsonl")
        assert run.loss.value.tolist() == [i / 3 for i in range(20)]


def test_only_wanted_columns(tmp_path):
    data = "\n".join(json.dumps({"step": i, "loss": 1.0, "gpu_temperature": 60}) for i in range(20)).encode()
    (raw,) = JsonLinesReader().read([Source(name="x", data=data)], ReadOptions(columns="needed"))
    assert [c.name for c in raw.columns] == ["step", "loss"]


def test_nothing_to_read():
    with pytest.raises(MalformedLogError, match="no number in any record"):
        read_text(b'{"a": "x"}\n{"a": "y"}')


@pytest.mark.parametrize("nested", ["", ', "extra": {"a": 1.5}'])
@pytest.mark.parametrize("which", [range(40), [9], [0]])
def test_of_a_repeated_key_the_last_value_counts_and_a_notice_tells(which, nested, tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text(
        "".join(
            f'{{"step": {n}, "loss": 3.5{nested}{", " + chr(34) + "loss" + chr(34) + ": 7.5" if n in which else ""}}}\n'
            for n in range(40)
        )
    )
    (run,) = gradlens.read(path)
    assert run.loss.value.tolist() == [7.5 if n in which else 3.5 for n in range(40)]
    (notice,) = [n for n in run.notices if n.code == "repeated-key"]
    assert (notice.count, "loss" in notice.message) == (len(which), True)
    assert notice.where == f"line {which[0] + 1}"


def test_repeated_keys_of_a_document(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("[" + ", ".join(f'{{"step": {n}, "loss": 1.5, "loss": 2.5}}' for n in range(9)) + "]")
    (run,) = gradlens.read(path)
    assert run.loss.value.tolist() == [2.5] * 9
    assert {n.code: n.count for n in run.notices}["repeated-key"] == 9


@pytest.mark.parametrize("huge", ["1e308", "9007199254740993", "1" + "0" * 400])
def test_a_step_beyond_all_counting_is_told(huge, tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f'{{"step": {huge if n == 20 else n}, "loss": {4 - n / 64}}}\n' for n in range(40)))
    (run,) = gradlens.read(path)
    assert run.loss.step.tolist() == [19 if n == 20 else n for n in range(40)]
    assert {n.code: n.count for n in run.notices}["step-too-large"] == 1
