"""Runs where people keep them: on an MLflow server, on W&B, in S3, on the Hugging Face hub; and what is said without a network."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

import gradlens
from gradlens.readers.mlflow_server import address_of
from tests.readers.clients import CONFIG, ROWS
from tests.readers.service_servers import free_port, hub_handler, program, served, wandb_handler
from tests.readers.writers import ROWS_OF, WRITERS

NOWHERE = "127.0.0.1:9"


def without(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def told(run_command):
    """The one line of error of `gradlens analyze`, and the line below it."""

    def ask(url, **environment):
        done = run_command("analyze", url, environment=environment)
        assert done.returncode == 2, done.stderr
        error, hint = done.stderr.strip().splitlines()
        assert error.startswith(f"gradlens: error: {url}: ")
        return error.removeprefix(f"gradlens: error: {url}: "), hint.strip()

    return ask


@pytest.fixture
def run_command(tmp_path):
    import os

    root = Path(__file__).parents[2]

    def run(*arguments, environment):
        return subprocess.run(
            [sys.executable, "-m", "gradlens", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(root), **environment},
        )  # fmt: skip

    return run


@pytest.mark.slow
@without("mlflow")
class TestMlflow:
    WRITE = """
import math, sys, mlflow
from mlflow.entities import Metric
from tests.readers.clients import CONFIG, ROWS
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("pre training")
client = mlflow.MlflowClient()
with mlflow.start_run(run_name="first"):
    mlflow.log_params(CONFIG)
    for step, row in enumerate(ROWS, 1):
        mlflow.log_metrics(row, step=10 * step)
with mlflow.start_run(run_name="second") as run:
    # Longer than a page of any of the server's answers.
    for start in range(0, 30_000, 1000):
        points = [Metric("loss", 4.0 - s / 2**16, 1_700_000_000_000 + s, s) for s in range(start, start + 1000)]
        client.log_batch(run.info.run_id, metrics=points)
with mlflow.start_run(run_name="empty"):
    mlflow.log_param("only", "a parameter")
