"""Options that several commands share, spelled the same everywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradlens.errors import UsageError
from gradlens.frozen import frozen

if TYPE_CHECKING:
    from gradlens.cli.settings import Settings
    from gradlens.config import TrainingConfig
    from gradlens.reports.base import ThresholdOption
    from gradlens.run import Run

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help="A file, a folder, a glob, - (standard input) or a URL.")
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="NAME",
        help="Read as this format (`gradlens formats` lists them); detected by default.",
    ),
]
StepColumn = Annotated[str | None, typer.Option("--step", metavar="NAME", help="Column to use as step.")]
LossColumn = Annotated[str | None, typer.Option("--loss", metavar="NAME", help="Column to use as loss.")]
NormColumn = Annotated[str | None, typer.Option("--grad-norm", metavar="NAME", help="Column to use as gradient norm.")]
LrColumn = Annotated[str | None, typer.Option("--lr", metavar="NAME", help="Column to use as learning rate.")]
ScaleColumn = Annotated[str | None, typer.Option("--loss-scale", metavar="NAME", help="Column to use as loss scale.")]
Threshold = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        metavar="C",
        help="The clipping threshold the run used; none if it did not clip; auto (the default) finds it.",
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Training settings as JSON, YAML or TOML.")
]
SavePaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--save", metavar="PATH", help="Also write this file; its suffix ({suffixes}) chooses the format. Repeatable."
    ),
]


@frozen
class Reading:
    """The options about reading, with the project's defaults filled in."""

    sources: list[str]
    input_format: str | None
    step: str | None
    loss: str | None
    grad_norm: str | None
    lr: str | None
    loss_scale: str | None
    columns: str = "needed"

    def runs(self, *, split_starts: bool = False) -> list[Run]:
        """Read all sources; several starts in one log are one run, of which the last counts, unless `split_starts`."""
        from gradlens.reading.read import read
        from gradlens.sources.progress import progress_bars

        with progress_bars():
            return read(
                self.sources,
                input_format=self.input_format,
                columns=self.columns,
                step=self.step,
                loss=self.loss,
                grad_norm=self.grad_norm,
                lr=self.lr,
                loss_scale=self.loss_scale,
                split_starts=split_starts,
            )


def reading(
    settings: Settings,
    sources: list[str],
    *,
    input_format: str | None = None,
    step: str | None = None,
    loss: str | None = None,
    grad_norm: str | None = None,
    lr: str | None = None,
    loss_scale: str | None = None,
    columns: str = "needed",
) -> Reading:
    """The reading options, the project's settings standing in for those not given."""
    return Reading(
        sources=sources,
        input_format=input_format,
        step=step or settings.get("step"),
        loss=loss or settings.get("loss"),
        grad_norm=grad_norm or settings.get("grad-norm"),
        lr=lr or settings.get("lr"),
        loss_scale=loss_scale or settings.get("loss-scale"),
        columns=columns,
    )


def threshold_value(text: Any) -> ThresholdOption:
    """`--threshold`: a positive number, "none" as None, or "auto", as where it was not given.

    Raises
    ------
    UsageError
        Anything else.
    """
    word = "auto" if text is None else str(text).strip().lower()
    if word == "auto":
        return "auto"
    if word in {"none", "off", "inf"}:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value == 0.0:
        return None
    if not 0.0 < value < float("inf"):
        raise UsageError(f"--threshold {text}: not a positive number", hint="give the threshold C, none or auto")
    return value


def training_config(settings: Settings, path: Path | None) -> TrainingConfig:
    """`--config`, or the project's; a key that looks like a typo is pointed out."""
    from gradlens.config import TrainingConfig, load_training_config
    from gradlens.reporters.escape import for_terminal

    if path is None and settings.get("config"):
        base = settings.path.parent if settings.path else Path()
        path = base / settings.get("config")
    if path is None:
        return TrainingConfig()
    config, typos = load_training_config(path)
    for key, near in typos:
        print(for_terminal(f"gradlens: {path}: unknown setting {key!r}, did you mean {near}?"), file=sys.stderr)
    return config


def codes(name: str, text: str | None, settings: Settings) -> tuple[str, ...]:
    """`--select` and `--ignore`, codes separated by commas, or the project's list.

    Raises
    ------
    UsageError
        A word that names no check.
    """
    origin = f"--{name}" if text is not None else f"{settings.path} {name}"
    given = text.split(",") if text is not None else map(str, settings.get(name) or ())
    words = tuple(word.strip() for word in given if word.strip())
    if words:
        from gradlens.checks.engine import require_known

        require_known(words, origin)
    return words


def tell_left_out(
    settings: Settings,
    selected: tuple[str, ...],
    ignored: tuple[str, ...],
    *,
    select: str | None,
    ignore: str | None,
    fail_on: str | None,
) -> None:
    """Say on standard error how many checks were left out and by what, and which file changed what fails.

    A settings file of the folder may have come along with the change that is judged.
    """
    from gradlens.reporters.escape import for_terminal

    given = {"select": select, "ignore": ignore, "fail-on": fail_on}
    by_file = [name for name, option in given.items() if option is None and settings.get(name)]
    if selected or ignored:
        from gradlens.checks.engine import count_chosen

        chosen, total = count_chosen(selected, ignored)
        by = [f"--{name}" for name in ("select", "ignore") if given[name]]
        by += [f"{name} of {settings.path}" for name in by_file if name != "fail-on"]
        if chosen < total:
            line = f"gradlens: {total - chosen} of {total} checks left out by {' and '.join(by)}"
            print(for_terminal(line), file=sys.stderr)
    if "fail-on" in by_file:
        print(for_terminal(f"gradlens: fail-on = {settings.get('fail-on')} by {settings.path}"), file=sys.stderr)
