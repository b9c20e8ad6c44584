"""What TensorBoard's page downloads: one tag per file, as CSV or JSON, the tag only in the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, csv_rows, load_json, parse_number
from gradlens.run import Series
from gradlens.sources.files import Source

_HEADER = re.compile(r"^\ufeff?\"?wall[ _]time\"?,\"?step\"?,\"?value\"?\s*$", re.IGNORECASE)
_JSON = re.compile(
    r"^\s*\[\s*\[\s*-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\s*,\s*-?\d+\s*,\s*(?:-?\d|NaN|-?Inf|\"NaN\"|\"-?Inf)"
)
_NAME = re.compile(r"^(?:run-)?(?P<run>.+?)[-_]tag-(?P<tag>.+)$")


class TensorBoardDownloadReader(Reader):
    """What TensorBoard's page downloads as CSV or JSON, one tag per file, the tag in the file name.

    The run's name in the file names tells several apart.
    """

    name = "tensorboard-download"

    def sniff(self, source: Source) -> float:
        text = source.head_text
        return 0.95 if _HEADER.match(text.split("\n", 1)[0].strip()) or _JSON.match(text) else 0.0

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """Files of one folder whose names speak of the same run."""
        groups: dict[tuple[str, str], list[Source]] = {}
        for source in sources:
            groups.setdefault((str(Path(source.name).parent), _split(source)[0]), []).append(source)
        return groups.values()

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options
        book = NoticeBook()
        series: dict[str, Series] = {}
        for source in sources:
            tag = _split(source)[1]
            if tag in series:
                # The same tag downloaded twice, once as CSV and once as JSON.
                book.add("repeated-download", f"a second download of {tag} was left out", source.file_name)
                continue
            series[tag] = _read_one(source, tag, book)
        return [
            RawRun(
                name=_split(sources[0])[0], series=tuple(series.values()), notices=book.notices(), step_column="Step"
            )
        ]


def _split(source: Source) -> tuple[str, str]:
    """Run and tag of a file name: `run-exp1-tag-train_loss.csv` gives `exp1` and `train_loss`."""
    stem = re.sub(r"(?:\s?\(\d+\))?\.(?:csv|json)$", "", source.file_name)
    match = _NAME.match(stem)
    return (match["run"], match["tag"]) if match else ("", stem)


def _read_one(source: Source, tag: str, book: NoticeBook) -> Series:
    text = source.read_bytes().decode("utf-8-sig", errors="replace")
    rows: list[tuple[float, float, float]] = []
    for number, cells in enumerate(_cells(source, text, book), 1):
        values = [parse_number(str(c)) for c in cells[:3]]
        if len(values) == 3 and all(v is not None for v in values) and abs(values[1] or 0.0) < 2.0**62:
            rows.append((values[0] or 0.0, values[1] or 0.0, values[2] or 0.0))
        elif number > 1 or not _HEADER.match(",".join(map(str, cells))):
            book.add("malformed-record", f"{source.file_name}: not three numbers, left out", f"row {number}")
    if not rows:
        raise MalformedLogError(f"{source.name}: a TensorBoard download with no points")
    wall, step, value = np.array(rows, dtype=np.float64).T
    if len(rows) in {1000, 5000, 10000}:
        book.add(
            "sampled-export",
            f"{tag}: exactly {len(rows)} points, the number that TensorBoard keeps: this is a sample",
            count=len(rows),
        )
    return Series(name=tag, step=step.astype(np.int64), value=value.copy(), wall_time_s=wall.copy())


def _cells(source: Source, text: str, book: NoticeBook) -> Iterable[Sequence[object]]:
    if not text.lstrip().startswith("["):
        return (row for row in csv_rows(text, book) if row)
    try:
        data = load_json(text)
    except ValueError as error:
        raise MalformedLogError(f"{source.name}: {error}", hint="the file is incomplete: download it again") from error
    return [row for row in data if isinstance(row, list)] if isinstance(data, list) else []
