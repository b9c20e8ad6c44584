"""The input model: what was read, with nothing judged yet.

A `Run` is one training run (or one optimizer of it). Its series keep their original names, the order in which they were
written, and every NaN and infinity. What a reader had to drop, merge, reorder or guess is in `Run.notices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING

from gradlens.config import TrainingConfig
from gradlens.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray


#: The code of the notice about rows without a value that should have one; checks and the gate look for it.
MISSING_VALUES = "missing-values"


@frozen
class Notice:
    """What reading changed, left out or assumed.

    Attributes
    ----------
    code, message
        What happened; the code is stable.
    count
        The number of records concerned.
    where
        The place in words, for people.
    column
        The quantity concerned (`loss`, `grad_norm`, ...), where it is one.
    first_step
        The first step concerned, where that is known.
    to_the_end
        Whether it goes on from there to the end of the log.
    values
        The numbers that the message names, by what they are.
    """

    code: str
    message: str
    count: int = 1
    where: str = ""
    column: str | None = None
    first_step: int | None = None
    to_the_end: bool = False
    values: Mapping[str, float] = field(default_factory=dict, hash=False)


@frozen(eq=False)
class Series:
    """One logged quantity.

    Attributes
    ----------
    name
        The name in the log, unchanged.
    step
        int64[n], in the order written: it may repeat or go backwards.
    value
        float64[n], NaN and infinities kept.
    wall_time_s
        float64[n], seconds since the epoch, or None where the log has no times.
    """

    name: str
    step: NDArray[np.int64]
    value: NDArray[np.float64]
    wall_time_s: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if len(self.step) != len(self.value):
            raise ValueError(f"{self.name}: {len(self.step)} steps for {len(self.value)} values")
        for array in (self.step, self.value, self.wall_time_s):
            if array is not None and array.flags.writeable:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        span = f", steps {self.step[0]}..{self.step[-1]}" if len(self) else ""
        return f"Series({self.name!r}, {len(self)} points{span})"


@frozen(eq=False)
class HistogramSeries:
    """Histograms of one tensor over the run, as TensorBoard keeps them.

    Attributes
    ----------
    name
        The tag in the log.
    step
        int64[n].
    limits, counts
        For each step: float64[k+1] bucket edges and float64[k] counts.
    """

    name: str
    step: NDArray[np.int64]
    limits: tuple[NDArray[np.float64], ...]
    counts: tuple[NDArray[np.float64], ...]


@frozen
class Columns:
    """Which series was taken for which quantity, by original name; None where the log has none."""

    step: str | None = None
    loss: str | None = None
    grad_norm: str | None = None
    lr: str | None = None
    loss_scale: str | None = None
    grad_norm_clipped: str | None = None
    clip_fraction: str | None = None
    val_loss: str | None = None
    skipped: str | None = None
    batch_size: str | None = None


@frozen(eq=False)
class Run:
    """One training run as read."""

    id: str
    source: str
    format: str
    series: Mapping[str, Series]
    columns: Columns = Columns()
    config: TrainingConfig = TrainingConfig()
    notices: tuple[Notice, ...] = ()
    #: Per-layer gradient norms, by original name; each is also in `series`.
    layers: Mapping[str, Series] = field(default_factory=lambda: MappingProxyType({}))
    histograms: Mapping[str, HistogramSeries] = field(default_factory=lambda: MappingProxyType({}))

    def _column(self, name: str | None) -> Series | None:
        return None if name is None else self.series.get(name)

    @property
    def loss(self) -> Series | None:
        """The training loss, or None."""
        return self._column(self.columns.loss)

    @property
    def grad_norm(self) -> Series | None:
        """The global gradient norm, or None."""
        return self._column(self.columns.grad_norm)

    @property
    def lr(self) -> Series | None:
        """The learning rate, or None."""
        return self._column(self.columns.lr)

    @property
    def loss_scale(self) -> Series | None:
        """The loss scale of mixed-precision training, or None."""
        return self._column(self.columns.loss_scale)

    @property
    def grad_norm_clipped(self) -> Series | None:
        """The gradient norm after clipping where the log has both, or None."""
        return self._column(self.columns.grad_norm_clipped)

    @property
    def val_loss(self) -> Series | None:
        """The validation loss, or None."""
        return self._column(self.columns.val_loss)

    def to_pandas(self) -> pd.DataFrame:
        """The run as a DataFrame: the rows and columns of `to_arrow`, NaN also where a series has no value."""
        from gradlens.tables import to_pandas

        return to_pandas(self.series)

    def to_arrow(self) -> pa.Table:
        """The run as a table: `step` and one column per series with its original name, in the order written.

        A step that a series repeats takes as many rows as its most repeating series wrote; a cell is null where a series
        has no value, NaN where it logged NaN. Lossless but for wall times.
        """
        from gradlens.tables import to_arrow

        return to_arrow(self.series)

    def __repr__(self) -> str:
        taken = ", ".join(
            f"{role}={getattr(self.columns, role)!r}" for role in ("loss", "grad_norm") if getattr(self.columns, role)
        )
        return f"Run({self.id!r}, {self.format}, {len(self.series)} series{', ' if taken else ''}{taken})"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(s.name)}</td><td>{len(s)}</td>"
            f"<td>{f'{s.step[0]} – {s.step[-1]}' if len(s) else '–'}</td></tr>"
            for s in self.series.values()
        )
        return (
            f"<p><b>{escape(self.id)}</b> ({escape(self.format)}, {escape(self.source)})</p>"
            f"<table><tr><th>series</th><th>points</th><th>steps</th></tr>{rows}</table>"
        )
