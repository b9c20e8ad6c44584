"""Console logs: whatever trainers print, by the table of `grammars.py`."""

from __future__ import annotations

import bisect
import heapq
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from gradlens import vocabulary
from gradlens.errors import NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.console_settings import settings_in
from gradlens.readers.console_shapes import Cutter
from gradlens.readers.console_table import Record, columns_of
from gradlens.readers.console_text import LAUNCHER, clean, decode, json_fields, number_of
from gradlens.readers.grammars import GRAMMARS, Fields, Grammar, Line, compiled
from gradlens.source import Source

_BAR = re.compile(r"(?<!\d)(\d{1,12})/(\d{1,12}) \[")
_CONTINUES = re.compile(r"^(?!\s*(?:validation|time|-{3}|\[|```|iteration\s+\d+\s*/))[^\n|]{0,80}\|")
_PROBE_BYTES = 1 << 22
#: Groups of a pattern that are no fields.
_PLACING = frozenset({"step", "epoch", "iter", "iters"})


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return compiled(text)


@dataclass(slots=True)
class _Parsed:
    grammar: Grammar
    records: list[Record]
    book: NoticeBook = field(default_factory=NoticeBook)

    @property
    def weight(self) -> int:
        """How many losses and norms were found: what decides between grammars."""
        counts: Counter[tuple[str, ...]] = Counter()
        for record in self.records:
            counts[record.names] += 1
        return sum(
            n
            for names, n in counts.items()
            for name in names
            if vocabulary.rank_of("loss", name) is not None or vocabulary.rank_of("grad_norm", name) is not None
        )


