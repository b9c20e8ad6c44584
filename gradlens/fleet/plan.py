"""Which files are read together: the units of a fleet, found by name alone so that ten thousand logs are listed in a second.

A unit is what one child process reads at a time: one file, or the files that together are one run (the event files of a
folder, the checkpoints of a Hugging Face run, MLflow's files of metrics, TensorBoard downloads). What is in them is found
out where they are read.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gradlens.errors import SourceError
from gradlens.frozen import frozen
from gradlens.readers import detect
from gradlens.sources.files import Source, Target, resolve
from gradlens.sources.remote import is_url, listed, scheme_of

_CHECKPOINT = re.compile(r"checkpoint-\d+$")
_DOWNLOAD = re.compile(r"(.*?)[_-]?tag[_-].*\.(csv|json)$")


@frozen
class Unit:
    """The files of one run.

    Attributes
    ----------
    key
        What the unit is called in the table; unique, and the same however the fleet is split.
    files
        Paths or URLs, sorted.
    root
        The folder that was searched, None where the file itself was named.
    stamp
        Size, modification time and, for a URL, the store's own version mark of each file.
    """

    key: str
    files: tuple[str, ...]
    root: str | None
    stamp: tuple[tuple[int, int, str], ...]

    @property
    def size(self) -> int:
        """Bytes of all files together; of an unknown size 0."""
        return sum(max(size, 0) for size, _, _ in self.stamp)

    def to_plain(self) -> dict[str, Any]:
        """As a document that travels to a child process."""
        return {"key": self.key, "files": list(self.files), "root": self.root, "stamp": [list(s) for s in self.stamp]}

    @staticmethod
    def from_plain(document: Mapping[str, Any]) -> Unit:
        """The inverse of `to_plain`."""
        return Unit(
            key=document["key"],
            files=tuple(document["files"]),
            root=document["root"],
            stamp=tuple((int(a), int(b), str(c)) for a, b, c in document["stamp"]),
        )

    def target(self) -> Target:
        """The unit as what `reading` takes."""
        sources = tuple(_source(name, self.root) for name in self.files)
        folder = None if self.root is None else Path(self.root)
        return Target(text=self.key, sources=sources, folder=folder)


def _source(name: str, root: str | None) -> Source:
    if "://" in name:
        return Source(name=name, url=name)
    return Source(name=name, path=Path(name), root=None if root is None else Path(root))


def plan(texts: Iterable[str]) -> list[Unit]:
    """The units of all sources, sorted by key, each once however often it was named.

    Raises
    ------
    SourceError
        A source that does not exist, or standard input, which cannot be read by several processes.
    """
    units: dict[str, Unit] = {}
    for text in texts:
        if text == "-":
            raise SourceError(
                "-: a fleet cannot be read from standard input", hint="give files, folders, globs or URLs"
            )
        for unit in _planned(text):
            units.setdefault(unit.key, unit)
    return [units[key] for key in sorted(units)]


def _planned(text: str) -> Iterator[Unit]:
    if is_url(text):
        yield from _remote(text)
        return
    for target in resolve(text):
        files = {source.name: _stamp(source) for source in target.sources}
        yield from _units(files, root=None if target.folder is None else str(target.folder))


def _stamp(source: Source) -> tuple[int, int, str]:
    try:
        stat = Path(source.name).stat()
    except OSError:
        return (-1, 0, "")
    return (stat.st_size, stat.st_mtime_ns, "")


def _remote(url: str) -> Iterator[Unit]:
    """The units below a URL, or that it matches, with what the store says of each file; a service is asked when it is read."""
    if scheme_of(url) in detect.services():
        yield from _units({url: _remote_stamp({})}, root=None)
        return
    for found in listed(url):
        files = {name: _remote_stamp(info) for name, info in found.files.items()}
        yield from _units(files, root=found.url if found.is_folder else None)


def _remote_stamp(info: Mapping[str, Any]) -> tuple[int, int, str]:
    mark = next((str(info[k]) for k in ("ETag", "etag", "VersionId", "LastModified", "mtime") if info.get(k)), "")
    size = info.get("size")
    return (-1 if size is None else int(size), 0, mark)


def _units(files: Mapping[str, tuple[int, int, str]], root: str | None) -> Iterator[Unit]:
    groups: dict[str, list[str]] = {}
    recorded = {str(Path(name).parent) for name in files if name.endswith(".wandb")}
    for name in sorted(files):
        # W&B's capture of the console repeats what the run beside it holds.
        if name.rpartition("/")[2] == "output.log" and str(Path(name).parent.parent) in recorded:
            continue
        groups.setdefault(_key(name), []).append(name)
    for key, names in groups.items():
        yield Unit(key=storable(key), files=tuple(names), root=root, stamp=tuple(files[n] for n in names))


def storable(text: str) -> str:
    r"""A text as UTF-8 can hold it: the byte 0xff of a file name that is no UTF-8 becomes `\udcff`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _key(name: str) -> str:
    """Files with the same key are read together."""
    folder, _, base = name.rpartition("/")
    if "tfevents" in base:
        return f"{folder}/*tfevents*"
    run, found, _ = name.rpartition("/metrics/")
    if found and "." not in base:
        return f"{run}/metrics/*"
    if base == "trainer_state.json":
        above, _, last = folder.rpartition("/")
        return f"{above if _CHECKPOINT.match(last) else folder}/**/trainer_state.json"
    download = _DOWNLOAD.match(base)
    return f"{folder}/{download[1]}*tag*" if download else name


def stamp_text(unit: Unit) -> str:
    """The stamp as the table keeps it."""
    return json.dumps([list(one) for one in unit.stamp])


#: Names that promise a log. Others (a config.json, a requirements.txt) may hold one, but nobody misses them if not.
LOG_NAMES = (
    "*.jsonl",
    "*.ndjson",
    "*.csv",
    "*.tsv",
    "*.log",
    "*.wandb",
    "*tfevents*",
    "*.parquet",
    "trainer_state.json",
)


def looks_like_log(unit: Unit) -> bool:
    """Whether the name promises a log: if such a file cannot be read that is a row, any other file is only counted."""
    name = unit.files[0].rpartition("/")[2].lower().removesuffix(".gz").removesuffix(".zst")
    return any(fnmatch.fnmatch(name, pattern) for pattern in LOG_NAMES)
