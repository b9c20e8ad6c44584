"""Reading speed and memory of gradlens beside other readers, every candidate in a fresh process, all in one run.

    python benchmarks/reading.py [--steps 100000] [--runs 5] [--only tensorboard json csv analyze wandb console document]
    python benchmarks/reading.py --large 5        # one event file of 5 GB: is the rate constant, the memory bounded?

Prints a Markdown table of medians. `time` is that of the call alone; the candidate's library is imported before, except
for gradlens, whose first call loads numpy and its readers. A ratio above 1 says how much longer than gradlens it took.
Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TAGS = ("train/loss", "train/grad_norm", "train/lr", *(f"other/metric_{n}" for n in range(7)))
COUNT_SERIES = "sum(len(s.value) for r in gradlens.read(path) for s in r.series.values())"
ACCUMULATOR = (
    "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as EA",
    (
        "ea = EA(path, size_guidance={'scalars': 0, 'tensors': 0}); ea.Reload(); tags = ea.Tags(); "
        "result = sum(len(ea.Scalars(t)) for t in tags['scalars']) + sum(len(ea.Tensors(t)) for t in tags['tensors'])"
    ),
)
#: What W&B's own reader did while it was Python: records of 32 KiB blocks, each parsed whole, values by json.
PROTOBUF = """
data, at, part, rows = open(path, "rb").read(), 7, b"", []
while at < len(data):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    checksum, size, kind = struct.unpack_from("<IHB", data, at)
    piece = data[at + 7 : at + 7 + size]
    assert zlib.crc32(piece, zlib.crc32(bytes([kind]))) == checksum
    at, part = at + 7 + size, part + piece
    if kind in (1, 4):
        record, part = Record.FromString(part), b""
        if record.WhichOneof("record_type") == "history":
            rows.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
result = sum(len(row) - 1 for row in rows)
"""
#: The loop that people write for one console log.
FOUR_FIELDS = """
pattern = re.compile(r"(?:iteration +|step: +)(\\d+).*?(?:lm )?loss: +(\\S+).*?grad.norm: +(\\S+)|"
                     r"'loss': ([^,]+), 'grad_norm': ([^,]+), 'learning_rate': ([^,]+), 'epoch': ([^}]+)")
result = 0
for line in open(path):
    if found := pattern.search(line):
        result += len([float(text) for text in found.groups() if text is not None])