print(run.info.run_id)
"""

    @pytest.fixture(scope="class")
    @staticmethod
    def server(tmp_path_factory):
        """A real server with two runs; its address, and the identity of the second run."""
        import os

        folder = tmp_path_factory.mktemp("mlflow")
        port = free_port()
        address = f"127.0.0.1:{port}"
        arguments = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        arguments += [
            "--backend-store-uri",
            f"sqlite:///{folder / 'm.db'}",
            "--artifacts-destination",
            str(folder / "a"),
        ]
        with program(arguments, f"http://{address}/health", folder / "server.log"):
            done = subprocess.run(
                [sys.executable, "-c", TestMlflow.WRITE, f"http://{address}"], capture_output=True, text=True, check=False,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            yield address, next(line for line in done.stdout.splitlines() if len(line) == 32)

    def test_a_run_by_name(self, server):
        (run,) = gradlens.read(f"mlflow://{server[0]}/pre training/first")
        assert (run.format, run.config.max_grad_norm) == ("mlflow-server", CONFIG["max_grad_norm"])
        assert run.loss.step.tolist() == run.grad_norm.step.tolist() == [10 * n for n in range(1, 21)]
        assert math.isnan(run.loss.value[4])
        assert run.grad_norm.value.tolist() == [row["train/grad_norm"] for row in ROWS]

    def test_a_run_by_its_identity_on_the_server_of_the_environment(self, server, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{server[0]}")
        (run,) = gradlens.read(f"mlflow://{server[1]}")
        assert run.loss.step.tolist() == list(range(30_000))
        assert run.loss.value[-1] == 4.0 - 29_999 / 2**16

    def test_an_experiment(self, server):
        runs = gradlens.read(f"mlflow://{server[0]}/pre training")
        assert [run.id.rpartition(":")[2] for run in runs] == ["first", "second"]

    def test_what_is_not_there(self, server):
        for path, message in (("other", "no experiment named 'other'"), ("pre training/x", "no run named 'x'")):
            with pytest.raises(gradlens.GradlensError, match=message):
                gradlens.read(f"mlflow://{server[0]}/{path}")
        with pytest.raises(gradlens.GradlensError, match="1 runs, none with a metric"):
            gradlens.read(f"mlflow://{server[0]}/pre training/empty")

    def test_no_server(self, told):
        error, hint = told(f"mlflow://{NOWHERE}/a/b", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
        assert error == "no answer from the server: Connection refused"
        assert "a folder mlruns/ or a file mlflow.db" in hint
        error, hint = told("mlflow://a/b", MLFLOW_TRACKING_URI="")
        assert (error, "MLFLOW_TRACKING_URI" in hint) == ("no server named", True)


@pytest.mark.parametrize(
    ("url", "server", "experiment", "run"),
    [
        ("mlflow://a/b", None, "a", "b"),
        ("mlflow://localhost/a", "http://localhost", "a", ""),
        ("mlflow+https://flow.lab.org/team/a/b", "https://flow.lab.org", "team", "a/b"),
        ("mlflow://" + "0f" * 16, None, "", "0f" * 16),
    ],
)
def test_addresses_of_mlflow(url, server, experiment, run):
    assert address_of(url) == (server, experiment, run)


def test_an_address_of_nothing():
    with pytest.raises(gradlens.GradlensError, match="no run and no experiment"):
        address_of("mlflow://127.0.0.1:5000/")


@pytest.mark.slow
@without("wandb")
class TestWandb:
    """The real client against a server that answers its GraphQL."""

    @pytest.fixture
    def server(self, monkeypatch, tmp_path):
        """A server with two runs: one longer than a page of history, one of which the server has an archive."""
        import pyarrow as pa
        import pyarrow.parquet as pq
        import wandb

        def history(count):
            rows = [
                {"_step": n, "_timestamp": 1.7e9 + n, "train": {"loss": 4 - n / 2**12}, "train/grad_norm": 1.5}
                for n in range(count)
            ]
            rows[5] |= {"train": {"loss": "NaN"}, "train/grad_norm": "Infinity"}
            return rows

        asked = []
        table = pa.table(
            {"_step": list(range(300)), "train/loss": [n / 2**8 for n in range(300)], "train/grad_norm": [1.5] * 300}
        )
        pq.write_table(table, tmp_path / "archive.parquet")
        archived = {"def456": (tmp_path / "archive.parquet").read_bytes()}
        runs = {"abc123": ("tall-cat-7", CONFIG, history(2500)), "def456": ("tall-cat-8", CONFIG, [{}] * 300)}
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
        with served(wandb_handler(runs, archived, asked)) as url:
            monkeypatch.setenv("WANDB_BASE_URL", url)
            yield asked
            # The client remembers the server for the rest of the process.
            wandb.teardown()

    def test_every_row_of_a_run(self, server):
        (run,) = gradlens.read("wandb://me/proj/abc123")
        assert (run.format, run.columns.loss, run.config.max_grad_norm) == ("wandb-server", "train/loss", 0.5)
        assert run.loss.step.tolist() == list(range(2500))
        assert [n for n, value in enumerate(run.loss.value) if not math.isfinite(value)] == [5]
        assert math.isinf(run.grad_norm.value[5])
        assert server.count("HistoryPage") == 3

    @pytest.mark.usefixtures("server")
    def test_a_project(self):
        runs = gradlens.read("wandb://me/proj")
        assert [(run.id.rpartition(":")[2], len(run.loss)) for run in runs] == [
            ("tall-cat-7-abc123", 2500), ("tall-cat-8-def456", 300),
        ]  # fmt: skip
        assert runs[1].loss.value.tolist() == [n / 2**8 for n in range(300)]

    @pytest.mark.usefixtures("server")
    def test_what_is_not_there(self):
        with pytest.raises(gradlens.GradlensError, match="wandb://me/proj/zzz"):
            gradlens.read("wandb://me/proj/zzz")
        with pytest.raises(gradlens.GradlensError, match="not a run"):
            gradlens.read("wandb://me")

    def test_no_server_and_no_key(self, told, tmp_path):
        error, hint = told("wandb://me/proj/abc", WANDB_BASE_URL=f"http://{NOWHERE}", WANDB_API_KEY="0" * 40)
        assert error == f"no answer from http://{NOWHERE}"
        assert "wandb/run-*/run-*.wandb" in hint
        error, hint = told("wandb://me/proj/abc", WANDB_API_KEY="", NETRC=str(tmp_path / "none"))
        assert "API key" in error
        assert "wandb login" in hint


@pytest.mark.slow
@without("s3fs")
@without("moto")
class TestS3:
    @pytest.fixture
    def store(self, monkeypatch, tmp_path):
        """moto's S3 with a bucket `lab`."""
        import fsspec

        port = free_port()
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        arguments = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with program(arguments, f"http://127.0.0.1:{port}/moto-api/", tmp_path / "moto.log"):
            fsspec.filesystem("s3").clear_instance_cache()
            store = fsspec.filesystem("s3")
            store.mkdir("lab")
            WRITERS["jsonl"](ROWS_OF(300), tmp_path / "store" / "runs")
            WRITERS["csv"](ROWS_OF(20), tmp_path / "store" / "runs" / "b")
            for name, start in (("one", 1.7e9), ("two", 1.8e9)):
                WRITERS["tensorboard"](ROWS_OF(20), tmp_path / "store" / "events" / name, start=start)
            WRITERS["jsonl"](ROWS_OF(20), tmp_path / "store" / "runs" / ".cache")
            store.put(f"{tmp_path / 'store'}/", "lab/", recursive=True)
            yield store
        fsspec.filesystem("s3").clear_instance_cache()

    @pytest.mark.usefixtures("store")
    def test_a_file_a_folder_and_a_glob(self):
        (run,) = gradlens.read("s3://lab/runs/run.jsonl")
        assert (run.id, len(run.loss)) == ("s3://lab/runs/run.jsonl", 300)
        assert {run.id for run in gradlens.read("s3://lab/runs")} == {"run.jsonl", "b/metrics.csv"}
        assert [run.source for run in gradlens.read("s3://lab/runs/*.jsonl")] == ["s3://lab/runs/run.jsonl"]
        assert [run.source for run in gradlens.read("s3://lab/**/*.csv")] == ["s3://lab/runs/b/metrics.csv"]
        assert [run.id for run in gradlens.read("s3://lab/events")] == ["one", "two"] or [
            run.id.partition("/")[0] for run in gradlens.read("s3://lab/events")
        ] == ["one", "two"]

    @pytest.mark.usefixtures("store")
    def test_what_is_not_there(self):
        for url, message in (
            ("s3://lab/runs/none.jsonl", "no such file"), ("s3://lab/runs/*.none", "no file matches"),
            ("s3://other/run.jsonl", "no such file|bucket does not exist"),
        ):  # fmt: skip
            with pytest.raises(gradlens.GradlensError, match=message):
                gradlens.read(url)

    def test_no_store_and_no_credentials(self, told):
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"}
        error, hint = told("s3://lab/run.jsonl", AWS_ENDPOINT_URL=f"http://{NOWHERE}", **keys)
        assert "Could not connect" in error
        assert "AWS_ENDPOINT_URL" in hint
        assert "copy the log here" in hint
        error, _ = told("s3://lab/run.jsonl", AWS_EC2_METADATA_DISABLED="true")
        assert "credentials" in error


