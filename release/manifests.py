"""Renders manifests/base as a release installs it: every image by its digest.

    python -m release.manifests --operator <image>@sha256:... --buildkit <image>@sha256:... > keelway.yaml

A tag can be moved to another image after it was looked at, a digest cannot. Both digests are given by whoever releases:
the operator's is what the registry answered to the push (`docker push`, or `docker buildx imagetools inspect`), that of
moby/buildkit is read from its registry for the version in the manifests. Nothing here can know them, so none stands in
the repository.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

BASE: Final = Path(__file__).parents[1] / "manifests" / "base"
_PINNED: Final = re.compile(r"(?P<name>[^\s@]+)@(?P<digest>sha256:[0-9a-f]{64})")
_SETTING: Final = "KEELWAY_OPERATOR_IMAGE"


class Unpinned(Exception):
    """An image that is not named by its digest; the text says which, and what to do."""


@dataclass(frozen=True)
class Pin:
    """An image of the manifests, and what a release takes for it."""

    image: str
    name: str
    digest: str

    @classmethod
    def of(cls, image: str, reference: str) -> "Pin":
        """Raises Unpinned for a reference without a whole digest."""
        found = _PINNED.fullmatch(reference)
        if found is None:
            raise Unpinned(f"{reference} is not pinned: name it as <image>@sha256:<64 hex digits>.")
        # A tag beside the digest would be for people only, and kustomize takes none.
        name = re.sub(r":[^:/]+$", "", found["name"])
        return cls(image, name, found["digest"])

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


def render(operator: str, buildkit: str, base: Path = BASE) -> str:
    """The YAML of all objects. Raises Unpinned where any image of them has no digest."""
    pins = (Pin.of("keelway/operator", operator), Pin.of("moby/buildkit", buildkit))
    with tempfile.TemporaryDirectory() as directory:
        overlay = Path(directory).resolve()
        kustomization = _kustomization(pins, Path(os.path.relpath(base.resolve(), overlay)))
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        made = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=True).stdout
    unpinned = sorted({image for image in images(list(yaml.safe_load_all(made))) if not _PINNED.fullmatch(image)})
    if unpinned:
        raise Unpinned(f"{', '.join(unpinned)}: in {base}, and not pinned. Give it a digest, and an option here.")
    return made


def images(objects: list[Mapping[str, Any]]) -> Iterator[str]:
    """Every image that the objects name: of containers, and of the Jobs that the operator makes."""
    for obj in objects:
        if obj["kind"] == "ConfigMap":
            yield from (value for key, value in (obj.get("data") or {}).items() if key == _SETTING)
        yield from _of_containers(obj)


def _of_containers(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("containers", "initContainers", "ephemeralContainers"):
                yield from (container["image"] for container in inner)
            yield from _of_containers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _of_containers(inner)


def _kustomization(pins: tuple[Pin, ...], base: Path) -> dict[str, Any]:
    operator = next(pin for pin in pins if pin.image == "keelway/operator")
    setting = {"name": "keelway-settings", "namespace": "keelway-system", "behavior": "merge"}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(base)],
        "images": [{"name": pin.image, "newName": pin.name, "digest": pin.digest} for pin in pins],
        "configMapGenerator": [{**setting, "literals": [f"{_SETTING}={operator}"]}],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release.manifests", description="Render the release's manifests.")
    for image in ("operator", "buildkit"):
        parser.add_argument(f"--{image}", required=True, metavar="IMAGE@sha256:...")
    arguments = parser.parse_args()
    try:
        print(render(arguments.operator, arguments.buildkit), end="")
    except Unpinned as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
