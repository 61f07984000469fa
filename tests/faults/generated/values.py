"""PURE: values that a schema allows and values that it does not, at its edges.

A string's values come from one pool, sorted by the schema's own bounds and pattern, so that a new pattern needs no
generator of its own. CEL rules are not read: what they forbid is sorted out by the API server (`changes.py`).
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from tests.faults.generated.fields import Schema

# Over this a value is not tried at each field: 64 KiB a change keeps a run of hundreds in its time.
_LONGEST: Final = 65536
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_LIST_TYPE: Final = "x-kubernetes-list-type"
_MAP_KEYS: Final = "x-kubernetes-list-map-keys"

_STRINGS: Final = (
    "", "a", "Z", "7", "x-y", "x.y", "a--b", "-", ".", "..", "-a", "a-", "A_b", "a/b", "/", "/live?full=1#top", "*",
    " ", " padded ", "two\nlines\n", "tab\there", "nul\0here", "del\x7fhere", "\ufeffmark", "\u2028", "ünïcödé", "漢字",
    "🚢 ship", "e\u0301", "\u202eright", "$(A)", "$$(A)", "{{ x }}", "yes", "null", "~", "0x1F", "1e3", "%s", "'\"`\\",
    "#!", "<a&b>", "metadata.name", "status.podIP", "metadata.labels['tier']", "metadata.labels['']", "http", "admin",
    "spec.nodeName", "example.com/tier", "kube.example.com/a.b_c-d", "https://example.com/x.git", "http://a", "HEAD",
    "main", "docker.io/library/nginx:1.27", "Dockerfile", "sub/dir", "0", "1", "100m", "0.1", "1.5Gi", "0.0001",
    "0.000000001", "1Ei", "9999Ei", "0Ki", "2.50", "00012", "1M", "99999999999999999999999999999999", "0" * 64,
)  # fmt: skip
_QUANTITIES: Final = ("1e-9", "-1", "+1", "1 Gi", "1kb", ".5", "NaN")


@dataclass(frozen=True)
class Value:
    """A value and what is special about it, in a word or two."""

    what: str
    value: Any


def allowed(schema: Schema, now: Any = None) -> list[Value]:
    """Values that the schema allows, other than `now`, the one that is there."""
    tried = [one for one in _candidates(schema, now) if one.value != now and allows(schema, one.value)]
    return _distinct(tried)


def refused(schema: Schema, now: Any = None) -> list[Value]:
    """Values that the API server must refuse for the schema alone."""
    tried = [*_candidates(schema, now), *_of_wrong_type(schema)]
    return _distinct([one for one in tried if not allows(schema, one.value)])


def allows(schema: Schema, value: Any) -> bool:
    """Whether the schema, without its CEL rules, takes the value."""
    if schema.get(_INT_OR_STRING):
        return (_is_integer(value) or isinstance(value, str)) and _in_bounds(schema, value)
    match schema.get("type"):
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return _is_integer(value) and _in_bounds(schema, value)
        case "string":
            return isinstance(value, str) and _in_bounds(schema, value)
        case "array":
            return isinstance(value, list) and _allows_items(schema, value)
        case "object":
            return isinstance(value, dict) and _allows_members(schema, value)
    raise ValueError(f"a schema of this type is not known: {schema}")


def _candidates(schema: Schema, now: Any) -> Iterator[Value]:
    if schema.get(_INT_OR_STRING):
        yield from _integers(schema)
        yield from (Value(repr(text), text) for text in (*_STRINGS, *_QUANTITIES))
        yield from _lengths(schema)
        return
    match schema.get("type"):
        case "boolean":
            yield from (Value("true", True), Value("false", False))
        case "integer":
            yield from _integers(schema)
        case "string":
            yield from (Value(f"one of the enum, {one}", one) for one in schema.get("enum", ()))
            yield from (Value(repr(text), text) for text in _STRINGS)
            yield from _lengths(schema)
        case "array":
            yield from _lists(schema, now)
        case "object":
            yield from _maps(schema, now)


def _integers(schema: Schema) -> Iterator[Value]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        yield from (Value("minimum", low), Value("minimum + 1", low + 1), Value("under minimum", low - 1))
    if high is not None:
        yield from (Value("maximum", high), Value("over maximum", high + 1))
    yield Value("2**63 - 1", 2**63 - 1)


def _lengths(schema: Schema) -> Iterator[Value]:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    if shortest > 1:
        yield Value("under minLength", "a" * (shortest - 1))
    if longest is None or longest > _LONGEST:
        return
    # The first that the pattern takes; where it takes none, neither counts as allowed.
    for filling in ("a", "0", "/"):
        full = Value(f"maxLength of {filling!r}", filling * longest)
        if allows(schema, full.value):
            yield full
            yield Value("over maxLength", filling * (longest + 1))
            break
    if "pattern" not in schema:
        yield Value("maxLength of unicode", "🚢" * longest)


def _lists(schema: Schema, now: Any) -> Iterator[Value]:
    yield Value("empty list", [])
    there = list(now or ())
    items = _items(schema, there)
    if there:
        yield Value("without the first item", there[1:])
        yield Value("in reverse order", there[::-1])
        yield Value("last item twice", [*there, there[-1]])
    if items:
        yield Value("one more item", [*there, items[-1]])
        for what, count in (("maxItems", schema.get("maxItems")), ("over maxItems", schema.get("maxItems", 0) + 1)):
            if count and len(items) >= count:
                yield Value(what, items[:count])


def _items(schema: Schema, there: list[Any]) -> list[Any]:
    """One more than the list may have, each unlike the others; empty where there is none to begin with."""
    if not there:
        return []
    one, count = there[0], schema.get("maxItems", 8) + 1
    if isinstance(one, str):
        return [f"w{number}" for number in range(count)]
    if isinstance(one, int):
        return [one + number for number in range(count)]
    return [_numbered(one, number, schema.get(_MAP_KEYS, ())) for number in range(count)]


def _numbered(item: dict[str, Any], number: int, keys: list[str]) -> dict[str, Any]:
    """A copy that is told apart by its keys, and by numbers that must differ beside them (ports)."""
    copy = deepcopy(item)
    for key in keys:
        copy[key] = f"n{number}"
    for name in ("port", "servicePort"):
        if name in copy:
            copy[name] = 20000 + number
    return copy


def _maps(schema: Schema, now: Any) -> Iterator[Value]:
    values = schema.get("additionalProperties")
    if values is None:
        if not schema.get("required"):
            yield Value("empty object", {})
        return
    there = dict(now or {})
    yield Value("empty map", {})
    samples = [one.value for one in allowed(values)] or ["x"]
    yield Value("one more key", {**there, "example.com/more": samples[-1]})
    yield Value("key longer than any name", {"example.com/" + "k" * 64: samples[0]})
    yield Value("unicode key", {"schlüssel": samples[0]})
    most = schema.get("maxProperties")
    if most:
        for what, count in (("maxProperties", most), ("over maxProperties", most + 1)):
            yield Value(what, {f"example.com/k{number}": samples[0] for number in range(count)})


def _of_wrong_type(schema: Schema) -> Iterator[Value]:
    for name, value in (("a string", "x"), ("a number", 7), ("a fraction", 1.5), ("a boolean", True)):
        yield Value(f"wrong type, {name}", value)
    yield from (Value("wrong type, a list", ["x"]), Value("wrong type, an object", {"x": "y"}))


def _allows_items(schema: Schema, items: list[Any]) -> bool:
    keys = schema.get(_MAP_KEYS)
    if keys and all(isinstance(item, dict) for item in items):
        names = [tuple(str(item.get(key)) for key in keys) for item in items]
        if len(set(names)) < len(names):
            return False
    if schema.get(_LIST_TYPE) == "set" and len({str(item) for item in items}) < len(items):
        return False
    enough = schema.get("minItems", 0) <= len(items) <= schema.get("maxItems", len(items))
    return enough and all(allows(schema["items"], item) for item in items)


def _allows_members(schema: Schema, members: dict[str, Any]) -> bool:
    if any(name not in members for name in schema.get("required", ())):
        return False
    values = schema.get("additionalProperties")
    if values is not None:
        most = schema.get("maxProperties", len(members))
        return len(members) <= most and all(allows(values, value) for value in members.values())
    known = schema.get("properties", {})
    # What is not known is pruned by the API server, not refused.
    return all(allows(known[name], value) for name, value in members.items() if name in known)


def _in_bounds(schema: Schema, value: int | str) -> bool:
    if isinstance(value, int):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    if "enum" in schema and value not in schema["enum"]:
        return False
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    # Go's "$" is the very end, Python's also stands before a last newline.
    pattern = re.sub(r"\$$", r"\\Z", schema.get("pattern", ""))
    return re.search(pattern, value) is not None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _distinct(values: list[Value]) -> list[Value]:
    seen: dict[str, Value] = {}
    for one in values:
        seen.setdefault(f"{type(one.value).__name__} {one.value!r}", one)
    return list(seen.values())
