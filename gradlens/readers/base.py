"""What a reader is, and what it hands over.

A reader turns bytes into named columns; it knows nothing of roles, checks or reports. `assemble` then finds the roles,
the layers and the runs. A new format is one file with a `Reader` subclass and one line in `readers/__init__.py`.
"""

from __future__ import annotations

import csv
import json
import math
import re
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gradlens.errors import BeyondLimitError
from gradlens.frozen import frozen
from gradlens.run import HistogramSeries, Notice, Series
from gradlens.sources.files import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A list with more entries than a training has parameter groups does not hold learning rates.
_MAX_GROUPS = 1000
#: More columns than any run has: each costs a thousand bytes and more, however few its values.
MAX_COLUMNS = 100_000


def too_many_columns(name: str) -> BeyondLimitError:
    """The error of a log of more than `MAX_COLUMNS` columns."""
    return BeyondLimitError(
        f"{name}: more than {MAX_COLUMNS:,} columns",
        hint="write each step under the same names, and only what is looked at",
    )


@frozen(eq=False)
class ReadOptions:
    """What the user said about reading.

    `columns` is "needed" (roles and layers) or "all"; a reader may skip what `wanted` rejects.
    The overrides are original column names. `split_starts` makes runs of several complete starts in one log.
    """

    columns: str = "all"
    step: str | None = None
    loss: str | None = None
    grad_norm: str | None = None
    lr: str | None = None
    loss_scale: str | None = None
    split_starts: bool = True

    def wanted(self, name: str) -> bool:
        """Whether a column is worth decoding."""
        if self.columns == "all":
            return True
        from gradlens.vocabulary import is_known

        return is_known(name) or name in self.overrides.values()

    @property
    def overrides(self) -> dict[str, str]:
        """The roles that the user named a column for."""
        roles = ("step", "loss", "grad_norm", "lr", "loss_scale")
        return {role: name for role in roles if (name := getattr(self, role)) is not None}


@frozen(eq=False)
class Column:
    """A column of a table of rows.

    Attributes
    ----------
    name
        As in the log.
    value
        float64[n], NaN and infinities kept.
    row
        int64[n], the table's rows that hold a value, ascending; None where every row does.
    """

    name: str
    value: NDArray[np.float64]
    row: NDArray[np.int64] | None = None


