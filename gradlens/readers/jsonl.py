"""JSON lines: one JSON object per line, with the tokens and quirks of real training logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gradlens.config import training_config
from gradlens.errors import MalformedLogError
from gradlens.readers.base import Column, NoticeBook, RawRun, Reader, ReadOptions, is_number, load_json
from gradlens.readers.blocks.block_table import TableJoiner, notice_texts
from gradlens.readers.blocks.json_blocks import BlockParser
from gradlens.readers.blocks.marks import histograms_of, notice_marks
from gradlens.readers.blocks.text_blocks import MAX_LINE, blocks, in_order, open_text, share_of
from gradlens.sources.files import HEAD_BYTES
from gradlens.sources.progress import track
from gradlens.vocabulary import is_core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlens.sources.files import Source


#: Lines looked at, and the share of them that must be objects in a log with damage at its start.
_HEAD_LINES, _MIN_OBJECTS = 200, 0.75

#: Settings that no step of a training repeats: a record with one of them is a configuration. A rate or a batch size may be both.
_TELLING = frozenset({
    "max_grad_norm", "optimizer", "warmup_steps", "weight_decay", "lr_schedule", "gradient_accumulation_steps", "beta2",
})  # fmt: skip
_MAX_SETTINGS = 5


def leading_settings(text: str) -> list[dict[str, Any]]:
    """The first records of JSON lines if they hold settings and nothing that is measured: `{"event": "config", ...}`."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines()[:_MAX_SETTINGS]:
        try:
            record = load_json(line)
        except ValueError:
            break
        if not isinstance(record, dict) or any(is_core(str(name)) and is_number(v) for name, v in record.items()):
            break
        if _TELLING.isdisjoint(training_config(record).to_dict()):
            break
        found.append(record)
    return found


def without_first(columns: Sequence[Column], n: int) -> tuple[Column, ...]:
    """The columns without the first `n` rows of the table."""
    left = []
    for column in columns:
        if column.row is None:
            left.append(Column(name=column.name, value=column.value[n:]))
        elif (column.row >= n).any():
            later = column.row >= n
            left.append(Column(name=column.name, value=column.value[later], row=column.row[later] - n))
    return tuple(left)


def _is_long_record(source: Source) -> bool:
    """Whether the first line, of which detection sees only the start, is one object and another comes after it."""
    if len(source.head) < HEAD_BYTES:
        return False
    text = b""
    for piece in source.pieces():
        text += piece
        line, end, rest = text.partition(b"\n")
        if end and rest.strip():
            return line.rstrip().endswith(b"}") and rest.lstrip().startswith(b'{"')
        if len(text) > MAX_LINE:
            break
    return False


class JsonLinesReader(Reader):
    """One object per line: MMEngine `scalars.json`, BEiT, MAE and EVA `log.txt`, ms-swift, LLaMA-Factory, any other.

    Nested objects become `outer/inner` names.
    """

    name = "jsonl"
    reads_line_by_line = True

    def sniff(self, source: Source) -> float:
        every = [line.strip() for line in source.head_text.splitlines()[:_HEAD_LINES] if line.strip()]
        if not every:
            return 0.0
        first = every[:20]
        good = sum(line.startswith("{") and line.endswith("}") for line in first)
        if good and good >= len(first) - 2:
            return 0.5
        # Damage at the start leaves it what it is, so that each record lost is counted and not taken for chatter.
        objects = sum(line.startswith('{"') and line.endswith("}") for line in every)
        if objects >= _MIN_OBJECTS * len(every):
            return 0.5
        return 0.5 if len(every) == 1 and every[0].startswith('{"') and _is_long_record(source) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, joiner, config = NoticeBook(), TableJoiner(options, source.name), dict[str, Any]()
        texts: Counter[str] = Counter()
        marks: list[tuple[str, dict[str, Any], str]] = []
        parser = BlockParser(source.name)
        n_lines = 0
        with open_text(source) as handle, track(source.name, source.size) as progress:
            for done, table in in_order(parser.parse, blocks(handle, name=source.name)):
                for problem in table.problems:
                    where = f"line {n_lines + problem.line + 1}"
                    book.add(problem.code, problem.message, where, problem.times)
                config.update(table.config)
                marks += [(key, mark, f"line {n_lines + line + 1}") for key, mark, line in table.marks]
                texts.update(table.texts)
                joiner.add(table, share_of(done, source))
                n_lines += table.n_lines
                progress(done)
        if joiner.n_rows == 0:
            raise MalformedLogError(f"{source.name}: no number in any record (lines read: {n_lines:,})")
        columns, n_rows, unread = joiner.columns(), joiner.n_rows, joiner.unread_rows()
        settings = leading_settings(source.head_text)
        # A record without a number is not a row.
        n_first = sum(any(is_number(value) for value in record.values()) for record in settings)
        if settings and n_first < n_rows:
            columns, n_rows = without_first(columns, n_first), n_rows - n_first
            unread = tuple(rows[rows >= n_first] - n_first for rows in unread)
            for record in settings:
                config.update(record)
            message = "records in front of the training that hold settings: read as its configuration"
            book.add("settings-record", message, "line 1", len(settings))
        notice_texts(columns, texts, book)
        notice_marks(marks, book)
        return [
            RawRun(
                columns=columns, n_rows=n_rows, config=config, notices=book.notices(),
                unread_rows=unread, histograms=histograms_of(marks),
            )
        ]  # fmt: skip
