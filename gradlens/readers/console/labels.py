"""What the numbers in a line of any console are called, by the text beside them.

A person who meets an unknown log reads `loss 0.5`, `Loss: 0.5`, `loss is 0.5`, `0.5 avg loss` and the line of names above
a table of numbers alike. So does this module; which of the names matter is decided elsewhere.
"""

from __future__ import annotations

import bisect
import re
from typing import NamedTuple

from gradlens.readers.base import NONFINITE

#: A number that stands for itself: none in the middle of a word (`fp16`, `conv1`, `3f2a`), signs only where no number ends.
NUMBER = re.compile(
    r"(?<![\w.¦])(?:(?<![\w)\]%])[-+])?(?>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![A-Za-z_]*\d|¦|\.?#[A-Z]|(?i:nan|inf)\b)"
    rf"|(?<![\w.])[-+]?(?i:{NONFINITE})(?!\w)"
)
#: Stretches whose numbers are none of the training's: clocks, dates, source lines, process numbers, addresses.
_CLOCKS = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T _:,-]{1,2}\d{1,2}[:.h-]\d{2}(?:[:.-]\d{2}(?:[.,]\d+)?)?)?(?:Z\b|[+-]\d\d:?\d\d\b)?"
    r"|\b\d{1,2}[/-]\d{1,2}(?:[/-]\d{2,4})?[ T,]+\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?"
    r"|\b[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w./-]+:\d+\]"
    r"|(?<![\d.])\d{1,4}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?![\d])"
    r"|\b\d+ days?\b,?"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w* \w{3}\s+\d+\s[\d: ]+(?:\w+ )?\d{4}"
    r"|(?i:\b(?:pid|rank|tid|thread|port|gpu|node|worker|device)\b[=:# ]{1,3}\d+)"
    r"|\b\d+(?:\.\d+){2,}"
    r"|^\s*\[\s*(?:default|rank)\d+\]:?\s|\(\d+/\d+\)"
    r"|\b\d+%\|[^|\n]{0,200}\|"
)
#: The end of a place in the source, whose path is looked for backwards: forwards, a word without an end would be tried from
#: each of its letters on.
_SOURCE_LINE = re.compile(r"\.(?:py|cc|cpp|cu|h|go|rs):\d+")
_STUCK = re.compile(r"^(?:[A-Za-zµ°]{1,12}(?:/[A-Za-z]{1,12})?|%)(?![\w=:])")
_GROUP = re.compile(r"\([^()]*\)")
_APART = re.compile(r"[,;|\t{}\[\]<>*@()'\"]|\s{2,}|\s[-:/]+\s|:\s|>>|\.\s(?=\S)")
_SIGN = re.compile(r"(?:[:=]|[-=]>|~)\s*$")
#: `loss: np.float64(0.5)`, `loss=tensor(0.5, device=...)`.
_WRAPPER = re.compile(r"(?<=[:=])\s*(?:[a-z]+\.)?(?:float\d*|int\d*|tensor|array|Array|Tensor|DeviceArray)\($")
_LOOSE = frozenset(" \t[({'\"$~<*`")
_BEHIND = re.compile(r"^\s{1,2}([A-Za-z][\w./-]*(?:\s[A-Za-z][\w./-]*){0,2})\s*(?=[,;|)\]\t]|$)")
#: Words that stand before a name without being part of it, and between a name and its number.
_STOP = frozenset(
    {"info", "debug", "warning", "warn", "error", "root", "the", "at", "with", "and", "of", "is", "for", "in", "to", "after",
     "a", "an", "on", "was", "are", "by", "now", "log", "logger", "current", "average", "averaged", "took", "about", "over",
     "than", "we", "got", "new", "this", "my", "its", "from", "then"}
)  # fmt: skip
_PHASE = re.compile(
    r"(?<![A-Za-z])(?P<train>train(?:ing)?)(?![A-Za-z])|(?<![A-Za-z])(?:val|valid|validation|validating|eval|evaluation|evaluating|test|testing|dev|(?-i:CV))(?![A-Za-z])",
    re.IGNORECASE,
)
#: A name that says itself that an evaluation measured it.
_EVALUATED = re.compile(r"(?:val|valid|validation|eval|test|dev|cv)[_/ .-]", re.IGNORECASE)
_MAX_WORDS = 4


