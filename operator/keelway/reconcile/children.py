"""Makes an owner's children as they are wanted, writing only what differs (contract rules 7 to 11).

Neighbours: `children/` says what is wanted, `cluster/drift.py` whether it is so, `cluster/managed_fields.py` how to
take back what others added, `release.py` when pods roll, `healing.py` when to stop fighting.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keelway.api.labels import FIELD_MANAGER
from keelway.api.resources import Resource
from keelway.children.base import HASH_ANNOTATION, KEEP, SCALE_FIELD_MANAGER, ChildKind, Path, Wanted
from keelway.cluster import managed_fields
from keelway.cluster.cache import controller_of, is_controlled_by
from keelway.cluster.client import Cluster
from keelway.cluster.drift import differences
from keelway.errors import AlreadyExists, Conflict, Invalid, KeelwayError, NotLeader, Terminal, Transient, Waiting
from keelway.reconcile.healing import Healings
from keelway.reconcile.release import digest, released

Object = dict[str, Any]
# A Deployment's controller writes its status a few times within the second after each change.
_TAKE_OVER_TRIES: Final = 5


@dataclass
class Settled:
    """What came of it: each kind's live object by the kind's name (None: there is none), and the gravest problem."""

    live: dict[str, Object | None] = field(default_factory=dict)
    problem: KeelwayError | None = None


class Settler:
    """Settles children. One for all owners; a pass over one owner never runs twice at once."""

    def __init__(self, cluster: Cluster, healings: Healings | None = None) -> None:
        self._cluster = cluster
        self._healings = healings or Healings()

    async def settle(self, owner: Mapping[str, Any], wanted: Sequence[tuple[ChildKind[Any], Wanted]]) -> Settled:
        """Apply, heal or prune each child in turn; one that fails does not keep the others back.

        Raises only NotLeader. `owner` is the raw object; owner reference and annotations are added here.
        """
        settled = Settled()
        for kind, child in wanted:
            try:
                settled.live[kind.name] = await self._settle_one(owner, kind, child)
            except NotLeader:
                raise
            except KeelwayError as error:
                settled.live[kind.name] = self._owned(owner, kind.resource)
                settled.problem = _graver(settled.problem, _explained(kind, owner, error))
        return settled

    async def _settle_one(self, owner: Mapping[str, Any], kind: ChildKind[Any], child: Wanted) -> Object | None:
        if child is KEEP:
            return self._owned(owner, kind.resource)
        name = child["metadata"]["name"] if child is not None else None
        await self._prune(owner, kind.resource, keep=name)
        if child is None or name is None:
            return None
        namespace = owner["metadata"]["namespace"]
        live = self._cluster.cache.get(kind.resource, namespace, name)
        if live is None:
            return await self._first_apply(owner, kind, child)
        if not is_controlled_by(live, owner["metadata"]["uid"]):
            raise _name_conflict(kind, name, live)
        if "deletionTimestamp" in live["metadata"]:
            return live  # made anew once it is gone, which its watch tells
        return await self._update(kind, complete(owner, kind, child, live), live)

    async def _prune(self, owner: Mapping[str, Any], resource: Resource, keep: str | None) -> None:
        for live in self._children(owner, resource):
            metadata = live["metadata"]
            if metadata["name"] != keep and "deletionTimestamp" not in metadata:
                await self._cluster.delete_object(resource, live)

    async def _first_apply(self, owner: Mapping[str, Any], kind: ChildKind[Any], child: Mapping[str, Any]) -> Object:
        """Contract rule 7: our cache sees our own label only, and a forced apply takes anything over."""
        try:
            return await self._cluster.apply_new(kind.resource, complete(owner, kind, child, None))
        except Conflict:
            return await self._found(owner, kind, child)

    async def _found(self, owner: Mapping[str, Any], kind: ChildKind[Any], child: Mapping[str, Any]) -> Object:
        """Settle a child that is there, though the cache has none of its name."""
        namespace, name = owner["metadata"]["namespace"], child["metadata"]["name"]
        metadata = await self._cluster.get_metadata(kind.resource, namespace, name)
        if metadata is not None and not is_controlled_by(metadata, owner["metadata"]["uid"]):
            raise _name_conflict(kind, name, metadata)
        # Ours, but not in the cache: its label was taken away, or the watch has yet to bring it.
        live = await self._cluster.get(kind.resource, namespace, name)
        if live is None:
            raise Transient("ChildGone", f"{kind.resource.kind} {name} just went. It is made anew by itself.")
        return await self._update(kind, complete(owner, kind, child, live), live)

    async def _update(self, kind: ChildKind[Any], wanted: Object, live: Object) -> Object:
        """Contract rule 8: nothing is written while the hash is the same and the object is as it was wanted."""
        drifted = differences(wanted, live, kind.exact)
        if not drifted and _hash_of(live) == _hash_of(wanted):
            return live
        wanted = _with_uid(wanted, live)
        if _hash_of(live) == _hash_of(wanted):
            return await self._heal(kind, wanted, live, drifted)
        await self._hand_over(kind, wanted, live)
        try:
            applied = await self._apply(kind, wanted)
        except Invalid:
            # A hand-edited list item may stand in the way; where nobody has been at it, it is the wish itself.
            full = await self._cluster.get(kind.resource, live["metadata"]["namespace"], live["metadata"]["name"])
            if full is None or managed_fields.last_other_manager(full, FIELD_MANAGER) is None:
                raise
            return await self._heal(kind, wanted, live, drifted)
        drifted = differences(wanted, applied, kind.exact)
        return applied if not drifted else await self._heal(kind, wanted, applied, drifted)

    async def _heal(self, kind: ChildKind[Any], wanted: Object, live: Object, drifted: list[str]) -> Object:
        """Contract rule 9: take over every field, then apply without those that are not wanted."""
        metadata = live["metadata"]
        child = f"{kind.resource.kind} {metadata['name']}"
        if self._healings.pause(metadata["uid"]) > 0:
            raise self._healings.conflict(metadata["uid"], child, drifted)
        await self._take_over(kind, wanted, child)
        applied = await self._apply(kind, wanted)
        remaining = differences(wanted, applied, kind.exact)
        if remaining:
            raise self._healings.conflict(metadata["uid"], child, remaining)
        return applied

    async def _take_over(self, kind: ChildKind[Any], wanted: Mapping[str, Any], child: str) -> None:
        """Make every field ours; tried again at once where a controller wrote the status in between."""
        metadata = wanted["metadata"]
        unwanted = [path for path in kind.handover if _value(wanted, path) is None]
        for attempt in range(_TAKE_OVER_TRIES):
            full = await self._cluster.get(kind.resource, metadata["namespace"], metadata["name"])
            if full is None or full["metadata"]["uid"] != metadata["uid"]:
                raise Transient("ChildGone", f"{child} just went. It is made anew by itself.")
            if attempt == 0:
                self._healings.begin(metadata["uid"], managed_fields.last_other_manager(full, FIELD_MANAGER))
            operations = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": full["metadata"]["resourceVersion"]},
                {
                    "op": "replace",
                    "path": "/metadata/managedFields",
                    "value": managed_fields.consolidated(full, FIELD_MANAGER, without=unwanted),
                },
            ]
            with contextlib.suppress(Invalid):
                await self._cluster.json_patch(kind.resource, metadata["namespace"], metadata["name"], operations)
                return
        raise Conflict("ChildChanged", f"{child} changes too fast to be put right. It is retried by itself.")

    async def _hand_over(self, kind: ChildKind[Any], wanted: Mapping[str, Any], live: Mapping[str, Any]) -> None:
        """Contract rule 10: a field that our next apply leaves out keeps its value if somebody else holds it too."""
        leaving = [
            path
            for path in kind.handover
            if _value(wanted, path) is None and managed_fields.applies(live, FIELD_MANAGER, path)
        ]
        if not leaving:
            return
        metadata = live["metadata"]
        full = await self._cluster.get(kind.resource, metadata["namespace"], metadata["name"])
        if full is None:
            return
        for path in leaving:
            if managed_fields.applies(full, FIELD_MANAGER, path):
                # Nobody would ever bring a 0 up: an autoscaler takes it for a wish to be left alone.
                holder = _nested(path, _value(full, path) or 1) | {
                    "apiVersion": full["apiVersion"],
                    "kind": full["kind"],
                    "metadata": {name: metadata[name] for name in ("namespace", "name", "uid")},
                }
                await self._cluster.apply(kind.resource, holder, manager=SCALE_FIELD_MANAGER)

    async def _apply(self, kind: ChildKind[Any], wanted: Mapping[str, Any]) -> Object:
        """Apply to that very uid. Another one means that the cache is behind: it forgets, and the pass is redone."""
        try:
            return await self._cluster.apply(kind.resource, wanted)
        except Conflict:
            metadata = wanted["metadata"]
            await self._cluster.refresh(kind.resource, metadata["namespace"], metadata["name"])
            raise

    def _owned(self, owner: Mapping[str, Any], resource: Resource) -> Object | None:
        return next(self._children(owner, resource), None)

    def _children(self, owner: Mapping[str, Any], resource: Resource) -> Iterator[Object]:
        for live in self._cluster.cache.owned_by(resource, owner["metadata"]["uid"]):
            # Whoever knows the owner's uid may name it in another namespace, until Kubernetes collects that.
            if live["metadata"]["namespace"] == owner["metadata"]["namespace"]:
                yield live


def complete(
    owner: Mapping[str, Any], kind: ChildKind[Any], child: Mapping[str, Any], live: Mapping[str, Any] | None
) -> Object:
    """The child with owner reference, namespace and annotations: exactly what is applied, and hashed."""
    whose = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": whose["name"],
        "uid": whose["uid"],
        "controller": True,
        # Deleting an App in the foreground must not wait for pods that hang.
        "blockOwnerDeletion": False,
    }
    metadata = {**child["metadata"], "namespace": whose["namespace"], "ownerReferences": [reference]}
    wanted = released(kind, owner, {**child, "metadata": metadata}, live)
    annotations = {**(wanted["metadata"].get("annotations") or {}), HASH_ANNOTATION: digest(wanted)}
    return {**wanted, "metadata": {**wanted["metadata"], "annotations": annotations}}


def _with_uid(wanted: Object, live: Mapping[str, Any]) -> Object:
    return {**wanted, "metadata": {**wanted["metadata"], "uid": live["metadata"]["uid"]}}


def _hash_of(obj: Mapping[str, Any]) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(HASH_ANNOTATION)


def _value(obj: Mapping[str, Any], path: Path) -> Any:
    value: Any = obj
    for name in path:
        value = (value or {}).get(name)
    return value


def _nested(path: Path, value: Any) -> Object:
    name, *rest = path
    return {name: _nested(tuple(rest), value) if rest else value}


def _name_conflict(kind: ChildKind[Any], name: str, found: Mapping[str, Any]) -> Waiting:
    controller = controller_of(found)
    whose = f"{controller['kind']} {controller['name']}" if controller else "somebody else"
    return Waiting(
        "NameConflict",
        f"There is a {kind.resource.kind} {name} already, which belongs to {whose} and is left alone. "
        "Delete it, or give the App another name; work goes on by itself then.",
    )


def _explained(kind: ChildKind[Any], owner: Mapping[str, Any], error: KeelwayError) -> KeelwayError:
    """A child that the API server refuses comes of the owner's spec, whose change alone can cure it."""
    if not isinstance(error, Invalid | AlreadyExists):
        return error
    name = owner["metadata"]["name"]
    return Terminal(f"Invalid{kind.resource.kind}", f"The {kind.resource.kind} of {name} was refused. {error.message}")


_GRAVITY: Final = (Terminal, Waiting, Transient)


def _graver(one: KeelwayError | None, other: KeelwayError) -> KeelwayError:
    """The one that lasts longer says more; of equals, the first."""
    if one is None:
        return other

    def rank(error: KeelwayError) -> int:
        return next((n for n, kind in enumerate(_GRAVITY) if isinstance(error, kind)), len(_GRAVITY))

    return one if rank(one) <= rank(other) else other
