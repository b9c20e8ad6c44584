"""Separated values: the columnar parser against the csv module, and the shapes that loggers write."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlens
from gradlens.errors import MalformedLogError
from gradlens.readers import csv_
from gradlens.readers.base import ReadOptions
from gradlens.readers.blocks import text_blocks
from gradlens.readers.csv_ import CsvReader, _read_slowly, read_table
from gradlens.sources.files import Source


def columns_of(table):
    return {
        c.name: list(zip(range(table.n_rows) if c.row is None else c.row.tolist(), c.value.tolist(), strict=True))
        for c in table.columns
    }


def same_numbers(a, b) -> bool:
    return len(a) == len(b) and all(
        i == j and ((x == y and math.copysign(1, x) == math.copysign(1, y)) or (math.isnan(x) and math.isnan(y)))
        for (i, x), (j, y) in zip(a, b, strict=True)
    )


cells = st.one_of(
    st.floats().map(repr), st.integers(-(10**20), 10**20).map(str), st.floats(width=32).map(lambda x: f"{x:.6g}"),
    st.sampled_from(["", "", " ", "nan", "NaN", "-inf", "1/438", "1,125", "4,25", "0,125", "1,125.5", "1,125,000", "-,5", "1,", "007", ".5", "1.", "text", 'a"b', "True", "1e-05"]),
    st.text('0123456789.,-"; e', max_size=6),
)  # fmt: skip


@st.composite
def tables(draw):
    width = draw(st.integers(2, 5))
    separator = draw(st.sampled_from(",;\t"))
    handle = io.StringIO()
    writer = csv.writer(
        handle, delimiter=separator, lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )  # fmt: skip
    names = [f"name{n}" for n in range(width)]
    writer.writerow(names)
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            writer.writerow(names)
        elif kind == 1:
            handle.write("\n")
        else:
            size = width if kind < 8 else draw(st.integers(1, width + 2))
            writer.writerow([draw(cells) for _ in range(size)])
    text = handle.getvalue()
    end = draw(st.one_of(st.just(len(text)), st.integers(len(separator.join(names)) + 12, max(len(text), 60))))
    return text[:end].encode()


def parsed(data):
    return read_table(Source(name="x", data=data), ReadOptions(), lambda _done: None)


@settings(max_examples=120, deadline=None)
@given(tables(), st.sampled_from([64, 1 << 20]))
def test_same_as_the_csv_module(data, block):
    source = Source(name="x", data=data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK", block)
        patch.setattr(text_blocks, "ARROW_BLOCK", block)
        fast = parsed(data)
    slow = _read_slowly(source, ReadOptions())
    assert fast.names == slow.names
    assert fast.n_rows == slow.n_rows
    assert [c.name for c in fast.columns] == [c.name for c in slow.columns]
    for name, values in columns_of(slow).items():
        assert same_numbers(columns_of(fast)[name], values), name
    assert {n.code: n.count for n in fast.notices} == {n.code: n.count for n in slow.notices}


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(2, 40))
def test_pyarrow_gives_the_same(data, repeats):
    head, _, rest = data.partition(b"\n")
    data = (
        head + b"\n" + (rest.rstrip(b"\r\n") + b"\n" + b",".join([b"0.5"] * (1 + head.count(b","))) + b"\n") * repeats
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK", 256)
        patch.setattr(text_blocks, "ARROW_BLOCK", 256)
        slow = parsed(data)
        patch.setattr(csv_, "_WORTH_ARROW", 0)
        fast = parsed(data)
    assert [c.name for c in fast.columns] == [c.name for c in slow.columns]
    for name, values in columns_of(slow).items():
        assert same_numbers(columns_of(fast)[name], values), name
    assert (fast.n_rows, fast.notices) == (slow.n_rows, slow.notices)


def read(tmp_path, text, name="metrics.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (run,) = gradlens.read(path, **options)
    return run


def notices(run):
    return {n.code: n.count for n in run.notices}


def test_sparse_rows_of_lightning(tmp_path):
    text = "epoch,step,train_loss,val_loss\n0,0,2.5,\n0,50,2.0,\n0,99,,2.2\n1,100,1.5,\n"
    run = read(tmp_path, text)
    assert run.loss.step.tolist() == [0, 50, 100]
    assert run.loss.value.tolist() == [2.5, 2.0, 1.5]
    assert run.val_loss.step.tolist() == [99]


def test_header_again_byte_order_mark_and_line_ends(tmp_path):
    text = b"\xef\xbb\xbfstep;loss\r\n1;0.5\r\n2;0.25\r\nstep;loss\r\n3;nan\r\n"
    run = read(tmp_path, text)
    assert run.loss.step.tolist() == [1, 2, 3]
    assert math.isnan(run.loss.value[2])
    assert notices(run)["repeated-header"] == 1
    assert "text-cell" not in notices(run)


def test_blank_and_repeated_names(tmp_path):
    run = read(tmp_path, ",step,loss,loss\n0,1,0.5,9\n1,2,0.25,8\n")
    assert list(run.series) == ["column 1", "loss", "loss (2)"]
    assert {"unnamed-column", "repeated-name"} <= notices(run).keys()


def test_quoted_cells_and_cells_of_several_lines(tmp_path):
    run = read(tmp_path, '"step","loss","note"\n"1","0.5","a, b"\n"2","0.25","two\nlines"\n"3","0.125",""\n')
    assert run.loss.value.tolist() == [0.5, 0.25, 0.125]
    assert run.loss.step.tolist() == [1, 2, 3]


def test_damage_is_noticed(tmp_path):
    run = read(tmp_path, "step,loss,lr\n1,0.5,0.1\n2,oops,0.1\n3,0.25\n4,0.2,0.1,7\n5,0.1,0.1\n6,0.")
    assert run.loss.step.tolist() == [1, 3, 4, 5]
    assert notices(run) == {"text-cell": 1, "missing-values": 1, "short-row": 1, "long-row": 1, "truncated-record": 1}


def test_comments_and_blank_lines_before_the_names(tmp_path):
    run = read(tmp_path, "# made by a logger\n\nstep\tloss\n1\t0.5\n2\t0.25\n", name="log.tsv")
    assert run.loss.value.tolist() == [0.5, 0.25]


def test_threads_and_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK", 4096)
    monkeypatch.setattr(text_blocks, "ARROW_BLOCK", 4096)
    monkeypatch.setattr(csv_, "_WORTH_ARROW", 0)
    values = np.random.default_rng(0).normal(size=(5000, 3))
    text = "step,loss,gpu\n" + "".join(f"{i},{a!r},{b!r}\n" for i, (a, b, _) in enumerate(values.tolist()))
    run = read(tmp_path, text)
    assert np.array_equal(run.loss.value, values[:, 0])
    run = read(tmp_path, text, columns="needed")
    assert list(run.series) == ["loss"]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("columns", ["all", "needed"])
def test_decimal_commas_of_pandas(tmp_path, separator, columns):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    values = {"loss": rng.normal(4, 1, 900), "grad_norm": rng.lognormal(0, 2, 900) * 1e-4, "lr": [2.5e-5] * 900}
    pandas.DataFrame({"step": range(900), **values}).to_csv(
        tmp_path / "log.csv", sep=separator, decimal=",", index=False
    )
    (run,) = gradlens.read(tmp_path / "log.csv", columns=columns)
    for name, wanted in values.items():
        assert run.series[name].value.tolist() == list(wanted)
    assert notices(run)["decimal-comma"] == 2700


class TestCommasInNumbers:
    def test_what_may_group_thousands_is_decimal_behind_semicolons(self, tmp_path):
        run = read(tmp_path, "step;loss;grad_norm\n" + "".join(f"{n};4,{200 + n};1,838\n" for n in range(9)))
        assert run.loss.value.tolist() == [(4200 + n) / 1000 for n in range(9)]
        assert run.grad_norm.value.tolist() == [1.838] * 9
        (notice,) = (n for n in run.notices if n.code == "decimal-comma")
        assert notice.count == 18
        assert "rule out grouped thousands" in notice.message

    def test_behind_tabs_another_column_must_tell(self, tmp_path):
        run = read(tmp_path, "step\tloss\n" + "".join(f"1,{200 + n}\t0.5\n" for n in range(9)), name="log.tsv")
        assert run.loss.step.tolist() == list(range(1200, 1209))
        assert "decimal-comma" not in notices(run)
        run = read(
            tmp_path, "step\tloss\tlr\n" + "".join(f"{n}\t1,{200 + n}\t0,01\n" for n in range(9)), name="log.tsv"
        )
        assert run.loss.value[1] == 1.201

    def test_two_commas_and_a_point_group_thousands(self, tmp_path):
        run = read(tmp_path, "step;loss;tokens\n1;1,234.5;1,000\n2;1,125;1,000,000\n3;2,5;1,001,000\n")
        assert run.series["tokens"].value.tolist() == [1e3, 1e6, 1001000.0]
        assert run.loss.value.tolist() == [1234.5, 1.125, 2.5]
        assert notices(run) == {"decimal-comma": 2}

    def test_quoted_thousands_between_commas(self, tmp_path):
        run = read(tmp_path, 'step,loss\n"1,125",0.5\n"1,126",0.25\n')
        assert run.loss.step.tolist() == [1125, 1126]
        assert notices(run) == {}

    def test_rows_of_other_lengths_and_cells_of_several_lines(self, tmp_path):
        run = read(tmp_path, 'step;loss;note\n1;0,5;a\n2;0,25\n3;0,125;"two\nlines, 4,5"\n')
        assert run.loss.value.tolist() == [0.5, 0.25, 0.125]
        assert notices(run) == {"short-row": 1, "decimal-comma": 3}

    def test_large_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(csv_, "_WORTH_ARROW", 0)
        monkeypatch.setattr(text_blocks, "ARROW_BLOCK", 4096)
        run = read(tmp_path, "step;loss\n" + "".join(f"{n};0,{n:04d}\n" for n in range(5000)))
        assert run.loss.value.tolist() == [n / 10000 for n in range(5000)]
        assert notices(run)["decimal-comma"] == 5000


def test_a_rate_of_nothing_but_texts_is_noticed(tmp_path):
    run = read(tmp_path, 'step,loss,lr,host\n1,0.5,"[0.1, 0.2]",a\n2,0.25,"[0.1, 0.2]",b\n')
    assert notices(run) == {"text-column": 1}


def test_texts_in_a_column_of_a_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {"step": [1, 2, 3, 4], "loss": ["0.5", "oops", "", "nan"], "grad_norm": [1.0, 2.0, 3.0, 4.0]}
    parquet.write_table(pyarrow.table(table), tmp_path / "log.parquet")
    (run,) = gradlens.read(tmp_path / "log.parquet")
    assert run.loss.step.tolist() == [1, 4]
    assert notices(run) == {"text-cell": 1}


def test_names_without_a_row(tmp_path):
    with pytest.raises(gradlens.GradlensError, match="a table of 4 columns with no rows of numbers"):
        read(tmp_path, "step,loss,grad_norm,lr\n\n")
    with pytest.raises(gradlens.GradlensError, match="no known log format"):
        read(tmp_path, "Dear all, nothing happened")


def test_nothing_to_read():
    with pytest.raises(MalformedLogError, match="with no rows of numbers"):
        CsvReader().read([Source(name="x", data=b"step,loss\n")], ReadOptions())
    with pytest.raises(MalformedLogError, match="no header line"):
        parsed(b"\n\n")


def test_a_table_without_names_says_so_and_takes_columns_by_place(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("".join(f"{n * 10},{3 - n / 64},{1 + n / 64}\n" for n in range(20)))
    with pytest.raises(gradlens.GradlensError, match="column 2"):
        gradlens.read(path)
    (run,) = gradlens.read(path, loss="column 2", grad_norm="column 3")
    assert run.loss.step.tolist() == [n * 10 for n in range(20)]
    assert run.grad_norm.value.tolist() == [1 + n / 64 for n in range(20)]
    assert "no-header" in {n.code for n in run.notices}


def test_names_after_rows_without_names_leave_no_nameless_column(tmp_path):
    path = tmp_path / "late.csv"
    rows = [f"{n},{4 - n / 64},1.5" for n in range(9)]
    path.write_text("\r".join([*rows, '"Step","loss","grad_norm"', '"']) + "\r")
    try:
        runs = gradlens.read(path)
    except gradlens.GradlensError:
        return
    assert all(run.series for run in runs)


def test_a_chart_whose_steps_come_last(tmp_path):
    path = tmp_path / "chart.csv"
    rows = [f'"{2.0 - 0.01 * row}","{0.5 + 0.001 * row}","{10 * row}"' for row in range(40)]
    path.write_text("\n".join(['"dry-sea-2 - train/loss","dry-sea-2 - eval/loss","Step"', *rows]))
    (run,) = gradlens.read(path)
    assert (run.format, run.columns.loss, run.columns.val_loss) == ("wandb-csv", "train/loss", "eval/loss")
    assert run.loss.step[-1] == 390
