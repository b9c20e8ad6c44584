"""The records of one grammar in a console log that comes in parts; a record may go on in the next part."""

from __future__ import annotations

import heapq
import itertools
from array import array
from typing import TYPE_CHECKING

from gradlens import vocabulary
from gradlens.readers.base import NoticeBook
from gradlens.readers.console.bars import ProgressBars
from gradlens.readers.console.fields import RecordKind, pattern_of
from gradlens.readers.console.table import Records

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

    from gradlens.readers.console.grammar import Grammar

#: This much of a text without records is searched again with the next part, for what began on its last lines.
_TAIL = 1 << 14
#: A record waits for the next one to begin, or for this much text without one.
_PATIENCE = 1 << 18


class RecordParser:
    """Finds the records, and the marks of starts, in a text that comes in parts.

    The last record of a part waits for the next part: where a record ends is known when the next one begins.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.records, self.book = Records(), NoticeBook()
        #: The places of the marks of starts.
        self.marks = array("q")
        self._kinds = [RecordKind(line) for line in grammar.lines]
        self._rename = dict(grammar.rename)
        mark = grammar.new_run or grammar.restart
        self._mark = pattern_of(mark) if mark else None
        self._bars = ProgressBars() if grammar.step_from_bar else None
        #: The records that were found since bars were last looked for: where, and whether they hold a loss.
        self._fresh: list[tuple[int, bool]] = []
        #: The text not yet processed, where it begins, and the parts after it.
        self._rest, self._offset, self._parts = "", 0, list[str]()
        #: The place before which everything was found, and those behind the last finding of each pattern.
        self._done = 0
        self._free: dict[re.Pattern[str], int] = {}

    @property
    def weight(self) -> int:
        """How many losses and norms were found: what decides between grammars."""
        fixed = {name for role, name in self.grammar.roles if role in {"loss", "grad_norm"}}
        return sum(
            n
            for names, n in self.records.fields.counts()
            for name in names
            if name in fixed or vocabulary.is_core(name)
        )

    def feed(self, part: str) -> None:
        """Take the next part of the text, which ends where a line does."""
        self._parts.append(part)
        # A record of many parts is not to be searched again with each of them.
        if sum(map(len, self._parts)) >= len(self._rest):
            self._take(is_last=False)

    def finish(self) -> None:
        """Take what is left: the text ends here."""
        self._take(is_last=True)
        if self._bars is None or any(
            vocabulary.choose("step", names) not in {None, "epoch"} for names, _ in self.records.fields.counts()
        ):
            return
        steps = self._bars.steps()
        if steps is not None:
            self.records.place_all(*steps)
            self.book.add(
                "step-from-progress-bar",
                "the records print no step; the count of the progress bar before them is used",
                count=len(self.records),
            )

    def _take(self, *, is_last: bool) -> None:
        text = "".join((self._rest, *self._parts))
        held = None
        self._fresh.clear()
        for begin in self._begins(text):
            if held is not None:
                self._add(text, *held, begin[0].start())
            held = begin
        done = max(text.rfind("\n", 0, max(len(text) - _TAIL, 0)) + 1, self._done - self._offset)
        if held is not None and (is_last or _is_whole(text, *held)):
            self._add(text, *held, len(text))
            done = max(done, held[0].end())
        elif held is not None:
            done = held[0].start()
        if is_last:
            done = len(text)
        self._find_marks(text, done)
        if self._bars is not None:
            self._bars.add(text, self._done - self._offset, done, self._fresh)
        # The line before is kept too, since patterns look back in it.
        start = text.rfind("\n", 0, done) + 1
        self._rest, self._parts = text[start:], []
        self._done, self._offset = self._offset + done, self._offset + start

    def _find_marks(self, text: str, done: int) -> None:
        """Take the marks of starts that begin before `done`."""
        words = self.grammar.start_words
        if self._mark is None or (words and not any(word in text for word in words)):
            return
        for match in self._search(self._mark, text):
            if match.start() >= done:
                return
            self.marks.append(self._offset + match.start())
            self._free[self._mark] = self._offset + match.end()

    def _begins(self, text: str) -> Iterable[tuple[re.Match[str], RecordKind]]:
        """Where records begin, in order."""
        each = [zip(self._search(kind.pattern, text), itertools.repeat(kind)) for kind in self._kinds]
        return each[0] if len(each) == 1 else heapq.merge(*each, key=lambda begin: begin[0].start())

    def _search(self, pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
        """What a pattern finds in the text not yet processed."""
        return pattern.finditer(text, max(self._done, self._free.get(pattern, 0)) - self._offset)

    def _add(self, text: str, match: re.Match[str], kind: RecordKind, limit: int) -> None:
        """Take the record that begins with `match` and ends before `limit`."""
        # What was found must not be found again, even if it is only a position.
        self._free[kind.pattern] = self._offset + max(match.end(), match.start() + 1)
        names, values = kind.fields(text, match, limit, self.book)
        if self._rename:
            row = dict(zip((self._rename.get(name, name) for name in names), values, strict=True))
            names, values = tuple(row), list(row.values())
        if not names:
            return
        for name, negative in self.grammar.negated:
            if name in names:
                place = names.index(name)
                names, values[place] = (*names[:place], negative, *names[place + 1 :]), -values[place]
        if "train_runtime" in names:
            # The summary at the end: its `train_loss` is a mean over the whole training.
            names = tuple(f"final/{name}" for name in names)
        start = match.start()
        if self._bars is not None:
            self._fresh.append((start, "loss" in names))
        counter = kind.counter(match) if kind.has_counter else None
        self.records.add(self._offset + start, names, values, kind.step(match, names, values), counter)


def _is_whole(text: str, match: re.Match[str], kind: RecordKind) -> bool:
    """Whether the last record of a text ends long before the end of it."""
    if len(text) - match.start() < _PATIENCE:
        return False
    return kind.line.block is None or kind.block(text, match.end(), len(text))[1] < len(text)
