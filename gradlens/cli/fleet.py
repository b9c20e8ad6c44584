"""`gradlens fleet` and `gradlens fleet show`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gradlens.cli import options
from gradlens.cli.help import Command
from gradlens.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlens.fleet.build import Fleet
    from gradlens.fleet.row import Row

_SUFFIX = ".parquet"
_PASSING = "for a reason that may pass (time, memory, a store that does not answer): the next call tries"
#: Runs without a page that are named.
MAX_TOLD = 5


class _Group(TyperGroup):
    """A group whose first word may be a SOURCE: then it is the command that builds the table."""

    # Typer ships its own copy of click in some versions, so the types here are those of neither.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command named by the first word, `build` where that is none."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "build", self.commands["build"], args

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options before the first word belong to `build` as well."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["build", *args]
        return super().parse_args(ctx, args)


fleet = typer.Typer(
    cls=_Group,
    help="Thousands of runs as one table, a row per run; `show` says what ails them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@fleet.command(cls=Command, short_help="Judge many runs into one table; the default.")
def build(
    sources: options.Sources,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The table to write or to bring up to date.")
    ],
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes; the number of cores by default.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers do the reading (tcp://host:8786)."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="The most time that one log may take.")
    ] = 300.0,
    memory: Annotated[float, typer.Option(metavar="GB", min=0.1, help="The most memory that one log may take.")] = 4.0,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Read and judge many runs into one table; logs that have not changed since the last call are not read again."""
    from gradlens.cli.output import keep_sources
    from gradlens.cli.settings import find_settings
    from gradlens.fleet.build import build as build_table
    from gradlens.fleet.isolation import Limits
    from gradlens.fleet.judge import Job
    from gradlens.fleet.plan import plan

    if output.suffix.lower() != _SUFFIX:
        raise UsageError(f"-o {output}: a fleet table is a {_SUFFIX} file", hint=f"-o {output.with_suffix(_SUFFIX)}")
    if output.parent != Path() and not output.parent.is_dir():
        raise UsageError(f"-o {output}: no such folder {output.parent}", hint="make the folder first")
    keep_sources("-o", output, sources)
    settings = find_settings()
    given = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    known = options.training_config(settings, config)
    job = Job(
        threshold=options.threshold_value(threshold if threshold is not None else settings.get("threshold")),
        config=known.to_dict(), input_format=given.input_format, step=given.step, loss=given.loss,
        grad_norm=given.grad_norm, lr=given.lr, loss_scale=given.loss_scale,
    )  # fmt: skip
    units = [unit for unit in plan(sources) if not _is_ours(unit.files[0], output)]
    limits = Limits(seconds=timeout, memory=int(memory * (1 << 30)))
    made = build_table(units, output, job, lambda: _engine(job, limits, jobs, scheduler), _Progress())
    _report(output, made)


def _is_ours(name: str, output: Path) -> bool:
    """Whether a file is the table itself or its journal, which may lie among the logs."""
    return "://" not in name and Path(name).resolve() in {output.resolve(), Path(f"{output}.journal").resolve()}


def _engine(job: Any, limits: Any, jobs: int | None, scheduler: str | None) -> Any:
    from gradlens.fleet.engines import ENGINES

    if scheduler is not None:
        return ENGINES["dask"].load()(job, limits, scheduler, _tell)
    return ENGINES["local"].load()(job, limits, jobs or len(os.sched_getaffinity(0)))


def _tell(text: str) -> None:
    """A word in between, on a line of its own."""
    end = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{end}gradlens: {text}", file=sys.stderr, flush=True)


