"""The node image of the long way: what `kind create cluster --image` starts, with the control plane's images inside."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from devcluster import images, layers, store
from devcluster.catalogue import Catalogue
from devcluster.images import Made
from devcluster.layers import Layer
from devcluster.progress import Progress
from devcluster.settings import Settings

# Where `import-images` in the node looks.
ARCHIVE = "/kind/images.tar"
# kind reads the version of Kubernetes from here.
VERSION = "/kind/version"


def assemble(settings: Settings, progress: Progress, catalogue: Catalogue) -> Made:
    inside = [images.assemble(settings, progress, catalogue, image) for image in catalogue.inside_node()]
    base = images.assemble(settings, progress, catalogue, catalogue.node)
    stack = (*base.layers, version(settings, catalogue.kubernetes), archive(settings, progress, inside))
    config = images.configuration(catalogue.node, stack)
    # kind stops a node with the signal at which systemd shuts down in good order (systemd(1)).
    return replace(base, config=with_stop_signal(config), layers=stack)


def with_stop_signal(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "config": {**config["config"], "StopSignal": "SIGRTMIN+3"}}


def version(settings: Settings, kubernetes: str) -> Layer:
    def make(directory: Path) -> None:
        (directory / "version").write_text(kubernetes)

    written = store.product(settings.cache / "layers", f"version-{kubernetes}", make)
    return layers.of_files(settings, "version", {VERSION: written / "version"})


def archive(settings: Settings, progress: Progress, inside: list[Made]) -> Layer:
    def make(directory: Path) -> None:
        with progress.step("pack the images of the control plane"), (directory / "images.tar").open("wb") as file:
            images.write(file, inside)

    packed = store.product(settings.cache / "layers", f"images-{store.key([i.key for i in inside])}", make)
    return layers.of_files(settings, "control-plane", {ARCHIVE: packed / "images.tar"})
