"""What a project may tune about its gate: the `[gate]` table of `gradlens.toml`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, fields, replace
from types import MappingProxyType
from typing import Any

from gradlens.errors import ConfigError
from gradlens.frozen import frozen


@frozen
class Tolerance:
    """The smallest change that matters: the largest of its parts.

    `absolute` in the metric's own unit; `relative` to the baseline's value; `progress` relative to how far the baseline's
    loss came down over the run, with `noise` at most this many times its noise from row to row; `level`, for the clip rate,
    what a norm level higher by this share would do to the baseline's rate.
    """

    absolute: float = 0.0
    relative: float = 0.0
    progress: float = 0.0
    noise: float = 0.0
    level: float = 0.0


TOLERANCE_PARTS = tuple(f.name for f in fields(Tolerance))
#: Default metrics and their tolerances, in the order of the report. The clip rate's are the customary two points and a
#: quarter. The others are our own, set on healthy runs that differ in their seed alone, see `docs/ci.md`.
DEFAULT_TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "clip_rate": Tolerance(absolute=0.02, relative=0.25, level=0.05),
        "final_loss": Tolerance(relative=0.02, progress=0.04, noise=2.0),
        "loss": Tolerance(relative=0.02, progress=0.08),
        "norm_level": Tolerance(relative=0.3),
        "norm_spread": Tolerance(relative=0.25),
        "norm_tail": Tolerance(relative=0.5),
        "loss_spikes": Tolerance(absolute=2.0, relative=1.0),
        "norm_spikes": Tolerance(absolute=2.0, relative=1.0),
        "overflow": Tolerance(absolute=0.005, relative=1.0),
    }
)


@frozen
class GateSettings:
    """Everything that decides a verdict besides the runs.

    Attributes
    ----------
    metrics
        Which metrics gate, by name.
    tolerances
        By metric.
    alpha
        Chance of a false alarm over all metrics together.
    min_overlap
        Share of the baselines' steps that the candidates must reach, and each baseline of those of the longest.
    min_effective
        Effective steps below which a clip rate is inconclusive.
    max_clip_rate, max_spikes, max_nonfinite, max_loss, max_grad_norm
        Absolute limits, None where there is none. They hold for each candidate on its own.
    allow_inconclusive
        Whether a verdict that could not be reached counts as passed.
    """

    metrics: tuple[str, ...] = tuple(DEFAULT_TOLERANCES)
    tolerances: Mapping[str, Tolerance] = field(default_factory=lambda: DEFAULT_TOLERANCES)
    alpha: float = 0.05
    min_overlap: float = 0.97
    min_effective: float = 50.0
    max_clip_rate: float | None = None
    max_spikes: int | None = None
    max_nonfinite: int | None = None
    max_loss: float | None = None
    max_grad_norm: float | None = None
    allow_inconclusive: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The settings as the report repeats them."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"metrics", "tolerances"}}
        return {
            "metrics": list(self.metrics),
            "tolerances": {
                name: {k: getattr(self.tolerances[name], k) for k in TOLERANCE_PARTS} for name in self.metrics
            },
            **plain,
        }

    def updated(self, **given: Any) -> GateSettings:
        """These settings with those that are not None taken from `given`."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


#: The origin of settings that are options of a command.
OPTIONS = "options"


def gate_settings(table: Mapping[str, Any] | None, *, origin: str = "[gate]") -> GateSettings:
    """The settings of a `[gate]` table; names may use dashes.

    A tolerance is a number (relative) or a table with the parts of `Tolerance`.

    Raises
    ------
    ConfigError
        An unknown name, or a value of the wrong type or out of range.
    """
    values: dict[str, Any] = {}
    for raw, value in (table or {}).items():
        name = raw.replace("-", "_")
        where = f"--{name.replace('_', '-')}" if origin == OPTIONS else f"{origin} {raw}"
        if name == "metrics":
            values[name] = _metrics(value, origin)
        elif name == "tolerances":
            values[name] = _tolerances(value, origin)
        elif name in {"alpha", "min_overlap", "max_clip_rate"}:
            values[name] = _number(value, where, low=0.0, high=1.0)
        elif name in {"min_effective", "max_spikes", "max_nonfinite", "max_grad_norm"}:
            number = _number(value, where, low=0.0)
            values[name] = int(number) if name in {"max_spikes", "max_nonfinite"} else number
        elif name == "max_loss":
            values[name] = _number(value, where)
        elif name == "allow_inconclusive":
            if not isinstance(value, bool):
                raise ConfigError(f"{origin} {raw}: must be true or false")
            values[name] = value
        else:
            known = ", ".join(f.name for f in fields(GateSettings))
            raise ConfigError(f"{origin}: unknown setting {raw!r}", hint=f"choose from {known}")
    return GateSettings(**values)


def _metrics(value: Any, origin: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(
            f"{origin} metrics: must be a list of names", hint="choose from " + ", ".join(DEFAULT_TOLERANCES)
        )
    names = [str(name).replace("-", "_") for name in value]
    for name in names:
        if name not in DEFAULT_TOLERANCES:
            raise ConfigError(f"{origin} metrics: unknown metric {name!r}",
                              hint="choose from " + ", ".join(DEFAULT_TOLERANCES))  # fmt: skip
    return tuple(name for name in DEFAULT_TOLERANCES if name in names)


def _tolerances(value: Any, origin: str) -> Mapping[str, Tolerance]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{origin} tolerances: must be a table", hint="write [gate.tolerances] clip_rate = 0.25")
    found = dict(DEFAULT_TOLERANCES)
    for raw, given in value.items():
        name = raw.replace("-", "_")
        if name not in DEFAULT_TOLERANCES:
            raise ConfigError(f"{origin} tolerances: unknown metric {raw!r}",
                              hint="choose from " + ", ".join(DEFAULT_TOLERANCES))  # fmt: skip
        where = f"{origin} tolerances.{raw}"
        if isinstance(given, Mapping):
            unknown = set(given) - set(TOLERANCE_PARTS)
            if unknown:
                raise ConfigError(f"{where}: unknown part {min(unknown)!r}",
                                  hint="one of " + ", ".join(TOLERANCE_PARTS))  # fmt: skip
            found[name] = Tolerance(**{k: _number(v, f"{where}.{k}", low=0.0) for k, v in given.items()})
        else:
            found[name] = Tolerance(relative=_number(given, where, low=0.0))
    return MappingProxyType(found)


def _number(value: Any, where: str, *, low: float | None = None, high: float | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where}: must be a number, not {type(value).__name__}")
    if not math.isfinite(value):
        raise ConfigError(f"{where}: {value} is not a finite number")
    if not ((low is None or value >= low) and (high is None or value <= high)):
        span = f"between {low:g} and {high:g}" if high is not None else f"at least {low:g}"
        raise ConfigError(f"{where}: {value:g} is not {span}")
    return float(value)
