"""PURE: which Images the deliveries of a moment concern. Images are read raw: of a list of thousands few fields count.

Whoever names something new that can be pushed to (another field of the spec) adds a line to `_Wanted`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keelway.errors import Terminal
from keelway.hooks.payload import GitPush, ImagePush, Push
from keelway.hooks.places import place
from keelway.registry.mirrors import Mirrors
from keelway.registry.reference import Reference

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Delivery:
    """What a sender has told. `name` is the same whenever the same is sent again: made of its content."""

    name: str
    pushes: tuple[Push, ...]


class Concerned:
    """Finds the deliveries that concern an Image; `deliveries` are the oldest first."""

    def __init__(self, deliveries: Iterable[Delivery], mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._git: dict[str, list[tuple[str, GitPush]]] = {}
        self._tags: dict[tuple[str, str | None], list[str]] = {}
        self._order: dict[str, int] = {}
        for delivery in deliveries:
            self._order[delivery.name] = len(self._order)
            for push in delivery.pushes:
                self._add(delivery.name, push)

    def by(self, image: Mapping[str, Any]) -> list[str]:
        """Names of the deliveries that concern the Image, the newest last."""
        wanted = _Wanted(image, self._mirrors)
        found = set(self._of_git(wanted))
        found.update(name for tag in wanted.tags() for name in self._tags.get(tag, ()))
        return sorted(found, key=self._order.__getitem__)

    def _add(self, name: str, push: Push) -> None:
        match push:
            case GitPush():
                for one in push.places:
                    self._git.setdefault(one, []).append((name, push))
            case ImagePush():
                for key in ((repository, tag) for repository in push.names for tag in (push.tag, None)):
                    self._tags.setdefault(key, []).append(name)

    def _of_git(self, wanted: "_Wanted") -> Iterator[str]:
        git = wanted.git()
        if git is None:
            return
        where, revision = git
        yield from (name for name, push in self._git.get(where, ()) if _moves(push, revision))


@dataclass(frozen=True)
class _Wanted:
    """What an Image is made of, as far as it can be pushed to."""

    image: Mapping[str, Any]
    mirrors: Mirrors

    def git(self) -> tuple[str, str] | None:
        """Place and revision of its repository."""
        url = _inside(self.image, "spec", "source", "git", "url")
        revision = _inside(self.image, "spec", "source", "git", "revision")
        where = place(url) if isinstance(url, str) else None
        return (where, revision if isinstance(revision, str) else "HEAD") if where is not None else None

    def tags(self) -> Iterator[tuple[str, str | None]]:
        """Names and tags of its base images, and the repository that it follows, of which any tag counts (None).

        At their registries and at the mirrors of these.
        """
        bases = _inside(self.image, "status", "baseImages")
        for text in (*(bases if isinstance(bases, list) else ()), _inside(self.image, "spec", "follow", "repository")):
            try:
                reference = Reference.parse(text) if isinstance(text, str) else None
            except Terminal:
                continue
            for one in (reference, self.mirrors.of(reference)) if reference is not None else ():
                if one is not None and one.digest is None:
                    yield f"{one.registry.lower()}/{one.repository}", one.tag


def _moves(push: GitPush, revision: str) -> bool:
    """Whether what the revision names may be another commit now: as `sources/git.py` finds a revision."""
    if _COMMIT.fullmatch(revision):
        return False
    if revision == "HEAD":
        return push.default_branch is None or push.ref == f"refs/heads/{push.default_branch}"
    return push.ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")


def _inside(obj: Any, *path: str) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj
