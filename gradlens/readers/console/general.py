"""The general reader of consoles: what repeats in the lines of a log that no grammar knows.

A trainer prints the same words around other numbers repeatedly. Lines are grouped by their words; the text beside
each number names it (`labels.py`); words that come at least three times are records, the others are settings, banners and
prose. A record may be one line or a block of lines: it ends where one of its names would come a second time. What was
found is a guess, and a notice says so.
"""

from __future__ import annotations

import itertools
import math
import re
from array import array
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradlens import vocabulary
from gradlens.readers.base import NoticeBook, parse_number
from gradlens.readers.console.grammar import Grammar
from gradlens.readers.console.labels import NUMBER, cells_of, header_of, is_counter, slots_of
from gradlens.readers.console.table import Records
from gradlens.readers.console.text import LAUNCHER, number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Lines whose words occur this often are records.
MIN_TIMES = 3
#: Lines without a loss or a norm belong to records if they come as often as this share of those with one.
MIN_SHARE = 0.01
#: Share of the distances between steps that rise where something counts; the others are new starts.
MOSTLY = 0.5
#: The same where it is to count without a name that says so.
EVENLY = 0.9
#: So many lines with a loss or a norm say how far apart blocks stand.
_LOOK = 50
#: Longer lines are data, not something to read; words of more kinds than this are prose.
_MAX_CHARS, _MAX_PLANS = 20_000, 20_000
#: A header stands so close above the first row of its table.
_HEADER_REACH = 3
_OF = " (of)"
_BARE = re.compile(r"\[\d+\]:? ?")
#: A bar that has not come to its end shows running means, which the whole bar repeats.
_BAR, _WHOLE_BAR = "%|", "100%|"
#: A bar as Keras draws it, `12/391 ━━━━ 3s 8ms/step`, `12/391 [>....]`.
_KERAS_BAR = re.compile(r"^\s*(\d+)/(\d+) (?:━{4}|\[[=>.]{4})")
#: Tables of `rich` and others are drawn with lines of their own.
_DRAWN = str.maketrans("│┃║", "|||")
#: A line that `rich` wrapped: behind it the place in the source, below it lines that begin where its text does.
_WRAPPED = re.compile(
    r"^(?:\[[^\]\n]{5,25}\]|[ ]{10,25})? {0,4}(?:INFO|WARNING|DEBUG|ERROR) {1,5}\S[^\n]*?(?P<source>\s{2,}[\w.]+\.py:\d+[^\S\n]*)"
    r"(?P<rest>(?:\n {11,}\S[^\n]*)+)",
    re.MULTILINE,
)
GUESS = Grammar(name="guess", lines=(), tier=2)


class _Plan(NamedTuple):
    """What to take of lines with the same words: names, and by name the number's place and its factor."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    factors: tuple[float, ...] | None


class GeneralParser:
    """Finds records in a text that comes in parts, as `RecordParser` does for a grammar."""

    grammar = GUESS

    def __init__(self) -> None:
        self.records, self.book, self.marks = Records(), NoticeBook(), array("q")
        self._plans: dict[tuple[str, ...], _Plan | None] = {}
        self._kinds: dict[tuple[str, ...], int] = {}
        #: Of each line that holds named numbers: its names, where it begins, and its values one after the other.
        self._kind, self._start, self._values = array("l"), array("q"), array("d")
        self._place = 0
        self._header: tuple[str, ...] = ()
        self._header_age, self._header_holds = 0, False

    @property
    def weight(self) -> int:
        """How many losses and norms were found."""
        return sum(n for names, n in self.records.fields.counts() for name in names if vocabulary.is_core(name))

    def feed(self, part: str) -> None:
        """Take the next part of the text, which ends where a line does."""
        if ".py:" in part:
            part = _WRAPPED.sub(_unwrapped, part)
        for line in part.translate(_DRAWN).split("\n"):
            if line and len(line) <= _MAX_CHARS:
                self._line(line)
            self._place += len(line) + 1
        self._place -= 1

    def _line(self, line: str) -> None:
        parts = NUMBER.split(line)
        if len(parts) == 1:
            names = header_of(line)
            self._header_age += 1
            if names:
                self._header, self._header_age, self._header_holds = names, 0, False
            return
        key = tuple(parts)
        if key in self._plans:
            plan = self._plans[key]
        else:
            if len(self._plans) > _MAX_PLANS:
                return
            plan = self._plans[key] = _plan(LAUNCHER.sub(_hidden, line))
        bar = _KERAS_BAR.match(line)
        if bar is not None and bar[1] != bar[2]:
            self.book.add("unfinished-bar", "rows of bars that had not come to their end, left out")
            return
        if plan is None or (self._header and all(map(_is_bare, plan.names))):
            self._row(line, plan)
            return
        numbers = NUMBER.findall(line)
        values = [_number(numbers[place]) for place in plan.places]
        if plan.factors is not None:
            values = [value * factor for value, factor in zip(values, plan.factors, strict=True)]
        self._keep(plan.names, values)

    def _row(self, line: str, plan: _Plan | None) -> None:
        """Take a row of a table below its header, or bare numbers by their place."""
        self._header_age += 1
        if _BAR in line and _WHOLE_BAR not in line:
            self.book.add("unfinished-bar", "rows of bars that had not come to their end, left out")
            return
        if self._header and (self._header_holds or self._header_age <= _HEADER_REACH):
            cells = cells_of(line, len(self._header))
            numbers = [number_of(cell) for cell in cells]
            if cells and sum(n is not None for n in numbers) >= 2:
                self._header_holds = True
                found = [(n, v) for n, v in zip(self._header, numbers, strict=True) if v is not None]
                self._keep(tuple(n for n, _ in found), [v for _, v in found])
                return
        if plan is not None:
            self._keep(plan.names, [_number(NUMBER.findall(line)[place]) for place in plan.places])

    def _keep(self, names: tuple[str, ...], values: list[float]) -> None:
        self._kind.append(self._kinds.setdefault(names, len(self._kinds)))
        self._start.append(self._place)
        self._values.fromlist(values)

    def finish(self) -> None:
        """Tell records from settings and prose, and put the lines of a record together."""
        kinds = list(self._kinds)
        times = Counter(self._kind)
        by_name: Counter[str] = Counter()
        for kind, n in times.items():
            by_name.update(dict.fromkeys(kinds[kind], n))
        sure = {name for names in kinds if len(names) > MIN_TIMES and any(map(is_counter, names)) for name in names}
        core = {name for name, n in by_name.items() if n >= MIN_TIMES - (name in sure) and vocabulary.is_core(name)}
        if not core:
            core = {
                n
                for n, times in by_name.items()
                if times >= MIN_TIMES and vocabulary.rank_of("perplexity", n) is not None
            }
        if not core:
            core = {
                name for name, n in by_name.items() if n >= MIN_TIMES and vocabulary.is_core(name.removeprefix("val/"))
            }
        self._assemble(kinds, self._lines_of_records(kinds, core), core)
        self._place_steps(core)
        n_core = sum(n for name, n in by_name.items() if name in core)
        if len(self.records):
            shown = ", ".join(sorted(core)[:4])
            self.book.add(
                "guessed-console",
                "no known trainer prints such lines: what repeats in them was taken, and the names are the text beside the "
                f"numbers{f' ({shown}: {n_core} values)' if core else ''}",
                count=len(self.records),
            )

    def _lines_of_records(self, kinds: list[tuple[str, ...]], core: set[str]) -> NDArray[np.bool_]:
        """Which lines belong to records: those with a loss or a norm, and what repeats between them."""
        kind = np.frombuffer(self._kind, np.dtype(f"i{self._kind.itemsize}")) if self._kind else np.empty(0, np.int64)
        has_core = np.array([not core.isdisjoint(names) for names in kinds], np.bool_)[kind] if len(kinds) else kind > 0
        at = np.flatnonzero(has_core)
        if not len(at):
            kept: NDArray[np.bool_] = np.bincount(kind, minlength=len(kinds))[kind] >= MIN_TIMES
            return kept
        # A block may begin above its first loss and end below its last one, by no more than another block does.
        reach = int(np.max(np.diff(at[:_LOOK]))) if len(at) > 1 else len(kind)
        first, after = max(0, int(at[0]) - reach), min(len(kind), int(at[-1]) + reach)
        inside = np.zeros(len(kind), np.bool_)
        inside[first:after] = True
        times = np.bincount(kind[inside], minlength=len(kinds))
        return has_core | (inside & (times >= max(MIN_TIMES, int(MIN_SHARE * len(at))))[kind])

    def _assemble(self, kinds: list[tuple[str, ...]], is_kept: NDArray[np.bool_], core: set[str]) -> None:
        row: dict[str, float] = {}
        start = at = 0
        counters = {name for names in kinds for name in names if is_counter(name)}
        for kind, begin, is_in in zip(self._kind, self._start, is_kept.tolist(), strict=True):
            names = kinds[kind]
            values = self._values[at : at + len(names)]
            at += len(names)
            if not is_in:
                continue
            if row and any(n in row and (n not in counters or row[n] != v) for n, v in zip(names, values, strict=True)):
                self._close(start, row, core)
                row = {}
            if not row:
                start = begin
            row.update(zip(names, values, strict=True))
        self._close(start, row, core)

    def _close(self, start: int, row: dict[str, float], core: set[str]) -> None:
        # Without a loss or a norm anywhere every record counts: the user may name a column.
        if row and (not core or any(not is_counter(name) for name in row)):
            self.records.add(start, tuple(row), list(row.values()), None, None)

    def _place_steps(self, core: set[str]) -> None:
        """Steps from epoch and batch where the length of an epoch is printed, or from a bare counter in front."""
        n = len(self.records)
        columns = {c.name: c for c in self.records.columns(0, n, self.records.steps(0, 0))}
        is_core = np.zeros(n, np.bool_)
        for column in (c for c in columns.values() if c.name in core):
            is_core[slice(None) if column.row is None else column.row] = True

        def dense(name: str) -> NDArray[np.float64]:
            full = np.full(n, np.nan)
            full[slice(None) if columns[name].row is None else columns[name].row] = columns[name].value
            return np.where(is_core, full, np.nan) if core else full

        counted = [name.removesuffix(_OF) for name in columns if name.endswith(_OF)]
        counted = [name for name in counted if name in columns]
        # An epoch by its name, or the count before the last one: `Train: [0/300][20/1251]`.
        epochs = [e for e in columns if vocabulary.rank_of("epoch", e) is not None]
        pairs = [(e, c) for e in epochs for c in counted] or list(itertools.combinations(counted, 2))
        for epoch, counter in pairs:
            steps = None if epoch == counter else steps_of_epochs(dense(epoch), dense(counter), dense(counter + _OF))
            if steps is not None:
                self.records.place_all(np.nan_to_num(steps), np.isfinite(steps))
                return
        counters = {name for name in columns if is_counter(name) and vocabulary.rank_of("epoch", name) is None}
        if "#1" in columns and not counters and _rises(dense("#1"), MOSTLY):
            steps = dense("#1")
            self.records.place_all(np.nan_to_num(steps), np.isfinite(steps))
            return
        # A count that is printed with its total is the loop's own, other counts may be those of samples or frames.
        own = [name for name in counted if name in counters and _rises(dense(name), EVENLY)]
        if any(_is_plain_step(name) for name in counters):
            return
        if not own and not any(_rises(dense(name), MOSTLY) for name in counters):
            own = [name for name in columns if name not in core and _is_even(dense(name))][:1]
            if own:
                message = f"no name says what counts the steps: {own[0]!r}, which rises evenly, was taken"
                self.book.add("step-chosen", message, count=n)
        if own:
            steps = dense(own[0])
            self.records.place_all(np.nan_to_num(steps), np.isfinite(steps))


def _is_plain_step(name: str) -> bool:
    """Whether a name means the steps of the loop, and not those of an environment."""
    rank, first = vocabulary.rank_of("step", name), vocabulary.rank_of("step", "time_total_timesteps")
    return rank is not None and first is not None and rank < first


def _rises(values: NDArray[np.float64], share: float) -> bool:
    """Whether whole numbers rise over more than this share of their distances."""
    known = values[np.isfinite(values)]
    return len(known) > 1 and np.array_equal(known, np.floor(known)) and bool(np.mean(np.diff(known) > 0) > share)


def _is_even(values: NDArray[np.float64]) -> bool:
    """Whether whole numbers rise by the same amount nearly throughout, as a count does and a measurement does not."""
    change = np.diff(values[np.isfinite(values)])
    return len(change) >= MIN_TIMES and _rises(values, EVENLY) and bool(np.mean(change == np.median(change)) > EVENLY)


def steps_of_epochs(
    epoch: NDArray[np.float64], count: NDArray[np.float64], length: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Epoch times length plus count, float64[n], or None where these three do not count like that.

    The count restarts with each epoch and never passes the length, which is the same throughout.
    """
    known = np.isfinite(epoch) & np.isfinite(count) & np.isfinite(length)
    if not known.any() or len(np.unique(length[known])) > 1 or np.max(count[known]) > length[known][0]:
        return None
    if len(np.unique(count[known])) == 1:
        return None  # it does not count
    steps: NDArray[np.float64] = (epoch - np.min(epoch[known])) * length + count
    rises = np.diff(steps[known]) >= 0
    if (
        np.min(epoch[known]) == np.max(epoch[known])
        or np.all(np.diff(count[known]) > 0)
        or not len(rises)
        or np.mean(rises) < MOSTLY
    ):
        return None
    return steps


