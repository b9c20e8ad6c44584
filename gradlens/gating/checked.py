"""JSON files that a project commits: keys sorted, numbers rounded, and a checksum that shows what was changed by hand."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradlens.errors import MalformedLogError, SourceError
from gradlens.version import __version__

DIGITS = 6
LINE = 110
#: Files beyond this size are none of ours.
MAX_BYTES = 1 << 28


def dump_checked(schema: str, version: int, runs: Sequence[Any], **more: Any) -> str:
    """The text of a file; `runs` and `more` are plain data without NaN. The checksum is over the runs."""
    document = {
        "digest": digest_of(runs),
        "gradlens_version": __version__,
        "runs": runs,
        "schema": schema,
        "schema_version": version,
        **more,
    }
    return "".join(_lines(document, 0)) + "\n"


def digest_of(runs: Any) -> str:
    """A checksum of the runs of a file, whatever its spaces and line ends: a number that was changed by hand shows."""
    return hashlib.sha256(json.dumps(runs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def rounded(value: float | None) -> float | int | None:
    """A number as the file keeps it, None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def is_schema(path: Path, schema: str) -> bool:
    """Whether a file is a JSON object that names a schema, by its content."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return False
        with path.open("rb") as handle:
            if not handle.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return False
            handle.seek(0)
            return f'"{schema}"'.encode() in handle.read()
    except OSError:
        return False


def load_checked(path: Path, schema: str, version: int, *, hint: str) -> dict[str, Any]:
    """The document of a file, whose checksum is still to be compared by `require_digest`.

    Raises
    ------
    SourceError
        It cannot be read.
    MalformedLogError
        It is not such a file, or of another version, or holds no runs.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}", hint="check the path given to --baseline") from error
    except UnicodeDecodeError as error:
        raise MalformedLogError(f"{path}: not UTF-8: {error}", hint=hint) from error
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedLogError(f"{path}: not JSON: {error}", hint=hint) from error
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise MalformedLogError(f"{path}: not a gradlens baseline", hint=hint)
    if document.get("schema_version") != version:
        raise MalformedLogError(
            f"{path}: version {document.get('schema_version')} of the format, but this gradlens reads {version}",
            hint=hint,
        )
    if not isinstance(document.get("runs"), list) or not document["runs"]:
        raise MalformedLogError(f"{path}: holds no runs", hint=hint)
    return document


def require_digest(path: Path, document: Mapping[str, Any], *, hint: str) -> None:
    """Refuse a file whose runs are not those that were written."""
    if document.get("digest") != digest_of(document["runs"]):
        raise MalformedLogError(
            f"{path}: does not match its own checksum: edited by hand, merged or damaged since it was written",
            hint=hint,
        )


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


def _lines(value: Any, indent: int) -> Iterator[str]:
    """JSON with keys sorted and indented, and lists of numbers filled to the width of a line."""
    inner = " " * (indent + 1)
    if isinstance(value, Mapping) and value:
        yield "{\n"
        for i, key in enumerate(sorted(value)):
            yield f"{inner}{json.dumps(key)}: "
            yield from _lines(value[key], indent + 1)
            yield ",\n" if i < len(value) - 1 else "\n"
        yield " " * indent + "}"
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield "[\n"
        for i, item in enumerate(value):
            yield inner
            yield from _lines(item, indent + 1)
            yield ",\n" if i < len(value) - 1 else "\n"
        yield " " * indent + "]"
    elif isinstance(value, list) and value:
        yield from _filled([json.dumps(item, allow_nan=False) for item in value], indent)
    else:
        yield json.dumps(value, allow_nan=False)


def _filled(words: Sequence[str], indent: int) -> Iterator[str]:
    lines, current = [], ""
    for word in words:
        longer = f"{current}, {word}" if current else word
        if current and len(longer) + indent + 1 > LINE:
            lines.append(current)
            longer = word
        current = longer
    lines.append(current)
    if len(lines) == 1:
        yield f"[{lines[0]}]"
        return
    inner = " " * (indent + 1)
    yield "[\n" + ",\n".join(inner + line for line in lines) + "\n" + " " * indent + "]"
