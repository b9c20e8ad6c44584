"""TensorBoard event files: runs are folders, a run may have several files, tags are series."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.errors import MalformedLogError, MissingExtraError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.events.writers import by_writer
from gradlens.run import Notice, Series
from gradlens.sources.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradlens.sources.files import Source

#: The writer's start time is part of the name, so that it orders the files of a run.
_FILE_TIME = re.compile(r"tfevents\.(\d+)")

#: Of the points of the longest series, what a series that counts the steps of the training has at least.
_ENOUGH = 0.2


class TensorBoardReader(Reader):
    """PyTorch's simple values, TensorFlow's tensors, with `gradlens[tensorboard]` also histograms, settings and packed numbers.

    The files of a folder are one run, unless they were written at the same time.
    """

    name = "tensorboard"
    settings_in = "text summaries (`args`, `config`, `hparams`), hparams"

    def sniff(self, source: Source) -> float:
        # Imported here, since asking about a JSON file should not load a checksum library.
        from gradlens.readers.events.crc32c import HEADER, header_of

        head = source.head
        if len(head) < HEADER:
            return 0.0
        if head[4:8] == bytes(4) and header_of(int.from_bytes(head[:8], "little")) == head[:HEADER]:
            return 1.0
        # The first record may be the damaged one.
        return 0.9 if b"brain.Event:" in head[:256] or ("tfevents" in source.file_name and b"\0" in head) else 0.0

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """The files of one folder are one run, in the order in which they were begun."""
        folders: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            folders[source.name.rpartition("/")[0]].append(source)
        return [sorted(files, key=_file_time) for files in folders.values()]

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        run, writers = _read_run(sources, options)
        if len(writers) < 2:
            return [run]
        message = f"{len(writers)} processes wrote into one folder at the same time: each is a separate run"
        notice = Notice(code="several-writers", message=message, count=len(writers), where=sources[0].name)
        parts = {name: _read_run(files, options)[0] for name, files in writers.items()}
        return [replace(part, name=name, notices=(notice, *part.notices)) for name, part in parts.items()]


def _read_run(sources: Sequence[Source], options: ReadOptions) -> tuple[RawRun, dict[str, list[Source]]]:
    """The files as one run, and of several files those of each process that wrote some."""
    from gradlens.readers.events.decode import EventDecoder

    book = NoticeBook()
    decoder = EventDecoder(options.wanted, book)
    counts = []
    for source in sources:
        with track(source.name, source.size) as progress:
            decoder.add(source, progress)
        if len(sources) > 1:
            counts.append(decoder.counts())
    series = decoder.series()
    histograms = decoder.histograms()
    writers: dict[str, list[Source]] = {}
    if len(sources) > 1:
        writers = by_writer(sources, counts, series)
        book.add("files-joined", "event files of one folder read as one run", sources[0].name, len(sources))
    if not series and not histograms and not decoder.config:
        shown = sources[0].name + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")
        if decoder.n_unread:
            raise MissingExtraError(f"{shown}: an event file without plain scalars", "tensorboard", "tensorboard")
        raise MalformedLogError(
            f"{shown}: an event file without scalars or histograms",
            hint="the trainer wrote no numbers, or the file was cut off near its start",
        )
    series = _numbered(series, book)
    return RawRun(series=series, histograms=histograms, config=decoder.config, notices=book.notices()), writers


def _numbered(series: Sequence[Series], book: NoticeBook) -> tuple[Series, ...]:
    """The series, those numbered that were written without a step, which event files give as step 0."""
    longest = max(map(len, series), default=0)
    found = []
    for one in series:
        # A value that each start of a training writes once at step 0 is not such a series.
        if len(one) > 1 and len(one) >= _ENOUGH * longest and not one.step.any():
            message = "points without a step are numbered from 0 in the order written"
            book.add("no-step", message, f"tag {one.name!r}", len(one))
            found.append(replace(one, step=np.arange(len(one), dtype=np.int64)))
        else:
            found.append(one)
    return tuple(found)


def _file_time(source: Source) -> tuple[int, str]:
    found = _FILE_TIME.search(source.file_name)
    return (int(found[1]) if found else 0, source.name)
