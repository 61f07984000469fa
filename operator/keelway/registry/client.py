"""A registry over the OCI distribution API (opencontainers/distribution-spec): the only one that talks to it.

The operator resolves tags, reads image configs and moves tags with it, build Jobs read what they pushed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self
from urllib.parse import quote

import httpx

from keelway.budget import Budget
from keelway.errors import NotFound
from keelway.registry.credentials import Keyring
from keelway.registry.documents import ImageConfig, config_of, digest_of, for_this_platform, items, mapping, parsed
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
_PAGE = 1000
_MAX_TAGS = 100_000
# All pages of a list together; 100,000 tags at their longest (128 characters) fit.
_MAX_TAGS_BYTES = 16 * 1024 * 1024
_MAX_ETAG_CHARACTERS = 256


@dataclass(frozen=True)
class Seen:
    """What a tag named when it was last looked at; `etag` spares the body of a registry that tells no digest."""

    digest: str
    etag: str | None = None


class Registry:
    """Every registry, each under the keyring given: `async with Registry(insecure) as registry`.

    `insecure` are the host[:port]s spoken to by plain http; `endpoints` says where a host[:port] is reached that is
    not where its name leads. `own` is the operator's registry, and `mirrors` are hosts that the administrator chose
    too: every other is reached over `guard`, where there is one; all but `own` within their share of `budget`. All
    methods raise Postponed, Waiting (AddressRefused, HostNotFound, ConnectionFailed, TlsFailed, Unauthorized, NotFound,
    RateLimited, RegistryRefused, UnexpectedRedirect, UnexpectedEncoding, UnreadableImage, TooManyTags) or Transient
    (RegistryFailed, TimedOut, DigestMismatch, ConnectionFailed).
    """

    def __init__(
        self,
        insecure: frozenset[str] = frozenset(),
        endpoints: Mapping[str, str] = MappingProxyType({}),
        own: str | None = None,
        guard: httpx.AsyncBaseTransport | None = None,
        budget: Budget | None = None,
        mirrors: Iterable[str] = (),
    ) -> None:
        self._insecure = insecure
        self._own = own
        self._budget = budget
        self._endpoints = endpoints
        self._tokens = Tokens()
        trusted = [*mirrors, *((own,) if own is not None else ())]
        self._wire = Wire([self._at(one, at) for one in trusted for at in (one, self._endpoint(one))], guard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.aclose()

    async def resolve(self, reference: Reference, keyring: Keyring) -> str:
        """The digest of what the reference names now; one that has a digest is taken at its word."""
        if reference.digest is not None:
            return reference.digest
        async with self._turn(reference):
            return (await self._look(reference, keyring)).digest

    async def look(self, reference: Reference, keyring: Keyring, last: Seen | None = None) -> Seen:
        """The digest of what the tag names now, asked as cheaply as the registry allows; `last` is what it was."""
        async with self._turn(reference):
            return await self._look(reference, keyring, last)

    async def image_config(self, reference: Reference, keyring: Keyring) -> ImageConfig:
        """The config of the image, out of an index the one for Linux on this machine's architecture."""
        async with self._turn(reference):
            manifest = parsed(await self._manifest(reference, keyring), reference)
            if "manifests" in manifest:
                reference = reference.at(for_this_platform(manifest, reference))
                manifest = parsed(await self._manifest(reference, keyring), reference)
            digest = mapping(manifest.get("config")).get("digest")
            if not is_digest(digest):
                raise unreadable(str(reference), "has no config")
            return config_of(digest, parsed(await self._blob(reference, digest, keyring), reference))

    async def tags(self, repository: Reference, keyring: Keyring) -> list[str]:
        """All tags of the repository, in the registry's order."""
        scope = Scope(repository, "pull", keyring.login(repository))
        url: httpx.URL | None = self._url(repository, f"tags/list?n={_PAGE}")
        tags: list[str] = []
        size = 0
        async with self._turn(repository):
            while url is not None and len(tags) < _MAX_TAGS:
                async with self._ask(Call("GET", url), scope) as response:
                    body = await _read(response, repository)
                size += len(body)
                if size > _MAX_TAGS_BYTES:
                    raise too_many_tags(repository.name)
                tags += [tag for tag in items(parsed(body, repository).get("tags")) if isinstance(tag, str)]
                url = _next_page(url, response)
        return tags

    async def tag(self, repository: Reference, digest: str, tag: str, keyring: Keyring) -> None:
        """Makes `tag` name the manifest `digest`; nothing is written where it does already."""
        wanted = Reference(repository.registry, repository.repository, tag)
        async with self._turn(wanted):
            if await self._tagged(wanted, keyring) == digest:
                return
            body, media_type = await self._manifest_and_type(repository.at(digest), keyring)
            call = Call("PUT", self._url(wanted, f"manifests/{tag}"), {"Content-Type": media_type}, body)
            async with self._ask(call, Scope(wanted, "pull,push", keyring.login(wanted))):
                return

    async def _tagged(self, reference: Reference, keyring: Keyring) -> str | None:
        """The digest that a tag names now; None where the tag (or the repository) is not there."""
        try:
            return (await self._look(reference, keyring)).digest
        except NotFound:
            return None

    async def _look(self, reference: Reference, keyring: Keyring, last: Seen | None = None) -> Seen:
        digest = await self._head(reference, keyring)
        if digest is not None:
            return Seen(digest)
        headers = {"If-None-Match": last.etag} if last is not None and last.etag is not None else {}
        call = self._call("GET", reference, f"manifests/{reference.identifier}", headers)
        async with self._ask(call, Scope(reference, "pull", keyring.login(reference))) as response:
            if last is not None and response.status_code == httpx.codes.NOT_MODIFIED:
                return last
            return Seen(digest_of(await _read(response, reference)), _etag(response))

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
        if (reference.digest or "").startswith("sha256:") and digest_of(body) != reference.digest:
            raise digest_mismatch(str(reference))
        return body, response.headers.get("content-type", _MANIFESTS[0])

    async def _blob(self, reference: Reference, digest: str, keyring: Keyring) -> bytes:
        call = self._call("GET", reference, f"blobs/{digest}")
        async with self._ask(call, Scope(reference, "pull", keyring.login(reference))) as response:
            body = await _read(response, reference)
        if digest_of(body) != digest:
            raise digest_mismatch(str(reference))
        return body

    @asynccontextmanager
    async def _turn(self, reference: Reference) -> AsyncIterator[None]:
        """One operation, within the host's budget and within bounded time; operations are never nested."""
        registry = reference.registry
        # The operator's own registry is there for it.
        budget = self._budget if registry != self._own else None
        async with budget.turn(registry) if budget is not None else nullcontext():
            try:
                async with asyncio.timeout(OPERATION_SECONDS):
                    yield
            except TimeoutError as error:
                raise timed_out(registry) from error

    @asynccontextmanager
    async def _ask(self, call: Call, scope: Scope) -> AsyncIterator[httpx.Response]:
        """A successful answer, its body unread; authenticates when the registry asks for it."""
        response = await self._wire.send(call, self._tokens.get(scope))
        # What a redirect led to has no claim to this registry's login.
        if response.status_code == httpx.codes.UNAUTHORIZED and origin_of(response.url) == origin_of(call.url):
            response = await self._authenticated(call, scope, response)
        try:
            unchanged = response.status_code == httpx.codes.NOT_MODIFIED and "If-None-Match" in call.headers
            if not response.is_success and not unchanged:
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

    def _call(
        self, method: str, reference: Reference, path: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Call:
        return Call(method, self._url(reference, path), {"Accept": _ACCEPT, **headers}, follow=True)

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


def _etag(response: httpx.Response) -> str | None:
    etag: str = response.headers.get("etag", "")
    return etag if 0 < len(etag) <= _MAX_ETAG_CHARACTERS else None


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
