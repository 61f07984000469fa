"""PURE: is a live object as it was wanted? (contract rule 8; `managed_fields.py` is the cure, rule 9)

Yes, when everything wanted is contained in it, and nothing unwanted stands at the paths that a child names as exact.
`metadata.generation` would not do: Services have none.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from keelway.api import quantity

Path = tuple[str, ...]
EACH: Final = "*"
"""In a path: every item of the list."""

# The keys by which the API server merges a list's items (x-kubernetes-list-map-keys in its OpenAPI), by field name;
# the first that the items have counts. Lists that are not named are atomic: compared item by item.
_KEYS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        "containers": (("name",),),
        "initContainers": (("name",),),
        "env": (("name",),),
        "ports": (("containerPort", "protocol"), ("port", "protocol")),
        "volumes": (("name",),),
        "volumeMounts": (("mountPath",),),
        "imagePullSecrets": (("name",),),
        "ownerReferences": (("uid",),),
        "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    }
)
_KEY_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({"protocol": "TCP"})
_QUANTITIES: Final = frozenset({"limits", "requests", "sizeLimit", "averageValue", "divisor"})

# What the API server itself puts into items of an exact list: absent here means that any field may be there.
_ITEM_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ports": MappingProxyType({"protocol": "TCP", "targetPort": None, "nodePort": None}),
        "env": MappingProxyType({}),
    }
)


def differences(wanted: Mapping[str, Any], live: Mapping[str, Any], exact: Sequence[Path] = ()) -> list[str]:
    """Where `live` is not as `wanted`, as readable paths ("spec.ports[80].targetPort"); empty when it is."""
    found = [_readable(where) for where in _missing(wanted, live, ())]
    for path in exact:
        found += [_readable(where) for where in _surplus(wanted, live, path, ())]
    return found


def _missing(wanted: Any, live: Any, where: Path) -> Iterator[Path]:
    """What is wanted and not there."""
    if isinstance(wanted, Mapping):
        known = live if isinstance(live, Mapping) else {}
        for name, value in wanted.items():
            yield from _missing(value, known.get(name), (*where, name))
    elif isinstance(wanted, list):
        yield from _missing_items(wanted, live if isinstance(live, list) else [], where)
    elif not _same(wanted, live, where):
        yield where


def _missing_items(wanted: list[Any], live: list[Any], where: Path) -> Iterator[Path]:
    keys = _keys_of(where, wanted)
    if keys is None:
        if len(wanted) != len(live):
            yield where
            return
        for number, (one, other) in enumerate(zip(wanted, live, strict=True)):
            yield from _missing(one, other, (*where, f"[{number}]"))
        return
    there = {_key(item, keys): item for item in live}
    for item in wanted:
        key = _key(item, keys)
        step = (*where, _name(key))
        if key not in there:
            yield step
        else:
            yield from _missing(item, there[key], step)


def _surplus(wanted: Any, live: Any, path: Path, where: Path) -> Iterator[Path]:
    """What is there and not wanted, at an exact path and only there."""
    if not path:
        yield from _surplus_here(wanted, live, where)
        return
    name, *rest = path
    if name != EACH:
        yield from _surplus((wanted or {}).get(name), (live or {}).get(name), tuple(rest), (*where, name))
        return
    keys = _keys_of(where, wanted or ())
    if keys is None:
        return
    there = {_key(item, keys): item for item in live or ()}
    for item in wanted or ():
        key = _key(item, keys)
        yield from _surplus(item, there.get(key), tuple(rest), (*where, _name(key)))


def _surplus_here(wanted: Any, live: Any, where: Path) -> Iterator[Path]:
    if isinstance(live, Mapping):
        yield from ((*where, name) for name in live if name not in (wanted or {}))
        return
    keys = _keys_of(where, live or ())
    if keys is None:
        return  # an atomic list is compared whole by _missing
    expected = {_key(item, keys): item for item in wanted or ()}
    for item in live or ():
        # Each key counts once: a second entry of the same name is as unwanted as a foreign one.
        match = expected.pop(_key(item, keys), None)
        step = (*where, _name(_key(item, keys)))
        if match is None:
            yield step
        else:
            yield from _surplus_fields(match, item, step)


def _surplus_fields(wanted: Mapping[str, Any], live: Mapping[str, Any], where: Path) -> Iterator[Path]:
    defaults = _ITEM_DEFAULTS.get(where[-2])
    if defaults is None:
        return
    for name, value in live.items():
        if name not in wanted and not (name in defaults and defaults[name] in (None, value)):
            yield (*where, name)


def _same(wanted: Any, live: Any, where: Path) -> bool:
    if wanted == live or (live is None and wanted == ""):
        return True  # the API server drops empty strings
    return not _QUANTITIES.isdisjoint(where[-2:]) and _same_quantity(wanted, live)


def _same_quantity(wanted: Any, live: Any) -> bool:
    try:
        return quantity.kept(wanted) == quantity.kept(live)
    except ValueError:
        return False


def _keys_of(where: Path, items: Sequence[Any]) -> tuple[str, ...] | None:
    for keys in _KEYS.get(where[-1], ()):
        if all(isinstance(item, Mapping) and keys[0] in item for item in items):
            return keys
    return None


def _key(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, _KEY_DEFAULTS.get(key)) for key in keys)


def _name(key: tuple[Any, ...]) -> str:
    return f"[{key[0]}]"


def _readable(where: Path) -> str:
    return ".".join(where).replace(".[", "[")
