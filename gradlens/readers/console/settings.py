"""Settings that a console log dumps before training: argument tables, namespaces, YAML, JSON, command lines."""

from __future__ import annotations

import re

from gradlens.config import SPELLINGS

#: Short words that mean a setting in a configuration file but can mean anything in running text.
_TOO_COMMON = frozenset({"opt", "lr", "b1", "b2", "wd", "l2", "clip", "batch", "warmup", "schedule", "optim", "dtype"})
MAX_CHARS = 4_000_000

_ALIAS = {name for spellings in SPELLINGS.values() for name in spellings if "." not in name and name not in _TOO_COMMON}
_KEY = "|".join(
    sorted((re.escape(name).replace("_", "[-_]") for name in _ALIAS | {"adam_betas", "betas"}), key=len, reverse=True)
)
_VALUE = r"'[^'\n]{0,80}'|\"[^\"\n]{0,80}\"|\[[^\]\n]{0,80}\]|\([^)\n]{0,80}\)|[^\s,;(){}\[\]|]+"
#: Megatron and DeepSpeed: `clip_grad ..................... 1.0`.
_DOTTED = re.compile(r"(?:^|[ \]])(?P<key>[a-z]\w{1,60}) \.{2,} (?P<value>[^\n]{1,80})$", re.MULTILINE)
_PAIR = re.compile(
    rf"(?i)(?<![\w./-])(?:--)?['\"]?(?P<key>{_KEY})['\"]?\s{{0,4}}(?:[:=]\s{{0,4}}|\s(?=[-\d.]))(?P<value>{_VALUE})"
)
_PATHED = re.compile(rf"(?i)--[\w.]+\.(?P<key>{_KEY})[= ](?P<value>{_VALUE})")


def settings_in(text: str, begin: int, end: int) -> dict[str, str]:
    """The known settings dumped between two places of a log; the first mention of each counts.

    Parameters
    ----------
    text
        The log, colours removed.
    begin, end
        From the last record of the run before (or 0) to the first record of this run. Of a longer stretch only the last
        four million characters are searched.
    """
    begin = max(begin, end - MAX_CHARS)
    found: dict[str, str] = {}
    for pattern in (_DOTTED, _PAIR, _PATHED):
        for match in pattern.finditer(text, begin, end):
            found.setdefault(match["key"].lower().replace("-", "_"), match["value"].strip().strip("'\""))
    return found
