"""Git repositories over smart HTTP without a git binary: which commit is a revision now?

The operator polls with `resolve`; `builder/gitfetch.py` fetches through the same `Remote`. Protocol version
2 is asked for (gitprotocol-v2), where the server sends only the refs named; version 0 is understood too.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

from keelway.errors import Terminal, Waiting
from keelway.sources.credentials import Credentials
from keelway.sources.faults import origin_of, timed_out
from keelway.sources.guard import Answer, GuardedHttp, Request
from keelway.sources.pktline import Mark, Packet, decode, encode, text

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TAGS = "refs/tags/"
_SERVICE = "git-upload-pack"
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
# Version 0 lists every ref: 32 MiB hold about 400,000 of them.
_MAX_REFS_BYTES = 32 * 1024 * 1024
# `resolve` ends within this: httpx's timeouts are each for one read, so that a byte now and then would hold a pass, and
# the worker that it occupies, for ever. A build's fetch has deadlines of its own.
RESOLVE_SECONDS = 60
_AGENT = b"agent=keelway\n"


@dataclass(frozen=True)
class Ref:
    """A ref of the remote: `commit` is what it leads to, an annotated tag peeled."""

    name: str
    commit: str

    @property
    def tag(self) -> str | None:
        """The tag that it is, by its short name."""
        return self.name.removeprefix(_TAGS) if self.name.startswith(_TAGS) else None


@dataclass(frozen=True)
class Remote:
    """A repository that answered. `refs` is what version 0 advertised, empty in version 2."""

    url: str
    version: int
    capabilities: Mapping[str, str]
    refs: tuple[Ref, ...]
    credentials: Credentials | None
    http: GuardedHttp

    async def list_refs(self, prefixes: Sequence[str]) -> tuple[Ref, ...]:
        """The refs whose full names begin with one of `prefixes`."""
        if self.version == 2:
            return await self._list_refs_v2(prefixes)
        return tuple(ref for ref in self.refs if ref.name.startswith(tuple(prefixes)))

    async def _list_refs_v2(self, prefixes: Sequence[str]) -> tuple[Ref, ...]:
        wanted = [f"ref-prefix {prefix}\n".encode() for prefix in prefixes]
        body = encode(b"command=ls-refs\n", _AGENT, Mark.DELIMITER, b"peel\n", *wanted, Mark.FLUSH)
        with _of_refs():
            async with self.ask(body, _MAX_REFS_BYTES) as packets:
                lines = [text(packet) async for packet in packets if isinstance(packet, bytes)]
        return tuple(ref for line in lines if (ref := _ref_of_v2(line)) is not None)

    @asynccontextmanager
    async def ask(self, body: bytes, max_bytes: int) -> AsyncIterator[AsyncIterator[Packet]]:
        """The packets that answer a command; raises as `GuardedHttp.stream` does, and Waiting GitRefused."""
        headers = {
            "Content-Type": f"application/x-{_SERVICE}-request",
            "Accept": f"application/x-{_SERVICE}-result",
            "Git-Protocol": "version=2",
        }
        url = f"{self.url}/{_SERVICE}"
        request = Request(url, "POST", headers=headers, content=body, credentials=self.credentials)
        async with self.http.stream(request, max_bytes) as answer:
            yield _checked(answer, self.credentials)


async def resolve(url: str, revision: str | None, credentials: Credentials | None, http: GuardedHttp) -> Ref:
    """The ref that is a branch, tag, full ref name or commit id now; None means HEAD.

    A full commit id (40 hex digits) is taken as it is, as a ref of that name. A branch goes before a tag of the same
    name, as in `git clone -b`.
    Raises as `GuardedHttp.stream` does, Postponed, and Waiting RevisionNotFound, NotAGitRepository or GitRefused.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return Ref(revision, revision)
    async with http.turn(url):
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                remote = await connect(url, credentials, http)
                return await find(remote, revision)
        except TimeoutError as error:
            raise timed_out(httpx.URL(url)) from error


