"""What the cluster looked like when it last spoke: the only place that passes read from.

Filled by the watches (`engine/watches.py`), by the answer of every write (`client.py`, contract rule 2) and by the
sweep. It keeps JSON text, not Python objects: a Deployment takes 3 KB instead of 15, and who reads gets a copy of his
own, so that nobody can change what others see.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson

from keelway.api.labels import FIELD_MANAGER, IMAGE_UID_LABEL
from keelway.api.resources import APPS, DEPLOYMENTS, IMAGES, Resource
from keelway.cluster import indexes, managed_fields
from keelway.cluster.relevance import LAST_APPLIED, fingerprint
from keelway.cluster.watched import WATCHED, Watched

_Name = tuple[str, str]  # namespace, name
# A late answer about an object that is gone comes within seconds; this many deletions do not.
_TOMBSTONES: Final = 4096
_HANDED_OVER: Final[Mapping[Resource, tuple[managed_fields.Path, ...]]] = MappingProxyType(
    {DEPLOYMENTS: (("spec", "replicas"),)}
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an object without parsing it: all that the sweep compares."""

    namespace: str
    name: str
    uid: str
    version: int
    """resourceVersion, a number: bigger is newer (Kubernetes 1.35 made what always held official, KEP-5504)."""


@dataclass(frozen=True, slots=True)
class _Entry(Known):
    fingerprint: int
    owner: str | None
    keys: tuple[str, ...]
    text: bytes


