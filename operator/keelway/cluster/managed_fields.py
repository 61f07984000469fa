"""PURE: who owns which field of an object, read from and written to `metadata.managedFields`.

The healing of contract rule 9 rests on it: an apply removes only what its manager owned before, so everything that
others put there is first made ours and then left out. FieldsV1 is a trie whose keys are "f:name", "k:{...}", "v:...".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Fields = dict[str, Any]
Path = tuple[str, ...]


def consolidated(live: Mapping[str, Any], manager: str, without: Iterable[Path] = ()) -> list[dict[str, Any]]:
    """managedFields with one Apply entry of `manager`: the union of all entries that are not of a subresource.

    Entries of subresources (status, scale) stay. `without` names fields that nobody is to own: another controller
    writes them. `live` must come with its managedFields, that is from a GET.
    """
    entries: Sequence[Mapping[str, Any]] = live["metadata"].get("managedFields") or ()
    union: Fields = {}
    for entry in entries:
        if not entry.get("subresource"):
            _add(union, entry.get("fieldsV1") or {})
    for path in without:
        _remove(union, path)
    own = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": union,
    }
    return [own, *(dict(entry) for entry in entries if entry.get("subresource"))]


def applies(live: Mapping[str, Any], manager: str, path: Path) -> bool:
    """Whether the manager's last apply set the field, so that an apply without it would take it away."""
    entries = live["metadata"].get("managedFields") or ()
    own = (e for e in entries if e.get("manager") == manager and e.get("operation") == "Apply")
    return any(_has(entry.get("fieldsV1") or {}, path) for entry in own if not entry.get("subresource"))


def applied_only(live: Mapping[str, Any], manager: str, paths: Iterable[Path]) -> list[dict[str, Any]]:
    """managedFields with nothing but those of the paths that the manager's last apply set: little, for the cache."""
    set_ = [path for path in paths if applies(live, manager, path)]
    if not set_:
        return []
    fields: Fields = {}
    for path in set_:
        inner = fields
        for name in path:
            inner = inner.setdefault(f"f:{name}", {})
    return [{"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}]


def last_other_manager(live: Mapping[str, Any], manager: str) -> str | None:
    """Name of the one who last wrote the object itself besides `manager`, as `kubectl --show-managed-fields` has it."""
    entries = live["metadata"].get("managedFields") or ()
    others = [e for e in entries if not e.get("subresource") and not str(e.get("manager", "")).startswith(manager)]
    newest = max(others, key=lambda entry: str(entry.get("time", "")), default=None)
    return str(newest["manager"]) if newest else None


def _add(union: Fields, fields: Mapping[str, Any]) -> None:
    for name, inner in fields.items():
        _add(union.setdefault(name, {}), inner or {})


def _has(fields: Mapping[str, Any], path: Path) -> bool:
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"] or {}
    return True


def _remove(fields: Fields, path: Path) -> None:
    *parents, last = path
    for name in parents:
        fields = fields.get(f"f:{name}") or {}
    fields.pop(f"f:{last}", None)
