"""A real Dask cluster and a real S3 server, both on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from benchmarks.fleet_processes import cluster
from gradlens.errors import SourceError
from gradlens.fleet.build import build
from gradlens.fleet.engines.dask import DaskEngine
from gradlens.fleet.engines.local import LocalEngine
from gradlens.fleet.isolation import Limits
from gradlens.fleet.judge import Job
from gradlens.fleet.plan import plan
from tests.fleet.conftest import write_jsonl

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
JOB = Job()


def local(source, table):
    return build(plan([str(source)]), table, JOB, lambda: LocalEngine(JOB, Limits(), 1))


def test_a_cluster_writes_the_same_table(bucket, tmp_path):
    local(bucket, tmp_path / "a.parquet")
    with cluster(2) as (address, _):
        found = build(plan([str(bucket)]), tmp_path / "b.parquet", JOB, lambda: DaskEngine(JOB, Limits(), address))
    assert found.judged == 8
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_worker_killed_in_mid_run_loses_nothing(tmp_path):
    folder = tmp_path / "bucket"
    for seed in range(40):
        write_jsonl(folder / f"run{seed}" / "log.jsonl", seed=seed, rows=1000)
    local(folder, tmp_path / "a.parquet")
    with cluster(2) as (address, _):
        killed = threading.Event()

        def progress(done, _total):
            if done >= 10 and not killed.is_set():
                killed.set()
                kill_a_worker(address)

        told = []
        engine = lambda: DaskEngine(JOB, Limits(), address, told.append)  # noqa: E731
        found = build(plan([str(folder)]), tmp_path / "b.parquet", JOB, engine, progress)
    assert killed.is_set()
    assert all("a worker has gone" in text or "no worker is there" in text for text in told)
    assert len(found.rows) == 40
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def kill_a_worker(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)


def test_a_scheduler_killed_in_mid_run_is_said_and_the_next_call_goes_on(tmp_path):
    folder = tmp_path / "bucket"
    for seed in range(40):
        write_jsonl(folder / f"run{seed}" / "log.jsonl", seed=seed, rows=1000)
    table = tmp_path / "b.parquet"
    told = []
    with cluster(1) as (address, processes):

        def progress(done, _total):
            if done == 8:
                os.kill(processes[0], signal.SIGKILL)

        engine = lambda: DaskEngine(JOB, Limits(), address, told.append)  # noqa: E731
        with pytest.raises(SourceError, match="the scheduler has gone"):
            build(plan([str(folder)]), table, JOB, engine, progress)
    assert not table.exists()
    again = local(folder, table)
    assert again.recovered >= 8
    assert again.recovered + again.judged == len(again.rows) == 40
    local(folder, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == table.read_bytes()


class Server:
    """An S3 server in a process of its own; what it holds dies with it and is uploaded again."""

    def __init__(self, folder, port):
        self.folder, self.port, self._process = folder, port, None

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                break
            time.sleep(0.1)
        import fsspec

        fsspec.filesystem("s3").clear_instance_cache()
        store = fsspec.filesystem("s3")
        store.mkdir("lab")
        store.put(f"{self.folder}/", "lab/", recursive=True)

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """A server whose bucket `lab` holds what lies in `folder` when it is started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    server = Server(tmp_path / "store", port)
    yield server
    server.kill()


def test_a_bucket_is_read_from_the_store(bucket, s3, tmp_path, command):
    shutil.copytree(bucket, s3.folder / "runs")
    s3.start()
    code, out, _ = command("fleet", "s3://lab/runs", "-o", tmp_path / "f.parquet", "--jobs", "2")
    assert code == 0
    assert "8 rows (1 problem, 5 clear, 2 unread)" in out
    code, out, _ = command("fleet", "s3://lab/runs", "-o", tmp_path / "f.parquet", "--jobs", "2")
    assert "judged 0, unchanged 8" in out


def test_a_store_that_goes_away_costs_no_row(s3, tmp_path):
    for seed in range(30):
        write_jsonl(s3.folder / f"run{seed}" / "log.jsonl", seed=seed, rows=1000)
    s3.start()
    table = tmp_path / "f.parquet"
    units = plan(["s3://lab"])

    def progress(done, _total):
        if done == 8:
            s3.kill()

    limits = Limits(seconds=20)
    found = build(units, table, JOB, lambda: LocalEngine(JOB, limits, 1), progress)
    lost = [row for row in found.rows if row["error"]]
    # On a crowded machine some of the first eight may take too long; they are tried again as well.
    assert 0 < len(lost) < 30
    assert found.open == len(lost)
    assert len(found.rows) == 30
    s3.start()
    again = build(plan(["s3://lab"]), table, JOB, lambda: LocalEngine(JOB, limits, 1))
    assert (again.judged, len(again.rows)) == (len(lost), 30)
    assert not any(row["error"] for row in again.rows)
