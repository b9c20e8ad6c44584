"""A JSON document value by value, so that a long list in it is never held as a whole."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, cast

from gradlens.readers.base import telling_repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOLID = re.compile(r"[^ \t\n\r]")
_AFTER_RECORD = re.compile(r"[ \t\n\r]*([,\]])[ \t\n\r]*")
_BETWEEN = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*\{")
#: A boundary between two records is searched for in this much text at the end of a piece.
_LOOK_BACK = 1 << 14
#: A number at the end of what was read may go on; `1e+` is the longest that would be taken for a shorter one.
_MAY_GO_ON = 3


class UnexpectedJsonError(ValueError):
    """Not what the caller asked for; the document may be JSON all the same."""


class CutOffError(ValueError):
    """In a list of records stands what is not a record; `rest` is the text of the document from there on."""

    def __init__(self, rest: str) -> None:
        super().__init__("the list is incomplete")
        self.rest = rest


class JsonStream:
    """Reads values from a document that comes in pieces, as `json.loads` would read them.

    Attributes
    ----------
    repeated
        The keys of every object in which a key stands twice, of all values that were taken.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = codecs.iterdecode(pieces, "utf-8-sig", errors="replace")
        self.repeated: list[list[str]] = []
        # A value that goes on in the next piece is decoded again: only what was taken counts.
        self._noticed: list[list[str]] = []
        self._decoder = json.JSONDecoder(object_pairs_hook=telling_repeated(self._noticed.append))
        self._decode = self._decoder.raw_decode
        self._text, self._at = "", 0

    def peek(self) -> str:
        """The next character that is not a space, "" at the end."""
        while (found := _SOLID.search(self._text, self._at)) is None:
            self._at = len(self._text)
            if not self._more():
                return ""
        self._at = found.start()
        return found[0]

    def take(self, mark: str) -> None:
        """Pass over one character, which must come next."""
        if self.peek() != mark:
            raise UnexpectedJsonError(f"no {mark}")
        self._at += 1

    def _is_taken(self) -> None:
        self.repeated += self._noticed
        self._noticed.clear()

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            self._noticed.clear()
            try:
                value, end = self._decode(self._text, self._at)
            except RecursionError as error:
                raise UnexpectedJsonError("nested too deeply") from error
            except ValueError as error:
                if not self._more():
                    raise UnexpectedJsonError("no value") from error
                continue
            if end + _MAY_GO_ON <= len(self._text) or not self._more():
                self._at = end
                self._is_taken()
                return value

    def records(self) -> Iterator[dict[str, Any]]:
        """The objects of the list that comes next, one after the other.

        Raises
        ------
        CutOffError
            The document ends within the list, or something that is not JSON stands in it.
        UnexpectedJsonError
            No list, or one that holds something else than objects.
        """
        self.take("[")
        if self.peek() == "]":
            self._at += 1
            return
        yield from self._many()
        is_last = False
        while not is_last:
            after = None
            self._noticed.clear()
            try:
                value, end = self._decode(self._text, self._at)
                after = _AFTER_RECORD.match(self._text, end)
            except RecursionError as error:
                raise UnexpectedJsonError("nested too deeply") from error
            except ValueError:
                pass
            if after is None:
                if not self._more():
                    raise CutOffError(self._text[self._at :])
                self.peek()
                yield from self._many()
                continue
            if not isinstance(value, dict):
                raise UnexpectedJsonError("not an object")
            self._is_taken()
            yield value
            self._at, is_last = after.end(), after[1] == "]"

    def _many(self) -> list[dict[str, Any]]:
        """Most of the records of which the text is at hand, at once, which is faster than one by one."""
        start = self._at
        between = list(_BETWEEN.finditer(self._text, max(start, len(self._text) - _LOOK_BACK)))
        if not between:
            return []
        self._noticed.clear()
        try:
            # Text that is a list if it ended here is the beginning of one, whatever follows.
            found = self._decoder.decode(f"[{self._text[start : between[-1].start() + 1]}]")
        except (ValueError, RecursionError):
            return []
        if not all(isinstance(record, dict) for record in found):
            return []
        self._at = between[-1].end() - 1
        self._is_taken()
        return cast("list[dict[str, Any]]", found)

    def _more(self) -> bool:
        """Read on, at least as much as there is still to parse: what does not end must not be retried with each piece."""
        rest = self._text[self._at :]
        found, size = [rest], 0
        for piece in self._pieces:
            found.append(piece)
            size += len(piece)
            if size > len(rest):
                break
        if size:
            self._text, self._at = "".join(found), 0
        return size > 0
