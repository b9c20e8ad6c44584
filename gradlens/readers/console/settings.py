"""Settings that a console log dumps before training: argument tables, namespaces, YAML, JSON, command lines, `dict(...)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gradlens.config import SPELLINGS

#: Short words that mean a setting in a configuration file but can mean anything in running text.
_TOO_COMMON = frozenset({"opt", "lr", "b1", "b2", "wd", "l2", "clip", "batch", "warmup", "schedule", "optim", "dtype"})
MAX_CHARS = 4_000_000

_ALIAS = {name for spellings in SPELLINGS.values() for name in spellings if "." not in name and name not in _TOO_COMMON}
_KEY = "|".join(
    sorted((re.escape(name).replace("_", "[-_]") for name in _ALIAS | {"adam_betas", "betas"}), key=len, reverse=True)
)
_VALUE = r"'[^'\n]{0,80}'|\"[^\"\n]{0,80}\"|\[[^\]\n]{0,80}\]|\([^)\n]{0,80}\)|(?!dict\()[^\s,;(){}\[\]|]+"
#: Megatron and DeepSpeed: `clip_grad ..................... 1.0`.
_DOTTED = re.compile(r"(?:^|[ \]])(?P<key>[a-z]\w{1,60}) \.{2,} (?P<value>[^\n]{1,80})$", re.MULTILINE)
_PAIR = re.compile(
    rf"(?i)(?<![\w./-])(?:--)?['\"]?(?P<key>{_KEY})['\"]?\s{{0,4}}(?:[:=]\s{{0,4}}|\s(?=[-\d.]))(?P<value>{_VALUE})"
)
_PATHED = re.compile(rf"(?i)--[\w.]+\.(?P<key>{_KEY})[= ](?P<value>{_VALUE})")
#: MMEngine and mmcv print Python: `optimizer=dict(lr=0.0001, type='AdamW', weight_decay=0.0001)`; PyTorch prints its optimizers.
_OPTIMIZER = re.compile(r"\boptimizer\s?=\s?dict\((?P<body>(?:[^()]|\([^()]*\)){0,2000})\)")
_PRINTED = re.compile(
    r"\b(?P<type>[A-Z]\w{2,30}) \(\s*\nParameter Group 0\n(?P<body>(?:[ \t]+\w+: [^\n]{0,80}\n){1,30})"
)
_OWN = re.compile(r"\b(?P<key>lr|type|betas|weight_decay)\s?[:=]\s?(?P<value>'\w+'|\([^()\n]{0,60}\)|[-+.\de]+)")
#: Lines of YAML: keys, nested or with a value, and items of lists. Prose and records hold more than one colon or none.
_YAML = re.compile(
    r"(?:^[ ]{0,40}(?:- )?[A-Za-z_][\w.-]{0,60}:(?: [^\n:]{1,200})?[ \t]*\n|^[ ]{0,40}- [^\n:]{1,200}\n){4,}",
    re.MULTILINE,
)
#: A section and something in it: without one the lines may be anything with colons.
_SECTION = re.compile(r"^( *)[\w.-]+:[ \t]*\n\1(?:[ ]+\S|- )", re.MULTILINE)
_FLOW = re.compile(r": \{[^{}\n]{1,200}\}[ \t]*$", re.MULTILINE)
_MAX_YAML = 200_000
#: Anchors make a small text a large mapping.
_ANCHOR = re.compile(r"(?:^|[\s:-])[&*]\w", re.MULTILINE)


def settings_in(text: str, begin: int, end: int) -> dict[str, Any]:
    """The known settings dumped between two places of a log; the first mention of each counts.

    What is printed as YAML with sections stays nested, so that the settings of an evaluation are not taken for those of the
    training.

    Parameters
    ----------
    text
        The log, colours removed.
    begin, end
        From the last record of the run before (or 0) to the first record of this run. Of a longer stretch only the last
        four million characters are searched.
    """
    part = text[max(begin, end - MAX_CHARS) : end]
    found: dict[str, Any] = {}
    for name, mapping in _nested(part):
        found.setdefault(name, mapping)
    if found:
        part = _YAML.sub(lambda block: block[0] if _mapping(block[0]) is None else "\n", part)
    for pattern in (_DOTTED, _PAIR, _PATHED):
        for match in pattern.finditer(part):
            found.setdefault(match["key"].lower().replace("-", "_"), match["value"].strip().strip("'\""))
    for pattern in (_OPTIMIZER, _PRINTED):
        for match in pattern.finditer(part):
            own = {m["key"]: m["value"].strip("'") for m in _OWN.finditer(match["body"])}
            if pattern is _PRINTED:
                own["type"] = match["type"]
            found.setdefault("optimizer", own)
    return found


def _nested(text: str) -> Iterator[tuple[str, Any]]:
    """What is at the top of each block of YAML."""
    for block in _YAML.finditer(text):
        yield from (_mapping(block[0]) or {}).items()


def _mapping(block: str) -> dict[str, Any] | None:
    """A block as a mapping, or None where it is not one with sections."""
    if len(block) > _MAX_YAML or _ANCHOR.search(block) or not (_SECTION.search(block) or _FLOW.search(block)):
        return None
    import textwrap

    import yaml

    try:
        data = yaml.safe_load(textwrap.dedent(block))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return {str(key): value for key, value in data.items()} if isinstance(data, dict) else None
