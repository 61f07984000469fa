"""PURE: who sent a delivery, and whether it is theirs: each sender proves that it knows the token in its own way.

- GitHub: `X-Hub-Signature-256`, HMAC-SHA256 of the body, in hex behind `sha256=`.
- Gitea and Forgejo: the same, and bare in `X-Gitea-Signature` or `X-Forgejo-Signature`.
- GitLab: the token itself in `X-Gitlab-Token`; or, with a signing token, `webhook-signature` as the Standard Webhooks
  specification has it: HMAC-SHA256 of id, time and body, which also ends after five minutes.
- Registries (distribution): what their configuration says in `Authorization`, Bearer or Basic.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

Headers = Mapping[str, str]
"""By their names in lower case."""

SHORTEST_TOKEN: Final = 16
"""A token of fewer characters can be guessed, by whoever has seen one signature, and is not taken."""
_REGISTRY_EVENTS: Final = "application/vnd.docker.distribution.events."
_SIGNED_FOR: Final = timedelta(minutes=5)
_STANDARD_SECRET: Final = b"whsec_"


class Sender(StrEnum):
    """Who sends deliveries."""

    GITHUB = "github"
    GITEA = "gitea"
    GITLAB = "gitlab"
    REGISTRY = "registry"


def tokens_of(text: str) -> tuple[bytes, ...]:
    """The tokens that count, one a line: two while one is replaced by another. Those that are too short do not."""
    return tuple(line.encode() for line in map(str.strip, text.splitlines()) if len(line) >= SHORTEST_TOKEN)


def sender_of(headers: Headers) -> Sender | None:
    """Who it says that it is. Gitea and Forgejo send GitHub's headers, too."""
    if "x-gitea-event" in headers or "x-forgejo-event" in headers:
        return Sender.GITEA
    if "x-gitlab-event" in headers:
        return Sender.GITLAB
    if "x-github-event" in headers:
        return Sender.GITHUB
    if headers.get("content-type", "").startswith(_REGISTRY_EVENTS):
        return Sender.REGISTRY
    return None


def is_authentic(sender: Sender, headers: Headers, body: bytes, tokens: Sequence[bytes], now: datetime) -> bool:
    """Whether the sender knows one of the tokens."""
    match sender:
        case Sender.GITHUB | Sender.GITEA:
            return _is_signed(headers, body, tokens)
        case Sender.GITLAB if "webhook-signature" in headers:
            return _is_signed_as_standard(headers, body, tokens, now)
        case Sender.GITLAB:
            return _is_one_of(headers.get("x-gitlab-token", ""), tokens)
        case Sender.REGISTRY:
            return _is_one_of(_credential(headers.get("authorization", "")), tokens)


def _is_signed(headers: Headers, body: bytes, tokens: Sequence[bytes]) -> bool:
    """By the first of the headers that is there: a bad one is not made good by another."""
    names = ("x-hub-signature-256", "x-forgejo-signature", "x-gitea-signature")
    given = next((headers[name] for name in names if name in headers), "").removeprefix("sha256=")
    return _is_one_of(given, [hmac.digest(token, body, "sha256").hex().encode() for token in tokens])


def _is_signed_as_standard(headers: Headers, body: bytes, tokens: Sequence[bytes], now: datetime) -> bool:
    """As github.com/standard-webhooks/standard-webhooks says; GitLab's signing tokens follow it."""
    identity, time = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if (
        not time.isascii()
        or not time.isdecimal()
        or abs(now.timestamp() - int(time[:12])) > _SIGNED_FOR.total_seconds()
    ):
        return False
    signed = f"{identity}.{time}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.digest(_key(token), signed, "sha256")) for token in tokens]
    return any(_is_one_of(one, wanted) for one in headers["webhook-signature"].split(" "))


def _key(token: bytes) -> bytes:
    if not token.startswith(_STANDARD_SECRET):
        return token
    try:
        return base64.b64decode(token.removeprefix(_STANDARD_SECRET), validate=True)
    except binascii.Error:
        return token


def _credential(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode(errors="replace").partition(":")[2]
    except binascii.Error:
        return ""


def _is_one_of(given: str, known: Sequence[bytes]) -> bool:
    """All of them are compared, each in constant time."""
    return sum(hmac.compare_digest(given.encode(errors="replace"), one) for one in known) > 0
