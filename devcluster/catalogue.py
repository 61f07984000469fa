"""`images.toml` as data: what is wanted, and what it is made from. PURE, but for reading that file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from devcluster.settings import PACKAGE


class Place(StrEnum):
    NODE = "node"
    CLUSTER = "cluster"
    BASE = "base"


@dataclass(frozen=True)
class GoPrograms:
    """Programs that one run of Go builds: of `packages` ("path@version"), or of the module go/<module>."""

    name: str
    module: str | None = None
    packages: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Root:
    """A Debian root file system: packages, then shell hooks on the tree "$1"."""

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """`files` maps a path in the image to "<go name>/<program>"."""

    reference: str
    place: Place
    root: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    trust: bool = False
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    go: Mapping[str, GoPrograms]
    roots: Mapping[str, Root]
    images: tuple[Image, ...]
    node: Image
    kubernetes: str

    def inside_node(self) -> tuple[Image, ...]:
        return tuple(image for image in self.images if image.place is Place.NODE)

    def for_nodes(self) -> tuple[Image, ...]:
        return tuple(image for image in self.images if image.place is not Place.NODE)

    def bases(self) -> tuple[Image, ...]:
        return tuple(image for image in self.images if image.place is Place.BASE)

    def pause(self) -> str:
        """The reference of the image that holds a pod's namespaces."""
        return next(image.reference for image in self.images if "/pause" in image.files)

    def probes(self) -> tuple[str, ...]:
        """Small public images, one a registry: where both can be pulled, so can the others."""
        return (self.pause(), "hello-world:latest")


def load(path: Path = PACKAGE / "images.toml") -> Catalogue:
    return parse(tomllib.loads(path.read_text()))


def parse(document: Mapping[str, Any]) -> Catalogue:
    """Raises TypeError for a key that is not known, ValueError for a name that nothing defines."""
    node = {key: value for key, value in document["node"].items() if key != "kubernetes"}
    catalogue = Catalogue(
        go={entry["name"]: GoPrograms(**frozen(entry)) for entry in document["go"]},
        roots={entry["name"]: Root(**frozen(entry)) for entry in document["root"]},
        images=tuple(Image(**frozen({**entry, "place": Place(entry["place"])})) for entry in document["image"]),
        node=Image(**frozen({**node, "place": Place.NODE})),
        kubernetes=document["node"]["kubernetes"],
    )
    check(catalogue)
    return catalogue


def check(catalogue: Catalogue) -> None:
    for image in (*catalogue.images, catalogue.node):
        if image.root is not None and image.root not in catalogue.roots:
            raise ValueError(f"{image.reference}: no [[root]] is called {image.root!r}")
        for source in image.files.values():
            if source.partition("/")[0] not in catalogue.go:
                raise ValueError(f"{image.reference}: no [[go]] makes {source!r}")


def frozen(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
