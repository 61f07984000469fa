"""The verbs of Kubernetes for raw objects: what `reconcile/` and `engine/` say to the API server.

Reads go out as they are; every write waits for its turn (`turns.py`), passes the `gate.py`, and its answer goes into
the `cache.py` (contract rule 2).
`connection.py` below does the talking. All methods raise what `faults.py` lists.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from keelway.api.labels import FIELD_MANAGER
from keelway.api.resources import APPS, DEPLOYMENTS, HPAS, SERVICES, Resource
from keelway.cluster.cache import Cache
from keelway.cluster.connection import TIMEOUT, Connection, Request
from keelway.cluster.gate import WriteGate
from keelway.cluster.turns import Turns
from keelway.errors import Conflict, KeelwayError, NotFound

PAGE: Final = 500
"""Objects a list page, as client-go has it."""
WRITES_AT_ONCE: Final = 8
"""As fast as 32 on the bench, and an API server of two processors still answers others (ADR 16)."""
WRITE_TURN_SECONDS: Final = 2.0
_METADATA: Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
# Written by the pass over their App and by nobody else: that pass has the answer and need not be woken by it.
_KNOWN_TO_WRITER: Final = frozenset({APPS, DEPLOYMENTS, SERVICES, HPAS})
_ANY_VERSION: Final = 2**63
# etcd's revision before its first write: no object has ever had this resourceVersion.
_NO_OBJECT: Final = "1"

Object = dict[str, Any]


class Cluster:
    """One API server, its cache, and the gate before it.

    `woken` is called with each write's answer that changed something for somebody else than the writer.
    """

    def __init__(
        self,
        connection: Connection,
        cache: Cache,
        gate: WriteGate,
        woken: Callable[[Resource, Mapping[str, Any]], None] = lambda resource, obj: None,
    ) -> None:
        self.cache = cache
        self._connection = connection
        self._gate = gate
        self._turns = Turns(WRITES_AT_ONCE, WRITE_TURN_SECONDS)
        self._woken = woken

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The object as it is now, managedFields and all, or None; the cache learns of it."""
        found = await self._read(resource, namespace, name)
        if found is not None:
            self.cache.put(resource, found)
        return found

    async def _read(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        try:
            return await self._connection.send(Request("GET", resource.path(namespace, name)))
        except NotFound:
            return None

    async def refresh(self, resource: Resource, namespace: str, name: str) -> None:
        """Make the cache agree with the API server about one object; silent where that cannot be asked now.

        What is news wakes whom it concerns: its watch event comes too late to do so, and a pass that was refused for it
        would wait for its turn after a failure.
        """
        with contextlib.suppress(KeelwayError):
            found = await self._read(resource, namespace, name)
            if found is not None and self.cache.put(resource, found):
                self._woken(resource, found)
            before = self.cache.version_of(resource, namespace, name)
            if before is not None and (found is None or found["metadata"]["uid"] != before[0]):
                self.cache.forget(resource, namespace, name, *before)

    async def get_metadata(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Only the metadata of an object, or None: cheap, whatever the object holds."""
        try:
            return await self._connection.send(Request("GET", resource.path(namespace, name), accept=_METADATA))
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]:
        """All objects, page by page. Raises Transient `Expired` where the list took longer than etcd's history."""
        async for page in self.pages(resource, namespace, label_selector, metadata_only):
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            for item in page.get("items") or ():
                yield {**kind, **item}

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        metadata_only: bool = False,
        limit: int = PAGE,
    ) -> AsyncIterator[Object]:
        """The List objects themselves; `metadata.resourceVersion` is the same on all: one consistent moment."""
        query = {"limit": str(limit)}
        if label_selector:
            query["labelSelector"] = label_selector
        accept = _METADATA_LIST if metadata_only else "application/json"
        while True:
            page = await self._connection.send(Request("GET", resource.path(namespace), query, accept=accept))
            yield page
            if not page["metadata"].get("continue"):
                return
            query = {**query, "continue": page["metadata"]["continue"]}

    async def apply(self, resource: Resource, obj: Mapping[str, Any], manager: str = FIELD_MANAGER) -> Object:
        """Forced server-side apply. With `metadata.uid` it only ever changes that very object (else Conflict)."""
        metadata = obj["metadata"]
        return await self._write(
            "PATCH",
            resource,
            metadata.get("namespace"),
            metadata["name"],
            body=obj,
            query={"fieldManager": manager, "force": "true"},
            content_type="application/apply-patch+yaml",
        )

    async def apply_new(self, resource: Resource, obj: Mapping[str, Any]) -> Object:
        """Server-side apply that only ever creates: raises Conflict where an object of that name is there.

        The API server compares an apply's resourceVersion with that of the object there, and with nothing where there
        is none (k8s.io/apiserver, pkg/registry/generic/registry/store.go, Update; tried on 1.37).
        """
        return await self.apply(resource, {**obj, "metadata": {**obj["metadata"], "resourceVersion": _NO_OBJECT}})

    async def create(self, resource: Resource, obj: Mapping[str, Any]) -> Object:
        """Create, the one compare-and-swap there is: raises AlreadyExists where the name is taken."""
        namespace = obj["metadata"].get("namespace")
        return await self._write("POST", resource, namespace, body=obj, query={"fieldManager": FIELD_MANAGER})

    async def patch_status(self, resource: Resource, current: Mapping[str, Any], status: Mapping[str, Any]) -> Object:
        """Make `status` the whole status of the object last seen as `current`; nothing is sent where it is so.

        Raises Conflict where somebody wrote in between (contract rule 6), NotFound where the object is gone; the cache
        knows it then, though no watch may have told it.
        """
        change = merge_patch(current.get("status") or {}, status)
        if not change:
            return dict(current)
        metadata = current["metadata"]
        identity = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        namespace, name = metadata.get("namespace"), metadata["name"]
        try:
            return await self.merge_patch(
                resource, namespace, name, {"metadata": identity, "status": change}, subresource="status"
            )
        except (Conflict, NotFound):
            await self.refresh(resource, namespace or "", name)
            raise

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        subresource: str | None = None,
    ) -> Object:
        """JSON merge patch (RFC 7386)."""
        return await self._write(
            "PATCH",
            resource,
            namespace,
            name,
            subresource,
            body=patch,
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )

    async def json_patch(
        self, resource: Resource, namespace: str | None, name: str, operations: Sequence[Mapping[str, Any]]
    ) -> Object:
        """JSON patch (RFC 6902); a `test` that fails raises Invalid."""
        return await self._write(
            "PATCH",
            resource,
            namespace,
            name,
            body=operations,
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/json-patch+json",
        )

    async def delete(self, resource: Resource, namespace: str | None, name: str, uid: str | None = None) -> None:
        """Delete; its own children follow in the background. Gone already is fine, another uid is a Conflict."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        answer: Object = {}
        try:
            answer = await self._write("DELETE", resource, namespace, name, body=options)
        except NotFound:
            pass
        except Conflict:
            # Another has its name, of which no watch may have told: each later pass would meet the same refusal.
            await self.refresh(resource, namespace or "", name)
            raise
        # An object that lingers (finalizers, a pod's grace) is answered itself; else it is a Status.
        if uid is not None and answer.get("kind") != resource.kind:
            self.cache.forget(resource, namespace or "", name, uid, _ANY_VERSION)

    async def delete_object(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        """Delete that very object, and no other that took its name."""
        metadata = obj["metadata"]
        await self.delete(resource, metadata.get("namespace"), metadata["name"], uid=metadata["uid"])

    def collected(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        """Take out of the cache what Kubernetes is about to collect with its owner: it is not looked at again."""
        metadata = obj["metadata"]
        self.cache.forget(resource, metadata.get("namespace", ""), metadata["name"], metadata["uid"], _ANY_VERSION)

    async def _write(
        self,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str | None = None,
        subresource: str | None = None,
        *,
        body: Any,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        path = resource.path(namespace, name, subresource)
        async with self._turns.turn(namespace or ""):
            # Asked only now: the lease may have run out while this waited.
            seconds = min(TIMEOUT, self._gate.enter())
            answer = await self._connection.send(Request(method, path, query, body, content_type, seconds=seconds))
        if answer.get("kind") == resource.kind:
            changed = self.cache.put(resource, answer)
            if changed and resource not in _KNOWN_TO_WRITER:
                self._woken(resource, answer)
        return answer


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Object:
    """The smallest merge patch from `before` to `after`: nulls for what vanished, lists whole, {} for no change."""
    patch: Object = {name: None for name in before if name not in after}
    for name, value in after.items():
        known = before.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            inner = merge_patch(known, value)
            if inner:
                patch[name] = inner
        elif value != known or name not in before:
            patch[name] = value
    return patch
