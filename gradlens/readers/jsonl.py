"""JSON lines: one JSON object per line, with the tokens and quirks of real training logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gradlens.errors import MalformedLogError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.blocks.block_table import TableJoiner, notice_texts
from gradlens.readers.blocks.json_blocks import BlockParser
from gradlens.readers.blocks.marks import histograms_of, notice_marks
from gradlens.readers.blocks.text_blocks import blocks, in_order, open_text, share_of
from gradlens.sources.progress import track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlens.sources.files import Source


class JsonLinesReader(Reader):
    """One JSON object per line; nested objects become `outer/inner` names."""

    name = "jsonl"

    def sniff(self, source: Source) -> float:
        lines = [line for line in source.head_text.splitlines()[:20] if line.strip()]
        if not lines:
            return 0.0
        good = sum(1 for line in lines if line.lstrip().startswith("{") and line.rstrip().endswith("}"))
        return 0.5 if good and good >= len(lines) - 2 else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, joiner, config = NoticeBook(), TableJoiner(options), dict[str, Any]()
        texts: Counter[str] = Counter()
        marks: list[tuple[str, dict[str, Any], str]] = []
        parser = BlockParser()
        n_lines = 0
        with open_text(source) as handle, track(source.name, source.size) as progress:
            for done, table in in_order(parser.parse, blocks(handle)):
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
            raise MalformedLogError(f"{source.name}: no record with a number in {n_lines} lines")
        columns = joiner.columns()
        notice_texts(columns, texts, book)
        notice_marks(marks, book)
        return [
            RawRun(
                columns=columns, n_rows=joiner.n_rows, config=config, notices=book.notices(),
                unread_rows=joiner.unread_rows(), histograms=histograms_of(marks),
            )
        ]  # fmt: skip
