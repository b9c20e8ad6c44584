"""Console logs: whatever trainers print, by the table of `grammars.py`, and what no grammar knows by `general.py`."""

from __future__ import annotations

import bisect
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from gradlens import vocabulary
from gradlens.errors import NoTrainingSeriesError
from gradlens.readers.base import Column, NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.console.fields import pattern_of
from gradlens.readers.console.general import GUESS, GeneralParser
from gradlens.readers.console.grammar import Grammar
from gradlens.readers.console.grammars import GRAMMARS
from gradlens.readers.console.parts import ConsoleText, open_log
from gradlens.readers.console.records import RecordParser
from gradlens.readers.console.settings import MAX_CHARS, settings_in
from gradlens.readers.console.table import Records
from gradlens.readers.console.text import clean
from gradlens.readers.console.words import Words
from gradlens.run import Notice
from gradlens.sources.files import HEAD_BYTES, Source

_PROBE_BYTES = 1 << 22
_DOCUMENT = re.compile(rb'(?:\xef\xbb\xbf)?\s*[\[{]\s*["\[{]')
_HAS_NUMBER = re.compile(rb"\d|nan|inf", re.IGNORECASE)
#: The general reader is preferred if it finds this many times the losses and norms of a grammar that is not a trainer's own.
MUCH_MORE = 2
#: A step and the number of all steps behind it, and how far behind the begin of a record they stand at most.
_COUNT = re.compile(r"(?<![\d.,/])(?P<step>\d[\d,]{0,18})\s{0,4}/\s{0,8}(?P<total>\d[\d,]{0,18})(?![\d.,/])")
_NEAR = 200
Parser = RecordParser | GeneralParser