"""
CANDIDATES = {
    "gradlens": ("import gradlens", f"result = {COUNT_SERIES}"),
    "gradlens, again": ("import gradlens; gradlens.read(sys.argv[2])", f"result = {COUNT_SERIES}"),
    "EventAccumulator": ACCUMULATOR,
    "tbparse": (
        "from tbparse import SummaryReader",
        "reader = SummaryReader(path); result = len(reader.scalars) + len(reader.tensors)",
    ),
    "pyarrow.json": ("import pyarrow.json as pj", "t = pj.read_json(path); result = t.num_rows * (t.num_columns - 1)"),
    "pyarrow.csv": ("import pyarrow.csv as pc", "t = pc.read_csv(path); result = t.num_rows * (t.num_columns - 1)"),
    "pandas.read_csv": ("import pandas as pd", "d = pd.read_csv(path); result = d.shape[0] * (d.shape[1] - 1)"),
    "polars.read_ndjson": ("import polars as pl", "d = pl.read_ndjson(path); result = d.height * (d.width - 1)"),
    "json.loads": ("import json", "result = sum(len(json.loads(line)) - 1 for line in open(path))"),
    "json.load": ("import json", "result = 4 * len(json.load(open(path))['log_history'])"),
    "wandb's protobuf": ("import json, struct, zlib; from wandb.proto.wandb_internal_pb2 import Record", PROTOBUF),
    "re, four fields": ("import re", FOUR_FIELDS),
    "gradlens analyze": ("import gradlens", "gradlens.analyze(gradlens.read(path)); result = 0"),
}
MEASURE = """
import sys, time
def high_water():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
path = sys.argv[1]
{setup}
before = high_water()
start = time.perf_counter()
{call}
seconds = time.perf_counter() - start
print(seconds, result, high_water() - before)
"""


def write_events(folder: Path, values: list[list[float]], *, tensor: bool) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir()
    with (folder / "events.out.tfevents.1700000000.host").open("wb") as handle:
        writer = RecordWriter(handle)
        writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
        for step, row in enumerate(values):
            for tag, number in zip(TAGS, row, strict=True):
                if tensor:
                    value = Summary.Value(tag=tag, tensor=TensorProto(dtype=1, float_val=[number]))
                    if step == 0:
                        value.metadata.plugin_data.plugin_name = "scalars"
                else:
                    value = Summary.Value(tag=tag, simple_value=number)
                event = Event(wall_time=1.7e9 + step / 4, step=step, summary=Summary(value=[value]))
                writer.write(event.SerializeToString())


def write_text(folder: Path, values: list[list[float]]) -> None:
    """The same numbers as JSON lines, as JSON lines with what real logs hold, as CSV, and three columns of them."""
    rng = random.Random(1)
    rows: list[dict[str, float | str]] = [
        {"step": step, **dict(zip(TAGS, row, strict=True))} for step, row in enumerate(values)
    ]
    (folder / "clean.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "three.jsonl").write_text(
        "".join(json.dumps({"step": r["step"], "loss": r[TAGS[0]], "grad_norm": r[TAGS[1]]}) + "\n" for r in rows)
    )
    lines = [",".join(("step", *TAGS))] + [",".join(map(repr, row.values())) for row in rows]
    (folder / "clean.csv").write_text("\n".join(lines) + "\n")
    with (folder / "hard.jsonl").open("w") as handle:
        for row in rows:
            chance = rng.random()
            if chance < 0.01:
                row[TAGS[1]] = math.nan
            elif chance < 0.02:
                row[TAGS[0]] = str(row[TAGS[0]])
            handle.write(json.dumps(row) + "\n")
        handle.write('{"step": 12')


def write_console(folder: Path, steps: int) -> None:
    """A run as Megatron-LM, torchtitan and the Hugging Face Trainer print it, and the state that the last one saves."""
    rng, history = random.Random(3), []
    with (folder / "megatron.log").open("w") as megatron, (folder / "torchtitan.log").open("w") as titan:
        for step in range(1, steps + 1):
            loss, norm, rate = (
                2 + 8 * math.exp(-step / 2e4) + rng.gauss(0, 0.1),
                rng.lognormvariate(0, 0.3),
                3e-4 / step,
            )
            megatron.write(
                f" [2024-05-01 12:00:{step % 60:02d}] iteration {step:8d}/ {steps:8d} | consumed samples: {step * 1024:12d}"
                f" | elapsed time per iteration (ms): {1000 + 50 * rng.random():.1f} | learning rate: {rate:.6E}"
                f" | global batch size:  1024 | lm loss: {loss:.6E} | loss scale: 1.0 | grad norm: {norm:.3f}"
                " | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
            )
            titan.write(
                f"[rank0]:[titan] 2024-11-01 10:00:{step % 60:02d},{step % 1000:03d} - root - INFO - \x1b[31mstep: {step:2d}  "
                f"\x1b[32mloss: {loss:7.4f}  \x1b[38;2;180;60;0mgrad_norm: {norm:7.4f}  \x1b[38;2;54;234;195mmemory: "
                f"47.13GiB(49.60%)  \x1b[34mtps: {7000 + step % 100:,}  \x1b[35mmfu: 12.17%\x1b[39m\n"
            )
            record = {"loss": round(loss, 4), "grad_norm": norm, "learning_rate": rate, "epoch": round(step / steps, 4)}
            history.append({**record, "step": step})
    (folder / "trainer.log").write_text("".join(f"{ {k: v for k, v in r.items() if k != 'step'} }\n" for r in history))
    state = {"global_step": steps, "log_history": history, "max_steps": steps}
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2))


def write_wandb(folder: Path, steps: int) -> Path:
    """A run of five metrics by the W&B client, offline."""
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DISABLE_CODE="true")
    import wandb

    settings = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True, save_code=False)
    run = wandb.init(project="gradlens", dir=str(folder), mode="offline", settings=settings)
    rng = random.Random(4)
    for step in range(steps):
        row = {"train/loss": 2 + rng.gauss(0, 0.1), "train/grad_norm": rng.lognormvariate(0, 0.3)}
        run.log({**row, "train/learning_rate": 3e-4 / (step + 1), "train/epoch": step / 3e4, "train/global_step": step})
    run.finish()
    return next(folder.rglob("run-*.wandb"))


def float32(number: float) -> float:
    return struct.unpack("<f", struct.pack("<f", number))[0]


def once(python: str, candidate: str, path: Path) -> tuple[float, float, float] | str:
    setup, call = CANDIDATES[candidate]
    program = MEASURE.format(setup=setup, call=call)
    done = subprocess.run([python, "-c", program, str(path), str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:100]
    seconds, points, peak = map(float, done.stdout.split()[-3:])
    return seconds, points, peak


def data_server(path: Path) -> tuple[float, float, float] | str:
    """TensorBoard's data server, with checksums as gradlens checks them: the time of its own load cycle."""
    try:
        from tensorboard_data_server import server_binary
    except ImportError as error:
        return str(error)
    command = [
        server_binary(),
        "--checksum",
        "--reload",
        "once",
        "--port",
        "0",
        "--logdir",
        str(path.parent / path.name),
    ]
    command += ["--samples-per-plugin", "scalars=all", "-v"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stderr or ():
                if found := re.search(r"Finished load cycle \(([\d.]+)(m?s)\)", line):
                    return float(found[1]) / (1000 if found[2] == "ms" else 1), math.nan, math.nan
        finally:
            server.kill()
    return "no load cycle"


def compare(title: str, path: Path, candidates: list[str], args: argparse.Namespace) -> None:
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in candidates}
    problems: dict[str, str] = {}
    for number in range(args.runs):
        for name in candidates:
            if name in problems or (number >= 2 and samples[name][0][0] > 5):
                continue
            answer = data_server(path) if name == "data server (Rust)" else once(args.python, name, path)
            if isinstance(answer, str):
                problems[name] = answer
            else:
                samples[name].append(answer)
    files = [path] if path.is_file() else list(path.iterdir())
    print(f"\n### {title}: {sum(f.stat().st_size for f in files) / 2**20:.0f} MiB\n")
    print("| reader | time (s) | ratio | points | peak above import (MiB) |\n|---|---|---|---|---|")
    mine = statistics.median(s[0] for s in samples["gradlens"]) if samples.get("gradlens") else math.nan
    for name in candidates:
        if name in problems:
            print(f"| {name} | {problems[name]} | | | |")
            continue
        seconds = statistics.median(s[0] for s in samples[name])
        points, peak = samples[name][0][1:]
        shown = [f"{x:,.0f}" if math.isfinite(x) else "" for x in (points, peak)]
        print(f"| {name} | {seconds:.3f} | {seconds / mine:.2f} | {shown[0]} | {shown[1]} |", flush=True)


