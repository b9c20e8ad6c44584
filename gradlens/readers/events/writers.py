"""Which event files of one folder a single training wrote, one after the other, and which were written side by side.

A training that is resumed begins a new file when the last one has ended. Files of the same tags whose times overlap are
those of several processes (the ranks of a distributed run, two trainings with one folder), whose points are not attempts
at the same steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from gradlens.run import Series
    from gradlens.sources.files import Source

#: Files are written side by side if more than this share of the shorter time is common to both, and they hold the same
#: tags if more than this share of the fewer are. Our own: of clocks that differ between hosts, or of a tag like `epoch`
#: that two loggers share, less is to be expected.
_MAJORITY = 0.5
#: `events.out.tfevents.<time>.<host>.<process>.<number>.v2`; what comes after the host is not always there.
_NAME = re.compile(r"tfevents\.\d+\.(?P<writer>(?P<host>.+?)(?:\.\d+\.\d+)?(?:\.v2)?)$")


@frozen
class _Span:
    """When the scalars of a file were written, by wall time, and which they were."""

    begin: float
    end: float
    tags: frozenset[str]

    def is_beside(self, other: _Span) -> bool:
        """Whether both were written at the same time, by two processes that do the same."""
        common = min(self.end, other.end) - max(self.begin, other.begin)
        shorter = min(self.end - self.begin, other.end - other.begin)
        n_fewer = min(len(self.tags), len(other.tags))
        return 0 < common > _MAJORITY * shorter and len(self.tags & other.tags) > _MAJORITY * n_fewer


def by_writer(
    sources: Sequence[Source], counts: Sequence[Mapping[str, int]], series: Sequence[Series]
) -> dict[str, list[Source]]:
    """The files of each writer, by its name.

    Parameters
    ----------
    sources
        The files in the order in which they were begun.
    counts
        How many points of each tag had been read after each of the files.
    series
        Those points.
    """
    writers: list[list[int]] = []
    spans = [_span(before, after, series) for before, after in zip([{}, *counts], counts, strict=False)]
    for number, span in enumerate(spans):
        free = [files for files in writers if not any(span.is_beside(spans[other]) for other in files)]
        own = [files for files in free if _host(sources[files[0]]) == _host(sources[number])]
        if own or free:
            (own or free)[0].append(number)
        else:
            writers.append([number])
    names = [_host(sources[files[0]]) for files in writers]
    if len(set(names)) < len(names):
        names = [_name(sources[files[0]]) for files in writers]
    return {name: [sources[n] for n in files] for name, files in zip(names, writers, strict=True)}


def _span(before: Mapping[str, int], after: Mapping[str, int], series: Sequence[Series]) -> _Span:
    walls = {
        one.name: one.wall_time_s[before.get(one.name, 0) : after[one.name]]
        for one in series
        if one.wall_time_s is not None and after.get(one.name, 0) > before.get(one.name, 0)
    }
    times = np.concatenate([*walls.values(), np.empty(0)])
    times = times[np.isfinite(times)]
    if not len(times):
        return _Span(begin=0.0, end=0.0, tags=frozenset())
    return _Span(begin=float(times.min()), end=float(times.max()), tags=frozenset(walls))


def _host(source: Source) -> str:
    found = _NAME.search(source.file_name)
    return found["host"] if found else source.file_name


def _name(source: Source) -> str:
    found = _NAME.search(source.file_name)
    return found["writer"] if found else source.file_name
