"""Turns pydantic's JSON schema into the "structural schema" that a CustomResourceDefinition may hold.

Pydantic writes references, unions with null, titles; a structural schema knows none of them. Every keyword is
either translated or refused with an error here, so nothing is lost in silence. Used by `crd.py` alone.
"""

from collections.abc import Mapping
from typing import Any, Final

from keelway.api.schema import INT_OR_STRING, LIST_MAP_KEYS, LIST_TYPE, RULES

Schema = dict[str, Any]

_COPIED: Final = (
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    INT_OR_STRING,
    LIST_TYPE,
    LIST_MAP_KEYS,
    RULES,
)
_TRANSLATED: Final = frozenset({"$ref", "$defs", "anyOf", "const", "default", "description", "title"})
_CHILDREN: Final = frozenset({"properties", "items", "additionalProperties"})
_INT32_MAX: Final = 2**31 - 1


def structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """The structural schema of one node of a pydantic schema. Raises ValueError for what a CRD cannot say."""
    flat = _flattened(node, definitions)
    unknown = flat.keys() - _TRANSLATED - _CHILDREN - set(_COPIED)
    if unknown:
        raise ValueError(f"a CRD has no {sorted(unknown)} (at {flat.get('title') or flat.get('description')})")
    return {
        **_description(flat),
        **{keyword: flat[keyword] for keyword in _COPIED if keyword in flat},
        **_integer_format(flat),
        **_constant(flat),
        **_default(flat),
        **_children(flat, definitions),
    }


def _flattened(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """The node with its `$ref` and its `anyOf [X, null]` put in its own place; what stands beside them
    wins."""
    if "$ref" in node:
        return _flattened(_over(definitions[node["$ref"].rpartition("/")[2]], node, "$ref"), definitions)
    if "anyOf" not in node:
        return dict(node)
    choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
    if len(choices) != 1:
        raise ValueError(f"a CRD has no unions of types: {node['anyOf']}")
    return _flattened(_over(choices[0], node, "anyOf"), definitions)


def _over(inner: Mapping[str, Any], outer: Mapping[str, Any], without: str) -> Schema:
    merged = {**inner, **{keyword: value for keyword, value in outer.items() if keyword != without}}
    rules = [*inner.get(RULES, []), *outer.get(RULES, [])]
    return {**merged, RULES: rules} if rules else merged


def _description(flat: Schema) -> Schema:
    return {"description": " ".join(flat["description"].split())} if flat.get("description") else {}


def _integer_format(flat: Schema) -> Schema:
    if flat.get("type") != "integer":
        return {}
    return {"format": "int32" if flat.get("maximum", _INT32_MAX + 1) <= _INT32_MAX else "int64"}


def _constant(flat: Schema) -> Schema:
    return {"enum": [flat["const"]]} if "const" in flat else {}


def _default(flat: Schema) -> Schema:
    """An empty default says nothing that a missing field does not, and would fill every object with `[]` and
    `{}`."""
    default = _without_empty(flat.get("default"))
    return {} if _is_empty(default) else {"default": default}


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: kept for name, part in value.items() if not _is_empty(kept := _without_empty(part))}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {}, "")


def _children(flat: Schema, definitions: Mapping[str, Any]) -> Schema:
    children: Schema = {}
    if "properties" in flat:
        children["properties"] = {name: structural(child, definitions) for name, child in flat["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if keyword in flat:
            children[keyword] = structural(flat[keyword], definitions)
    return children
