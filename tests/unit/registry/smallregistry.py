"""A small registry in the test's process, as the distribution specification has it, and clients connected to it."""

import hashlib
import json
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from keelway.registry.client import Registry
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference
from tests.unit.web import Handler, serve

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


@dataclass
class SmallRegistry:
    """What a registry of the distribution specification answers for one repository, `team/app`."""

    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    says_digest: bool = True
    page: int = 1000

    def add(self, document: Any, media_type: str, tag: str | None = None) -> str:
        body = json.dumps(document).encode()
        digest = digest_of(body)
        self.manifests[digest] = (body, media_type)
        if tag:
            self.manifests[tag] = (body, media_type)
        return digest

    def add_image(self, user: str | None, tag: str | None = None) -> str:
        return self.add_config({"config": {"User": user} if user is not None else {}}, tag)

    def add_config(self, document: Any, tag: str | None = None) -> str:
        config = json.dumps(document).encode()
        self.blobs[digest_of(config)] = config
        return self.add({"config": {"digest": digest_of(config)}, "layers": []}, MANIFEST, tag)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        kind, _, name = request.path.removeprefix("/v2/team/app/").partition("/")
        if kind == "tags":
            return self._tags(request)
        if kind == "blobs" and name in self.blobs:
            return web.Response(body=self.blobs[name])
        if kind == "manifests" and request.method == "PUT":
            self.manifests[name] = (await request.read(), request.headers["content-type"])
            return web.Response(status=201)
        if kind == "manifests" and name in self.manifests:
            body, media_type = self.manifests[name]
            headers = {"Content-Type": media_type}
            if self.says_digest:
                headers["Docker-Content-Digest"] = digest_of(body)
            return web.Response(body=body, headers=headers)
        return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}, status=404)

    def _tags(self, request: web.Request) -> web.Response:
        tags = sorted(name for name in self.manifests if ":" not in name)
        rest = [tag for tag in tags if tag > request.query.get("last", "")]
        headers = {}
        if len(rest) > self.page:
            headers["Link"] = f'</v2/team/app/tags/list?last={rest[self.page - 1]}&n={self.page}>; rel="next"'
        return web.json_response({"name": "team/app", "tags": rest[: self.page]}, headers=headers)


@dataclass(frozen=True)
class Connected:
    client: Registry
    image: Reference
    host: str

    def tagged(self, tag: str) -> Reference:
        return Reference(self.image.registry, self.image.repository, tag)


async def connect(handler: Handler) -> AsyncIterator[Connected]:
    async with serve(handler) as url:
        host = url.removeprefix("http://")
        async with Registry(frozenset({host})) as client:
            yield Connected(client, Reference(host, "team/app"), host)


@dataclass
class TokenRegistry:
    """A registry that wants a token of its realm, as Docker Hub does."""

    inner: SmallRegistry
    issued: list[tuple[str | None, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            self.issued.append((request.headers.get("authorization"), request.query["scope"]))
            return web.json_response({"token": f"t{len(self.issued)}", "expires_in": 300})
        if not request.headers.get("authorization", "").startswith("Bearer t"):
            challenge = f'Bearer realm="http://{request.host}/token",service="reg",scope="ignored"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return await self.inner.handle(request)


def ring(host: str) -> Keyring:
    return Keyring.parse(json.dumps({"auths": {host: {"username": "u", "password": "p"}}}))
