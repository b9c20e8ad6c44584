"""Runs on an MLflow server, by the client of MLflow, which knows how to log in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gradlens.errors import GradlensError, MissingExtraError, NoTrainingSeriesError, SourceError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.mlflow import metric_series, point_of
from gradlens.sources.files import Source

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_RUN = re.compile(r"[0-9a-f]{32}")
_HINT = (
    "check the address and MLFLOW_TRACKING_URI; where the server cannot be reached give the store itself, "
    "a folder mlruns/ or a file mlflow.db"
)
#: A server that is away is told within seconds; the client's own setting tries for minutes.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_MAX_RUNS = 1000


class Address(NamedTuple):
    """What an address names: the server (None for the one of MLFLOW_TRACKING_URI), and a run or an experiment there."""

    server: str | None
    experiment: str
    run: str


class MlflowServerReader(Reader):
    """A run (`mlflow://RUN_ID`), the runs of an experiment (`mlflow://EXPERIMENT`) or one of them by its name.

    The server is that of `MLFLOW_TRACKING_URI`, or stands in front: `mlflow://HOST:PORT/EXPERIMENT`, `mlflow+https://` for
    an encrypted connection.
    """

    name = "mlflow-server"
    settings_in = "its parameters"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.scheme in {"mlflow", "mlflow+https"} else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        address = address_of(source.name)
        client = _client(source.name, address.server)
        try:
            found = _runs(client, address, source.name)
            runs = [raw for run in found if (raw := _raw(client, run, options, alone=len(found) == 1)).series]
        except GradlensError:
            raise
        except Exception as error:
            raise SourceError(f"{source.name}: {_reason(error)}", hint=_HINT) from error
        if not runs:
            raise NoTrainingSeriesError(f"{source.name}: {len(found)} runs, none with a metric")
        return runs


def address_of(url: str) -> Address:
    """The parts of an address; a first part with a port or a dot is the server.

    >>> address_of("mlflow://127.0.0.1:5000/pretraining/tall-cat-7")
    Address(server='http://127.0.0.1:5000', experiment='pretraining', run='tall-cat-7')
    >>> address_of("mlflow://8f0e3d5c1b2a49708f0e3d5c1b2a4970").run
    '8f0e3d5c1b2a49708f0e3d5c1b2a4970'
    """
    scheme, _, rest = url.partition("://")
    first, _, path = rest.partition("/")
    server = None
    if ":" in first or "." in first or first == "localhost":
        server, rest = f"{'https' if scheme.endswith('https') else 'http'}://{first}", path
    experiment, _, run = rest.strip("/").partition("/")
    if not run and _RUN.fullmatch(experiment):
        experiment, run = "", experiment
    if not experiment and not run:
        raise SourceError(f"{url}: no run and no experiment", hint="mlflow://RUN_ID or mlflow://EXPERIMENT/RUN")
    return Address(server, experiment, run)


def _client(url: str, server: str | None) -> MlflowClient:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingExtraError(f"{url}: an MLflow server", "mlflow", "mlflow") from error
    if server is None and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise SourceError(
            f"{url}: no server named", hint="set MLFLOW_TRACKING_URI, or mlflow://HOST:PORT/EXPERIMENT/RUN"
        )
    return MlflowClient(tracking_uri=server)


def _runs(client: MlflowClient, address: Address, url: str) -> list[Run]:
    """The run that the address names, or the runs of the experiment, oldest first."""
    if _RUN.fullmatch(address.run):
        return [client.get_run(address.run)]
    experiment = client.get_experiment_by_name(address.experiment)
    if experiment is None:
        known = ", ".join(e.name for e in client.search_experiments(max_results=10))
        raise SourceError(f"{url}: no experiment named {address.experiment!r}", hint=f"the server has {known}")
    runs: list[Run] = []
    token = None
    while len(runs) < _MAX_RUNS:
        page = client.search_runs(
            [experiment.experiment_id], order_by=["attributes.start_time ASC"], page_token=token, max_results=200
        )
        runs += page
        token = page.token
        if not token:
            break
    named = [run for run in runs if not address.run or run.info.run_name == address.run]
    if not named:
        known = ", ".join(str(run.info.run_name) for run in runs[:10]) or "no run"
        what = f"no run named {address.run!r}" if address.run else "no run"
        raise SourceError(f"{url}: {what} in this experiment", hint=f"it has {known}")
    return named


def _raw(client: MlflowClient, run: Run, options: ReadOptions, *, alone: bool) -> RawRun:
    book = NoticeBook()
    series = []
    for key in sorted(run.data.metrics):
        if options.wanted(key):
            points = [
                point for at, metric in enumerate(_history(client, run.info.run_id, key))
                if (point := point_of(metric.timestamp, metric.value, metric.step, book, f"{key} point {at + 1}"))
            ]  # fmt: skip
            if points:
                series.append(metric_series(key, points))
    name = "" if alone else str(run.info.run_name or run.info.run_id)
    return RawRun(name=name, series=tuple(series), config=dict(run.data.params), notices=book.notices())


def _history(client: MlflowClient, run: str, key: str) -> Iterator[Any]:
    """Every point of a metric in the order of its steps, never a sample."""
    points = client.get_metric_history(run, key)
    yield from sorted(points, key=lambda metric: (metric.timestamp, metric.step))


def _reason(error: Exception) -> str:
    """What went wrong, without the layers of clients through which it came."""
    text = str(error)
    cause = re.search(
        r"(Connection refused|Name or service not known|[Tt]imed out|Network is unreachable|No route to host)", text
    )
    return f"no answer from the server: {cause[1]}" if cause else text or type(error).__name__