class ConsoleReader(Reader):
    """Whatever a trainer printed, by the grammars below, launcher noise and progress bars included."""

    name = "console"
    settings_in = "argument tables, namespaces, YAML, JSON and command lines in front"
    #: What is tried before the general reader.
    grammars: ClassVar[tuple[Grammar, ...]] = GRAMMARS

    def sniff(self, source: Source) -> float:
        if b"\0" in source.head[:4096].strip(b"\0") and source.head[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
            return 0.0
        if len(source.head) >= HEAD_BYTES and b"\n" not in source.head and _DOCUMENT.match(source.head):
            return 0.0  # a JSON document on one line, over which each pattern would go
        if len(source.head) < HEAD_BYTES and not _HAS_NUMBER.search(source.head):
            return 0.0  # a folder of notes would take a millisecond for each
        text = clean(source.head_text)
        best = _best((text,), _present(text, self.grammars))
        if (best is None or (best.grammar is GUESS and not best.weight)) and len(source.head) >= 1 << 16:
            with source.open() as handle:
                best = _best(ConsoleText(io.BytesIO(handle.read(_PROBE_BYTES))), self.grammars)
        if best is None or not len(best.records):
            return 0.0
        if best.grammar is GUESS and source.head_text.lstrip().startswith(('{"', "[{")):
            return 0.0  # what readers of JSON made nothing of is not to be guessed at
        return (0.8, 0.45, 0.3 if best.weight else 0.15)[best.grammar.tier]

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options  # every field is parsed to find the record's end: nothing to gain from leaving some out
        (source,) = sources
        with open_log(source) as handle:
            text = ConsoleText(handle, source.name)
            choose = _best_of_long if text.n_bytes > 2 * _PROBE_BYTES else _best
            best = choose(text, self.grammars)
            if best is None or not len(best.records):
                raise NoTrainingSeriesError(
                    f"{source.name}: no line looks like a training record",
                    hint="run `gradlens formats` for the supported console formats",
                )
            return list(_runs(text, best))


def _best(text: Iterable[str], grammars: Sequence[Grammar]) -> Parser | None:
    """The grammar of the lowest tier that finds losses or norms; within a tier the one that finds most.

    What is not a trainer's own (summaries, bars, any line with a loss) gives way to the general reader where that finds
    several times as much: the objects of an evaluation do not stand for the lines of the training around them.
    """
    found: list[Parser] = []
    for tier in (0, 1):
        parsed = _parse(text, [grammar for grammar in grammars if grammar.tier == tier])
        found += (p for p in parsed if len(p.records) >= p.grammar.least)
        useful = [p for p in found if p.weight]
        if useful:
            best = max(useful, key=lambda p: p.weight)
            if tier:
                (general,) = _parse(text, [GUESS])
                best = general if general.weight > MUCH_MORE * best.weight else best
            return best
    (general,) = _parse(text, [GUESS])
    return general if general.weight or not found else max(found, key=lambda p: len(p.records))


def _present(text: str, grammars: Sequence[Grammar]) -> list[Grammar]:
    """The grammars of which a record begins in a text: setting up a parser for each of them costs more than a short text."""
    return [g for g in grammars if any(pattern_of(line.pattern).search(text) for line in g.lines)]


def _best_of_long(text: ConsoleText, grammars: Sequence[Grammar]) -> Parser | None:
    """The grammar that is best on the start, the middle and the end of a long log, applied to all of it."""
    probed = _best(text.probe(_PROBE_BYTES // 4), grammars)
    if probed is None or not probed.weight:
        return _best(text, grammars)
    (parsed,) = _parse(text, [probed.grammar])
    return parsed


def _parse(text: Iterable[str], grammars: Iterable[Grammar]) -> list[Parser]:
    """What each grammar finds in a text, whose parts are gone over once."""
    parsers: list[Parser] = [GeneralParser() if grammar is GUESS else RecordParser(grammar) for grammar in grammars]
    words = Words()
    for part in text:
        words.feed(part)
        for parser in parsers:
            parser.feed(part)
    for parser in parsers:
        parser.finish()
        last = parser.records.starts[-1] if len(parser.records) else -1
        for notice in words.notices(last):
            parser.book.take(notice)
    return parsers


def _runs(text: ConsoleText, parsed: Parser) -> Iterator[RawRun]:
    parts = _split(parsed)
    for name, first, after, begin in parts:
        _go_on_counting(parsed.records, first, after, parsed.book)
        steps = parsed.records.steps(first, after)
        columns = parsed.records.columns(first, after, steps)
        roles = _fixed_roles(parsed.grammar, columns)
        yield RawRun(
            name=name if len(parts) > 1 else "",
            columns=columns,
            n_rows=after - first,
            config=_horizon(text, parsed.records, first, after - 1)
            | _settings(text, begin, parsed.records.starts[first]),
            notices=(*parsed.book.notices(), *_beside(parsed.grammar, columns, roles)),
            step_column="step" if len(steps.value) else None,
            norm_facts=parsed.grammar.facts,
            roles=roles,
        )


def _fixed_roles(grammar: Grammar, columns: Iterable[Column]) -> dict[str, str]:
    """Of each role that the trainer fixes the first column that the log has."""
    names = {column.name for column in columns}
    roles: dict[str, str] = {}
    for role, name in grammar.roles:
        if name in names:
            roles.setdefault(role, name)
    return roles


def _beside(grammar: Grammar, columns: Iterable[Column], roles: dict[str, str]) -> Iterator[Notice]:
    """The notice about other losses that a trainer prints beside the one that is taken."""
    known = {name for role, name in grammar.roles if role == "loss"}
    taken = roles.get("loss")
    others = [c.name for c in columns if c.name != taken and (c.name in known or vocabulary.is_loss(c.name))]
    if taken is not None and others:
        shown = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        message = f"of the losses that {grammar.name} prints {taken} was taken, beside {shown} (--loss takes another)"
        yield Notice(code="component-loss", message=message, count=len(others))


def _settings(text: ConsoleText, begin: int, end: int) -> dict[str, str]:
    """The settings dumped between two places of a log."""
    begin = max(begin, end - MAX_CHARS)
    part, place = text.around(begin, end)
    return settings_in(part, begin - place, end - place)


def _horizon(text: ConsoleText, records: Records, first: int, last: int) -> dict[str, str]:
    """The number of steps of the whole training, where the first and the last record print it behind their step: `1200/ 286102`."""
    totals = set()
    for row in {first, last}:
        at, step = records.starts[row], records.step(row)
        part, place = text.around(at, at + _NEAR)
        counts = (_COUNT.finditer(part, at - place, at - place + _NEAR)) if step is not None else ()
        totals.add(next((m["total"] for m in counts if float(m["step"].replace(",", "")) == step), None))
    total = totals.pop()
    return {"total_steps": total.replace(",", "")} if not totals and total is not None else {}


def _go_on_counting(records: Records, first: int, after: int, book: NoticeBook) -> None:
    """Give steps to records whose counter restarts with each epoch: on from the last count of the epoch before."""
    offset, before, last = 0.0, None, 0.0
    for row, epoch, count in list(records.counters(first, after)):
        if before is not None and epoch > before and count <= last:
            offset += last
            book.add(
                "epoch-counter",
                "the counter restarts with each epoch and was made continuous; the last logged "
                "count stands for the length of an epoch",
            )
        before, last = epoch, count
        records.place(row, offset + last)


def _split(parsed: Parser) -> list[tuple[str, int, int, int]]:
    """The runs of a log that several starts were appended to.

    For each its name, its first record, the one after its last, and where the part of the text before it begins.
    """
    grammar, records, places = parsed.grammar, parsed.records, parsed.marks
    cuts = {0: 1}
    for number, place in enumerate(places, 1):
        at = bisect.bisect_left(records.starts, place)
        if at == 0 or grammar.new_run is not None or (at < len(records) and _falls(records, at)):
            cuts[at] = number
    edges = sorted(cuts)
    parts = []
    for first, after in zip(edges, [*edges[1:], len(records)], strict=True):
        if first < after:
            name = f"start {cuts[first]} of {len(places)}"
            # The settings of a start are dumped after the mark of the start before.
            begin = places[cuts[first] - 2] if cuts[first] > 1 else 0
            parts.append((name, first, after, begin))
    if len(parts) > 1:
        parsed.book.add(
            "several-starts",
            f"{len(places)} starts in one log, {len(parts)} of them with records: each is a separate run",
            count=len(places),
        )
    return parts


def _falls(records: Records, at: int) -> bool:
    before, after = records.step(at - 1), records.step(at)
    return before is not None and after is not None and after <= before