def large(gigabytes: float, folder: Path) -> None:
    """One event file much larger than the memory that reading it should take; every tenth of it is timed."""
    from gradlens.readers.base import NoticeBook
    from gradlens.readers.events.decode import EventDecoder
    from gradlens.sources.files import Source

    rng = random.Random(0)
    write_events(
        folder / "part", [[float32(rng.lognormvariate(0, 1)) for _ in TAGS] for _ in range(20_000)], tensor=False
    )
    (part,) = (folder / "part").iterdir()
    path = folder / "events.out.tfevents.1700000000.large"
    total = int(gigabytes * 1e9)
    if shutil.disk_usage(folder).free < 2 * total:
        raise SystemExit(f"less than {2 * gigabytes} GB free in {folder}: name another folder with TMPDIR")
    with path.open("wb") as handle:
        while handle.tell() < total:
            handle.write(part.read_bytes())
    marks = [(time.perf_counter(), 0)]

    def progress(done: int) -> None:
        if done - marks[-1][1] >= total / 10:
            marks.append((time.perf_counter(), done))

    decoder = EventDecoder(lambda tag: tag == TAGS[0], NoticeBook())
    decoder.add(Source(name=str(path), path=path), progress)
    (series,) = decoder.series()
    peak = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])
    rates = [(b[1] - a[1]) / (b[0] - a[0]) / 1e6 for a, b in itertools.pairwise(marks)]
    seconds = marks[-1][0] - marks[0][0]
    print(f"{marks[-1][1] / 1e9:.2f} GB in {seconds:.1f} s, {len(series) * len(TAGS):,} records, checksums verified")
    print("MB/s by tenth: " + ", ".join(f"{rate:.0f}" for rate in rates))
    print(f"columns kept {24 * len(series) / 2**20:.0f} MiB, peak of the process {peak / 1024:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000, help="rows; each has ten series")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument(
        "--only", nargs="*", default=["tensorboard", "json", "csv", "analyze", "wandb", "console", "document"]
    )
    parser.add_argument("--large", type=float, metavar="GB")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.large:
            large(args.large, folder)
            return
        rng = random.Random(0)
        values = [[float32(rng.lognormvariate(0, 1)) for _ in TAGS] for _ in range(args.steps)]
        print(f"{args.steps:,} rows of {len(TAGS)} series, medians of {args.runs} runs")
        if "tensorboard" in args.only:
            for kind, tensor in (("simple", False), ("tensor", True)):
                write_events(folder / kind, values, tensor=tensor)
                readers = ["gradlens", "gradlens, again", "data server (Rust)", "EventAccumulator", "tbparse"]
                compare(f"TensorBoard, {kind} values", folder / kind, readers, args)
        write_text(folder, values)
        if "json" in args.only:
            readers = ["gradlens", "gradlens, again", "pyarrow.json", "polars.read_ndjson", "json.loads"]
            compare("JSON lines, clean", folder / "clean.jsonl", readers, args)
            compare("JSON lines, 1 % NaN rows, 1 % strings, cut off", folder / "hard.jsonl", readers, args)
        if "csv" in args.only:
            readers = ["gradlens", "gradlens, again", "pyarrow.csv", "pandas.read_csv"]
            compare("CSV", folder / "clean.csv", readers, args)
        if "wandb" in args.only:
            compare("W&B, offline", write_wandb(folder / "wandb", args.steps), ["gradlens", "wandb's protobuf"], args)
        if {"console", "document"} & set(args.only):
            write_console(folder, args.steps)
        if "console" in args.only:
            for trainer in ("megatron", "torchtitan", "trainer"):
                compare(f"Console, {trainer}", folder / f"{trainer}.log", ["gradlens", "re, four fields"], args)
        if "document" in args.only:
            compare("trainer_state.json", folder / "trainer_state.json", ["gradlens", "json.load"], args)
        if "analyze" in args.only:
            readers = ["gradlens", "gradlens analyze", "pyarrow.json"]
            compare("analyze, three columns of JSON lines", folder / "three.jsonl", readers, args)


if __name__ == "__main__":
    main()
