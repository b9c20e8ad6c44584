"""One writer for each format: the same rows in the shape of that format.

A new reader needs an entry here (or in `GROUPS` below); `test_contract.py` then runs the whole contract on it.
Rows are dicts with `step`, and any of `loss`, `grad_norm`, `lr`; a missing key is a cell that was not logged.
"""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

Row = dict[str, float]
Writer = Callable[[list[Row], Path], Path]
WRITERS: dict[str, Writer] = {}
#: Formats that cannot hold a NaN or an infinity, and formats that have no place for further columns.
NO_NONFINITE: frozenset[str] = frozenset()
NO_EXTRAS = frozenset({"console", "text-columns"})


def ROWS_OF(count: int) -> list[Row]:  # noqa: N802 -- a constant with a length
    """Rows of an ordinary run."""
    return [{"step": n, "loss": 4.0 - n / 64, "grad_norm": 1.0 + n / 16, "lr": 0.001 * n} for n in range(1, count + 1)]


def writer(name: str):
    def register(function: Writer) -> Writer:
        WRITERS[name] = function
        return function

    return register


def _columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row if key != "step"))


def _put(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@writer("jsonl")
def jsonl(rows, folder):
    return _put(folder / "run.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


@writer("phased-jsonl")
def phased_jsonl(rows, folder):
    head = json.dumps({"env_info": "Python 3.11", "seed": 0}) + "\n"
    lines = [
        json.dumps({"mode": "train", "epoch": 1, "iter": row["step"], **{k: v for k, v in row.items() if k != "step"}})
        for row in rows
    ]
    lines.append(json.dumps({"mode": "val", "epoch": 1, "iter": 500, "loss": 99.0, "lr": 1.0}))
    return _put(folder / "20240101.log.json", head + "\n".join(lines) + "\n")


@writer("json")
def json_document(rows, folder):
    return _put(folder / "history.json", json.dumps(rows, indent=2))


@writer("hf-trainer-state")
def hf_trainer_state(rows, folder):
    names = {"lr": "learning_rate"}
    history = [{names.get(k, k): v for k, v in row.items()} for row in rows]
    history.append({"step": rows[-1]["step"] if rows else 0, "train_runtime": 1.0, "train_loss": 99.0})
    state = {
        "best_metric": None,
        "epoch": 1.0,
        "global_step": 1,
        "log_history": history,
        "logging_steps": 1,
        "max_steps": 10,
    }
    return _put(folder / "trainer_state.json", json.dumps(state, indent=2))


@writer("csv")
def csv_file(rows, folder):
    names = _columns(rows)
    lines = [",".join(["step", *names])]
    for row in rows:
        cells = ["" if name not in row else repr(float(row[name])) for name in names]
        lines.append(",".join([str(int(row["step"])), *cells]))
    return _put(folder / "metrics.csv", "\n".join(lines) + "\n")


@writer("wandb-csv")
def wandb_csv(rows, folder):
    names = _columns(rows)
    header = ['"Step"'] + [f'"crimson-sun-3 - {n}{bound}"' for n in names for bound in ("", "__MIN", "__MAX")]
    lines = [",".join(header)]
    for row in rows:
        cells = [f'"{row[n]!r}"' if n in row else '""' for n in names for _ in range(3)]
        lines.append(",".join([f'"{int(row["step"])}"', *cells]))
    return _put(folder / "wandb_export_2024-01-01.csv", "\n".join(lines) + "\n")


@writer("tensorboard-download")
def tensorboard_download(rows, folder):
    for name in _columns(rows):
        lines = ["Wall time,Step,Value"]
        lines += [f"{1.7e9 + i},{int(row['step'])},{row[name]!r}" for i, row in enumerate(rows) if name in row]
        _put(folder / "download" / f"run-exp1-tag-{name.replace('/', '_')}.csv", "\r\n".join(lines) + "\r\n")
    return folder / "download"


@writer("sacred")
def sacred(rows, folder):
    info: dict[str, list[float]] = {}
    for name in _columns(rows):
        info[name] = [row[name] for row in rows if name in row]
        info[f"{name}_T"] = [row["step"] for row in rows if name in row]
    return _put(folder / "info.json", json.dumps(info, indent=2))


@writer("megatron-golden")
def megatron_golden(rows, folder):
    names = {"loss": "lm loss", "grad_norm": "grad-norm", "lr": "learning-rate"}
    golden = {
        names.get(name, name): {
            "start_step": 0, "end_step": 9, "step_interval": 1,
            # A list, since an object could not repeat a step; steps are those of a run that logs every step.
            "values": [row.get(name, "nan") for row in rows],
        }
        for name in _columns(rows)
    }  # fmt: skip
    return _put(folder / "golden_values_dev.json", json.dumps(golden, indent=4))


@writer("text-columns")
def text_columns(rows, folder):
    names = _columns(rows)
    lines = ["# config: debug", "# " + " ".join(["step", *names])]
    lines += [" ".join([str(int(row["step"])), *(repr(float(row.get(n, math.nan))) for n in names)]) for row in rows]
    return _put(folder / "losses.txt", "\n".join(lines) + "\n")


@writer("mlflow")
def mlflow_files(rows, folder):
    run = folder / "mlruns" / "0" / "3f2a"
    _put(run / "meta.yaml", "run_id: 3f2a\n")
    _put(run / "params" / "max_grad_norm", "0.5")
    for name in _columns(rows):
        lines = [f"{1700000000000 + i} {row[name]!r} {int(row['step'])}" for i, row in enumerate(rows) if name in row]
        _put(run / "metrics" / name, "\n".join(lines) + "\n")
    return folder / "mlruns"


@writer("mlflow-sqlite")
def mlflow_sqlite(rows, folder):
    path = folder / "mlflow.db"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE runs (run_uuid TEXT, name TEXT, start_time INTEGER);"
        "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);"
        "INSERT INTO runs VALUES ('3f2a', 'bold-bird', 1);"
    )
    for place, row in enumerate(rows):
        for name, value in row.items():
            if name != "step":
                stored = 0.0 if math.isnan(value) else max(-1.7976931348623157e308, min(value, 1.7976931348623157e308))
                database.execute(
                    "INSERT INTO metrics VALUES (?, ?, ?, '3f2a', ?, ?)",
                    (name, stored, 1700000000000 + place, int(row["step"]), math.isnan(value)),
                )
    database.commit()
    database.close()
    return path


@writer("trackio")
def trackio(rows, folder):
    path = folder / "project.db"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, "
        "run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL);"
        "CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, run_name TEXT NOT NULL, "
        "config TEXT NOT NULL, created_at TEXT NOT NULL);"
    )
    for row in rows:
        numbers = {k: v if math.isfinite(v) else str(v) for k, v in row.items() if k != "step"}
        database.execute(
            "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('3f', '2026', 'bold-bird', ?, ?)",
            (int(row["step"]), json.dumps(numbers)),
        )
    database.commit()
    database.close()
    return path


