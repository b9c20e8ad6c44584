"""Hostile and unlucky logs: time and memory stay bounded, and what is lost is counted."""

from __future__ import annotations

import gzip
import json
import math
import os
import struct
import time
from pathlib import Path

import pytest

import gradlens
from gradlens.readers import arrow, base, csv_, json_document
from gradlens.readers.base import parse_number
from gradlens.readers.blocks import block_table, json_blocks, text_blocks
from gradlens.readers.events import decode
from gradlens.sources import files
from tests.readers.writers import ROWS_OF, WRITERS


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(n=200):
    return [{"step": i, "loss": 2 / (1 + i / 50), "grad_norm": 0.5 + i % 7 / 10} for i in range(n)]


def lines(n=200):
    return [json.dumps(row) for row in rows(n)]


def table(n=200):
    return ["step,loss,grad_norm", *(f"{r['step']},{r['loss']},{r['grad_norm']}" for r in rows(n))]


def codes(run):
    return {n.code: n.count for n in run.notices}


class TestTime:
    @pytest.mark.parametrize("end", ["ok", "1.5.2", "-"])
    def test_a_row_of_numbers_that_ends_in_a_word(self, tmp_path, end):
        # Two ways to match each run of digits would take a day for this line.
        path = write(tmp_path / "x.txt", "1 " + "123456789 " * 30 + end + "\n2 3 4\n")
        began = time.process_time()
        with pytest.raises(gradlens.GradlensError):
            gradlens.read(path)
        assert time.process_time() - began < 5

    @pytest.mark.parametrize(
        "flood",
        [
            "\n",
            "\r\n",
            "9",
            "a",
            "a(",
            "loss: a",
            "1:00 ",
            "a.py:1 ",
            "step 1 | ",
            "x ",
            "validation loss at iteration 1 |",
        ],
    )
    def test_a_console_log_with_much_of_the_same(self, tmp_path, flood):
        # What is tried from each of its places on to the end took minutes for these.
        text = [f"step {row['step']}: loss {row['loss']}\n" for row in rows(40)]
        many = flood * (20_000 // len(flood))
        began = time.process_time()
        (run,) = gradlens.read(write(tmp_path / "a.log", "".join([*text[:20], many, "\n", *text[20:]])))
        assert time.process_time() - began < 2
        assert len(run.loss) == 40

    def test_an_event_file_with_damage_in_every_other_record(self, tmp_path):
        count = 6000
        path = WRITERS["tensorboard"](ROWS_OF(count), tmp_path)
        path = next(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else path
        data = bytearray(path.read_bytes())
        at, number = 0, 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            if number % 2:
                data[at + 2] ^= 1
            at, number = at + length + 16, number + 1
        path.write_bytes(data)
        began = time.process_time()
        (run,) = gradlens.read(path)
        assert time.process_time() - began < 5
        assert codes(run)["damaged-record"] > count / 3
        assert sum(map(len, run.series.values())) > count / 3

    def test_many_columns(self, tmp_path):
        names = [f"c{i}" for i in range(20_000)]
        text = "\n".join(
            [",".join(["step", "loss", *names])] + [",".join([str(i), "1.5", *["1"] * 20_000]) for i in (1, 2)]
        )
        began = time.process_time()
        (run,) = gradlens.read(write(tmp_path / "w.csv", text + "\n"))
        assert time.process_time() - began < 20
        assert len(run.series) == 20_001

    @pytest.mark.parametrize(
        "form",
        ["csv", "one record", "each record others", "document of records", "document of arrays", "parquet", "events"],
    )
    def test_more_columns_than_any_run_has(self, tmp_path, monkeypatch, form):
        monkeypatch.setattr(base, "MAX_COLUMNS", 50)
        monkeypatch.setattr(csv_, "MAX_COLUMNS", 50)
        monkeypatch.setattr(json_document, "MAX_COLUMNS", 50)
        monkeypatch.setattr(arrow, "MAX_COLUMNS", 50)
        monkeypatch.setattr(decode, "MAX_COLUMNS", 50)
        monkeypatch.setattr(json_blocks, "MAX_COLUMNS", 50)
        monkeypatch.setattr(block_table, "MAX_COLUMNS", 50)

        def text(columns):
            names = [f"c{i}" for i in range(columns - 2)]
            if form == "csv":
                return ",".join(["step", "loss", *names]) + "\n" + (",".join(["1"] * columns) + "\n") * 3
            if form == "document of records":
                return json.dumps([{"step": i, "loss": 1.5} | dict.fromkeys(names, i) for i in range(3)])
            if form == "document of arrays":
                return json.dumps({name: [1.0, 2.0, 3.0] for name in ("step", "loss", *names)})
            if form == "one record":
                return "".join(json.dumps({"step": i, "loss": 1.5} | dict.fromkeys(names, i)) + "\n" for i in range(3))
            return "".join(json.dumps({"step": i, "loss": 1.5, name: 1}) + "\n" for i, name in enumerate(names))

        def made(columns):
            if form == "parquet":
                pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
                path = tmp_path / "a.parquet"
                pq.write_table(pa.table({f"c{i}" if i else "loss": [3.0, 2.0, 1.0] for i in range(columns)}), path)
                return path
            if form == "events":
                pytest.importorskip("tensorboard")
                from tests.readers.test_tensorboard import encode, event, simple

                path = tmp_path / f"events.out.tfevents.{columns}.host"
                names = ["loss", *(f"c{i}" for i in range(columns - 1))]
                path.write_bytes(
                    encode([event(step, *(simple(name, 2.0 + step) for name in names)) for step in range(3)])
                )
                return path
            return write(
                tmp_path / ("a.csv" if form == "csv" else "a.json" if "document" in form else "a.jsonl"), text(columns)
            )

        assert gradlens.read(made(50))
        path = made(51)
        with pytest.raises(gradlens.GradlensError, match=r"more than 50 columns"):
            gradlens.read(path)

    def test_a_long_list_is_no_row_of_columns(self, tmp_path, monkeypatch):
        monkeypatch.setattr(json_blocks, "MAX_COLUMNS", 50)
        text = "".join(json.dumps({"step": i, "loss": 1.5, "list": [0] * 200}) + "\n" for i in range(3))
        (run,) = gradlens.read(write(tmp_path / "a.jsonl", text))
        assert run.loss.value.tolist() == [1.5] * 3

    @pytest.mark.parametrize("columns", [9000, 10_000, 11_000, 20_000])
    def test_a_header_as_long_as_what_detection_looks_at(self, tmp_path, columns):
        names = ",".join(["step", "loss", *(f"c{i}" for i in range(columns))])
        text = "\n".join([names, *(",".join([str(i), "1.5", *["1"] * columns]) for i in range(3))])
        (run,) = gradlens.read(write(tmp_path / "w.csv", text + "\n"))
        assert len(run.loss) == 3

    def test_many_repeated_names(self, tmp_path):
        text = "step,loss," + ",".join(["x"] * 20_000) + "\n1,2.0" + ",1" * 20_000 + "\n2,2.0" + ",1" * 20_000 + "\n"
        began = time.process_time()
        (run,) = gradlens.read(write(tmp_path / "w.csv", text))
        assert time.process_time() - began < 20
        assert "x (20000)" in run.series


class TestSize:
    def test_a_packed_line_without_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(text_blocks, "MAX_LINE", 1 << 20)
        data = ("\n".join(lines(3000)) + "\n").encode() + bytes(8 << 20)
        with pytest.raises(gradlens.GradlensError, match="a line of more than 1 MiB"):
            gradlens.read(write(tmp_path / "a.jsonl.gz", gzip.compress(data)))
        with pytest.raises(gradlens.GradlensError, match=r"b\.csv: a line of more than 1 MiB"):
            gradlens.read(write(tmp_path / "b.csv", ("\n".join(table(3000)) + "\n").encode() + bytes(8 << 20)))

    def test_an_archive_that_unpacks_to_more_than_any_log(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "_FREE_BYTES", 1 << 20)
        monkeypatch.setattr(files, "_MAX_EXPANSION", 2)
        data = "".join(line + "\n" for line in lines(30) * 3000).encode()
        with pytest.raises(gradlens.GradlensError, match="unpacks to more than"):
            gradlens.read(write(tmp_path / "a.jsonl.gz", gzip.compress(data, 9)))
        with pytest.raises(gradlens.GradlensError, match="unpacks to more than"):
            gradlens.read(write(tmp_path / "a.json.gz", gzip.compress(b"[" + b"0," * (1 << 22) + b"0]", 9)))

    @pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/dev/urandom"])
    def test_devices(self, name):
        with pytest.raises(gradlens.GradlensError, match="a device"):
            gradlens.read(name)

    def test_a_pipe_without_end(self, monkeypatch):
        monkeypatch.setattr(files, "_MAX_STREAM", 1 << 20)
        with (
            pytest.raises(gradlens.GradlensError, match="more than 1 MiB from a pipe"),
            Path("/dev/zero").open("rb") as zero,
        ):
            files.resolve("-", stdin=zero)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
    def test_a_named_pipe_is_read_to_its_end(self, tmp_path):
        import threading

        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_text("\n".join(lines()) + "\n"))
        writer.start()
        (run,) = gradlens.read(pipe)
        writer.join()
        assert len(run.loss) == 200

    def test_links_in_circles(self, tmp_path):
        write(tmp_path / "a" / "run.jsonl", "\n".join(lines()) + "\n")
        (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
        (tmp_path / "a" / "self.jsonl").symlink_to(tmp_path / "a" / "self.jsonl")
        assert len(gradlens.read(tmp_path / "a")) == 1

    @pytest.mark.parametrize("depth", [2000, 100_000])
    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    def test_nesting(self, tmp_path, depth, opening):
        text = "\n".join([*lines(50), opening * depth, *lines(50)]) + "\n"
        # Its steps begin again after the damaged line: two starts.
        runs = gradlens.read(write(tmp_path / "a.jsonl", text))
        assert [len(run.grad_norm) for run in runs] == [50, 50]
        assert sum(codes(run).get("malformed-record", 0) for run in runs) == 1
        with pytest.raises(gradlens.GradlensError):
            gradlens.read(write(tmp_path / "b.json", opening * depth))


class TestNumbers:
    @pytest.mark.parametrize("digits", [400, 5000])
    def test_integers_beyond_any_float_in_a_console_log(self, tmp_path, digits):
        huge = "9" * digits
        text = "hello\n" + "".join(
            f'[x] {{"step": {i}, "loss": {huge if i == 5 else "1.5"}, "grad_norm": 1.0}}\n' for i in range(9)
        )
        (run,) = gradlens.read(write(tmp_path / "a.log", text))
        assert len(run.grad_norm) >= 8
        head = (
            "Epoch: [%s]  [ %d/100]  eta: 0:10:00  lr: 0.01  loss: 6.9375 (6.9400)  grad_norm: 1.5 (1.5)  time: 6.0\n"
        )
        text = "".join(head % (huge if i == 5 else "0", i) for i in range(9))
        (run,) = gradlens.read(write(tmp_path / "b.log", text))
        assert len(run.loss) >= 8

    def test_wrappers_without_end(self, tmp_path):
        value = "a(" * 5000 + "1.5)"
        text = "".join(f"{{'loss': {value if i == 5 else '1.5'}, 'grad_norm': 1.0, 'step': {i}}}\n" for i in range(9))
        (run,) = gradlens.read(write(tmp_path / "a.log", text))
        assert run.loss.step.tolist() == [0, 1, 2, 3, 4, 6, 7, 8]
        assert codes(run)["unreadable-value"] == 1

    def test_steps_beyond_2_to_the_53(self, tmp_path):
        text = "".join(json.dumps(r | {"step": r["step"] + 2**53 + 1}) + "\n" for r in rows())
        (run,) = gradlens.read(write(tmp_path / "a.jsonl", text))
        assert run.loss.step.tolist() == list(range(200))
        assert codes(run)["no-step"] == 200
        # One such step among others is damage.
        text = "".join(json.dumps(r | ({"step": 2**60} if r["step"] == 50 else {})) + "\n" for r in rows())
        (run,) = gradlens.read(write(tmp_path / "b.jsonl", text))
        assert run.loss.step[49:52].tolist() == [49, 49, 51]
        assert codes(run)["step-too-large"] == 1

    @pytest.mark.parametrize(
        "text",
        [
            "nan(0x7)",
            "-nan(ind)",
            "NaN(snan)",
            "1.#QNAN",
            "-1.#IND",
            "1.#IND00",
            "+1.#SNAN",
            "nanxxx",
            "-nan***",
            "000nan",
        ],
    )
    def test_nan_of_c(self, text):
        assert math.isnan(parse_number(text))

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1.#INF", math.inf),
            ("-1.#INF00", -math.inf),
            ("1.#J", math.inf),
            ("-infxx", -math.inf),
            ("00inf", math.inf),
        ],
    )
    def test_infinities_of_c(self, text, value):
        assert parse_number(text) == value

    @pytest.mark.parametrize(
        "text", ["--1,000", "+-1,000", "1,00", "\u00b2,000", "\u00b2/3", "1,000.\u00b2", "tensor(" * 3000 + "1"]
    )
    def test_what_only_looks_like_a_number(self, text):
        assert parse_number(text) is None

    def test_lists_whose_places_are_no_numbers(self, tmp_path):
        names = ("loss/\u00b2", "loss/" + "9" * 5000, "loss/3")
        text = "".join(f"step {i} {name}: 1.5, 2.5\n" for name in names for i in range(9))
        assert gradlens.read(write(tmp_path / "a.log", text))

    @pytest.mark.parametrize(
        "text", ["nan(", "nano", "1.#", "1.#INFO", "2.#INF", "#INF", "nan()x", "banana", "nanxyz", "infos", "nan_x"]
    )
    def test_what_only_looks_like_them(self, text):
        assert parse_number(text) is None


