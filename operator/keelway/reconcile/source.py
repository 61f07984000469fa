"""Which revision an Image's source is at now, and the files of those sources that the operator reads itself.

An `inline` or `http` source says so itself; a ConfigMap is read and a git ref resolved, each at most once per
`poll.intervalSeconds` or when asked: what was found is kept in memory, and is looked up again after a restart.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from keelway.api.buildrequest import GitRequest, HttpRequest, RequestFile, SourceRequest
from keelway.api.image import Image
from keelway.api.resources import CONFIG_MAPS
from keelway.api.source import ConfigMapSource, GitSource, InlineSource, Source
from keelway.budget import Postponed, is_busy, spread
from keelway.cluster.client import Cluster
from keelway.errors import KeelwayError, Transient, Waiting
from keelway.reconcile.secrets import secret_data
from keelway.sources import git
from keelway.sources.credentials import Credentials
from keelway.sources.guard import GuardedHttp

CHECK_PAUSE: Final = timedelta(seconds=10)
"""Between two looks, however often somebody asks for one: the shortest `poll.intervalSeconds`."""
# Where polling is off, a host that would not answer is asked again after its default.
_AGAIN_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Resolved:
    """A source at a revision: a git commit, or `sha256:...` of the content.

    `next_check` is None where it is fixed, or polling is off; `git_tag` is the tag that a git source's revision names,
    if it is one. `problem`: the host would not say what it is now, so it is what it was. `at` is when it was looked at
    last; `is_news`: just now.
    """

    source: Source
    revision: str
    next_check: datetime | None = None
    git_tag: str | None = None
    problem: KeelwayError | None = None
    at: datetime | None = None
    is_news: bool = False


@dataclass(frozen=True)
class _Known:
    """What the source of the Image with that uid was last resolved to, while it polled so often."""

    uid: str
    interval: int
    resolved: Resolved

    def is_of(self, image: Image) -> bool:
        return self.uid == image.metadata.uid and self.resolved.source == image.spec.source


class Sources:
    """Resolves the sources of Images, politely."""

    def __init__(self, cluster: Cluster, http: GuardedHttp, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._http = http
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}

    async def resolve(self, image: Image, *, afresh: bool = False, asked: bool = False) -> Resolved:
        """The revision now; `afresh` asks although it is not yet time, `asked` where the last look is not just past.

        Raises Waiting (also Postponed) or Terminal.
        """
        name, interval = (image.metadata.namespace, image.metadata.name), image.spec.poll.interval_seconds
        known = self._known.pop(name, None)
        is_due = known is None or afresh or not known.is_of(image) or known.interval != interval
        if known is not None and not is_due and not self._is_due(known.resolved, asked):
            self._known[name] = known
            return known.resolved
        resolved = replace(await self._look_or_stay(image, known), at=self._clock())
        self._known[name] = _Known(image.metadata.uid, interval, resolved)
        return replace(resolved, is_news=True)

    async def _look_or_stay(self, image: Image, known: _Known | None) -> Resolved:
        """The revision now. A host that would answer later says nothing of the revision: it stays as it is known."""
        try:
            return await self._look(image)
        except (Waiting, Transient) as error:
            if known is None or not known.is_of(image) or not is_busy(error):
                raise
            # Whose turn it is not is told nothing new.
            problem = known.resolved.problem if isinstance(error, Postponed) else error
            # Never sooner than the Image polls: a server that says "now" each time must not keep a worker busy.
            seconds = max(error.retry_after or 0.0, pause(image))
            next_check = self._clock() + timedelta(seconds=seconds)
            return replace(known.resolved, next_check=next_check, problem=problem)

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is known of an Image that is gone."""
        self._known.pop((namespace, name), None)

    async def request(self, image: Image, source: Source, revision: str) -> SourceRequest | None:
        """What a build Job is to fetch; None where a ConfigMap has moved on from `revision`."""
        if source.inline is not None:
            return SourceRequest(files=_inline_files(source.inline))
        if source.config_map is not None:
            files = await self._config_map_files(image.metadata.namespace, source.config_map)
            if content_revision(files) == revision:
                return SourceRequest(files=files)
            # What is remembered is out of date too, and would lead to the same build over and over.
            self.forget(image.metadata.namespace, image.metadata.name)
            return None
        if source.git is not None:
            return SourceRequest(git=_git_request(source.git, revision))
        assert source.http is not None
        http = source.http
        return SourceRequest(http=HttpRequest(url=http.url, sha256=http.sha256, sub_path=http.sub_path))

    async def credentials(self, image: Image, source: Source) -> Credentials | None:
        """The credentials of a private git repository. Raises Waiting where the Secret is not there or unusable."""
        if source.git is None or source.git.secret_ref is None:
            return None
        name = source.git.secret_ref.name
        data = await secret_data(self._cluster, image.metadata.namespace, name)
        texts = {key: value.decode(errors="replace").strip() for key, value in data.items()}
        if "token" in texts:
            return Credentials(username=texts.get("username"), token=texts["token"])
        if "username" in texts and "password" in texts:
            return Credentials(username=texts["username"], password=texts["password"])
        raise Waiting(
            "InvalidSecret",
            f"Secret {name} has neither the key token nor the keys username and password. Add them.",
        )

    def _is_due(self, known: Resolved, asked: bool) -> bool:
        now = self._clock()
        if known.next_check is not None and now >= known.next_check:
            return True
        # A clock that was set back must not keep anybody from asking.
        return asked and (known.at is None or not known.at <= now < known.at + CHECK_PAUSE)

    async def _look(self, image: Image) -> Resolved:
        source = image.spec.source
        if source.inline is not None:
            return Resolved(source, content_revision(_inline_files(source.inline)))
        if source.http is not None:
            return Resolved(source, f"sha256:{source.http.sha256}")
        if source.config_map is not None:
            files = await self._config_map_files(image.metadata.namespace, source.config_map)
            return Resolved(source, content_revision(files), self._next_check(image))
        assert source.git is not None
        credentials = await self.credentials(image, source)
        ref = await git.resolve(source.git.url, source.git.revision, credentials, self._http)
        pinned = ref.commit == source.git.revision
        return Resolved(source, ref.commit, None if pinned else self._next_check(image), ref.tag)

    def _next_check(self, image: Image) -> datetime | None:
        return self._clock() + timedelta(seconds=pause(image)) if image.spec.poll.interval_seconds else None

    async def _config_map_files(self, namespace: str, source: ConfigMapSource) -> tuple[RequestFile, ...]:
        found = await self._cluster.get(CONFIG_MAPS, namespace, source.name)
        if found is None:
            raise Waiting(
                "ConfigMapNotFound",
                f"There is no ConfigMap {source.name} in {namespace}. Create it; the build starts by itself then.",
            )
        return _config_map_files(found)


def pause(image: Image) -> float:
    """Seconds until a source that would not tell is asked again."""
    return spread(image.spec.poll.interval_seconds or _AGAIN_SECONDS)


def content_revision(files: Sequence[RequestFile]) -> str:
    """`sha256:...` of names and contents; the order of the files does not matter."""
    listed = sorted((file.name, file.binary, file.content) for file in files)
    return "sha256:" + hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _inline_files(source: InlineSource) -> tuple[RequestFile, ...]:
    return tuple(RequestFile(name=file.name, content=file.content) for file in source.files)


def _config_map_files(config_map: Mapping[str, Any]) -> tuple[RequestFile, ...]:
    texts = [RequestFile(name=name, content=text) for name, text in config_map.get("data", {}).items()]
    blobs = [
        RequestFile(name=name, content=blob, binary=True) for name, blob in config_map.get("binaryData", {}).items()
    ]
    return (*texts, *blobs)


def _git_request(source: GitSource, commit: str) -> GitRequest:
    revision = source.revision if source.revision != commit else None
    return GitRequest(url=source.url, commit=commit, revision=revision, sub_path=source.sub_path)
