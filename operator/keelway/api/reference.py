"""Writes the field reference from the models: `python -m keelway.api.reference [--check] docs/reference.md`.

PURE but for `main`: every field of every kind as a row of a table, read from the very CRDs that `crd.py` generates, so
that what is written here is what `kubectl explain` says and what the API server checks.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keelway.api.crd import DEFINITIONS, Definition, custom_resource_definition

_HEAD: Final = """\
<!-- Generated from the models in operator/keelway/api by `make crds`. Do not edit. -->
# Field reference

Every field of Keelway's kinds, API version `{version}`. `kubectl explain` says the same.
"""
# Of the structural schema: the keywords of a bound, and what they count.
_BOUNDS: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " entries"),
)


@dataclass(frozen=True)
class Row:
    """One field: `path` as a user would write it (`spec.tests[].name`), `required` within its parent."""

    path: str
    schema: Mapping[str, Any]
    required: bool


def reference() -> str:
    """The whole document."""
    head = _HEAD.format(version=f"{DEFINITIONS[0].resource.group}/{DEFINITIONS[0].resource.version}")
    return "\n".join([head, *(_kind(definition) for definition in DEFINITIONS)])


def rows(schema: Mapping[str, Any], path: str) -> Iterator[Row]:
    """The fields below an object's schema, parents before their children."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield Row(here, field, name in required)
        yield from rows(*_inside(field, here))


def _inside(schema: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], str]:
    """The schema whose fields are the next ones to tell: a list's items, a map's values, or the object itself."""
    if schema.get("type") == "array":
        return _inside(schema["items"], f"{path}[]")
    values = schema.get("additionalProperties")
    return _inside(values, f"{path}.*") if isinstance(values, Mapping) else (schema, path)


def _kind(definition: Definition) -> str:
    root = custom_resource_definition(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    lines = [f"## {definition.resource.kind}", "", root["description"], *_rules(root, "\n"), ""]
    for part in ("spec", "status"):
        lines += ["| field | type | what it is |", "| --- | --- | --- |"]
        lines += [_line(row) for row in rows(root["properties"][part], part)]
        lines += [""]
    return "\n".join(lines)


def _line(row: Row) -> str:
    name = f"`{row.path}`" + (" (required)" if row.required else "")
    description = " ".join(row.schema.get("description", "").split())
    told = "<br>".join([description, *_rules(row.schema)])
    return f"| {name} | {_cell(_type(row.schema))} | {_cell(told)} |"


def _type(schema: Mapping[str, Any]) -> str:
    found = (_bound(schema.get(least), schema.get(most)) for least, most, _ in _BOUNDS)
    bounds = [f"{bound}{what}" for bound, (_, _, what) in zip(found, _BOUNDS, strict=True) if bound]
    if "default" in schema and not isinstance(schema["default"], dict):
        bounds.append(f"default `{json.dumps(schema['default'])}`")
    return ", ".join([_type_name(schema), *bounds])


def _bound(least: int | None, most: int | None) -> str:
    if most is None:
        return "" if least is None else f"at least {least}"
    if not least:
        return f"at most {most}"
    return str(least) if least == most else f"{least} to {most}"


def _type_name(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {_type_name(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map to {_type_name(schema['additionalProperties'])}"
    return str(schema.get("format") if schema.get("format") == "date-time" else schema.get("type", "any"))


def _rules(schema: Mapping[str, Any], before: str = "") -> list[str]:
    messages = (rule.get("message") for rule in schema.get("x-kubernetes-validations", ()))
    return [f"{before}Rule: {message}." for message in messages if message]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("&lt;br>", "<br>")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m keelway.api.reference", description="Write the field reference.")
    parser.add_argument("file", type=Path, help="where the reference is, e.g. docs/reference.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file differs")
    arguments = parser.parse_args()
    wanted = reference()
    if not arguments.check:
        arguments.file.write_text(wanted)
        return 0
    if arguments.file.exists() and arguments.file.read_text() == wanted:
        return 0
    print(f"{arguments.file} is not as the models say. Run `make crds`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
