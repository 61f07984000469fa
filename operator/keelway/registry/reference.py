"""Image references, read as Docker reads them: pure.

The rules are those of github.com/distribution/reference: `nginx` is docker.io/library/nginx, and the first
part of a name is a registry only where it looks like a host (a dot, a port, an upper-case letter, localhost).
"""

import re
from dataclasses import dataclass, replace
from typing import Self, TypeGuard

from keelway.errors import Terminal

DOCKER_HUB = "docker.io"
_HOST = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_MAX_NAME = 255


@dataclass(frozen=True)
class Reference:
    """`registry` is host[:port], `repository` the path below it; str() gives the full form back."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Terminal InvalidReference. Without tag and digest, the client takes `latest`."""
        rest, _, digest = text.partition("@")
        tag = ""
        if ":" in rest.rpartition("/")[2]:
            rest, _, tag = rest.rpartition(":")
        registry, repository = _split(rest)
        parsed = cls(registry, repository, tag or None, digest or None)
        if not parsed._is_valid() or text.endswith(("@", ":")):
            raise Terminal(
                "InvalidReference",
                f"{text!r} is no image reference. Write it like registry.example.org/team/app:1.2.",
            )
        return parsed

    @property
    def name(self) -> str:
        """Registry and repository: the reference without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def identifier(self) -> str:
        """What the manifest is asked for by: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> Self:
        """The same repository, at a digest."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    def _is_valid(self) -> bool:
        host = _HOST.fullmatch(self.registry)
        return (
            host is not None
            and int(host["port"] or 443) < 65536
            and _PATH.fullmatch(self.repository) is not None
            and len(self.name) <= _MAX_NAME
            and (self.tag is None or _TAG.fullmatch(self.tag) is not None)
            and (self.digest is None or _DIGEST.fullmatch(self.digest) is not None)
        )


def is_digest(value: object) -> TypeGuard[str]:
    """Whether it is the digest of a manifest or a blob: what registries say is theirs to choose."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not _looks_like_host(first):
        first, rest = DOCKER_HUB, name
    if first == "index.docker.io":
        first = DOCKER_HUB
    if first == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest


def _looks_like_host(part: str) -> bool:
    return part == "localhost" or "." in part or ":" in part or part != part.lower()
