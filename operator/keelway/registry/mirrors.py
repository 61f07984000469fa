"""PURE: where images of other registries are found first, as the administrator says in KEELWAY_REGISTRY_MIRRORS.

`reconcile/bases.py` asks there, as BuildKit does by its own list (`[registry."..."] mirrors` in buildkitd.toml).
"""

from dataclasses import dataclass, replace
from typing import Final, Self

from keelway.errors import Terminal
from keelway.registry.reference import Reference

_PLAIN: Final = "http://"


@dataclass(frozen=True)
class Mirror:
    """Images of `registry` are found below `place`, host[:port] with an optional path; by plain http where it is so."""

    registry: str
    place: str
    is_plain: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of docker.io=mirror.example.com/hub, or docker.io=http://mirror:5000. Raises ValueError."""
        registry, _, place = text.partition("=")
        bare = place.removeprefix(_PLAIN)
        try:
            asked, found = (Reference.parse(f"{one}/some/image") for one in (registry, bare))
        except Terminal as error:
            raise ValueError(_bad(text)) from error
        if (asked.name, found.name) != (f"{registry}/some/image", f"{bare}/some/image") or "/" in registry:
            raise ValueError(_bad(text))
        return cls(registry, bare, place != bare)

    @property
    def host(self) -> str:
        """host[:port]"""
        return self.place.partition("/")[0]

    def is_below(self, registry: str) -> bool:
        """Whether repositories that namespaces own in `registry`, a host with an optional path, could be read over it.

        A namespace's name has no dot, so a path that begins with one that has is nobody's.
        """
        mirrored, own = self.place.split("/"), registry.split("/")
        if mirrored[: len(own)] != own[: len(mirrored)]:
            return False
        return len(mirrored) <= len(own) or "." not in mirrored[len(own)]


@dataclass(frozen=True)
class Mirrors:
    """All mirrors, one for a registry at most."""

    known: tuple[Mirror, ...] = ()

    def of(self, reference: Reference) -> Reference | None:
        """The same image at the mirror of its registry; None where there is none."""
        mirror = next((one for one in self.known if one.registry == reference.registry), None)
        if mirror is None:
            return None
        host, _, path = mirror.place.partition("/")
        return replace(reference, registry=host, repository="/".join(filter(None, (path, reference.repository))))

    @property
    def hosts(self) -> frozenset[str]:
        """The host[:port]s of all of them."""
        return frozenset(mirror.host for mirror in self.known)

    @property
    def plain_hosts(self) -> frozenset[str]:
        """Those spoken to by plain http."""
        return frozenset(mirror.host for mirror in self.known if mirror.is_plain)


def _bad(text: str) -> str:
    return (
        f"{text!r} is no mirror: write docker.io=mirror.example.com/path, or docker.io=http://mirror.example.com/path"
    )