FILES = {"runs/a.jsonl": lines(ROWS_OF(300)), "runs/b/b.jsonl": lines(ROWS_OF(20)), "README.md": b"A data set.\n"}


@pytest.mark.slow
@without("huggingface_hub")
class TestHub:
    READ = """
import json, sys, gradlens
for url in sys.argv[1:]:
    try:
        print(json.dumps([[run.id, len(run.loss)] for run in gradlens.read(url)]))
    except gradlens.GradlensError as error:
        print(json.dumps(str(error)))
"""

    def test_a_file_a_folder_and_a_glob(self, tmp_path):
        import os

        root = "hf://datasets/lab/logs/runs"
        urls = [f"{root}/a.jsonl", root, f"{root}/*.jsonl", f"{root}/none.jsonl", "hf://datasets/lab/none/a.jsonl"]
        # Its library reads the address of the hub once, at import.
        with served(hub_handler(FILES)) as hub:
            done = subprocess.run(
                [sys.executable, "-c", self.READ, *urls], capture_output=True, text=True, check=False,
                env={**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        file, folder, glob, no_file, no_repository = map(json.loads, done.stdout.splitlines())
        assert file == glob == [[f"{root}/a.jsonl", 300]]
        assert folder == [["a.jsonl", 300], ["b/b.jsonl", 20]]
        assert no_file == f"{root}/none.jsonl: no such file"
        assert "Repository Not Found" in no_repository

    def test_no_network(self, told, tmp_path):
        error, hint = told("hf://datasets/lab/logs/a.jsonl", HF_ENDPOINT=f"http://{NOWHERE}", HF_HOME=str(tmp_path))
        assert "Connection refused" in error
        assert "hf download" in hint
