"""Files that the program writes: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gradlens.errors import OutputError

#: How a file is made that nobody is to read before it has the mode of the one it replaces.
_PRIVATE, _AS_UMASK_ALLOWS = 0o600, 0o666


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text (as UTF-8) or bytes; see `replacing`.

    Half a surrogate pair, which a name in a log may hold and no UTF-8 file can, is written as its escape.

    Raises
    ------
    OutputError
        The file cannot be written; an older file of that name is untouched.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with replacing(path) as handle:
        handle.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A handle whose bytes become the file at `path` when the block ends, and are dropped where it raises.

    They go to a scratch file in the same folder, which reaches the disk before it is renamed: whoever reads `path`, even
    after a power cut, sees the old file or the new one. A symbolic link stays and the file that it names is written. Mode
    and, where permitted, owner of an older file stay; a new one has the mode that the umask allows. A file that may not be
    written is not replaced either. Devices and pipes, which cannot be replaced, are written to directly. Other hard links
    to an older file keep its content.

    Raises
    ------
    OutputError
        The file cannot be written; an older file of that name is untouched.
    """
    try:
        older = _stat(path)
        if older is not None and not stat.S_ISREG(older.st_mode):
            with path.open("wb") as handle:
                yield handle
            return
        target = Path(os.path.realpath(path))
        if older is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        scratch = target.with_name(f".gradlens-{os.urandom(6).hex()}.tmp")
        try:
            with _created(scratch, _PRIVATE if older else _AS_UMASK_ALLOWS) as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            if older is not None:
                _take_after(scratch, older)
            scratch.replace(target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write: {error.strerror or error}",
            hint="check the path, its permissions and the space left",
        ) from error


def _stat(path: Path) -> os.stat_result | None:
    """What is there, links followed; None where nothing is, as behind a link that dangles."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _created(path: Path, mode: int) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, mode), "wb")


def _take_after(scratch: Path, older: os.stat_result) -> None:
    if hasattr(os, "chown") and (older.st_uid, older.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.chown(scratch, older.st_uid, older.st_gid)
    # After the owner: changing that takes the set-id bits away.
    scratch.chmod(stat.S_IMODE(older.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last. Not every file system can; the file is whole in either case."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
