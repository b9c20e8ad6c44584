"""Which reader reads which source: by content, with file names only deciding who is asked first."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from functools import cache

from gradlens.errors import MalformedLogError, UnknownFormatError, UsageError
from gradlens.readers import READERS, SERVICES
from gradlens.readers.base import Reader
from gradlens.readers.shape import shape_of
from gradlens.registry import Entry, with_plugins
from gradlens.sources.files import Source

#: A reader that is this sure makes it pointless to ask the others.
SURE = 0.9


@cache
def table() -> dict[str, Entry]:
    """Every reader by name, those of installed plug-ins included."""
    return with_plugins("gradlens.readers", READERS)


@cache
def load(name: str) -> Reader:
    """The reader of that name.

    Raises
    ------
    UsageError
        No such format.
    """
    if name not in table():
        if name in SERVICES:
            address = f"{SERVICES[name].schemes[0]}://..."
            raise UsageError(f"--input-format {name}: a service, which its address names", hint=f"such as {address}")
        served = ", ".join(f"{scheme}://" for scheme in services())
        raise UsageError(
            f"no format named {name!r}", hint=f"one of {', '.join(table())}; services go by their address: {served}"
        )
    reader: Reader = table()[name].load()()
    return reader


@cache
def services() -> dict[str, Entry]:
    """The services that hold runs and no files, by the scheme of their URLs."""
    return {scheme: entry for entry in SERVICES.values() for scheme in entry.schemes}


def _by_name_first(file_name: str) -> Iterable[str]:
    first = [n for n, e in table().items() if any(fnmatch.fnmatch(file_name.lower(), p) for p in e.patterns)]
    return [*first, *(n for n in table() if n not in first)]


def rank(source: Source, least: float = 0.0, *, every: bool = False) -> list[tuple[float, Reader]]:
    """The readers that are surer than `least` of the content of `source`, the surest first; of equals the table decides.

    A reader that is very sure makes it pointless to ask the others: then the list holds it alone. Readers are asked only
    about content of their shape, unless `every` one is to be asked.
    """
    if source.scheme in services():
        return [(1.0, services()[source.scheme].load()())]
    if _is_archive_of_files(source.head):
        return []
    shape = shape_of(source.head)
    found: list[tuple[float, Reader]] = []
    for name in _by_name_first(source.file_name):
        shapes = table()[name].shapes
        if shapes and shape not in shapes and not every:
            continue
        reader = load(name)
        sure = reader.sniff(source)
        if sure >= SURE and not every:
            return [(sure, reader)]
        if sure > least:
            found.append((sure, reader))
    return sorted(found, key=lambda pair: -pair[0])


def detect(source: Source, least: float = 0.0) -> Reader | None:
    """The reader that is surest of the content of `source`, or None where none is surer than `least`."""
    ranked = rank(source, least)
    return ranked[0][1] if ranked else None


def _is_archive_of_files(head: bytes) -> bool:
    """Whether the (unpacked) content is a tar archive, whose members are not to be read as one log."""
    return head[257:262] == b"ustar"


#: What a file that is not a log begins with, and what to say of it.
_NO_LOGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the log itself (run `git lfs pull`)"),
    *((bytes((0x80, protocol)), "it looks like a pickle, which gradlens never loads") for protocol in (2, 3, 4, 5)),
    (b"PK\x03\x04", "it is a zip archive (a checkpoint?): unpack it"),
    (b"\xfd7zXZ\0", "it is packed with xz: unpack it"),
    (b"BZh", "it is packed with bzip2: unpack it"),
)


def describe(source: Source) -> str:
    """What a source that no reader wants seems to be, for the error message."""
    head = source.head
    if not head:
        return "the file is empty"
    if _is_archive_of_files(head):
        return "it is a tar archive: unpack it"
    known = next((what for start, what in _NO_LOGS if head.startswith(start)), None)
    if known is None and b"\0" in head[:1024]:
        known = "it is a binary file of an unknown kind"
    line = source.head_text.strip().splitlines()[0] if source.head_text.strip() else ""
    return known or f"it starts with {line[:60]!r}"


def require(source: Source) -> list[tuple[float, Reader]]:
    """The readers of a source that the user named, the surest first.

    Raises
    ------
    MalformedLogError, UnknownFormatError
        Empty, or of no known format.
    """
    ranked = rank(source)
    if not ranked:
        error = UnknownFormatError if source.head else MalformedLogError
        raise error(
            f"{source.name}: no known log format: {describe(source)}",
            hint="see `gradlens formats`, or name the format with --input-format",
        )
    return ranked


def group(sources: Sequence[Source], *, least: float = 0.0) -> list[tuple[Reader, Sequence[Source]]]:
    """The files of a folder by reader and run; files of which no reader is surer than `least` are left out."""
    by_reader: dict[str, list[Source]] = {}
    for source in sources:
        reader = detect(source, least)
        if reader is not None:
            by_reader.setdefault(reader.name, []).append(source)
    return [(load(name), bundle) for name, files in by_reader.items() for bundle in load(name).group(files)]