class TestLoss:
    def test_a_stray_quote_costs_its_line(self, tmp_path):
        text = table()
        (run,) = gradlens.read(write(tmp_path / "a.csv", "\n".join([*text[:100], '"abc,1,2', *text[100:]]) + "\n"))
        assert len(run.loss) == 200
        assert codes(run) == {"malformed-record": 1}
        quoted = [*text[:100], '"' + text[100], *text[101:150], '"' + text[150], *text[151:]]
        (run,) = gradlens.read(write(tmp_path / "b.csv", "\n".join(quoted) + "\n"))
        assert len(run.loss) == 198
        assert codes(run)["malformed-record"] == 2

    def test_a_cell_of_several_lines_is_one(self, tmp_path):
        text = ["step,loss,note", '1,2.0,"first', 'and ""second"" line, with a comma"', "2,1.9,plain", '3,1.8,"x\n\ny"']
        (run,) = gradlens.read(write(tmp_path / "a.csv", "\n".join(text) + "\n"))
        assert run.loss.value.tolist() == [2.0, 1.9, 1.8]
        assert "malformed-record" not in codes(run)

    def test_another_header_switches_the_columns(self, tmp_path):
        more = [f"{r['step']},{r['grad_norm']},0.1,{r['loss']}" for r in rows()[100:]]
        text = [*table()[:101], "step,grad_norm,lr,loss", *more]
        (run,) = gradlens.read(write(tmp_path / "a.csv", "\n".join(text) + "\n"))
        assert run.loss.value.tolist() == [r["loss"] for r in rows()]
        assert run.grad_norm.value.tolist() == [r["grad_norm"] for r in rows()]
        assert run.lr.step.tolist() == list(range(100, 200))
        assert codes(run)["changed-header"] == 1

    @pytest.mark.parametrize("end", ["\r", "\r\n"])
    def test_other_line_ends(self, tmp_path, end):
        (run,) = gradlens.read(write(tmp_path / "a.csv", end.join(table()) + end))
        assert len(run.loss) == 200

    @pytest.mark.parametrize("damaged", [2, 3, 8])
    def test_damage_at_the_start_of_json_lines_is_counted(self, tmp_path, damaged):
        text = [line[:20] if 5 <= n < 5 + damaged else line for n, line in enumerate(lines())]
        (run,) = gradlens.read(write(tmp_path / "a.jsonl", "\n".join(text) + "\n"))
        assert run.format == "jsonl"
        assert codes(run)["malformed-record"] == damaged
        assert len(run.loss) == 200 - damaged

    def test_records_glued_together_are_rows_of_their_own(self, tmp_path):
        text = lines()
        text[50:53] = ["".join(text[50:53])]
        text[100:102] = [text[100] + " " + text[101][:10] + "x"]
        (run,) = gradlens.read(write(tmp_path / "a.jsonl", "\n".join(text) + "\n"))
        assert run.loss.step.tolist() == [s for s in range(200) if s not in {102, 103}]
        assert codes(run)["glued-records"] == 2
        (notice,) = (n for n in run.notices if n.code == "malformed-record")
        assert (notice.count, notice.where) == (1, "line 101")

    def test_braces_in_a_text_are_no_seam(self, tmp_path):
        text = [json.dumps(r | {"note": "}{"}) for r in rows()]
        (run,) = gradlens.read(write(tmp_path / "a.jsonl", "\n".join(text) + "\n"))
        assert len(run.loss) == 200
        assert "glued-records" not in codes(run)

    def test_an_empty_file_of_a_folder_is_told(self, tmp_path):
        write(tmp_path / "a.jsonl", "\n".join(lines()) + "\n")
        write(tmp_path / "b.jsonl", "")
        (run,) = gradlens.read(tmp_path)
        assert codes(run)["empty-file"] == 1

    @pytest.mark.parametrize("data", [b"\x0b\n1,2\n3,4\n", b" \n1,2\n3,4\n", b"\0\n1,2\n"])
    def test_a_chart_without_names(self, tmp_path, data):
        with pytest.raises(gradlens.GradlensError, match=r"header line|no rows"):
            gradlens.read(write(tmp_path / "a.csv", data), input_format="wandb-csv")

    def test_a_database_keeps_any_type_in_any_column(self, tmp_path):
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(tmp_path / "m.db")) as database:
            database.executescript(
                "CREATE TABLE runs (run_uuid TEXT, name TEXT, start_time INTEGER);"
                "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
                "CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);"
                "INSERT INTO runs VALUES ('a','b',1);"
            )
            for i in range(30):
                value, step = ("many" if i == 3 else 1.5), (1e308 if i == 7 else 2**53 + i)
                database.execute("INSERT INTO metrics VALUES ('loss', ?, ?, 'a', ?, 0)", (value, i, step))
            database.commit()
        (run,) = gradlens.read(tmp_path / "m.db")
        assert run.loss.step.tolist() == [2**53 + i for i in range(30) if i not in {3, 7}]
        assert codes(run)["malformed-record"] == 2


