"""Where logs come from: files, folders, globs, standard input and URLs, compressed or not.

A `Source` is one stream of bytes with a name. Detection looks at `head`; readers take what suits them: `lines()`,
`read_bytes()` or, for a plain file, its `path` to map into memory.
"""

from __future__ import annotations

import contextlib
import glob as glob_module
import io
import os
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, BinaryIO, cast

from gradlens.errors import GradlensError, MalformedLogError, SourceError
from gradlens.frozen import frozen
from gradlens.sources.archives import compression_of, unpacked
from gradlens.sources.remote import SKIPPED_FOLDERS, is_url, listed, open_url, scheme_of

HEAD_BYTES = 1 << 16
#: A packed log unpacks to some ten times its size; a file that unpacks to this many times is an attack.
_MAX_EXPANSION = 300
_FREE_BYTES = 1 << 28
_PIECE = 1 << 20
_GIVE = "give a file, a folder or - for standard input"
#: A pipe is kept in memory.
_MAX_STREAM = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Source:
    """One stream of bytes. `name` is what messages show; `root` is the folder that was searched, if any."""

    name: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    root: Path | None = None

    @cached_property
    def compression(self) -> str | None:
        """`gzip`, `zstd` or None, by the first bytes."""
        return compression_of(self._start)

    @cached_property
    def _start(self) -> bytes:
        """The first 64 KiB as they are stored, fetched once."""
        with self._open_raw() as handle:
            return handle.read(HEAD_BYTES)

    @cached_property
    def cuts(self) -> set[int]:
        """The byte at which a packed file is cut off, once reading has come to it."""
        return set()

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB, decompressed."""
        try:
            if self.compression is None:
                return self._start
            with self.open() as handle:
                return handle.read(HEAD_BYTES)
        except GradlensError:
            raise
        except Exception as error:
            raise self._damaged(error) from error

    @cached_property
    def head_text(self) -> str:
        """`head` as text; bytes that are not UTF-8 (or UTF-16 with a mark) become U+FFFD."""
        if self.head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            return self.head.decode("utf-16", errors="replace")
        return self.head.decode("utf-8-sig", errors="replace")

    @property
    def file_name(self) -> str:
        """The last part of the name, without a suffix of compression."""
        name = self.name.rsplit("/", 1)[-1]
        for suffix in (".gz", ".zst"):
            name = name.removesuffix(suffix)
        return name

    @property
    def folder(self) -> Path | None:
        """The folder of a file, where files beside the log may hold its configuration."""
        return self.path.parent if self.path else None

    @property
    def scheme(self) -> str:
        """The scheme of a URL, "" for a file and what came through a pipe."""
        return scheme_of(self.url) if self.url else ""

    @property
    def is_plain_file(self) -> bool:
        """Whether the bytes on disk are the log itself, so that it can be mapped into memory."""
        return self.path is not None and self.compression is None

    @property
    def size(self) -> int | None:
        """Bytes on disk or in memory; None for a URL."""
        if self.path is not None:
            return self.path.stat().st_size
        return len(self.data) if self.data is not None else None

    def _open_raw(self) -> BinaryIO:
        if self.data is not None:
            return io.BytesIO(self.data)
        if self.path is not None:
            try:
                return self.path.open("rb")
            except OSError as error:
                raise SourceError(f"{self.name}: {error.strerror or error}") from error
        return open_url(cast("str", self.url))

    def open(self) -> BinaryIO:
        """The log's bytes, decompressed."""
        if self.compression is not None:
            return unpacked(self._open_raw(), self.compression, self.name, self.cuts.add, self._limit)
        return self._open_raw()

    def read_bytes(self) -> bytes:
        """All bytes, decompressed; of a packed file that is cut off (`cuts`) what came before.

        Raises
        ------
        MalformedLogError
            A damaged compressed file, or one that unpacks to more than any log does.
        """
        if self.data is not None and self.compression is None:
            return self.data
        try:
            with self.open() as handle:
                return handle.read()
        except (GradlensError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged(error) from error

    def pieces(self) -> Iterator[bytes]:
        """All bytes, decompressed, about a megabyte at a time; raises what `read_bytes` does."""
        try:
            with self.open() as handle:
                while piece := handle.read(_PIECE):
                    yield piece
        except (GradlensError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged(error) from error

    @property
    def _limit(self) -> int:
        """The most bytes that a packed log of this size unpacks to."""
        return max(_FREE_BYTES, _MAX_EXPANSION * (self.size or _FREE_BYTES))

    def _damaged(self, error: Exception) -> MalformedLogError:
        # The packages for URLs raise what they like.
        return MalformedLogError(f"{self.name}: {error}")


def walk(folder: Path, refused: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Every regular file below a folder, sorted, hidden and package folders left out; links are not followed twice.

    `refused` is called for each folder that may not be entered. Without recursion: folders may be nested as deep as a path is long.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(folder)]
    while waiting:
        root = waiting.pop()
        try:
            here = os.stat(root)  # noqa: PTH116 -- a hot loop
            with os.scandir(root) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if refused is not None:
                refused(error)
            continue
        if (here.st_dev, here.st_ino) in seen:
            continue
        seen.add((here.st_dev, here.st_ino))
        folders = [entry for entry in found if _is_folder(entry)]
        inside = {entry.name for entry in folders}
        for entry in found:
            path = Path(root, entry.name)
            if entry.name not in inside and not entry.name.startswith(".") and path.is_file():
                yield path
        # Links last: W&B's `latest-run` must not give its name to the run that it points to.
        last_first = sorted(folders, key=lambda entry: entry.is_symlink())[::-1]
        waiting += [e.path for e in last_first if e.name not in SKIPPED_FOLDERS and not e.name.startswith(".")]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


@frozen(eq=False)
class Target:
    """What one SOURCE argument gave: a single stream (`folder` None) or all files below a folder.

    `refused` says of which folders in it the content could not be listed.
    """

    text: str
    sources: tuple[Source, ...]
    folder: Path | None = None
    refused: tuple[str, ...] = ()


def _read_stream(stream: IO[bytes], name: str) -> bytes:
    """All that comes through a pipe, which may have no end."""
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_STREAM:
            raise SourceError(f"{name}: more than {_MAX_STREAM >> 20} MiB from a pipe", hint="write it to a file first")
    return b"".join(pieces)


def _file(text: str, path: Path) -> Source:
    """What is at a path that is no folder."""
    if what := special(path):
        raise SourceError(f"{text}: {what}, not a log", hint=_GIVE)
    if path.is_file():
        return Source(name=text, path=path)
    with path.open("rb") as stream:
        return Source(name=text, data=_read_stream(stream, text))


def special(path: Path) -> str | None:
    """What is at a path that has no end, or waits for ever: "a device" or "a file of the kernel"; None for anything else.

    Raises
    ------
    OSError
        Nothing is there.
    """
    if _is_of_the_kernel(path):
        return "a file of the kernel"
    return "a device" if path.is_char_device() or path.is_block_device() else None


def _is_of_the_kernel(path: Path) -> bool:
    """Whether a path leads into /proc or /sys, where reading a file may wait for ever, or change something."""
    device = path.stat().st_dev
    return any(os.path.ismount(root) and device == os.stat(root).st_dev for root in ("/proc", "/sys"))  # noqa: PTH116


def _folder(text: str, path: Path) -> Target:
    if _is_of_the_kernel(path):
        raise SourceError(f"{text}: a folder of the kernel, which holds no logs", hint=_GIVE)
    refused: list[OSError] = []
    sources = tuple(Source(name=str(p), path=p, root=path) for p in walk(path, refused.append))
    told = tuple(f"{error.filename or text}: {error.strerror or error}" for error in refused)
    if not sources and told:
        raise SourceError(told[0], hint="give a folder that you may read")
    if not sources and (path / ".aim").is_dir():
        raise SourceError(f"{text}: an Aim repository, not a folder of logs", hint=f"gradlens analyze aim://{text}")
    if not sources:
        raise SourceError(f"{text}: an empty folder", hint="give a folder that holds logs")
    return Target(text=text, sources=sources, folder=path, refused=told)


def _remote(url: str, services: Container[str]) -> list[Target]:
    if scheme_of(url) in services:
        return [Target(text=url, sources=(Source(name=url, url=url),))]
    return [
        Target(
            text=found.url,
            sources=tuple(Source(name=name, url=name) for name in found.files),
            # Only ever joined and shortened, never opened.
            folder=Path(found.url) if found.is_folder else None,
        )
        for found in listed(url)
    ]


def resolve(text: str, *, services: Container[str] = (), stdin: IO[bytes] | None = None) -> list[Target]:
    """The targets of one SOURCE argument: a file, a folder, a glob, `-` or a URL, which may name a folder or a glob as well.

    `services` are the schemes of what holds runs and no files, so that there is nothing to list.

    Raises
    ------
    SourceError
        Nothing there, or a pattern that matches nothing.
    """
    if text == "-":
        stream = stdin or sys.stdin.buffer
        return [Target(text=text, sources=(Source(name="<stdin>", data=_read_stream(stream, "<stdin>")),))]
    if is_url(text):
        return _remote(text, services)
    path = Path(text).expanduser()
    with contextlib.suppress(OSError):
        if path.is_dir():
            return [_folder(text, path)]
        if path.exists():
            return [Target(text=text, sources=(_file(text, path),))]
    if glob_module.has_magic(text):
        matches = sorted(glob_module.glob(str(path), recursive=True))  # noqa: PTH207 -- absolute patterns
        if not matches:
            raise SourceError(f"{text}: no file matches", hint="quote the pattern and check the folder")
        return [target for match in matches for target in resolve(match, services=services)]
    raise SourceError(f"{text}: no such file or folder", hint="check the path")


def reads(text: str, path: Path, *, folders: bool = False) -> bool:
    """Whether a SOURCE argument names an existing file `path`, by whatever name; with `folders`, also as one it holds."""
    if text == "-" or is_url(text) or not path.exists():
        return False
    found = Path(text).expanduser()
    with contextlib.suppress(OSError):
        if found.is_dir():
            return folders and path.resolve().is_relative_to(found.resolve())
        if found.exists():
            return found.samefile(path)
    matches = glob_module.glob(str(found), recursive=True)  # noqa: PTH207 -- absolute patterns
    return any(reads(match, path, folders=folders) for match in matches)


def resolve_all(texts: Iterable[str], *, services: Container[str] = ()) -> list[Target]:
    """The targets of several SOURCE arguments, in order; `services` as for `resolve`."""
    return [target for text in texts for target in resolve(text, services=services)]
