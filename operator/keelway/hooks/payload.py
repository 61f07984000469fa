"""PURE: what a delivery tells, read tolerantly: of all that senders send only the few fields that count are looked at.

The shapes are those of docs.github.com (webhook events and payloads: push), docs.gitea.com and forgejo.org (webhooks),
docs.gitlab.com (webhook events: push and tag events) and distribution.github.io (notifications).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keelway.errors import Terminal
from keelway.hooks.places import place
from keelway.hooks.senders import Headers, Sender

_PUSHES_OF_GITLAB: Final = ("push", "tag_push")
_MOST_FIELDS: Final = 16

Text = Annotated[str, Field(max_length=2048)]


@dataclass(frozen=True)
class GitPush:
    """A ref of a repository moved, came or went: `ref` in full (refs/heads/main), `places` as `places.py` has them."""

    places: frozenset[str]
    ref: str
    default_branch: str | None = None


@dataclass(frozen=True)
class ImagePush:
    """A tag of a repository moved: `names` are host[:port]/path, by each host that the registry goes by."""

    names: frozenset[str]
    tag: str


Push = GitPush | ImagePush


def pushes(sender: Sender, headers: Headers, body: bytes) -> tuple[Push, ...]:
    """What was pushed; nothing where the delivery tells of something else. Raises Terminal InvalidPayload."""
    if sender is Sender.REGISTRY:
        return tuple(dict.fromkeys(_of_registry(_read(_Envelope, body))))
    if sender is Sender.GITLAB:
        told = _read(_GitDelivery, body)
        return _of_git(told) if told.object_kind in _PUSHES_OF_GITLAB else ()
    names = ("x-forgejo-event", "x-gitea-event", "x-github-event")
    if next((headers[name] for name in names if name in headers), "") != "push":
        return ()
    return _of_git(_read(_GitDelivery, _json_of(headers, body)))


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Project(_Tolerant):
    """GitHub, Gitea and Forgejo have the first ones, GitLab the others. Never `homepage`, which is anybody's text."""

    clone_url: Text | None = None
    ssh_url: Text | None = None
    html_url: Text | None = None
    git_http_url: Text | None = None
    git_ssh_url: Text | None = None
    web_url: Text | None = None
    default_branch: Text | None = None

    @property
    def places(self) -> Iterator[str]:
        for address in (
            self.clone_url,
            self.ssh_url,
            self.html_url,
            self.git_http_url,
            self.git_ssh_url,
            self.web_url,
        ):
            if address and (found := place(address)) is not None:
                yield found


class _GitDelivery(_Tolerant):
    object_kind: Any = None
    ref: Text | None = None
    repository: _Project = _Project()
    project: _Project = _Project()


class _Target(_Tolerant):
    repository: Text = ""
    tag: Text = ""
    url: Text = ""


class _Request(_Tolerant):
    host: Text = ""


class _Event(_Tolerant):
    action: Any = None
    target: _Target = _Target()
    request: _Request = _Request()


class _Envelope(_Tolerant):
    events: tuple[_Event, ...] = ()


def _of_git(told: _GitDelivery) -> tuple[Push, ...]:
    places = frozenset((*told.repository.places, *told.project.places))
    if not told.ref or not places:
        raise Terminal("InvalidPayload", "The push names no ref, or no address of its repository.")
    return (GitPush(places, told.ref, told.repository.default_branch or told.project.default_branch),)


def _of_registry(told: _Envelope) -> Iterator[Push]:
    """A push of a layer, or of a manifest by its digest, moves no tag."""
    for event in told.events:
        target = event.target
        hosts = {host.lower() for host in (event.request.host, _host_of(target.url)) if host}
        if event.action == "push" and target.tag and target.repository and hosts:
            yield ImagePush(frozenset(f"{host}/{target.repository}" for host in hosts), target.tag)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _json_of(headers: Headers, body: bytes) -> bytes:
    """GitHub, Gitea and Forgejo can send a form with the JSON in it."""
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return body
    try:
        fields = parse_qs(body.decode(), max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise _invalid(error) from error
    return fields.get("payload", [""])[0].encode()


_Read = TypeVar("_Read", bound=_Tolerant)


def _read(model: type[_Read], body: bytes) -> _Read:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: Exception) -> Terminal:
    first = error.errors(include_url=False, include_input=False)[0] if isinstance(error, ValidationError) else None
    where = ".".join(map(str, first["loc"])) if first is not None else ""
    told = f"{where}: {first['msg']}" if first is not None else "it is no form with a payload"
    return Terminal("InvalidPayload", f"The payload cannot be read: {told.removeprefix(': ')[:200]}.")
