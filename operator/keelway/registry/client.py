"""A registry over the OCI distribution API (opencontainers/distribution-spec): the only one that talks to it.

The operator resolves tags, reads image configs and moves tags with it, build Jobs read what they pushed.
"""

import asyncio
import contextlib
import hashlib
import json
import platform
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import quote

import httpx

from keelway.errors import NotFound
from keelway.registry.credentials import Keyring
from keelway.registry.faults import (
    bad_redirect,
    digest_mismatch,
    invalid_host,
    refused,
    timed_out,
    too_many_tags,
    unreadable,
)
from keelway.registry.reference import DOCKER_HUB, Reference, is_digest
from keelway.registry.tokens import Scope, Tokens, answer
from keelway.registry.wire import Call, Wire, host_of, origin_of, read

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))
# An operation ends within this: httpx's timeouts are each for one read, so that a byte now and then would hold a pass,
# and the worker that it occupies, for ever.
OPERATION_SECONDS = 60
# The most a registry must take for a manifest (distribution-spec, "Pushing Manifests"); configs are alike.
_MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
# docs/attestations/attestation-storage.md of BuildKit: what has it is no image, whatever platform it names.
_REFERENCE_TYPE = "vnd.docker.reference.type"
_PAGE = 1000
_MAX_TAGS = 100_000
# All pages of a list together; 100,000 tags at their longest (128 characters) fit.
_MAX_TAGS_BYTES = 16 * 1024 * 1024
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class ImageConfig:
    """What of an image's config matters here: `user` as written by USER, empty for root; `created` and `revision` (the
    OCI label) where it has them.
    """

    digest: str
    user: str
    created: datetime | None = None
    revision: str | None = None