@frozen(eq=False)
class RawRun:
    """One run as a reader found it: either `columns` of a table of `n_rows`, or `series` that have steps already.

    Attributes
    ----------
    name
        What tells this run from others of the same source ("" where it is alone).
    config
        The log's own settings, nested as found.
    step_column
        The column that holds the step where the format fixes it.
    roles
        Columns whose role the format fixes, by role, before the vocabulary is asked.
    norm_facts
        What the format says about the norm: `pre_clip`, `post_clip`, `averaged`, `filtered`.
    unread_rows
        Of each column that was not wanted, the rows int64[m] with a value, unless every row has one; None where the
        reader does not tell.
    """

    name: str = ""
    columns: tuple[Column, ...] = ()
    n_rows: int = 0
    series: tuple[Series, ...] = ()
    histograms: tuple[HistogramSeries, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    step_column: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    norm_facts: frozenset[str] = frozenset()
    wall_time_s: NDArray[np.float64] | None = None
    unread_rows: tuple[NDArray[np.int64], ...] | None = None


class Reader(ABC):
    """One log format, or a family of one shape. The docstring is its row on the page of formats (docs/formats.md)."""

    #: The word for `--input-format` and `Run.format`.
    name: ClassVar[str]
    #: Where the format has the settings of the training, for the same row; empty where it has none.
    settings_in: ClassVar[str] = ""
    #: A small log of this format, from which the contract suite starts. Formats that it has a writer for need none.
    example: ClassVar[bytes] = b""
    #: Whether each line is read for itself, so that what was appended can be read without the rest.
    reads_line_by_line: ClassVar[bool] = False

    @abstractmethod
    def sniff(self, source: Source) -> float:
        """How sure this reader is, from the content of `source.head`: 0 (cannot be) to 1 (a magic number).

        About .9: the structure is this format's own; .5: the general shape fits (any JSON lines, any CSV).
        """

    @abstractmethod
    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        """The runs in the sources, which `group` put together.

        Raises
        ------
        MalformedLogError
            Nothing can be read. A damaged record costs only that record and a notice.
        """

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """Which files of a folder belong to one run: each for itself unless the format says otherwise."""
        return ([source] for source in sources)


class NoticeBook:
    """Collects notices while reading: one for each code, with a count and the first place."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, str]] = {}
        self._count: Counter[str] = Counter()
        self._whole: list[Notice] = []

    def take(self, notice: Notice) -> None:
        """Take over a notice as it is."""
        self._whole.append(notice)

    def add(self, code: str, message: str, where: str = "", count: int = 1) -> None:
        """Count one more record under `code`; message and place of the first one stay."""
        if count > 0:
            self._first.setdefault(code, (message, where))
            self._count[code] += count

    def notices(self) -> tuple[Notice, ...]:
        """The notices in the order in which their codes first came."""
        counted = (
            Notice(code=code, message=message, count=self._count[code], where=where)
            for code, (message, where) in self._first.items()
        )
        return (*counted, *self._whole)


#: How C prints what is not a number: `nan(0x7)`, `-nan(ind)` of glibc and of Windows, and `1.#QNAN`, `-1.#IND`, `1.#INF` of old
#: Windows (https://en.wikipedia.org/wiki/NaN, "Display"). None of them may pass for a value that was not logged.
_C_NAN = r"nan\(\w{0,40}\)|1\.#(?:QNAN|SNAN|NAN|IND)\d{0,9}"
_C_INFINITY = r"1\.#(?:INF|J)\d{0,9}"
#: A format with a width fills up what is shorter than its numbers are: `{:x<6f}` prints `nanxxx`, `{:08.4f}` prints `00000nan`.
_FILL = r"(?:x{1,20}|0{1,20}|_{1,20}|\*{1,20}|\#{1,20})?"
#: NaN and infinities without their sign, in all these spellings; the case is ignored by those who use it.
NONFINITE = rf"(?:{_C_NAN}|{_C_INFINITY}|0{{0,40}}(?:nan|inf(?:inity)?){_FILL})"
_NAN = re.compile(rf"[-+]?(?:{_C_NAN}|0{{0,40}}nan{_FILL})", re.IGNORECASE)
_INFINITY = re.compile(rf"([-+]?)(?:{_C_INFINITY}|0{{0,40}}inf(?:inity)?{_FILL})", re.IGNORECASE)

_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
#: A number may be wrapped so many times: `tensor(np.float64(0.5))`.
_MAX_WRAPPERS = 4


def parse_number(text: str) -> float | None:
    """A number as logs spell it: `1.2`, `1e-3`, `NaN`, `-Infinity`, `1,125`, `1/438`, `np.float64(0.72)`, `tensor(3.)`.

    Also the NaN and infinities of C (`nan(0x7)`, `-nan(ind)`, `1.#QNAN`, `1.#INF`) and those that a width filled up (`nanxxx`). None
    where the text is not a number. `1,5` is not taken for 1.5: only groups of three digits are thousands.
    """
    text = text.strip()
    try:
        # int("1_000") and float("1_0") are Python's reading, not a log's.
        return float(text) if "_" not in text else None
    except ValueError:
        pass
    if (spelled := _nonfinite(text)) is not None:
        return spelled
    for prefix in ("np.float64(", "np.float32(", "numpy.float64(", "np.int64(", "tensor("):
        if text.startswith(prefix):
            inner = text[len(prefix) :].split(")", 1)[0].split(", device", 1)[0].split(", grad_fn", 1)[0]
            return parse_number(inner) if inner.count("(") < _MAX_WRAPPERS else None
    if "/" in text:
        head, _, tail = text.partition("/")
        return parse_number(head) if head.strip().isdigit() and tail.strip().isdigit() else None
    return float(text.replace(",", "")) if "," in text and _GROUPED.fullmatch(text) else None


def _nonfinite(text: str) -> float | None:
    """The NaN or infinity that is spelt in a way that Python does not read."""
    if _NAN.fullmatch(text):
        return math.nan
    infinity = _INFINITY.fullmatch(text)
    if infinity is None:
        return None
    return -math.inf if infinity[1] == "-" else math.inf


def as_float(value: object) -> float | None:
    """A JSON value as a number: numbers, and text that holds one; None for everything else (a bool is not a number)."""
    if type(value) is float:  # the rule
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:  # an integer beyond the range of float64
            return float("inf") if value > 0 else float("-inf")
    return parse_number(value) if isinstance(value, str) else None


def values_of_list(name: str, value: Sequence[object]) -> Iterator[tuple[str, float | None, bool]]:
    """What a list under that name holds: `lr/0`, `lr/1`, ... of the learning rates of several groups of parameters.

    Each comes with its number and whether it was written as text. In place of what cannot be read under a name that
    means a loss, a norm or a rate comes None; other lists are not measurements.
    """
    from gradlens.vocabulary import is_measure, rank_of

    if rank_of("lr", name) is not None and len(value) <= _MAX_GROUPS:
        for place, item in enumerate(value):
            number = as_float(item)
            if number is not None or not (item is None or isinstance(item, bool)):
                yield f"{name}/{place}", number, isinstance(item, str)
    elif value and is_measure(name):
        yield name, None, False


def load_json(text: str, book: NoticeBook | None = None, where: str = "") -> object:
    """A JSON document, with the tokens NaN and Infinity.

    Of a key that an object repeats the last value counts, as everywhere in Python; `book` takes a notice of it.

    Raises
    ------
    ValueError
        Not JSON, or nested too deeply to be a log.
    """
    try:
        if book is None:
            return json.loads(text)

        def tell(keys: list[str]) -> None:
            book.add(REPEATED_KEY, told_repeated(keys), where)

        return json.loads(text, object_pairs_hook=telling_repeated(tell))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


REPEATED_KEY = "repeated-key"


def telling_repeated(tell: Callable[[list[str]], object]) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """For `json.loads`: makes the dict of an object, and tells its keys where one stands in it twice."""

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            tell([key for key, _ in pairs])
        return record

    return made


def told_repeated(keys: Iterable[str]) -> str:
    """What to say of a record with these keys, some of which are the same."""
    first = next((key for key, count in Counter(keys).items() if count > 1), "")
    return f"records in which a key stands twice: the last value counts (first: {first})"


def csv_rows(text: str, book: NoticeBook) -> Iterator[list[str]]:
    """The rows of comma-separated text, one per line, without those that the csv module refuses."""
    for number, line in enumerate(text.replace("\0", "").splitlines(), 1):
        try:
            yield from csv.reader([line])
        except csv.Error as error:
            book.add("malformed-record", f"not a row of the table, skipped: {error}", f"line {number}")


def is_number(value: object) -> bool:
    """Whether a JSON value is a number (a bool is not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class TableBuilder:
    """Collects rows of changing keys into `Column`s, for readers that parse record by record.

    Arrays of numbers take a fifth of the memory of lists; the rows of a column are kept from the first one on that
    lacks it.
    """

    def __init__(self) -> None:
        self.n_rows = 0
        self._values: dict[str, array[float]] = {}
        self._rows: dict[str, array[int]] = {}

    def add(self, row: Mapping[str, float]) -> None:
        """Append one row."""
        n_rows, rows = self.n_rows, self._rows
        for name, value in row.items():
            values = self._values.get(name)
            if values is None:
                values = self._values[name] = array("d")
            if name in rows:
                rows[name].append(n_rows)
            elif len(values) < n_rows:
                rows[name] = array("q", range(len(values)))
                rows[name].append(n_rows)
            values.append(value)
        self.n_rows = n_rows + 1

    def columns(self) -> tuple[Column, ...]:
        """The columns in the order in which their names first came."""
        return tuple(
            Column(
                name=name,
                value=np.array(values, dtype=np.float64),
                row=None if len(values) == self.n_rows else self._rows_of(name),
            )
            for name, values in self._values.items()
        )

    def _rows_of(self, name: str) -> NDArray[np.int64]:
        rows = self._rows.get(name)
        return np.arange(len(self._values[name])) if rows is None else np.array(rows, dtype=np.int64)
