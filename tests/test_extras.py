"""What works without the packages of the extras, and what the program says where one is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: What each extra brings, as import names. A module that is None in `sys.modules` is one that is not installed.
EXTRAS = {
    "tensorboard": ("tensorboard", "google.protobuf"),
    "pandas": ("pandas",),
    "arrow": ("pyarrow",),
    "zstd": ("zstandard",),
    "html": ("bokeh",),
    "remote": ("fsspec",),
}
CORE_ONLY = [name for names in EXTRAS.values() for name in names]


def run_without(modules, code, *arguments, cwd):
    hidden = f"import sys\nsys.modules.update(dict.fromkeys({list(modules)!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", hidden + code, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def gradlens_without(modules, *arguments, cwd):
    return run_without(modules, "from gradlens.cli.app import main\nmain()", *arguments, cwd=cwd)


def test_the_extras_here_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["all"] == [f"gradlens[{','.join(EXTRAS)}]"]
    assert set(EXTRAS) <= set(extras)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["analyze", "run.jsonl", "--save", "r.html", "--save", "r.json"], 0),
        (["analyze", "sample_logs/tensorboard"], 0),
        (["suggest-threshold", "run.jsonl"], 0),
        (["baseline", "run.jsonl", "-o", "base.json"], 0),
        (["gate", "run.jsonl", "--baseline", "run.jsonl"], 0),
        (["compare", "run.jsonl", "run.csv"], 0),
        (["convert", "run.jsonl", "-o", "out.csv"], 0),
        (["explain"], 0),
        (["formats"], 0),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_every_command_runs_without_any_extra(arguments, code, samples, tmp_path):
    shutil.copy(samples / "healthy.jsonl", tmp_path / "run.jsonl")
    (tmp_path / "sample_logs").symlink_to(samples)
    if "run.csv" in arguments:
        assert gradlens_without(CORE_ONLY, "convert", "run.jsonl", "-o", "run.csv", cwd=tmp_path).returncode == 0
    done = gradlens_without(CORE_ONLY, *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "internal error" not in done.stderr


def needs(done, extra, what):
    assert done.returncode == 2, done.stderr
    error, hint = done.stderr.strip().splitlines()
    assert error.startswith("gradlens: error: ")
    assert what in error
    assert re.search(r" needs (a package that|\w+, which) is not installed$", error)
    assert hint == f"  install gradlens[{extra}] from the checkout: pip install '.[{extra}]'"


def test_parquet_needs_arrow_both_ways(samples, tmp_path):
    log = samples / "healthy.jsonl"
    needs(gradlens_without(CORE_ONLY, "convert", log, "-o", "x.parquet", cwd=tmp_path), "arrow", "x.parquet")
    assert not list(tmp_path.iterdir())
    assert gradlens_without([], "convert", log, "-o", "x.parquet", cwd=tmp_path).returncode == 0
    needs(gradlens_without(CORE_ONLY, "analyze", "x.parquet", cwd=tmp_path), "arrow", "x.parquet")


def test_packed_logs_and_urls_need_their_extras(tmp_path):
    (tmp_path / "a.jsonl.zst").write_bytes(bytes.fromhex("28b52ffd") + bytes(20))
    needs(gradlens_without(CORE_ONLY, "analyze", "a.jsonl.zst", cwd=tmp_path), "zstd", "a.jsonl.zst")
    needs(gradlens_without(CORE_ONLY, "analyze", "s3://bucket/a.jsonl", cwd=tmp_path), "remote", "s3://bucket/a.jsonl")


def test_an_aim_repository_needs_aim(tmp_path):
    (tmp_path / ".aim" / "meta" / "chunks" / ("0f" * 12)).mkdir(parents=True)
    needs(gradlens_without(["aim"], "analyze", f"aim://{tmp_path}", cwd=tmp_path), "aim", str(tmp_path))
    done = gradlens_without([], "analyze", tmp_path, cwd=tmp_path)
    assert done.stderr.splitlines()[1] == f"  gradlens analyze aim://{tmp_path}"


@pytest.mark.parametrize(
    ("url", "modules", "extra"),
    [
        ("mlflow://127.0.0.1:1/a", ["mlflow"], "mlflow"),
        ("wandb://a/b/c", ["wandb"], "wandb"),
        ("https://a/b.jsonl", ["aiohttp"], "http"),
        ("s3://a/b.jsonl", ["s3fs"], "s3"),
        ("hf://datasets/a/b/c.jsonl", ["huggingface_hub"], "hf"),
    ],
)
def test_each_service_needs_an_extra_of_its_own(url, modules, extra, tmp_path):
    pytest.importorskip("fsspec")
    needs(gradlens_without(modules, "analyze", url, cwd=tmp_path), extra, url)


@pytest.mark.parametrize(("method", "extra"), [("to_pandas", "pandas"), ("to_arrow", "arrow")])
def test_tables_of_a_run_need_their_extras(method, extra, samples, tmp_path):
    code = (
        "import sys, gradlens\nrun, = gradlens.read(sys.argv[1])\n"
        f"try:\n    run.{method}()\nexcept gradlens.GradlensError as error:\n    print(error, '|', error.hint)"
    )
    done = run_without(CORE_ONLY, code, samples / "healthy.jsonl", cwd=tmp_path)
    assert f"install gradlens[{extra}]" in done.stdout, done.stderr


def test_a_frame_needs_no_arrow(samples, tmp_path):
    code = "import sys, gradlens\nrun, = gradlens.read(sys.argv[1])\nprint(*run.to_pandas().columns)"
    done = run_without(["pyarrow"], code, samples / "healthy.jsonl", cwd=tmp_path)
    assert done.stdout.split()[:2] == ["step", "loss"], done.stderr


def test_a_frame_is_the_arrow_table(samples):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    import gradlens

    for log in (samples / "fp16_overflow.jsonl", samples / "tensorboard"):
        (run,) = gradlens.read(log)
        pandas.testing.assert_frame_equal(run.to_pandas(), run.to_arrow().to_pandas(), check_column_type=False)


def event_file(path, *events):
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer").RecordWriter
    with path.open("wb") as handle:
        records = writer(handle)
        for event in events:
            records.write(event.SerializeToString())


@pytest.fixture
def messages():
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    summary_pb2 = pytest.importorskip("tensorboard.compat.proto.summary_pb2")
    histogram = summary_pb2.Summary.Value(tag="weights")
    histogram.histo.bucket_limit.extend([0.0, 1.0])
    histogram.histo.bucket.extend([2.0, 3.0])
    image = summary_pb2.Summary.Value(tag="picture", image=summary_pb2.Summary.Image(height=1, width=1))

    def event(step, *values):
        return event_pb2.Event(step=step, wall_time=1.0, summary=summary_pb2.Summary(value=values))

    return {
        "start": [event_pb2.Event(wall_time=1.0, file_version="brain.Event:2")],
        "loss": [event(s, summary_pb2.Summary.Value(tag="loss", simple_value=2.0 - s / 10)) for s in range(6)],
        "histogram": [event(s, histogram) for s in range(3)],
        "image": [event(s, image) for s in range(3)],
    }


def test_scalars_of_event_files_need_no_tensorboard_and_the_rest_is_a_notice(messages, tmp_path):
    event_file(tmp_path / "events.out.tfevents.1", *(e for kind in messages.values() for e in kind))
    code = (
        "import json, gradlens\nrun, = gradlens.read('events.out.tfevents.1')\n"
        "print(json.dumps([run.loss.value.tolist(), len(run.histograms), [[n.code, n.count] for n in run.notices]]))"
    )
    values, n_histograms, notices = json.loads(run_without(CORE_ONLY, code, cwd=tmp_path).stdout)
    assert (len(values), n_histograms, dict(notices)["missing-extra"]) == (6, 0, 3)
    again, n_histograms, notices = json.loads(run_without([], code, cwd=tmp_path).stdout)
    assert (again, n_histograms) == (values, 1)
    assert "missing-extra" not in dict(notices)


def test_an_event_file_of_histograms_alone_needs_tensorboard(messages, tmp_path):
    event_file(tmp_path / "events.out.tfevents.1", *messages["start"], *messages["histogram"])
    done = gradlens_without(CORE_ONLY, "analyze", "events.out.tfevents.1", cwd=tmp_path)
    needs(done, "tensorboard", "an event file without plain scalars")


def test_a_large_table_reads_the_same_without_arrow(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    path.write_text("step,loss,grad_norm\n" + "".join(f"{i},{1 / (i + 1)!r},{i % 7}.5\n" for i in range(3000)))
    code = (
        "import sys, gradlens\nfrom gradlens.readers import csv_\ncsv_._WORTH_ARROW = 1000\n"
        "run, = gradlens.read(sys.argv[1])\nprint('pyarrow.csv' in sys.modules, run.loss.value.tobytes().hex())"
    )
    with_arrow, without = (run_without(hidden, code, path, cwd=tmp_path).stdout.split() for hidden in ([], ["pyarrow"]))
    assert (with_arrow[0], without[0]) == ("True", "False")
    assert with_arrow[1] == without[1]


@pytest.mark.slow
def test_an_installation_of_the_core_alone(samples, tmp_path):
    """A real environment with nothing but what `dependencies` names."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    source = tmp_path / "source"
    shutil.copytree(ROOT / "gradlens", source / "gradlens", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", source], capture_output=True, text=True, check=False
    )
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
    installed = {entry["name"].lower() for entry in json.loads(listed.stdout)}
    assert not installed & {"pandas", "pyarrow", "tensorboard", "protobuf", "zstandard", "fsspec"}
    log = samples / "healthy.jsonl"
    for arguments, code in (
        (["analyze", log], 0),
        (["gate", log, "--baseline", log], 0),
        (["convert", log, "-o", "x.parquet"], 2),
    ):
        done = subprocess.run(
            [python, "-m", "gradlens", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == code, done.stderr