class Registry:
    """Every registry, each under the keyring given: `async with Registry(insecure) as registry`.

    `insecure` are the host[:port]s spoken to by plain http; `endpoints` says where a host[:port] is reached that is
    not where its name leads. `own` is the operator's registry: every other host is reached over `guard`, where there
    is one. All methods raise Waiting (AddressRefused, HostNotFound, ConnectionFailed, TlsFailed, Unauthorized,
    NotFound, RateLimited, RegistryRefused, UnexpectedRedirect, UnexpectedEncoding, UnreadableImage, TooManyTags) or
    Transient (RegistryFailed, TimedOut, DigestMismatch, ConnectionFailed).
    """

    def __init__(
        self,
        insecure: frozenset[str] = frozenset(),
        endpoints: Mapping[str, str] = MappingProxyType({}),
        own: str | None = None,
        guard: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._insecure = insecure
        self._endpoints = endpoints
        self._tokens = Tokens()
        self._wire = Wire(() if own is None else (self._at(own, own), self._at(own, self._endpoint(own))), guard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.aclose()

    async def resolve(self, reference: Reference, keyring: Keyring) -> str:
        """The digest of what the reference names now; one that has a digest is taken at its word."""
        if reference.digest is not None:
            return reference.digest
        async with _in_time(reference):
            digest = await self._head(reference, keyring)
            return digest or _digest(await self._manifest(reference, keyring))

    async def image_config(self, reference: Reference, keyring: Keyring) -> ImageConfig:
        """The config of the image, out of an index the one for Linux on this machine's architecture."""
        async with _in_time(reference):
            manifest = _parsed(await self._manifest(reference, keyring), reference)
            if "manifests" in manifest:
                reference = reference.at(_for_this_platform(manifest, reference))
                manifest = _parsed(await self._manifest(reference, keyring), reference)
            digest = _mapping(manifest.get("config")).get("digest")
            if not is_digest(digest):
                raise unreadable(str(reference), "has no config")
            return _config(digest, _parsed(await self._blob(reference, digest, keyring), reference))

    async def tags(self, repository: Reference, keyring: Keyring) -> list[str]:
        """All tags of the repository, in the registry's order."""
        scope = Scope(repository, "pull", keyring.login(repository))
        url: httpx.URL | None = self._url(repository, f"tags/list?n={_PAGE}")
        tags: list[str] = []
        size = 0
        async with _in_time(repository):
            while url is not None and len(tags) < _MAX_TAGS:
                async with self._ask(Call("GET", url), scope) as response:
                    body = await _read(response, repository)
                size += len(body)
                if size > _MAX_TAGS_BYTES:
                    raise too_many_tags(repository.name)
                tags += [tag for tag in _list(_parsed(body, repository).get("tags")) if isinstance(tag, str)]
                url = _next_page(url, response)
        return tags

    async def tag(self, repository: Reference, digest: str, tag: str, keyring: Keyring) -> None:
        """Makes `tag` name the manifest `digest`; nothing is written where it does already."""
        wanted = Reference(repository.registry, repository.repository, tag)
        async with _in_time(wanted):
            if await self._tagged(wanted, keyring) == digest:
                return
            body, media_type = await self._manifest_and_type(repository.at(digest), keyring)
            call = Call("PUT", self._url(wanted, f"manifests/{tag}"), {"Content-Type": media_type}, body)
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
            return digest if is_digest(digest) else None

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
    async def _ask(self, call: Call, scope: Scope) -> AsyncIterator[httpx.Response]:
        """A successful answer, its body unread; authenticates when the registry asks for it."""
        response = await self._wire.send(call, self._tokens.get(scope))
        # What a redirect led to has no claim to this registry's login.
        if response.status_code == httpx.codes.UNAUTHORIZED and origin_of(response.url) == origin_of(call.url):
            response = await self._authenticated(call, scope, response)
        try:
            if not response.is_success:
                raise refused(response, scope.reference.name, scope.login)
            yield response
        finally:
            await response.aclose()

    async def _authenticated(self, call: Call, scope: Scope, challenge: httpx.Response) -> httpx.Response:
        """The answer with what the challenge asks for; the challenge itself where there is none to give."""
        self._tokens.drop(scope)
        given = await answer(challenge, scope, self._wire, scope.reference.registry in self._insecure)
        if given is None:
            return challenge
        response = await self._wire.send(call, given[0])
        if response.status_code != httpx.codes.UNAUTHORIZED:
            self._tokens.put(scope, *given)
        return response

    def _call(self, method: str, reference: Reference, path: str) -> Call:
        return Call(method, self._url(reference, path), {"Accept": _ACCEPT}, follow=True)

    def _url(self, reference: Reference, path: str) -> httpx.URL:
        base = self._at(reference.registry, self._endpoint(reference.registry))
        return base.join(f"{quote(reference.repository)}/{path}")

    def _endpoint(self, registry: str) -> str:
        # The hub's API is not at the name that its images carry.
        host = "registry-1.docker.io" if registry == DOCKER_HUB else registry
        return self._endpoints.get(host, host)

    def _at(self, registry: str, host: str) -> httpx.URL:
        scheme = "http" if registry in self._insecure else "https"
        try:
            return httpx.URL(f"{scheme}://{host}/v2/")
        except httpx.InvalidURL as error:
            raise invalid_host(host) from error


@asynccontextmanager
async def _in_time(reference: Reference) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(OPERATION_SECONDS):
            yield
    except TimeoutError as error:
        raise timed_out(reference.registry) from error


async def _read(response: httpx.Response, reference: Reference) -> bytes:
    body = await read(response, _MAX_DOCUMENT_BYTES)
    if body is None:
        raise unreadable(str(reference), f"has a document over {_MAX_DOCUMENT_BYTES} bytes")
    return body


def _next_page(url: httpx.URL, response: httpx.Response) -> httpx.URL | None:
    """Where the list goes on: always at the same registry, whatever host the link names."""
    following = response.links.get("next", {}).get("url")
    try:
        return url.copy_with(raw_path=url.join(following).raw_path) if following else None
    except (httpx.InvalidURL, ValueError) as error:
        raise bad_redirect(host_of(url), "names a next page of tags that is no URL") from error


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _parsed(body: bytes, reference: Reference) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unreadable(str(reference), "is described by no JSON") from error
    if not isinstance(document, dict):
        raise unreadable(str(reference), "is described by no JSON object")
    return document


def _config(digest: str, document: Mapping[str, Any]) -> ImageConfig:
    config = _mapping(document.get("config"))
    revision = _mapping(config.get("Labels")).get("org.opencontainers.image.revision")
    created = None
    with contextlib.suppress(TypeError, ValueError):
        created = datetime.fromisoformat(document.get("created"))  # type: ignore[arg-type]
    return ImageConfig(
        digest,
        str(config.get("User") or ""),
        created if created is not None and created.tzinfo is not None else None,
        revision if isinstance(revision, str) else None,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _for_this_platform(index: Mapping[str, Any], reference: Reference) -> str:
    machine = platform.machine()
    wanted = ("linux", _ARCHITECTURES.get(machine, machine))
    for manifest in map(_mapping, _list(index["manifests"])):
        if _REFERENCE_TYPE in _mapping(manifest.get("annotations")):
            continue  # an attestation of one of the images, not an image
        offered = _mapping(manifest.get("platform"))
        if (offered.get("os"), offered.get("architecture")) == wanted and is_digest(manifest.get("digest")):
            return str(manifest["digest"])
    raise unreadable(str(reference), f"has nothing for {'/'.join(wanted)}")