async def find(remote: Remote, revision: str | None) -> Ref:
    """The ref that a revision names; raises Waiting RevisionNotFound."""
    names = _candidates(revision)
    found = {ref.name: ref for ref in await remote.list_refs(names)}
    for name in names:
        if name in found:
            return found[name]
    if revision is None:
        raise Waiting("RevisionNotFound", "The repository has no HEAD. Push a commit, or name a revision.")
    raise Waiting(
        "RevisionNotFound",
        f"The repository has no branch or tag {revision!r}. Correct the revision, or push it; "
        "a commit must be named by all its 40 digits.",
    )


async def connect(url: str, credentials: Credentials | None, http: GuardedHttp) -> Remote:
    """The first exchange with a repository; raises as `resolve` does."""
    request = Request(
        f"{url.rstrip('/')}/info/refs?service={_SERVICE}",
        headers={"Git-Protocol": "version=2"},
        credentials=credentials,
    )
    with _of_refs():
        async with http.stream(request, _MAX_REFS_BYTES) as answer:
            if answer.content_type != _ADVERTISEMENT:
                raise _no_repository(answer)
            packets = [packet async for packet in _checked(answer, credentials)]
    base = answer.url.partition("?")[0].removesuffix("/info/refs")
    same_origin = origin_of(httpx.URL(base)) == origin_of(httpx.URL(url))
    return _remote([p for p in packets if isinstance(p, bytes)], base, credentials if same_origin else None, http)


def _remote(lines: Sequence[bytes], url: str, credentials: Credentials | None, http: GuardedHttp) -> Remote:
    if lines and lines[0].startswith(b"# service="):
        lines = lines[1:]
    if lines and text(lines[0]) == "version 2":
        capabilities = _capabilities([text(line) for line in lines[1:]])
        return Remote(url, 2, _only_sha1(capabilities), (), credentials, http)
    # Version 0: "<id> <name>", the first line carrying the capabilities after a NUL.
    first, _, after = (lines[0] if lines else b"").partition(b"\0")
    capabilities = _capabilities(text(after).split())
    refs = _refs_of_v0([text(line) for line in (first, *lines[1:])])
    return Remote(url, 0, _only_sha1(capabilities), refs, credentials, http)


def _capabilities(words: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _only_sha1(capabilities: dict[str, str]) -> dict[str, str]:
    if capabilities.get("object-format", "sha1") != "sha1":
        raise Terminal("UnsupportedRepository", "The repository uses SHA-256 ids. Use one with SHA-1 ids.")
    return capabilities


def _refs_of_v0(lines: Sequence[str]) -> tuple[Ref, ...]:
    refs = {}
    for line in lines:
        commit, _, name = line.partition(" ")
        # "refs/tags/v1^{}" follows an annotated tag and says what it leads to.
        refs[name.removesuffix("^{}")] = commit
    # An empty repository advertises its capabilities under this name.
    refs.pop("capabilities", None)
    return tuple(Ref(name, commit) for name, commit in refs.items() if name and _COMMIT.fullmatch(commit))


def _ref_of_v2(line: str) -> Ref | None:
    commit, name, *attributes = line.split(" ")
    for attribute in attributes:
        commit = attribute.removeprefix("peeled:") if attribute.startswith("peeled:") else commit
    return Ref(name, commit) if _COMMIT.fullmatch(commit) else None


def _candidates(revision: str | None) -> tuple[str, ...]:
    if revision is None or revision == "HEAD":
        return ("HEAD",)
    if revision.startswith("refs/"):
        return (revision,)
    return (f"refs/heads/{revision}", f"{_TAGS}{revision}")


async def _checked(answer: Answer, credentials: Credentials | None) -> AsyncIterator[Packet]:
    async for packet in decode(answer.chunks()):
        if isinstance(packet, bytes) and packet.startswith(b"ERR "):
            said = text(packet)[4:]
            if credentials is not None:
                said = credentials.redacted(said)
            raise Waiting("GitRefused", f"{answer.where} said: {said[:300]}. Check the repository and its access.")
        yield packet


@contextmanager
def _of_refs() -> Iterator[None]:
    """A list of refs that is too long is the repository's doing: cut down there, the spec's URL serves again."""
    try:
        yield
    except Terminal as error:
        if error.reason != "ResponseTooLarge":
            raise
        raise Waiting(error.reason, error.message) from error


def _no_repository(answer: Answer) -> Waiting:
    return Waiting(
        "NotAGitRepository",
        f"{answer.where} answers, but not as a git server over smart HTTP. Correct the repository's URL.",
    )
