"""A registry over the OCI distribution API (opencontainers/distribution-spec): the only one that talks to it.

The operator resolves tags, reads image configs and moves tags with it, build Jobs read what they pushed.
"""

import hashlib
import json
import platform
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import quote

import httpx

from keelway.errors import NotFound
from keelway.registry.credentials import Keyring
from keelway.registry.faults import digest_mismatch, refused, translated, unreadable
from keelway.registry.reference import DOCKER_HUB, Reference
from keelway.registry.tokens import Scope, Tokens, answer

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))
_TIMEOUT = httpx.Timeout(30, connect=10)
# The most a registry must take for a manifest (distribution-spec, "Pushing Manifests"); configs are alike.
_MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
_PAGE = 1000
_MAX_TAGS = 100_000
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class ImageConfig:
    """What of an image's config matters here: `user` as written by USER, empty for root."""

    digest: str
    user: str


@dataclass(frozen=True)
class _Call:
    method: str
    url: httpx.URL
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


class Registry:
    """Every registry, each under the keyring given: `async with Registry(insecure) as registry`.

    `insecure` are the host[:port]s spoken to by plain http; `endpoints` says where a host[:port] is reached that is
    not where its name leads. All methods raise Waiting (HostNotFound,
    ConnectionFailed, TlsFailed, Unauthorized, NotFound, RateLimited, RegistryRefused, UnreadableImage) or
    Transient (RegistryFailed, TimedOut, DigestMismatch, ConnectionFailed).
    """

    def __init__(
        self, insecure: frozenset[str] = frozenset(), endpoints: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._insecure = insecure
        self._endpoints = endpoints
        self._tokens = Tokens()
        # The system's default bundle; OpenSSL itself honours SSL_CERT_FILE and SSL_CERT_DIR. httpx drops
        # Authorization when a redirect leads elsewhere, as blobs' often do (to the registry's storage).
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=_TIMEOUT,
            follow_redirects=True,
            max_redirects=5,
            headers={"User-Agent": "keelway"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def resolve(self, reference: Reference, keyring: Keyring) -> str:
        """The digest of what the reference names now; one that has a digest is taken at its word."""
        if reference.digest is not None:
            return reference.digest
        digest = await self._head(reference, keyring)
        return digest or _digest(await self._manifest(reference, keyring))

    async def image_config(self, reference: Reference, keyring: Keyring) -> ImageConfig:
        """The config of the image, out of an index the one for Linux on this machine's architecture."""
        manifest = _parsed(await self._manifest(reference, keyring), reference)
        if "manifests" in manifest:
            reference = reference.at(_for_this_platform(manifest, reference))
            manifest = _parsed(await self._manifest(reference, keyring), reference)
        try:
            digest = str(manifest["config"]["digest"])
        except (KeyError, TypeError) as error:
            raise unreadable(str(reference), "has no config") from error
        config = _parsed(await self._blob(reference, digest, keyring), reference).get("config") or {}
        return ImageConfig(digest, str(config.get("User") or ""))

    async def tags(self, repository: Reference, keyring: Keyring) -> list[str]:
        """All tags of the repository, in the registry's order."""
        scope = Scope(repository, "pull", keyring.login(repository))
        url: httpx.URL | None = self._url(repository, f"tags/list?n={_PAGE}")
        tags: list[str] = []
        while url is not None and len(tags) < _MAX_TAGS:
            async with self._ask(_Call("GET", url), scope) as response:
                body = await _read(response, repository)
            tags += _parsed(body, repository).get("tags") or []
            following = response.links.get("next", {}).get("url")
            url = url.join(following) if following else None
        return tags

    async def tag(self, repository: Reference, digest: str, tag: str, keyring: Keyring) -> None:
        """Makes `tag` name the manifest `digest`; nothing is written where it does already."""
        wanted = Reference(repository.registry, repository.repository, tag)
        if await self._tagged(wanted, keyring) == digest:
            return
        body, media_type = await self._manifest_and_type(repository.at(digest), keyring)
        call = _Call("PUT", self._url(wanted, f"manifests/{tag}"), {"Content-Type": media_type}, body)
        async with self._ask(call, Scope(wanted, "pull,push", keyring.login(wanted))):
            return

    async def _tagged(self, reference: Reference, keyring: Keyring) -> str | None:
        """The digest that a tag names now; None where the tag (or the repository) is not there."""
        try:
            return await self.resolve(reference, keyring)
        except NotFound:
            return None

    async def _head(self, reference: Reference, keyring: Keyring) -> str | None:
        call = self._call("HEAD", reference, f"manifests/{reference.identifier}")
        async with self._ask(call, Scope(reference, "pull", keyring.login(reference))) as response:
            digest: str | None = response.headers.get("docker-content-digest")
            return digest

    async def _manifest(self, reference: Reference, keyring: Keyring) -> bytes:
        return (await self._manifest_and_type(reference, keyring))[0]

    async def _manifest_and_type(self, reference: Reference, keyring: Keyring) -> tuple[bytes, str]:
        call = self._call("GET", reference, f"manifests/{reference.identifier}")
        async with self._ask(call, Scope(reference, "pull", keyring.login(reference))) as response:
            body = await _read(response, reference)
        if (reference.digest or "").startswith("sha256:") and _digest(body) != reference.digest:
            raise digest_mismatch(str(reference))
        return body, response.headers.get("content-type", _MANIFESTS[0])

    async def _blob(self, reference: Reference, digest: str, keyring: Keyring) -> bytes:
        call = self._call("GET", reference, f"blobs/{digest}")
        async with self._ask(call, Scope(reference, "pull", keyring.login(reference))) as response:
            body = await _read(response, reference)
        if _digest(body) != digest:
            raise digest_mismatch(str(reference))
        return body

    @asynccontextmanager
    async def _ask(self, call: _Call, scope: Scope) -> AsyncIterator[httpx.Response]:
        """A successful answer, its body unread; authenticates when the registry asks for it."""
        host = scope.reference.registry
        try:
            response = await self._send(call, self._tokens.get(scope))
            if response.status_code == httpx.codes.UNAUTHORIZED:
                response = await self._authenticated(call, scope, response)
            try:
                if not response.is_success:
                    await response.aread()
                    raise refused(response, scope.reference.name, scope.login is not None)
                yield response
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise translated(error, host) from error

    async def _authenticated(self, call: _Call, scope: Scope, challenge: httpx.Response) -> httpx.Response:
        """The answer with what the challenge asks for; the challenge itself where there is none to give."""
        await challenge.aread()
        self._tokens.drop(scope)
        given = await answer(challenge, scope, self._http, scope.reference.registry in self._insecure)
        if given is None:
            return challenge
        response = await self._send(call, given[0])
        if response.status_code != httpx.codes.UNAUTHORIZED:
            self._tokens.put(scope, *given)
        return response

    async def _send(self, call: _Call, authorization: str | None) -> httpx.Response:
        headers = {**call.headers, **({"Authorization": authorization} if authorization else {})}
        message = self._http.build_request(call.method, call.url, headers=headers, content=call.content)
        return await self._http.send(message, stream=True)

    def _call(self, method: str, reference: Reference, path: str) -> _Call:
        return _Call(method, self._url(reference, path), {"Accept": _ACCEPT})

    def _url(self, reference: Reference, path: str) -> httpx.URL:
        scheme = "http" if reference.registry in self._insecure else "https"
        # The hub's API is not at the name that its images carry.
        host = "registry-1.docker.io" if reference.registry == DOCKER_HUB else reference.registry
        host = self._endpoints.get(host, host)
        return httpx.URL(f"{scheme}://{host}/v2/{quote(reference.repository)}/{path}")


async def _read(response: httpx.Response, reference: Reference) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MAX_DOCUMENT_BYTES:
            raise unreadable(str(reference), f"has a document over {_MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _parsed(body: bytes, reference: Reference) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise unreadable(str(reference), "is described by no JSON") from error
    if not isinstance(document, dict):
        raise unreadable(str(reference), "is described by no JSON object")
    return document


def _for_this_platform(index: Mapping[str, Any], reference: Reference) -> str:
    machine = platform.machine()
    wanted = ("linux", _ARCHITECTURES.get(machine, machine))
    for manifest in index["manifests"]:
        offered = manifest.get("platform") or {}
        if (offered.get("os"), offered.get("architecture")) == wanted:
            return str(manifest["digest"])
    raise unreadable(str(reference), f"has nothing for {'/'.join(wanted)}")