class ConsoleReader(Reader):
    """Text that a trainer printed, launcher noise and progress bars included."""

    name = "console"

    def sniff(self, source: Source) -> float:
        if b"\0" in source.head[:4096].strip(b"\0") and source.head[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
            return 0.0
        best = _best(clean(source.head_text))
        if best is None and len(source.head) >= 1 << 16:
            with source.open() as handle:
                best = _best(clean(handle.read(_PROBE_BYTES).decode("utf-8", errors="replace")))
        if best is None:
            return 0.0
        return (0.8, 0.45, 0.3)[best.grammar.tier]

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options  # every field is parsed to find the record's end: nothing to gain from leaving some out
        (source,) = sources
        text = clean(decode(source.read_bytes()))
        best = _best_of_long(text) if len(text) > 2 * _PROBE_BYTES else _best(text)
        if best is None:
            raise NoTrainingSeriesError(
                f"{source.name}: no line that looks like a training record",
                hint="the console formats that are known are listed by `gradlens formats`",
            )
        _count_other_lines(text, best)
        return list(_runs(text, best))


def _best(text: str) -> _Parsed | None:
    """The grammar of the lowest tier that finds losses or norms; within a tier the one that finds most."""
    found: list[_Parsed] = []
    for tier in (0, 1, 2):
        for grammar in GRAMMARS:
            if grammar.tier == tier:
                parsed = _parse(text, grammar)
                if len(parsed.records) >= grammar.least:
                    found.append(parsed)
        useful = [p for p in found if p.weight]
        if useful:
            return max(useful, key=lambda p: p.weight)
    return max(found, key=lambda p: len(p.records), default=None)


def _best_of_long(text: str) -> _Parsed | None:
    """The grammar that is best on the start, the middle and the end of a long log, applied to all of it."""
    third, middle = _PROBE_BYTES // 4, len(text) // 2
    probed = _best("\n".join((text[:third], text[middle : middle + third], text[-third:])))
    return _parse(text, probed.grammar) if probed is not None and probed.weight else _best(text)


def _parse(text: str, grammar: Grammar) -> _Parsed:
    parsed = _Parsed(grammar, [])
    rename, cutters = dict(grammar.rename), {id(line): Cutter(line.fields) for line in grammar.lines}
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    starts = heapq.merge(*(_begins(text, line) for line in grammar.lines), key=lambda begin: begin[0].start())
    for (match, line), limit in _with_limits(starts, len(text)):
        row = _row(text, match, line, limit, parsed.book, cutters[id(line)])
        if rename:
            row = {rename.get(k, k): v for k, v in row.items()}
        if not row:
            continue
        if "train_runtime" in row:
            # The summary at the end: its `train_loss` is a mean over the whole training.
            row = {f"final/{k}": v for k, v in row.items()}
        names = tuple(row)
        names = shared.setdefault(names, names)
        step, epoch = _step(match, line, row), _epoch(match)
        parsed.records.append(Record(match.start(), names, array("d", row.values()), step, epoch))
    if grammar.step_from_bar:
        _steps_from_bars(text, parsed)
    return parsed


def _begins(text: str, line: Line) -> Iterator[tuple[re.Match[str], Line]]:
    return ((match, line) for match in _pattern(line.pattern).finditer(text))


def _with_limits(
    begins: Iterable[tuple[re.Match[str], Line]], end: int
) -> Iterator[tuple[tuple[re.Match[str], Line], int]]:
    """Where records begin, and where the next one does."""
    before = None
    for begin in begins:
        if before is not None:
            yield before, begin[0].start()
        before = begin
    if before is not None:
        yield before, end


def _row(text: str, match: re.Match[str], line: Line, limit: int, book: NoticeBook, cutter: Cutter) -> dict[str, float]:
    """The fields of the record that begins with `match` and ends before `limit`."""
    row = {}
    for name in match.re.groupindex:
        if name not in _PLACING and (token := match[name]) is not None:
            value = number_of(token)
            if value is not None:
                row[name] = value
    if line.block is not None:
        row.update(_block_fields(text, match.end(), limit, line.block))
        return row
    if line.fields is Fields.NAMED:
        return row
    begin = match.end()
    end = text.find("\n", begin, limit)
    end = limit if end < 0 else end
    body = text[begin:end]
    if line.ends_with and not body.rstrip().endswith(line.ends_with):
        body = _unwrap(text, body, end, limit, line.ends_with, book)
    if line.fields is Fields.JSON:
        row.update(json_fields(body))
    else:
        found = cutter.cut(body.partition("}")[0] if line.fields is Fields.DICT else body, book)
        return row | found if row else found
    return row


def _block_fields(text: str, start: int, limit: int, block: str) -> Iterator[tuple[str, float]]:
    pattern, section, blanks = _pattern(block), "", 0
    at = start
    if at == 0 or text[at - 1] != "\n":
        at = text.find("\n", at, limit) + 1 or limit
    while at < limit:
        end = text.find("\n", at, limit)
        end = limit if end < 0 else end
        line = LAUNCHER.sub("", text[at:end])
        at = end + 1
        if not line.strip():
            blanks += 1
            if blanks > 1:
                return
            continue
        pairs = list(pattern.finditer(line))
        if not pairs:
            return
        for pair in pairs:
            if pair["key"] is None:
                continue
            key, token = pair["key"], pair["value"]
            if key.endswith("/") and not token:
                section = key  # Stable-Baselines3: a row that only names the section of the rows below
                continue
            value = number_of(token)
            if value is not None:
                yield f"{section}{key}", value


def _unwrap(text: str, body: str, end: int, limit: int, mark: str, book: NoticeBook) -> str:
    """A record that a terminal wrapped: following lines that carry on, up to the mark of the end."""
    joined, count = body.rstrip("\n"), 0
    while end + 1 < limit and count < 8:
        after = text.find("\n", end + 1, limit)
        after = limit if after < 0 else after
        following = LAUNCHER.sub("", text[end + 1 : after])
        if _CONTINUES.match(following) is None:
            break
        joined, end, count = joined + following, after, count + 1
        if joined.rstrip().endswith(mark):
            break
    if count:
        book.add("wrapped-record", "records wrapped over several lines were joined")
    return joined


def _step(match: re.Match[str], line: Line, row: Mapping[str, float]) -> float | None:
    if line.step_field is not None and line.step_field in row:
        return row[line.step_field]
    groups = match.re.groupindex
    if "global_step" in row and row["global_step"] == row["global_step"]:
        return row["global_step"]
    if "step" in groups and match["step"] is not None:
        return float(match["step"])
    if "iters" in groups and match["iters"] is not None:
        return float((int(match["epoch"]) - line.first_epoch) * int(match["iters"]) + int(match["iter"]))
    return None


def _epoch(match: re.Match[str]) -> tuple[int, int] | None:
    groups = match.re.groupindex
    if "epoch" not in groups or match["epoch"] is None or ("iters" in groups and match["iters"] is not None):
        return None
    return int(match["epoch"]), int(match["iter"])


def _steps_from_bars(text: str, parsed: _Parsed) -> None:
    """The step of records that print none: the count of the training's progress bar before them."""
    if any(vocabulary.choose("step", names) not in {None, "epoch"} for names in {r.names for r in parsed.records}):
        return
    bars = [(m.end(), int(m[1]), int(m[2])) for m in _BAR.finditer(text)] if " [" in text else []
    if not bars:
        return
    # Evaluation and tokenising have bars of their own: training's is the one that stands before the records.
    ends = [b[0] for b in bars]
    before = [bars[i - 1] for r in parsed.records if "loss" in r.names and (i := bisect.bisect_right(ends, r.start))]
    if not before:
        return
    total = Counter(b[2] for b in before).most_common(1)[0][0]
    own = [b for b in bars if b[2] == total]
    ends = [b[0] for b in own]
    for record in parsed.records:
        at = bisect.bisect_right(ends, record.start)
        record.step = float(own[at - 1][1]) if at else None
    parsed.book.add(
        "step-from-progress-bar",
        "the records print no step; it is the count of the progress bar before them",
        count=len(parsed.records),
    )


def _count_other_lines(text: str, best: _Parsed) -> None:
    # One search for each word is several times as fast as one for any of them.
    overflows = sum(map(text.count, ("OVERFLOW!", "Overflow detected", "overflow detected", "Gradient overflow.")))
    if overflows:
        best.book.add("overflow-lines", "lines that report an overflow and a skipped step", count=overflows)


def _runs(text: str, parsed: _Parsed) -> Iterator[RawRun]:
    parts = _split(text, parsed)
    for name, records, begin in parts:
        steps = _placed(records, parsed.book)
        placed = any(s is not None for s in steps)
        yield RawRun(
            name=name if len(parts) > 1 else "",
            columns=columns_of(records, steps),
            n_rows=len(records),
            config=settings_in(text, begin, records[0].start if records else len(text)),
            notices=parsed.book.notices(),
            step_column="step" if placed else None,
            norm_facts=parsed.grammar.facts,
        )


def _placed(records: Sequence[Record], book: NoticeBook) -> list[float | None]:
    """Steps of the records; a counter that restarts with each epoch goes on from the last count of the epoch before."""
    steps: list[float | None] = []
    offset, epoch, last = 0, None, 0
    for record in records:
        if record.step is None and record.epoch is not None:
            if epoch is not None and record.epoch[0] > epoch:
                offset += last
                book.add(
                    "epoch-counter",
                    "the counter restarts with each epoch and was made to go on; the last logged "
                    "count stands for the length of an epoch",
                )
            epoch, last = record.epoch
            steps.append(float(offset + last))
        else:
            steps.append(record.step)
    return steps


def _split(text: str, parsed: _Parsed) -> list[tuple[str, list[Record], int]]:
    """The runs of a log that several starts were appended to: name, records, where the part before the run begins."""
    grammar, records = parsed.grammar, parsed.records
    mark = grammar.new_run or grammar.restart
    places = [m.start() for m in _pattern(mark).finditer(text)] if mark else []
    starts = [r.start for r in records]
    cuts = {0: 1}
    for number, place in enumerate(places, 1):
        at = bisect.bisect_left(starts, place)
        if at == 0 or grammar.new_run is not None or (at < len(records) and _falls(records, at)):
            cuts[at] = number
    edges = sorted(cuts)
    parts = []
    for first, after in zip(edges, [*edges[1:], len(records)], strict=True):
        if first < after:
            name = f"start {cuts[first]} of {len(places)}"
            # The settings of a start are dumped after the mark of the start before.
            begin = places[cuts[first] - 2] if cuts[first] > 1 else 0
            parts.append((name, records[first:after], begin))
    if len(parts) > 1:
        parsed.book.add(
            "several-starts",
            f"{len(places)} starts in one log, {len(parts)} of them with records: each is a run of its own",
            count=len(places),
        )
    return parts


def _falls(records: Sequence[Record], at: int) -> bool:
    before, after = records[at - 1].step, records[at].step
    return before is not None and after is not None and after <= before
