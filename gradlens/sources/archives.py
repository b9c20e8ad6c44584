"""Logs packed with gzip or zstd, as streams of their bytes.

An archive that was cut off (a full disk, a copy that was interrupted) gives what can be unpacked before the cut, and says
where that was. One that is damaged in itself is an error: its checksums tell only at the end that some byte before is
wrong, and any number of the log may hold it.
"""

from __future__ import annotations

import io
import zlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO

from gradlens.errors import BeyondLimitError, MalformedLogError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_UNPACKED = 1 << 20
_DAMAGED_HINT = "any number in it may be wrong: copy the file again"


class UnpackedStream(io.RawIOBase):
    """The unpacked bytes of an archive, which may have several members (frames).

    Parameters
    ----------
    packed
        The archive.
    name
        For messages.
    note_cut
        Called with the length of the archive where it ends inside a member.
    limit
        The most bytes that it may unpack to.
    """

    #: Bytes that are unpacked at a time: few, where the library does not bound what comes of them.
    _piece = 1 << 16
    #: What the library raises.
    _error: type[Exception] = zlib.error

    def __init__(self, packed: BinaryIO, name: str, note_cut: Callable[[int], None], limit: int) -> None:
        super().__init__()
        self._packed, self._name, self._note_cut, self._limit = packed, name, note_cut, limit
        self._member: Any = None
        self._rest, self._ready = b"", memoryview(b"")
        self._n_packed = self._n_unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._is_at_end():
            try:
                self._ready = memoryview(self._unpack())
            except self._error as error:
                message = f"{self._name}: damaged before byte {self._n_packed} of the packed file: {error}"
                raise MalformedLogError(message, hint=_DAMAGED_HINT) from error
            self._n_unpacked += len(self._ready)
            if self._n_unpacked > self._limit:
                raise BeyondLimitError(
                    f"{self._name}: unpacks to more than {self._limit >> 20} MiB",
                    hint="unpack it yourself if it is a log",
                )
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._packed.close()
        super().close()

    def _is_at_end(self) -> bool:
        """Whether there is nothing more to unpack; fetches what is unpacked next."""
        if self._rest:
            return False
        self._rest = self._packed.read(self._piece)
        self._n_packed += len(self._rest)
        if self._rest or self._member is None:
            return not self._rest
        if not self._n_unpacked:
            raise MalformedLogError(
                f"{self._name}: the packed file is cut off after {self._n_packed} bytes, before anything of it can be "
                "unpacked",
                hint="copy it again",
            )
        self._note_cut(self._n_packed)
        self._member = None
        return True

    @abstractmethod
    def _unpack(self) -> bytes:
        """Unpack from `_rest`, and leave there what was not used."""


class _GzipStream(UnpackedStream):
    def _unpack(self) -> bytes:
        if self._member is None:
            # Members may be followed by zeros (as on tapes), which gzip passes over.
            self._rest = self._rest.lstrip(b"\0") if self._n_unpacked else self._rest
            if not self._rest:
                return b""
            self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        unpacked: bytes = self._member.decompress(self._rest, _UNPACKED)
        if len(unpacked) == _UNPACKED and not self._member.unconsumed_tail:
            # What the bound on the output left inside would be lost where the archive ends here.
            unpacked += self._member.decompress(b"", _UNPACKED)
        self._rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        if self._member.eof:
            self._member = None
        return unpacked


class _ZstdStream(UnpackedStream):
    _piece = 1 << 12

    def __init__(self, packed: BinaryIO, name: str, note_cut: Callable[[int], None], limit: int) -> None:
        super().__init__(packed, name, note_cut, limit)
        try:
            import zstandard
        except ImportError as error:
            packed.close()
            raise MissingExtraError(f"{name}: a zstd-compressed log", "zstd", "zstandard") from error
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor()

    def _unpack(self) -> bytes:
        if self._member is None:
            self._member = self._decompressor.decompressobj()
        unpacked: bytes = self._member.decompress(self._rest)
        self._rest = self._member.unused_data if self._member.eof else b""
        if self._member.eof:
            self._member = None
        return unpacked


def compression_of(start: bytes) -> str | None:
    """`gzip`, `zstd` or None, by the first four bytes."""
    return next((name for name, magic in MAGIC.items() if start.startswith(magic)), None)


def unpacked(packed: BinaryIO, compression: str, name: str, note_cut: Callable[[int], None], limit: int) -> BinaryIO:
    """The bytes of an archive, as `UnpackedStream` gives them."""
    stream = (_GzipStream if compression == "gzip" else _ZstdStream)(packed, name, note_cut, limit)
    return io.BufferedReader(stream, _UNPACKED)
