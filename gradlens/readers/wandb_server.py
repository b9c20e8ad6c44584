"""Runs on W&B's servers or one of your own, by the client of W&B, which knows how to log in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradlens.errors import GradlensError, MissingExtraError, NoTrainingSeriesError, SourceError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, as_float, values_of_list
from gradlens.sources.files import Source

if TYPE_CHECKING:
    import wandb

_HINT = (
    "check the address, `wandb login` or WANDB_API_KEY, and WANDB_BASE_URL for a server of your own; without a network "
    "analyze what the run left on its machine, wandb/run-*/run-*.wandb"
)
#: Seconds for one answer; a server that is away is told within a quarter of a minute.
_TIMEOUT = 15
#: What the client says where nobody answered.
_NO_ANSWER = re.compile(r"did not respond|timed out|[Cc]onnection|resolve|unreachable|Max retries")
#: What W&B itself adds to each row.
_OWN = frozenset({"_step", "_runtime", "_timestamp"})


class WandbServerReader(Reader):
    """A run (`wandb://ENTITY/PROJECT/RUN_ID`) or all runs of a project (`wandb://ENTITY/PROJECT`).

    Every row of the history is read (`scan_history`), not the sample that charts show.
    """

    name = "wandb-server"
    settings_in = "the run's configuration"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.scheme == "wandb" else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        parts = source.name.partition("://")[2].strip("/").split("/")
        if len(parts) not in {2, 3} or not all(parts):
            raise SourceError(
                f"{source.name}: not a run", hint="wandb://ENTITY/PROJECT/RUN_ID or wandb://ENTITY/PROJECT"
            )
        client = _client(source.name)
        try:
            api = client.Api(timeout=_TIMEOUT)
            found = [api.run("/".join(parts))] if len(parts) == 3 else list(api.runs("/".join(parts)))
            runs = [raw for run in found if (raw := _raw(run, options, alone=len(found) == 1)).n_rows]
        except GradlensError:
            raise
        except Exception as error:
            raise SourceError(f"{source.name}: {_reason(error)}", hint=_HINT) from error
        if not runs:
            raise NoTrainingSeriesError(f"{source.name}: {len(found)} runs, none with a number in its history")
        return runs


def _client(url: str) -> Any:
    # It greets on standard error otherwise.
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError(f"{url}: a run of W&B", "wandb", "wandb") from error
    return wandb


def _raw(run: wandb.apis.public.Run, options: ReadOptions, *, alone: bool) -> RawRun:
    book, table = NoticeBook(), TableBuilder()
    for row in run.scan_history():
        numbers = {
            name: number for name, number in _numbers(row, "", book) if name in _OWN or options.wanted(name)
        }  # fmt: skip
        if not numbers.keys() <= _OWN:
            table.add(numbers)
    config = {str(key): value for key, value in run.config.items() if key != "_wandb"}
    name = "" if alone else f"{run.name}-{run.id}" if run.name else str(run.id)
    return RawRun(name=name, columns=table.columns(), n_rows=table.n_rows, config=config, notices=book.notices())


def _numbers(row: Mapping[str, Any], prefix: str, book: NoticeBook) -> Iterator[tuple[str, float]]:
    """The numbers of a row of the history; nested ones as `outer/inner`."""
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            # A picture, a table or a histogram says what it is.
            if "_type" not in value:
                yield from _numbers(value, f"{name}/", book)
        elif isinstance(value, list):
            for item, number, _ in values_of_list(name, value):
                if number is None:
                    book.add("unreadable-value", "values that are not numbers, left out", item)
                else:
                    yield item, number
        elif (number := as_float(value)) is not None:
            yield name, number


def _reason(error: Exception) -> str:
    text = str(error)
    if _NO_ANSWER.search(text):
        return f"no answer from {os.environ.get('WANDB_BASE_URL') or 'the servers of W&B'}"
    return text or type(error).__name__