class _Progress:
    """A line on standard error that is written over: units done, time left; nothing in a pipe."""

    def __init__(self, what: str = "logs") -> None:
        import time

        self._what = what
        self._clock = time.monotonic
        self._begin = self._next = self._clock()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        now = self._clock()
        if self._first is None:
            self._first, self._begin = done, now
        if now < self._next and done < total:
            return
        self._next = now + 0.2
        fresh = done - self._first
        left = (total - done) * (now - self._begin) / fresh if fresh else None
        told = "" if left is None else f", {_time(left)} left"
        sys.stderr.write(f"\r{done:,} of {total:,} {self._what}{told}\x1b[K" + ("\r\x1b[K" if done >= total else ""))
        sys.stderr.flush()


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _report(output: Path, made: Fleet) -> None:
    from gradlens.fleet.overview import summary_counts

    counts = summary_counts(made.rows)
    words = ", ".join(f"{counts[key]:,} {key}" for key in ("problem", "clear", "insufficient", "unread") if counts[key])
    print(f"{output}: {len(made.rows):,} {'row' if len(made.rows) == 1 else 'rows'}" + (f" ({words})" if words else ""))
    print(
        f"judged {made.judged:,}, unchanged {made.unchanged:,}"
        + (f", taken up again {made.recovered:,}" if made.recovered else "")
    )
    notes = (
        (made.open, f"log could not be judged {_PASSING} it again", f"logs could not be judged {_PASSING} them again"),
        (made.not_logs, "file that is not a log", "files that are not logs"),
        (made.gone, "row of the last table is gone with its log", "rows of the last table are gone with their logs"),
        (
            made.damaged,
            "line of the journal could not be used; its log was judged again",
            "lines of the journal could not be used; their logs were judged again",
        ),
    )
    for count, one, many in notes:
        if count:
            print(f"gradlens: {count:,} {one if count == 1 else many}", file=sys.stderr)
    print(f"look at it with: gradlens fleet show {output}")


@fleet.command(cls=Command, short_help="Say what ails the runs of a table.")
def show(
    table: Annotated[Path, typer.Argument(metavar="FILE", help="A table that `gradlens fleet` wrote.")],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN,...", help="Group by these settings, e.g. learning_rate,warmup_steps.")
    ] = None,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="One of {formats of a fleet}.")
    ] = "text",
    save: options.SavePaths = None,
    pages: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="With --save FILE.html: read the logs of the runs with a problem (problem) or of all again, and link a "
            "page for each.",
        ),
    ] = None,
) -> None:
    """What ails the fleet: causes by count, the worst runs, what changed, which settings lead to trouble."""
    from gradlens.cli import output
    from gradlens.fleet.overview import overview
    from gradlens.fleet.table import load_table

    writer = output.Writer(output_format, save or [], [str(table)], kind="fleet")
    rows, mark = load_table(table)
    keys = [key.strip() for key in (by or "").split(",") if key.strip()]
    links = _pages(rows, mark, save or [], pages) if pages is not None else {}
    writer.write(
        overview(
            rows, str(table), not_logs=len(mark.get("not_logs", ())), changes=mark.get("changes", ()), by=keys,
            pages=links,
        )
    )  # fmt: skip


def _pages(rows: list[Row], mark: dict[str, Any], save: list[Path], which: str) -> Mapping[str, str]:
    """Write the pages of single runs beside the page of the fleet; where each lies."""
    from gradlens.fleet.pages import wanted, write_pages
    from gradlens.reporters.escape import for_terminal

    chosen = wanted(rows, which)
    beside = [path for path in save if path.suffix.lower() == ".html"]
    if len(beside) != 1:
        raise UsageError("--pages needs a page that links them", hint="give one --save FILE.html")
    written = write_pages(chosen, beside[0], mark, _Progress("runs"))
    print(f"gradlens: {len(written.links):,} pages of single runs beside {beside[0]}", file=sys.stderr)
    for name, reason in list(written.failed.items())[:MAX_TOLD]:
        print(for_terminal(f"gradlens: no page of {name}: {reason}"), file=sys.stderr)
    if len(written.failed) > MAX_TOLD:
        print(f"gradlens: no page of {len(written.failed) - MAX_TOLD:,} more", file=sys.stderr)
    return written.links
