"""JSON Schema of a document, made from the frozen dataclasses that the document is made from.

The shipped files of `gradlens/schemas` are the output of `python -m gradlens.reports.schema`; a test keeps the two the same.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from gradlens.files import write_whole


def schema_of(root: type, *, title: str, identifier: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a dataclass; nested dataclasses become `$defs`.

    Non-finite numbers are null in our documents, so every float may be null.
    """
    definitions: dict[str, Any] = {}
    body = _of(root, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identifier,
        "title": title,
        **body,
        "$defs": dict(sorted(definitions.items())),
    }


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 -- one return a kind of type
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin in {Union, types.UnionType}:
        return _union(arguments, definitions)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": _of(arguments[0], definitions)}
        items = [_of(a, definitions) for a in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, definitions)
    plain = {bool: {"type": "boolean"}, int: {"type": "integer"}, str: {"type": "string"}}
    if kind is float:
        return {"type": ["number", "null"]}
    return dict(plain[kind])


def _union(arguments: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    parts = [{"type": "null"} if a is type(None) else _of(a, definitions) for a in arguments]
    unique = [p for i, p in enumerate(parts) if p not in parts[:i]]
    return {"anyOf": unique}


def _dataclass(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # stands in while the class is being described, should it contain itself
        hints = get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind) if "beside" not in f.metadata]
        definitions[name] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().partition("\n")[0],
            "properties": {n: _of(hints[n], definitions) for n in names},
            "required": names,
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def report_schema() -> dict[str, Any]:
    """The schema of `gradlens analyze --format json`."""
    from gradlens.reports.analysis import Report

    return schema_of(Report, title="gradlens report", identifier="urn:gradlens:report:1")


def gate_schema() -> dict[str, Any]:
    """The schema of `gradlens gate --format json`."""
    from gradlens.reports.gate import GateReport

    return schema_of(GateReport, title="gradlens gate", identifier="urn:gradlens:gate:1")


def comparison_schema() -> dict[str, Any]:
    """The schema of `gradlens compare --format json`."""
    from gradlens.reports.comparison import ComparisonReport

    return schema_of(ComparisonReport, title="gradlens comparison", identifier="urn:gradlens:comparison:1")


def fleet_schema() -> dict[str, Any]:
    """The schema of `gradlens fleet show --format json`."""
    from gradlens.reports.fleet import FleetOverview

    return schema_of(FleetOverview, title="gradlens fleet", identifier="urn:gradlens:fleet:1")


def brief_schema() -> dict[str, Any]:
    """The schema of `gradlens analyze --format brief`."""
    from gradlens.reports.brief import Brief

    return schema_of(Brief, title="gradlens brief", identifier="urn:gradlens:brief:1")


SCHEMAS = {
    "report-1": report_schema,
    "brief-1": brief_schema,
    "gate-1": gate_schema,
    "comparison-1": comparison_schema,
    "fleet-1": fleet_schema,
}


def write_schemas() -> None:
    """Write the shipped schemas again."""
    for name, make in SCHEMAS.items():
        path = Path(__file__).parent.parent / "schemas" / f"{name}.json"
        write_whole(path, json.dumps(make(), indent=1) + "\n")


if __name__ == "__main__":
    write_schemas()
