"""PURE: the fields of a CRD's schema, and where an object holds them.

`values.py` says what to put there, `changes.py` makes changes of the two.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

Schema = Mapping[str, Any]
Spec = dict[str, Any]
Place = tuple[str | int, ...]
"""Keys and indices from the object's root."""

ITEM: Final = "[]"
"""In a field's path: every item of the list."""
VALUE: Final = "{}"
"""In a field's path: the value of every key."""

CRDS: Final = Path(__file__).resolve().parents[3] / "crds"


@dataclass(frozen=True)
class Field:
    """One field of the schema: `path` from `spec` on, `required` by its parent or not."""

    path: tuple[str, ...]
    schema: Schema
    required: bool

    def __str__(self) -> str:
        return ".".join(self.path).replace(".[]", "[]").replace(".{}", "{}")


@cache
def spec_schema(plural: str) -> Schema:
    """The schema of a kind's `spec`, as it is in crds/."""
    document = yaml.safe_load((CRDS / f"keelway.dev_{plural}.yaml").read_text())
    schema: Schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def fields(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every field below the schema, parents first."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        yield Field((*path, name), child, name in required)
        yield from fields(child, (*path, name))
    for keyword, step in (("items", ITEM), ("additionalProperties", VALUE)):
        if keyword in schema:
            # An item is no field: its list is shortened elsewhere.
            yield Field((*path, step), schema[keyword], True)
            yield from fields(schema[keyword], (*path, step))


def places(spec: Spec, path: tuple[str, ...]) -> list[Place]:
    """Where in `spec` the field is or could be put: its parent is there. Those where it is come first."""
    found: list[tuple[Place, Any]] = [((), spec)]
    for step in path[:-1]:
        found = [inner for place, value in found for inner in _inside(place, value, step)]
    last = path[-1]
    if last in (ITEM, VALUE):
        return [inner for place, value in found for inner, _ in _inside(place, value, last)]
    there = [(*place, last) for place, value in found if isinstance(value, dict) and last in value]
    could = [(*place, last) for place, value in found if isinstance(value, dict) and last not in value]
    return there + could


def read(spec: Spec, place: Place) -> Any:
    """The value at a place, or None."""
    value: Any = spec
    for step in place:
        value = value[step] if isinstance(step, int) else value.get(step)
        if value is None:
            return None
    return value


def put(spec: Spec, place: Place, value: Any) -> Spec:
    """A copy with that value there."""
    changed = deepcopy(spec)
    parent = read(changed, place[:-1])
    parent[place[-1]] = deepcopy(value)
    return changed


def without(spec: Spec, place: Place) -> Spec:
    """A copy without that field."""
    changed = deepcopy(spec)
    del read(changed, place[:-1])[place[-1]]
    return changed


def _inside(place: Place, value: Any, step: str) -> list[tuple[Place, Any]]:
    if step == ITEM:
        return [((*place, number), item) for number, item in enumerate(value)] if isinstance(value, list) else []
    if not isinstance(value, dict):
        return []
    if step == VALUE:
        return [((*place, name), item) for name, item in value.items()]
    return [((*place, step), value[step])] if step in value else []
