"""A small API server for tests without a cluster: real HTTP, real resourceVersions, uids, watches and preconditions.

Server-side apply is told here only as far as ownership needs it: top to bottom merge, and a manager's own fields that
it no longer names go away. What the real one does beyond that, the integration tests look at.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from keelway.api.resources import CONFIG_MAPS, EVENTS, JOBS, LEASES, NAMESPACES, SECRETS, Resource
from keelway.cluster.connection import Connection
from keelway.cluster.watched import WATCHED

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
SERVED = (*(one.resource for one in WATCHED), LEASES, NAMESPACES, EVENTS, CONFIG_MAPS, SECRETS, CRDS)
KINDS = {resource.plural: resource for resource in SERVED}

_EPOCH = datetime(2026, 1, 2, 11, 55, tzinfo=UTC)
Interference = Callable[[web.Request], "web.Response | None"]


@dataclass
class ApiServer:
    """The objects by (plural, namespace, name), and what was asked of the server."""

    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    interfere: Interference = lambda request: None
    hang: bool = False
    hold: asyncio.Event | None = None
    """Until it is set, no write is answered."""
    version: int = 100
    watches: list[tuple[str, str, asyncio.Queue[dict[str, Any] | None]]] = field(default_factory=list)
    url: str = ""

    @property
    def writes(self) -> list[str]:
        return [one for one in self.requests if not one.startswith("GET")]

    def put(self, resource: Resource, obj: dict[str, Any], quietly: bool = False) -> dict[str, Any]:
        """Create or replace as another client would; `quietly`: no watch tells of it."""
        metadata = obj.setdefault("metadata", {})
        key = (resource.plural, metadata.get("namespace", ""), metadata["name"])
        known = key in self.objects
        self.version += 1
        metadata.setdefault("uid", self.objects[key]["metadata"]["uid"] if known else str(uuid4()))
        metadata["resourceVersion"] = str(self.version)
        obj = {"apiVersion": resource.api_version, "kind": resource.kind} | obj
        self.objects[key] = copy.deepcopy(obj)
        if not quietly:
            self.tell("MODIFIED" if known else "ADDED", resource.plural, obj)
        return obj

    def drop(self, resource: Resource, namespace: str, name: str, quietly: bool = False) -> None:
        obj = self.objects.pop((resource.plural, namespace, name))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if not quietly:
            self.tell("DELETED", resource.plural, obj)
        if resource == SECRETS:
            self.collect_jobs_of(obj["metadata"]["uid"])

    def collect_jobs_of(self, uid: str) -> None:
        """As the garbage collector does, of which no more is needed here."""
        for (plural, namespace, name), obj in list(self.objects.items()):
            if plural == JOBS.plural and any(one["uid"] == uid for one in obj["metadata"].get("ownerReferences", ())):
                self.drop(JOBS, namespace, name)

    def tell(self, type_: str, plural: str, obj: dict[str, Any]) -> None:
        for watched, selector, queue in self.watches:
            if watched == plural and selected(obj, selector):
                queue.put_nowait({"type": type_, "object": copy.deepcopy(obj)})

    def break_watches(self, plural: str, code: int = 410) -> None:
        """End the watches of a kind with an error: 410 is that of a history that is too short."""
        for watched, _, queue in self.watches:
            if watched == plural:
                queue.put_nowait({"type": "ERROR", "object": {"kind": "Status", "code": code, "reason": "Expired"}})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        self.queries.append(request.query_string)
        if self.hang:
            await asyncio.sleep(3600)
        if self.hold is not None and request.method != "GET":
            await self.hold.wait()
        answer = self.interfere(request)
        if answer is not None:
            return answer
        found = parse(request.path)
        if found is None:
            return discovery(request.path)
        do = getattr(self, f"do_{request.method.lower()}")
        response: web.StreamResponse = await do(request, *found)
        return response

    async def do_get(
        self, request: web.Request, plural: str, namespace: str, name: str, sub: str
    ) -> web.StreamResponse:
        if name:
            obj = self.objects.get((plural, namespace, name))
            return web.json_response(obj) if obj else refusal(404, "NotFound")
        if "watch" in request.query:
            return await self.watch(request, plural)
        chosen = [
            obj
            for (kind, ns, _), obj in sorted(self.objects.items())
            if kind == plural and namespace in ("", ns) and selected(obj, request.query.get("labelSelector", ""))
        ]
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 0) or len(chosen)
        page = chosen[start : start + limit]
        if "as=PartialObjectMetadataList" in request.headers.get("Accept", ""):
            page = [{"metadata": obj["metadata"]} for obj in page]
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(chosen):
            metadata["continue"] = str(start + limit)
        resource = KINDS[plural]
        body = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": page}
        return web.json_response(body)

    async def watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        entry = (plural, request.query.get("labelSelector", ""), queue)
        self.watches.append(entry)
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while (event := await queue.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self.watches.remove(entry)
        return response

    async def do_post(self, request: web.Request, plural: str, namespace: str, name: str, sub: str) -> web.Response:
        obj = await request.json()
        if (plural, namespace, obj["metadata"]["name"]) in self.objects:
            return refusal(409, "AlreadyExists")
        obj["metadata"].pop("uid", None)
        obj["metadata"]["creationTimestamp"] = (_EPOCH + timedelta(seconds=self.version)).isoformat()
        return web.json_response(self.put(KINDS[plural], obj), status=201)

    async def do_put(self, request: web.Request, plural: str, namespace: str, name: str, sub: str) -> web.Response:
        obj = await request.json()
        known = self.objects.get((plural, namespace, name))
        if known is None or known["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            return refusal(409, "Conflict")
        return web.json_response(self.put(KINDS[plural], obj))

    async def do_delete(self, request: web.Request, plural: str, namespace: str, name: str, sub: str) -> web.Response:
        options = await request.json()
        known = self.objects.get((plural, namespace, name))
        if known is None:
            return refusal(404, "NotFound")
        if options.get("preconditions", {}).get("uid") not in (None, known["metadata"]["uid"]):
            return refusal(409, "Conflict")
        self.drop(KINDS[plural], namespace, name)
        return web.json_response({"kind": "Status", "status": "Success"})

    async def do_patch(self, request: web.Request, plural: str, namespace: str, name: str, sub: str) -> web.Response:
        body = await request.json()
        known = self.objects.get((plural, namespace, name))
        kind = request.content_type
        if kind == "application/apply-patch+yaml":
            return self.apply(plural, namespace, name, body, known, request.query["fieldManager"])
        if known is None:
            return refusal(404, "NotFound")
        updated = copy.deepcopy(known)
        if kind == "application/json-patch+json":
            for op in body:
                *parents, last = op["path"].strip("/").split("/")
                target = updated
                for parent in parents:
                    target = target[parent]
                if op["op"] == "test" and target.get(last) != op["value"]:
                    return refusal(422, "Invalid")
                if op["op"] == "replace":
                    target[last] = op["value"]
        else:
            for precondition in ("resourceVersion", "uid"):
                asked = body.get("metadata", {}).get(precondition)
                if asked not in (None, known["metadata"][precondition]):
                    return refusal(409, "Conflict")
            merge(updated, {k: v for k, v in body.items() if k != "metadata"})
        return web.json_response(self.put(KINDS[plural], updated))

    def apply(
        self, plural: str, namespace: str, name: str, body: dict[str, Any], known: dict[str, Any] | None, manager: str
    ) -> web.Response:
        uid = body["metadata"].get("uid")
        if (known is None and uid) or (known is not None and uid not in (None, known["metadata"]["uid"])):
            return refusal(409, "Conflict")
        version = body["metadata"].get("resourceVersion")
        if known is not None and version not in (None, known["metadata"]["resourceVersion"]):
            return refusal(409, "Conflict")
        wanted = {k: v for k, v in body.items() if k != "metadata"}
        fields = fields_of(wanted)
        updated: dict[str, Any] = (
            copy.deepcopy(known) if known else {"metadata": {"name": name, "namespace": namespace}}
        )
        entries: list[dict[str, Any]] = updated["metadata"].get("managedFields", [])
        own = [e for e in entries if (e["manager"], e["operation"]) == (manager, "Apply")]
        others = [e for e in entries if e not in own]
        for entry in own:
            for path in leaves(entry["fieldsV1"]):
                held = any(path in set(leaves(e["fieldsV1"])) for e in others)
                if path not in set(leaves(fields)) and not held:
                    take_away(updated, path)
        merge(updated, wanted)
        for part in ("labels", "annotations", "ownerReferences"):
            if part in body["metadata"]:
                updated["metadata"][part] = body["metadata"][part]
        entry = {"manager": manager, "operation": "Apply", "apiVersion": body["apiVersion"], "fieldsV1": fields}
        updated["metadata"]["managedFields"] = [entry, *others]
        return web.json_response(self.put(KINDS[plural], updated))


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            merge(target.setdefault(name, {}), value)
        else:
            target[name] = value


def fields_of(obj: dict[str, Any]) -> dict[str, Any]:
    return {f"f:{k}": fields_of(v) if isinstance(v, dict) else {} for k, v in obj.items()}


def leaves(fields: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [
        leaf
        for name, inner in fields.items()
        for leaf in (leaves(inner, (*path, name[2:])) if inner else [(*path, name[2:])])
    ]


def take_away(obj: dict[str, Any], path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        obj = obj.get(name, {})
    obj.pop(path[-1], None)


def selected(obj: dict[str, Any], selector: str) -> bool:
    labels = obj["metadata"].get("labels") or {}
    asked = (part.partition("=") for part in selector.split(",") if part)
    return all(key in labels and value in ("", labels[key]) for key, _, value in asked)


def refusal(code: int, reason: str, **headers: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": f"test says {reason}"}
    return web.json_response(body, status=code, headers=headers)


def parse(path: str) -> tuple[str, str, str, str] | None:
    """plural, namespace, name, subresource; None for discovery."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if not parts:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, sub = (*parts, "", "")[:3]
    return plural, namespace, name, sub