_CELL = re.compile(r"^\s*\|\s*(?P<name>[A-Za-z_][^|]{0,80}?)\s*\|\s*$")
#: Words of counters; what they count in a validation is the training's.
_COUNTER = re.compile(
    r"(?i)(?<![a-z])(?:step|steps|epoch|epochs|iter|iters|iteration|iterations|batch|batches|update|updates|ep)(?![a-z])"
)
_THOUSANDS = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9}


class Slot(NamedTuple):
    """One number of a line: which one, its name, the number of the total behind it (`17/438`) or -1, and its unit's factor."""

    place: int
    name: str
    total: int = -1
    factor: float = 1.0


def slots_of(line: str) -> tuple[Slot, ...]:
    """The numbers of a line that have a name, in order; `#1` for a whole number that stands alone in front.

    Parameters
    ----------
    line
        A line of a log without colours. Numbers are counted as `NUMBER.finditer` meets them.
    """
    found = list(NUMBER.finditer(line))
    begins, ends = _apart(line)
    walk = _Walk()
    at = 0
    for place, match in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(line)
        before = line[at : match.start()]
        at = match.end()
        clock = bisect.bisect_right(ends, match.start())
        if clock < len(ends) and begins[clock] < match.end():
            walk.go_past(before)
        else:
            head = _STUCK.sub("", before) if place else before
            walk.take(_Spot(place, match[0], before, head, line[at:end], line[at : end + 20], end == len(line)))
    return tuple(walk.slots)


def _apart(line: str) -> tuple[list[int], list[int]]:
    """Where the stretches of a line begin and end whose numbers are none of the training's; they are apart, and in order."""
    spans = [m.span() for m in _CLOCKS.finditer(line)]
    behind = 0
    for match in _SOURCE_LINE.finditer(line):
        begin = match.start()
        while begin > behind and (line[begin - 1].isalnum() or line[begin - 1] in "_/.-"):
            begin -= 1
        behind = match.end()
        spans.append((begin, behind))
    begins, ends = list[int](), list[int]()
    for begin, end in sorted(spans):
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends


class _Spot(NamedTuple):
    """A number of a line and the text around it.

    `head` is the text before it without a unit of the number before; `after` ends at the next number, `further` somewhat
    behind that.
    """

    place: int
    token: str
    before: str
    head: str
    after: str
    further: str
    is_last: bool


#: Characters between two items of a list.
_MAX_BETWEEN = 3


#: Digits of the place of an item in a list.
_MAX_DIGITS = 10