class Cache:
    """Objects of the watched kinds. An older state never replaces a newer one.

    Of managedFields no more is kept than whether our own apply has set a field that is handed over (contract rule 10).
    """

    def __init__(self, watched: Iterable[Watched] = WATCHED) -> None:
        self._watched = {one.resource: one for one in watched}
        self._entries: dict[Resource, dict[_Name, _Entry]] = {resource: {} for resource in self._watched}
        self._owned: dict[tuple[Resource, str], set[_Name]] = {}
        self._indexed: dict[tuple[Resource, str], set[_Name]] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()

    def put(self, resource: Resource, obj: Mapping[str, Any]) -> bool:
        """Take a newer state of an object. True where something changed that a pass reads (contract rule 4).

        Objects of other kinds, and those that the kind's watch would not select, are left out.
        """
        if resource not in self._watched:
            return False
        if not self._watched[resource].selects(obj):
            return self.remove(resource, obj)  # as the watch would say it: gone from what is selected
        entry = _entry(resource, obj)
        before = self._entries[resource].get((entry.namespace, entry.name))
        if entry.version <= self._gone.get(entry.uid, -1) or (before is not None and before.version >= entry.version):
            return False
        self._store(resource, entry, before)
        return before is None or before.uid != entry.uid or before.fingerprint != entry.fingerprint

    def remove(self, resource: Resource, obj: Mapping[str, Any]) -> bool:
        """Forget an object that is gone, unless another of its name took its place. True where it was known."""
        metadata = obj["metadata"]
        version = int(metadata["resourceVersion"])
        return self.forget(resource, metadata.get("namespace", ""), metadata["name"], metadata["uid"], version)

    def forget(self, resource: Resource, namespace: str, name: str, uid: str, version: int) -> bool:
        """The same, by name and uid. Late news of before `version` do not bring it back."""
        if resource not in self._watched:
            return False
        before = self._entries[resource].get((namespace, name))
        if before is not None and before.uid == uid and before.version > version:
            return False
        self._gone[uid] = version
        if len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)
        if before is None or before.uid != uid:
            return False
        del self._entries[resource][namespace, name]
        self._unindex(resource, before)
        return True

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, as a copy."""
        entry = self._entries[resource].get((namespace, name))
        return _parsed(entry) if entry is not None else None

    def list(self, resource: Resource, namespace: str | None = None) -> Iterator[dict[str, Any]]:
        """All objects of a kind, or those of one namespace, in no order."""
        entries = [one for one in self._entries[resource].values() if namespace in (None, one.namespace)]
        return map(_parsed, entries)

    def owned_by(self, resource: Resource, uid: str) -> Sequence[dict[str, Any]]:
        """What has that uid as its controller, or (across namespaces) in the label of its Image; by name."""
        entries = self._entries[resource]
        return [_parsed(entries[one]) for one in sorted(self._owned.get((resource, uid), ()))]

    def indexed(self, resource: Resource, key: str) -> Sequence[dict[str, Any]]:
        """The objects of a kind that have that key in `indexes.py`; by namespace and name."""
        entries = self._entries[resource]
        return [_parsed(entries[one]) for one in sorted(self._indexed.get((resource, key), ()))]

    def apps_following(self, namespace: str, image: str) -> Sequence[str]:
        """Names of the Apps that run that Image."""
        return sorted(name for _, name in self._indexed.get((APPS, indexes.following(namespace, image)), ()))

    def images_using(self, namespace: str, image: str) -> Sequence[str]:
        """Names of the Images that build from that Image."""
        return sorted(name for _, name in self._indexed.get((IMAGES, indexes.following(namespace, image)), ()))

    def images_used_by(self, namespace: str, image: str) -> Sequence[str]:
        """Names of the Images that that Image builds from."""
        entry = self._entries[IMAGES].get((namespace, image))
        return indexes.followed(entry.keys) if entry is not None else ()

    def known(self, resource: Resource) -> Sequence[Known]:
        """Names, uids and versions of a kind: what the sweep compares with the API server's."""
        return list(self._entries[resource].values())

    def version_of(self, resource: Resource, namespace: str, name: str) -> tuple[str, int] | None:
        """uid and resourceVersion of one object."""
        entry = self._entries[resource].get((namespace, name))
        return (entry.uid, entry.version) if entry is not None else None

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def _store(self, resource: Resource, entry: _Entry, before: _Entry | None) -> None:
        if before is not None:
            self._unindex(resource, before)
        name = (entry.namespace, entry.name)
        self._entries[resource][name] = entry
        if entry.owner is not None:
            self._owned.setdefault((resource, entry.owner), set()).add(name)
        for key in entry.keys:
            self._indexed.setdefault((resource, key), set()).add(name)

    def _unindex(self, resource: Resource, entry: _Entry) -> None:
        name = (entry.namespace, entry.name)
        if entry.owner is not None:
            _discard(self._owned, (resource, entry.owner), name)
        for key in entry.keys:
            _discard(self._indexed, (resource, key), name)


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The ownerReference of the object's controller."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def is_controlled_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controller is the one of that uid."""
    controller = controller_of(obj)
    return controller is not None and bool(controller["uid"] == uid)


def _entry(resource: Resource, obj: Mapping[str, Any]) -> _Entry:
    metadata = obj["metadata"]
    return _Entry(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        fingerprint=fingerprint(resource, obj),
        owner=_owner(obj),
        keys=indexes.keys_of(resource, obj),
        text=orjson.dumps(_stripped(resource, obj)),
    )


def _owner(obj: Mapping[str, Any]) -> str | None:
    label = (obj["metadata"].get("labels") or {}).get(IMAGE_UID_LABEL)
    controller = controller_of(obj)
    # A Job in another namespace cannot have its Image as owner; a pod's controller is its Job.
    return label or (controller["uid"] if controller else None)


def _stripped(resource: Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only the API server and kubectl read, which is half of an object."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    if ours := managed_fields.applied_only(obj, FIELD_MANAGER, _HANDED_OVER.get(resource, ())):
        metadata["managedFields"] = ours
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        kept = {name: value for name, value in metadata["annotations"].items() if name != LAST_APPLIED}
        metadata["annotations"] = kept
    return {**obj, "metadata": metadata}


def _parsed(entry: _Entry) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(entry.text)
    return parsed


def _discard(index: dict[Any, set[Any]], key: Any, member: Any) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(member)
        if not members:
            del index[key]