def discovery(path: str) -> web.Response:
    if path == "/api":
        return web.json_response({"versions": ["v1"]})
    groups = {one.group: one.version for one in KINDS.values() if one.group}
    if path == "/apis":
        listed = [
            {"name": g, "versions": [{"version": v}], "preferredVersion": {"version": v}} for g, v in groups.items()
        ]
        return web.json_response({"groups": listed})
    verbs = ["get", "list", "watch", "patch", "create", "delete"]
    resources = [
        {"name": one.plural, "singularName": "", "kind": one.kind, "namespaced": one.namespaced, "verbs": verbs}
        for one in KINDS.values()
        if one.base_path == path
    ]
    return web.json_response({"resources": resources})


@asynccontextmanager
async def serving(api: ApiServer) -> AsyncIterator[TestServer]:
    """The server, listening on 127.0.0.1."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.05)
    api.url = str(server.make_url("")).rstrip("/")
    try:
        yield server
    finally:
        for _, _, queue in api.watches:
            queue.put_nowait(None)
        await server.close()


@asynccontextmanager
async def connected(api: ApiServer) -> AsyncIterator[Connection]:
    """A served API and a connection to it."""
    async with serving(api):
        connection = Connection(Configuration(host=api.url))
        try:
            yield connection
        finally:
            await connection.close()
