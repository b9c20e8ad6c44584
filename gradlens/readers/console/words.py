"""What a console log says in words beside its records: overflows, the loss scale that was set, and the line that ended it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradlens.run import Notice

#: Words of which each stands in the lines that are looked for; counting one is several times as fast as searching
#: for any of them.
_OVERFLOWS = ("OVERFLOW!", "Overflow detected", "overflow detected", "Gradient overflow.")
_SCALE_HINTS = ("oss scale", "loss_scale :", "reducing to")
_NUMBER = r"([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
_SCALE = re.compile(
    r"(?:setting loss scale to:?|reducing loss scale to|reducing to|loss scale to:?|PARAMETER "
    rf"loss_scale\s*:)\s*{_NUMBER}",
    re.IGNORECASE,
)
_FATAL_HINTS = (
    "inimum",
    "Error: ",
    "xception: ",
    "topping",
    "erminating",
    "not finite",
    "diverged with loss",
    "Error\n",
    "returned nan values",
)
#: MAE, DETR and their kin stop by hand, Keras by TerminateOnNaN, Lightning by EarlyStopping, TensorFlow by NanTensorHook.
_FATAL = re.compile(
    r"^.*(?:Minimum loss scale reached|loss scale already at minimum|[Ll]oss is "
    r"(?:tensor\()?[-+]?(?:nan|NaN|inf)[^\n]*[Ss]top|FloatingPointError|Invalid loss, terminating training"
    r"|Function '\w+' returned nan values"
    r"|Model diverged with loss|NanLossDuringTrainingError|is not finite[^\n]*Signaling Trainer to stop).*$",
    re.MULTILINE,
)
_TRACEBACK = "Traceback (most recent call last)"
#: What stands in front of each line of one rank's traceback, and the last line of a traceback: the name of an exception and its text.
_RANK = re.compile(r"^\[?(?:[\w.-]*rank\s?\d+|\d+)\]?:\s?|^\[rank\d+\]:\s?")
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b(?:: .*)?$")
#: The same line alone, where only the end of a traceback was kept; a number behind the name is an error that was measured.
_BARE_HINTS = ("Error: ", "Exception: ")
_BARE = re.compile(
    r"^(?:\[?(?:[\w.-]*rank\s?\d+|\d+)\]?:\s?)?((?:\w+\.)*\w+(?:Error|Exception): (?![\s\d.+-]).*)$", re.MULTILINE
)
_MAX_LINE = 200


@dataclass
class Words:
    """What was found so far; feed it the parts of a text in order."""

    n_overflows: int = 0
    scales: list[float] = field(default_factory=list)
    fatal: str = ""
    crash: str = ""
    crash_at: int = -1
    _before: int = 0

    def feed(self, text: str) -> None:
        """Look through the next part, which ends where a line does."""
        self.n_overflows += sum(map(text.count, _OVERFLOWS))
        if any(hint in text for hint in _SCALE_HINTS):
            self.scales += [float(match[1]) for match in _SCALE.finditer(text)]
        if any(hint in text for hint in _FATAL_HINTS):
            for match in _FATAL.finditer(text):
                self.fatal = match[0].strip()[:_MAX_LINE]
        if _TRACEBACK in text:
            at = text.rindex(_TRACEBACK)
            self.crash, self.crash_at = _exception(text[at:]), self._before + at
        elif any(hint in text for hint in _BARE_HINTS):
            for match in _BARE.finditer(text):
                self.crash, self.crash_at = match[1][:_MAX_LINE], self._before + match.start()
        self._before += len(text)

    def notices(self, last_record: int = -1) -> Iterator[Notice]:
        """One notice each for overflows, for the scale and for a fatal line.

        An exception ended the run where no record begins after its traceback: `last_record` is the place of the last one.
        """
        if self.n_overflows:
            yield Notice(
                code="overflow-lines",
                message="lines that report an overflow and a skipped step",
                count=self.n_overflows,
            )
        if self.scales:
            first, last, top = self.scales[0], self.scales[-1], max(self.scales)
            yield Notice(
                code="loss-scale-lines",
                message=f"lines that set the loss scale, from {first:g} at first to {last:g} at last",
                count=len(self.scales),
                column="loss_scale",
                values={"first": first, "highest": top, "last": last},
            )
        if self.fatal:
            yield Notice(code="fatal-line", message=f"the trainer gave up: {self.fatal}")
        elif self.crash and last_record < self.crash_at:
            yield Notice(code="crash-line", message=f"the program ended with {self.crash}")


def _exception(text: str) -> str:
    """The exception with which the traceback at the start of a text ends; empty where a user stopped the program."""
    lines = text.split("\n")
    for line in lines[1:]:
        bare = _RANK.sub("", line.rstrip())
        if bare and not bare[0].isspace():
            return bare[:_MAX_LINE] if _EXCEPTION.match(bare) else ""
    return ""