class _Walk:
    """Goes along the numbers of a line, remembering what names the next ones."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.last_name = ""
        self._phase, self._token = "", ""
        self._taken: dict[str, int] = {}

    def go_past(self, text: str) -> None:
        """Pass over a number of a clock: `Epoch 3 | Validation | Elapsed Time: 0:15:19 | Loss: 0.5`."""
        self.last_name = ""
        self._phase = _phase(text, "", self._phase)

    def take(self, spot: _Spot) -> None:
        """Take the next number that is no part of a clock."""
        follows = bool(self.slots) and self.slots[-1].place == spot.place - 1
        if follows and spot.head.strip() in {"/", "of"}:
            self._total(spot)
            return
        name = _name_in(spot.head)
        # A counter in front says of what the line is: `Val Batch 3/40 loss 0.5`.
        self._phase = _phase(spot.head, name if self.slots or not is_counter(name) else "", self._phase)
        if not name and follows and self.slots[-1].name == self.last_name:
            name = self._in_a_row(spot)
        if not name:
            name = _behind(spot.before, spot.after, is_last=spot.is_last)
        if name and not self._is_done(name):
            name = name if is_counter(name) or _EVALUATED.match(name) else self._phase + name
        self.last_name = name
        name = name or self._bare(spot)
        self._token = spot.token
        if name:
            self._taken[name] = self._taken.get(name, 0) + 1
            factor = _THOUSANDS.get(spot.after[:1], 1.0) if not spot.after[1:2].isalnum() and is_counter(name) else 1.0
            again = self._taken[name]
            self.slots.append(Slot(spot.place, name if again == 1 else f"{name} ({again})", factor=factor))

    def _total(self, spot: _Spot) -> None:
        behind = _BEHIND.match(spot.after)
        name = self.slots[-1].name
        if name.startswith("#") and behind and is_counter(behind[1]):
            name = behind[1]  # `200/ 2983 batches`
        self.slots[-1] = self.slots[-1]._replace(name=name, total=spot.place)

    def _in_a_row(self, spot: _Spot) -> str:
        """The name of a number that follows another with hardly anything between: an item of a list, or what was counted."""
        name = self.last_name
        if spot.before.strip() == "," and spot.after.strip() == "/" and spot.token.isdigit() and is_counter(name):
            return "batch"  # `Epoch  1,    50/37527`, padded or not
        if spot.before.isspace() and self._token.isdigit() and "." in spot.token:
            # `Train loss 200 0.5`: the count stands between the name and its number.
            self.slots[-1] = self.slots[-1]._replace(name="#1")
            self._taken[name] = 0
            return name
        if spot.before.strip() != "," or len(spot.before) > _MAX_BETWEEN:
            return ""
        base, _, number = name.rpartition("/")
        if number.isdecimal() and base and len(number) < _MAX_DIGITS:
            return f"{base}/{int(number) + 1}"
        self.slots[-1] = self.slots[-1]._replace(name=f"{name}/0")
        return f"{name}/1"

    def _is_done(self, name: str) -> bool:
        """Whether a name was made from the one before, which has the prefix of its phase."""
        return bool(self._phase) and name.startswith(self._phase)

    def _bare(self, spot: _Spot) -> str:
        """What a whole number without a name counts, if anything."""
        if not spot.token.replace(",", "").isdigit() or spot.after.startswith("%"):
            return ""
        if not self.slots:
            return "#1"
        between = " ".join(spot.before.split())
        if self.slots[-1].name == "#1" and between == "," and spot.after[:1] == "]":
            self.slots[-1] = self.slots[-1]._replace(
                name="epoch"
            )  # `[3,  200] loss: 0.5`, as PyTorch's tutorials print
            return "batch"
        has_total = spot.after.lstrip()[:1] == "/"
        # `| epoch 3 | 200/ 2983 batches |`, `Epoch: 3 [1280/60000`
        # `49%|██▏   | 150/300 [00:29<`: a bar counts what it goes over.
        is_bar = "%|" in between and between.endswith("|") and "[" in spot.further
        return (
            "batch" if has_total and (is_bar or "batch" in spot.further or between in {"[", "(", "] [", "]["}) else ""
        )


def is_counter(name: str) -> bool:
    """Whether a word of a name is one of counters: `step`, `Learning iteration`, `batch`."""
    return _COUNTER.search(name.replace("_", " ")) is not None


def _name_in(text: str) -> str:
    """The name that ends the text before a number, or "" where none does."""
    if "|" in text and (cell := _CELL.match(text)):
        return cell["name"].strip()
    text = _WRAPPER.sub("", text)
    end = len(text)
    while end and text[end - 1] in _LOOSE:
        end -= 1
    gap, text = text[end:], text[:end]
    sign = _SIGN.search(text)
    if sign is None and gap.strip(" \t") and "(" not in gap and "[" not in gap:
        return ""  # `loss 0.5` has nothing but blanks between name and number
    text = text[: sign.start() if sign else end].rstrip(" \t'\"`.")
    if not text:
        return ""
    text = _GROUP.sub(" ", text) if ")" in text else text
    return _phrase(_APART.split(text.rstrip())[-1].split(), has_sign=sign is not None)


def _phrase(words: list[str], *, has_sign: bool) -> str:
    """The name in the words before a number, without those that are none."""
    words = [w.strip(".") if len(w) > 3 else w for w in words]
    # An argument of a command line is a word of its own, and what stands before it none of the name.
    words = words[max((place for place, word in enumerate(words) if word.startswith("--") or "=" in word), default=0) :]
    if len(words) > 1 and "=" in words[0] and not words[0].startswith("--"):
        words = words[1:]  # `msg=train loss=0.5`: a pair of its own, whose value is a word
    if not has_sign:
        # `Validation at step 40` names a step; behind a sign, `Std of Reward: 1.5`, the whole is a name.
        cut = max((place for place, word in enumerate(words[:-1]) if word.lower() in _STOP), default=-1)
        words = words[cut + 1 :]
    if not has_sign and len(words) > 3:
        words = words[-1:] if words[-1].lower() not in _STOP else words[-2:-1]
    words = words[-_MAX_WORDS:]
    while len(words) > 1 and words[-1].lower() in _STOP:
        words.pop()
    while len(words) > 1 and words[0].lower().strip("[]():") in _STOP:
        words.pop(0)
    if not words or (not has_sign and words[0].lower() in _STOP):
        return ""
    stuck = max((place for place, word in enumerate(words) if ":" in word), default=-1)
    if stuck >= 0:
        # What a logger put in front: `INFO:tensorflow:loss`, `INFO:base:Train Epoch`.
        words = [words[stuck].rpartition(":")[2], *words[stuck + 1 :]]
    name = " ".join(words).strip("-.*#>|/\\")
    return name if name and (name[0].isalpha() or name[0] in "_#") else ""


def _behind(before: str, after: str, *, is_last: bool) -> str:
    """The name behind a number, `0.5 avg loss,`, where none stands before it."""
    if before.strip() and before.strip()[-1] not in ",;|:])>":
        return ""
    match = _BEHIND.match(after)
    return match[1] if match and (match.end() < len(after) or is_last) else ""


def _phase(text: str, name: str, phase: str) -> str:
    """The prefix of names behind this text: `val/` behind `valid:`, none behind `train:`."""
    place = text.rfind(name) if name else len(text)
    last = None
    for last in _PHASE.finditer(text[: max(place, 0)]):  # noqa: B007 -- the last one counts
        pass
    if last is None:
        return phase
    return "" if last["train"] else "val/"


def header_of(line: str) -> tuple[str, ...]:
    """The names in a line that may stand above a table of numbers; empty where it does not look like one."""
    text = line.strip().lstrip("#").strip()
    if not text or len(text) > 2000 or NUMBER.search(text):
        return ()
    if "|" in text:
        cells = [c.strip() for c in text.strip("|").split("|")]
    elif "\t" in text:
        cells = [c.strip() for c in text.split("\t")]
    elif "," in text:
        cells = [c.strip() for c in text.split(",")]
    else:
        cells = re.split(r"\s{2,}", text)
        if len(cells) < 3:
            cells = text.split()
    names = [c for c in cells if c]
    good = len(names) == len(cells) and 2 <= len(names) <= 200 and len(set(names)) == len(names)
    return tuple(names) if good and all(any(c.isalpha() or c == "#" for c in n) and len(n) <= 60 for n in names) else ()


def cells_of(line: str, n_names: int) -> tuple[str, ...]:
    """The cells of a row below `n_names` names, or empty where the line is not such a row."""
    text = line.strip()
    if "|" in text and text.count("|") >= n_names - 1:
        cells = [c.strip() for c in text.strip("|").split("|")]
    elif "\t" in text:
        cells = [c.strip() for c in text.split("\t")]
    elif "," in text and text.count(",") >= n_names - 1:
        cells = [c.strip() for c in text.split(",")]
    else:
        cells = text.split()
    if len(cells) < n_names or (len(cells) > n_names and ":" not in cells[n_names - 1][-1:] + cells[n_names][:1]):
        return ()
    cells = cells[:n_names]
    n_numbers = sum(NUMBER.match(c) is not None for c in cells)
    return tuple(c.rstrip(":") for c in cells) if n_numbers >= max(2, 0.6 * n_names) else ()
