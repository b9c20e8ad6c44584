"""Servers on this machine that answer the real clients of services as the services do.

MLflow's own server and moto's S3 are real programs. W&B's server and the Hugging Face hub cannot be had here: the two below
answer, over HTTP, those requests of the real clients that reading makes, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def program(arguments: list[str], url: str, log: Path) -> Iterator[None]:
    """A server as a process of its own, its children included, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 180
            while True:
                try:
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise RuntimeError(f"no server at {url}:\n{log.read_text()[-2000:]}") from None
                    time.sleep(0.3)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, code=200, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer_part(self, data, **headers):
        """What the request wants of a file."""
        wanted = self.headers.get("Range")
        if wanted is None:
            self.answer(data, Accept_Ranges="bytes", **headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        begin, end = (int(first), int(last) + 1 if last else len(data)) if first else (len(data) - int(last), len(data))
        part = data[begin:end]
        self.answer(part, 206, Content_Range=f"bytes {begin}-{begin + len(part) - 1}/{len(data)}", **headers)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(handler: type[Handler]) -> Iterator[str]:
    """The address of a server with this handler, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wandb_handler(
    runs: dict[str, tuple[str, dict, list[dict]]], archived: dict[str, bytes], asked: list[str]
) -> type[Handler]:
    """W&B's GraphQL for a project `me/proj` of runs: of each its id, name, settings and rows of history.

    The history of finished runs is a Parquet file, as in `archived`. `asked` takes the names of the queries.
    """

    def node(run: str) -> dict:
        name, config, rows = runs[run]
        plain = dict.fromkeys(("group", "jobType", "commit", "sweepName", "notes", "description"))
        times = {"createdAt": "2024-01-01T00:00:00", "heartbeatAt": "2024-01-01T00:00:00"}
        return plain | times | {
            "id": f"id-{run}", "name": run, "displayName": name, "state": "finished", "tags": [], "readOnly": False,
            "config": json.dumps({key: {"value": value} for key, value in config.items()}), "projectId": "1",
            "historyLineCount": len(rows), "historyKeys": {"lastStep": len(rows) - 1, "keys": {}},
            "summaryMetrics": "{}", "systemMetrics": "{}", "user": {"name": "me", "username": "me"},
        }  # fmt: skip

    class Wandb(Handler):
        @property
        def address(self):
            return f"http://{self.headers['Host']}"

        def do_GET(self):
            run = self.path.strip("/").removesuffix(".parquet")
            self.answer_part(archived[run]) if run in archived else self.answer({}, 404)

        def do_HEAD(self):
            self.do_GET()

        def do_POST(self):
            body = self.body()
            if self.path != "/graphql":  # how its client fares, which nobody reads
                self.answer(b"")
                return
            query, variables = (json.loads(body).get(key) for key in ("query", "variables"))
            asked.append(query.split("{")[0].split("(")[0].split()[-1])
            run = next((v for k, v in (variables or {}).items() if k in {"name", "run", "runName"}), None)
            if "viewer {" in query:
                data = {
                    "viewer": {
                        "id": "1",
                        "entity": "me",
                        "username": "me",
                        "email": "",
                        "flags": "{}",
                        "teams": {"edges": []},
                    }
                }
            elif "parquetHistory" in query:
                found = {"parquetUrls": [f"{self.address}/{run}.parquet"] if run in archived else [], "liveData": None}
                data = {"project": {"run": {"parquetHistory": found}}}
            elif "history(" in query:
                rows = runs[run][2][variables["minStep"] : variables["maxStep"]]
                data = {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}
            elif "runs(" in query:
                edges = [{"node": node(one), "cursor": one} for one in runs]
                found = {"edges": edges, "pageInfo": {"endCursor": "", "hasNextPage": False}}
                data = {"project": {"internalId": "1", "runCount": len(runs), "readOnly": False, "runs": found}}
            elif run in runs:
                data = {"project": {"internalId": "1", "run": node(run)}}
            else:
                data = {"project": {"internalId": "1", "run": None}}
            self.answer({"data": data})

    return Wandb


def hub_handler(files: dict[str, bytes]) -> type[Handler]:
    """The Hugging Face hub with one dataset `lab/logs`."""
    root = "/api/datasets/lab/logs"
    oid = "0" * 40

    def entry(path: str) -> dict | None:
        if path in files:
            return {"type": "file", "path": path, "size": len(files[path]), "oid": oid}
        is_folder = any(name.startswith(f"{path}/") for name in files)
        return {"type": "directory", "path": path, "oid": oid} if is_folder else None

    class Hub(Handler):
        def do_POST(self):
            paths = parse_qs(self.body().decode()).get("paths", [])
            self.answer([found for path in paths if (found := entry(path))])

        def do_GET(self):
            address = urlsplit(self.path)
            path = unquote(address.path)
            if path.startswith(f"{root}/tree/main"):
                folder = path.removeprefix(f"{root}/tree/main").strip("/")
                below = [name for name in files if not folder or name.startswith(f"{folder}/")]
                if folder and not below:
                    self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
                    return
                names = set(below)
                for name in below:
                    parts = name.split("/")
                    names |= {"/".join(parts[:n]) for n in range(1, len(parts))}
                names = {name for name in names if name.startswith(f"{folder}/" if folder else "")}
                if parse_qs(address.query).get("recursive", ["false"])[0].lower() != "true":
                    depth = folder.count("/") + 1 if folder else 0
                    names = {name for name in names if name.count("/") == depth}
                self.answer([entry(name) for name in sorted(names)])
            elif path == root or path.startswith(f"{root}/revision/"):
                self.answer({"id": "lab/logs", "_id": "1", "sha": oid, "siblings": [], "tags": [], "private": False})
            elif path.startswith("/datasets/lab/logs/resolve/"):
                self._file(path.split("/", 6)[6])
            else:
                self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

        def do_HEAD(self):
            self.do_GET()

        def _file(self, name):
            if name not in files:
                self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
                return
            self.answer_part(files[name], ETag=f'"{oid}"', X_Repo_Commit=oid)

    return Hub