class TestWhatHasNoEnd:
    def test_a_parquet_file_of_equal_values_is_refused_before_it_is_unpacked(self, tmp_path, monkeypatch):
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"step": [1] * 100_000, "loss": [1.0] * 100_000}), path)
        assert len(gradlens.read(path)[0].loss) >= 1
        monkeypatch.setattr("gradlens.readers.arrow._FREE_BYTES", 1 << 20)
        monkeypatch.setattr("gradlens.readers.arrow._MAX_EXPANSION", 10)
        with pytest.raises(gradlens.GradlensError, match="100,000 rows of 2 columns unpack to more than 1 MiB"):
            gradlens.read(path)

    def test_folders_as_deep_as_a_path_is_long(self, tmp_path):
        at = tmp_path
        for _ in range(1500):
            at = at / "d"
            at.mkdir()
        write(at / "run.jsonl", "\n".join(lines(60)) + "\n")
        try:
            (run,) = gradlens.read(tmp_path)
            assert len(run.loss) == 60
        finally:
            # What removes folders in older versions of Python is recursive.
            (at / "run.jsonl").unlink()
            while at != tmp_path:
                at.rmdir()
                at = at.parent

    def test_files_come_before_folders_and_folders_before_links(self, tmp_path):
        for name in ("b/run.jsonl", "a/run.jsonl", "z.jsonl", "c/wandb/run.jsonl"):
            write(tmp_path / name, "{}\n")
        (tmp_path / "0").symlink_to(tmp_path / "b")
        (tmp_path / "c" / "again").symlink_to(tmp_path)
        found = [p.relative_to(tmp_path).as_posix() for p in files.walk(tmp_path)]
        assert found == ["z.jsonl", "a/run.jsonl", "b/run.jsonl", "c/wandb/run.jsonl"]

    def test_a_document_on_one_line_is_not_searched_for_the_lines_of_consoles(self, tmp_path):
        # Keras and pandas write such; each of the patterns of trainers went over the first 64 KiB, for seconds.
        path = write(tmp_path / "history.json", json.dumps(rows(3000)))
        assert path.stat().st_size > 1 << 17
        began = time.process_time()
        (run,) = gradlens.read(path)
        assert time.process_time() - began < 1
        assert (run.format, len(run.loss)) == ("json", 3000)
        arrays = {name: [r[name] for r in rows(3000)] for name in ("loss", "grad_norm")}
        assert len(gradlens.read(write(tmp_path / "arrays.json", json.dumps(arrays)))[0].loss) == 3000

    @pytest.mark.parametrize("input_format", [None, "trackio", "mlflow-sqlite"])
    def test_a_database_whose_table_is_a_view_without_end(self, tmp_path, input_format):
        import contextlib
        import sqlite3

        path = tmp_path / "project.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(
                "CREATE TABLE configs (run_name, config); CREATE TABLE runs (run_uuid, name);"
                "CREATE VIEW metrics AS WITH RECURSIVE c(step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM c)"
                " SELECT step, step AS rowid, 'r' AS run_name, '{\"loss\": 1}' AS metrics FROM c;"
            )
        with pytest.raises(gradlens.GradlensError):
            gradlens.read(path, input_format=input_format)

    def test_of_a_line_of_a_console_the_first_fields_are_kept(self, tmp_path):
        words = " | ".join(f"name{i}: 1.5" for i in range(60_000))
        assert len(words) > 3 << 18
        text = "".join(f"step {i} | loss: {2 / (1 + i)} | {words if i == 3 else 'lr: 0.1'}\n" for i in range(20))
        began = time.process_time()
        (run,) = gradlens.read(write(tmp_path / "a.log", text))
        assert time.process_time() - began < 20
        assert len(run.loss) == 20
        assert codes(run)["long-record"] == 1
        assert 10_000 < len(run.series) < 30_000

    def test_a_parquet_file_of_many_columns(self, tmp_path):
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"loss": [3.0, 2.0], **{f"c{i}": [1.0, None] for i in range(8000)}}), path)
        began = time.process_time()
        (run,) = gradlens.read(path)
        # The schema was made again for each column: twenty times as long.
        assert time.process_time() - began < 15
        assert len(run.series) == 8001
