"""TensorBoard event files: runs are folders, a run may have several files, tags are series."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from gradlens.errors import MalformedLogError
from gradlens.progress import track
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradlens.source import Source

#: The writer's start time is part of the name, so that it orders the files of a run.
_FILE_TIME = re.compile(r"tfevents\.(\d+)")


class TensorBoardReader(Reader):
    """Event files of TensorFlow, PyTorch, tensorboardX and others."""

    name = "tensorboard"

    def sniff(self, source: Source) -> float:
        # Imported here, since asking about a JSON file should not load a checksum library.
        from gradlens.readers.crc32c import HEADER, header_of

        head = source.head
        if len(head) < HEADER:
            return 0.0
        if head[4:8] == bytes(4) and header_of(int.from_bytes(head[:8], "little")) == head[:HEADER]:
            return 1.0
        # The first record may be the damaged one.
        return 0.9 if b"brain.Event:" in head[:256] or ("tfevents" in source.file_name and b"\0" in head) else 0.0

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """The files of one folder are one run, in the order in which they were begun."""
        folders: dict[object, list[Source]] = defaultdict(list)
        for source in sources:
            folders[source.folder].append(source)
        return [sorted(files, key=_file_time) for files in folders.values()]

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        from gradlens.readers.event_decode import EventDecoder

        book = NoticeBook()
        decoder = EventDecoder(options.wanted, book)
        for source in sources:
            with track(source.name, source.size) as progress:
                decoder.add(source, progress)
        series = decoder.series()
        histograms = decoder.histograms()
        if len(sources) > 1:
            book.add("files-joined", "event files of one folder read as one run", sources[0].name, len(sources))
        if not series and not histograms and not decoder.config:
            shown = sources[0].name + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")
            raise MalformedLogError(
                f"{shown}: an event file without scalars or histograms",
                hint="the trainer wrote no numbers, or the file was cut off at its start",
            )
        return [RawRun(series=series, histograms=histograms, config=decoder.config, notices=book.notices())]


def _file_time(source: Source) -> tuple[int, str]:
    found = _FILE_TIME.search(source.file_name)
    return (int(found[1]) if found else 0, source.name)