@writer("parquet")
def parquet(rows, folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = _columns(rows)
    table = pa.table(
        {"step": pa.array([int(r["step"]) for r in rows], pa.int64())}
        | {n: pa.array([r.get(n) for r in rows], pa.float64()) for n in names}
    )
    path = folder / "history.parquet"
    pq.write_table(table, path)
    return path


@writer("tensorboard")
def tensorboard(rows, folder, start=1.7e9):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    events = EventFileWriter(str(folder / "tb"))
    for place, row in enumerate(rows):
        for name, value in row.items():
            if name != "step":
                summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
                events.add_event(Event(wall_time=start + place, step=int(row["step"]), summary=summary))
    events.close()
    return next((folder / "tb").iterdir())


@writer("visualdl")
def visualdl(rows, folder):
    records = [_field(1, _field(2, b"meta_data_tag") + _field(10, b""))]
    for place, row in enumerate(rows):
        for name, value in row.items():
            if name != "step":
                step, time = (
                    bytes([number << 3]) + _varint(what)
                    for number, what in ((1, int(row["step"])), (3, 1700000000000 + place))
                )
                records.append(_field(1, step + _field(2, name.encode()) + time + b"\x25" + struct.pack("<f", value)))
    return _put(folder / "vdlrecords.1700000000.log", b"".join(struct.pack("<Q", len(r)) + r for r in records))


@writer("wandb")
def wandb_offline(rows, folder):
    records = [
        _field(2, b"".join(_history_item(k, v) for k, v in row.items()) + _field(2, b"\x08" + _varint(i)))
        for i, row in enumerate(rows)
    ]
    return _put(folder / "run-3f2a.wandb", wandb_container(records))


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _history_item(key: str, value: float) -> bytes:
    return _field(1, _field(1, key.encode()) + _field(16, json.dumps(value).encode()))


def wandb_container(records: list[bytes]) -> bytes:
    """Records in the blocks of a `.wandb` file, split at block borders."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, first = record, True
        while first or rest:
            left = 32768 - len(out) % 32768
            if left < 7:
                out += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = 1 if first and not rest else 2 if first else 3 if rest else 4
            out += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            first = False
    return bytes(out)


@writer("console")
def console(rows, folder):
    lines = ["launcher noise\n"] * 3
    for row in rows:
        cells = [f" iteration {int(row['step']):8d}/    1000 | consumed samples: 10 |"]
        cells += [f" learning rate: {row['lr']!r} |"] if "lr" in row else []
        cells += [f" lm loss: {row['loss']!r} |"] if "loss" in row else []
        cells += [f" grad norm: {row['grad_norm']!r} |"] if "grad_norm" in row else []
        lines.append("".join(cells) + "\n")
    return _put(folder / "train.log", "".join(lines))
