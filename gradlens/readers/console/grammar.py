"""What a grammar of a console log says: how a record begins, how its fields are spelt, where its step stands."""

from __future__ import annotations

import re
from enum import Enum, auto

from gradlens.frozen import frozen
from gradlens.readers.base import NONFINITE

#: A number as trainers print it. Possessive, so that `1.5¦2.5` (two numbers glued by colours) is not a number at all.
#: What begins like one and is a NaN (`1.#QNAN`, `000nan`) is left to the second half.
NUMBER = (
    r"(?>[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d++)(?:\.\d*)?|\.\d+)(?!\.?#[A-Z]|(?i:nan|inf)\b)(?:[eE][-+]?\d+)?"
    rf"|[-+]?(?i:{NONFINITE})(?!\w))"
)
#: What stands where a number is expected: a number with brackets, a wrapper or a unit around it.
VALUE = r"[\[('\"]*(?:[a-z]\w*(?:\.\w*)?\()?[-+]?(?:[.\d]|(?i:nan|inf))[^\s,;|]*"

#: What may stand between two parts of a line, as little as possible. Bounded, as is all that a pattern looks ahead, so
#: that a line that begins a record ten thousand times takes no time that grows with its square.
SOME = r"[^\n]{0,2000}?"
#: Blanks of one line: `\s` would go over empty lines, from each of them to the last.
BLANKS = r"[^\S\n]*"


class Fields(Enum):
    """How the fields of a record are set apart."""

    WORDS = auto()  # `key: value`, `key=value` or `key value`, keys of one word
    PIPES = auto()  # `| some key: value | key value |`, keys of several words
    PHRASES = auto()  # `Some Key: value, key = value`, keys of up to three words
    DICT = auto()  # a Python dict, `{'loss': 1.2, 'grad_norm': nan}`
    JSON = auto()  # a JSON object
    NAMED = auto()  # only the named groups of the pattern


@frozen
class Line:
    """One kind of record.

    `pattern` finds where a record begins. Its groups `step`, or `epoch`, `iter` and `iters`, place the record; other
    named groups are fields. `fields` says how the rest of the line is cut. With `block`, the lines that follow and
    match it belong to the record. `step_field` is a field that holds the step where the first line has none.
    """

    pattern: str
    fields: Fields = Fields.WORDS
    block: str | None = None
    step_field: str | None = None
    #: The number of the first epoch, where the step is epoch * iters + iter.
    first_epoch: int = 0
    #: The record may be wrapped over several lines; it is complete when it ends with this.
    ends_with: str = ""


@frozen
class Grammar:
    """The lines of one trainer. `tier` orders grammars: 0 trainers, 1 summaries and bars, 2 the general reader."""

    name: str
    lines: tuple[Line, ...]
    tier: int = 0
    #: A line after which a new run begins, always; `restart` begins one only if the step does not go on rising.
    new_run: str | None = None
    restart: str | None = None
    #: One of these stands in every such line; the pattern is not tried on text without them, where it is slow.
    start_words: tuple[str, ...] = ()
    facts: frozenset[str] = frozenset()
    #: Records without a step take it from the last progress bar `17/438 [` before them.
    step_from_bar: bool = False
    #: Fields to rename, for names that mean something else elsewhere.
    rename: tuple[tuple[str, str], ...] = ()
    #: Fields of which the negative is taken under another name, for what the trainer maximises.
    negated: tuple[tuple[str, str], ...] = ()
    #: Columns whose role the trainer fixes, `("loss", "G_L1")`: of each role the first that the log has.
    roles: tuple[tuple[str, str], ...] = ()
    #: Minimum number of records that count as this kind of log.
    least: int = 1


def compiled(pattern: str) -> re.Pattern[str]:
    r"""A grammar's pattern, lines apart.

    A leading `\b` would keep `re` from searching for the word after it as plain bytes, which is several times as fast:
    the boundary is asked for behind the word instead.
    """
    word = re.match(r"\\b([A-Za-z]{3,})(?![?*+{])", pattern)
    if word is not None:
        pattern = f"{word[1]}(?<=\\b{word[1]}){pattern[word.end() :]}"
    return re.compile(pattern, re.MULTILINE)
