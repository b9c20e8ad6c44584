"""A population: the healthy runs of a project as a few figures each, taken from a fleet's table and kept in a small file."""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.errors import MalformedLogError, UsageError
from gradlens.fleet.figures import WIDTH, figures_of
from gradlens.fleet.row import Row
from gradlens.frozen import frozen
from gradlens.gating.checked import dump_checked, is_schema, load_checked, require_digest, rounded
from gradlens.stats.conformal import fewest_others

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA, SCHEMA_VERSION = "gradlens-population", 1
HINT = "recreate it with `gradlens baseline fleet.parquet -o FILE`"
#: Runs that are kept: of more, those with the smallest digest of their name, so that the choice depends on nothing else.
#: 999 and the candidate make a thousand ranks.
MAX_RUNS = 999
#: The false-alarm rate by default; `alpha` of the gate's settings changes it.
ALPHA = 0.05


@frozen(eq=False)
class Member:
    """One healthy run.

    Attributes
    ----------
    name, format
        As in the table.
    last_step, log_interval
        Where it ended, and how often it logged.
    threshold
        The clipping threshold, None where it did not clip or nobody knows.
    norm
        Where its norm was measured.
    figures
        As `figures_of` gives them, (`WIDTH`,).
    """

    name: str
    format: str
    last_step: int
    log_interval: float | None
    threshold: float | None
    norm: str | None
    figures: NDArray[np.float64]


@frozen(eq=False)
class Population:
    """The healthy runs of a project."""

    members: tuple[Member, ...]

    @property
    def figures(self) -> NDArray[np.float64]:
        """Figures of all members, (runs, `WIDTH`)."""
        return np.array([member.figures for member in self.members])


@frozen
class LeftOut:
    """How many rows of a table are no members, by reason."""

    ailing: int
    insufficient: int
    unread: int
    copies: int
    restarts: int
    surplus: int


def is_healthy(row: Mapping[str, Any]) -> bool:
    """Whether a row is a whole run that was judged and found without a problem."""
    return row.get("error") is None and not row.get("copy_of") and row.get("status") == "clear"


def population_of(rows: Sequence[Row], *, only: str | None = None) -> tuple[Population, LeftOut]:
    """The healthy runs of a table.

    A run that was taken up by another is there in part only, so both are left out; copies count once.

    Parameters
    ----------
    rows
        Of a table.
    only
        A glob; rows whose name and source do not match it are left out.

    Raises
    ------
    UsageError
        Fewer healthy runs than the promise of `ALPHA` needs.
    """
    chosen = [
        row for row in rows if only is None or any(fnmatch.fnmatch(str(row[k]), only) for k in ("name", "source"))
    ]
    taken_up = {row["continues"] for row in chosen if row.get("continues")}
    healthy = [row for row in chosen if is_healthy(row)]
    whole = [row for row in healthy if not row.get("continues") and row["name"] not in taken_up]
    needed = fewest_others(ALPHA)
    if len(whole) < needed:
        whose = "" if only is None else f" that match {only}"
        raise UsageError(
            f"{len(whole)} healthy runs{whose} are too few: {needed} are needed for {ALPHA:.0%} false alarms",
            hint="add runs of the project, or give logs to `gradlens baseline` and compare one with one",
        )
    kept = sorted(sorted(whole, key=_lot)[:MAX_RUNS], key=lambda row: str(row["name"]))
    count = {status: sum(row.get("status") == status for row in chosen) for status in ("problem", "insufficient")}
    return Population(members=tuple(map(_member, kept))), LeftOut(
        ailing=count["problem"],
        insufficient=count["insufficient"],
        unread=sum(row.get("error") is not None for row in chosen),
        copies=sum(bool(row.get("copy_of")) for row in chosen),
        restarts=len(healthy) - len(whole),
        surplus=len(whole) - len(kept),
    )


def _lot(row: Row) -> bytes:
    return hashlib.blake2b(str(row["name"]).encode(), digest_size=16).digest()


def _member(row: Row) -> Member:
    return Member(
        name=str(row["name"]),
        format=str(row["format"]),
        last_step=int(row["last_step"] or 0),
        log_interval=row["log_interval"],
        threshold=row["threshold"],
        norm=row["provenance"],
        figures=np.array(figures_of(row), dtype=np.float64),
    )


def dump_population(population: Population) -> str:
    """The text of a population file."""
    return dump_checked(SCHEMA, SCHEMA_VERSION, [_plain(member) for member in population.members])


def _plain(member: Member) -> dict[str, Any]:
    return {
        "figures": [rounded(float(v)) for v in member.figures],
        "format": member.format,
        "last_step": member.last_step,
        "log_interval": rounded(member.log_interval),
        "name": member.name,
        "norm": member.norm,
        "threshold": rounded(member.threshold),
    }


def is_population(path: Path) -> bool:
    """Whether a file is a population, by its content."""
    return is_schema(path, SCHEMA)


def load_population(path: Path) -> Population:
    """The population of a file.

    Raises
    ------
    SourceError
        It cannot be read.
    MalformedLogError
        It is not a population, of another version, or not what was written.
    """
    document = load_checked(path, SCHEMA, SCHEMA_VERSION, hint=HINT)
    members = tuple(_read_member(item, f"{path}: run {i}") for i, item in enumerate(document["runs"], 1))
    require_digest(path, document, hint=HINT)
    return Population(members=members)


def _read_member(item: Any, where: str) -> Member:
    try:
        figures = np.array([math.nan if v is None else _finite(v) for v in item["figures"]], dtype=np.float64)
        if figures.shape != (WIDTH,):
            raise ValueError(f"{len(figures)} figures, not {WIDTH}")  # noqa: TRY301 -- one message for all that is wrong
        return Member(
            name=str(item["name"]),
            format=str(item["format"]),
            last_step=int(item["last_step"]),
            log_interval=_optional(item["log_interval"]),
            threshold=_optional(item["threshold"]),
            norm=None if item["norm"] is None else str(item["norm"]),
            figures=figures,
        )
    except KeyError as error:
        raise MalformedLogError(f"{where}: has no {error}", hint=HINT) from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MalformedLogError(f"{where}: {error}", hint=HINT) from error


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else _finite(value)


def thresholds_of(members: Iterable[Member]) -> set[float | None]:
    """The clipping thresholds of the members."""
    return {member.threshold for member in members}