def _unwrapped(lines: re.Match[str]) -> str:
    """The lines as one, of the same length, without the place in the source."""
    begin, end = (at - lines.start() for at in lines.span("source"))
    text = lines[0]
    return text[:begin] + " " * (end - begin) + text[end:].replace("\n", " ")


def _hidden(prefix: re.Match[str]) -> str:
    """What a launcher put in front, out of sight; a bare number in brackets may count steps."""
    return prefix[0] if _BARE.fullmatch(prefix[0]) else "~" * len(prefix[0])


#: Detection and reading meet the same lines.
@lru_cache(maxsize=256)
def _plan(line: str) -> _Plan | None:
    slots = slots_of(line)
    if not slots:
        return None
    names, places, factors = [], [], []
    for slot in slots:
        names.append(slot.name)
        places.append(slot.place)
        factors.append(slot.factor)
        if slot.total >= 0:
            names.append(slot.name + _OF)
            places.append(slot.total)
            factors.append(1.0)
    if len(set(names)) < len(names):
        return None
    return _Plan(tuple(names), tuple(places), tuple(factors) if any(f != 1.0 for f in factors) else None)


def _number(token: str) -> float:
    try:
        return float(token)
    except ValueError:
        number = parse_number(token.replace(",", ""))
        return math.nan if number is None else number


def _is_bare(name: str) -> bool:
    return name.startswith("#") or name == "batch" or name.endswith(_OF)
