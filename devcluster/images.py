"""Images: pulled, or made here from layers in the form that `docker load` and `ctr images import` read."""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from devcluster import golang, layers, rootfs, shell, store
from devcluster.catalogue import Catalogue, Image
from devcluster.errors import DevclusterError
from devcluster.layers import Layer
from devcluster.progress import Progress
from devcluster.settings import PACKAGE, Settings, architecture

# Tells an image made here, and from what, whatever image store Docker uses.
LABEL = "dev.keelway.devcluster"
LABEL_OF = f'{{{{index .Config.Labels "{LABEL}"}}}}'
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PULL_SECONDS = 900
# What Docker says of a reference that a registry does not have, whichever image store it uses.
UNPUBLISHED = re.compile(r"manifest unknown|: not found")


@dataclass(frozen=True)
class Made:
    """An image made here: its configuration (OCI image-spec, config.md) and its layers, lowest first."""

    reference: str
    config: dict[str, Any]
    layers: tuple[Layer, ...]

    @property
    def key(self) -> str:
        return str(self.config["config"]["Labels"][LABEL])


def assemble(settings: Settings, progress: Progress, catalogue: Catalogue, image: Image) -> Made:
    """Make what is missing of an image's layers. Docker is not needed for it."""
    stack: list[Layer] = []
    if image.root is not None:
        stack.append(rootfs.build(settings, progress, catalogue.roots[image.root]))
    if image.trust:
        stack.append(layers.of_files(settings, "trust", layers.trust()))
    files: dict[str, Path] = {}
    for path, source in image.files.items():
        made_by, _, program = source.partition("/")
        files[path] = golang.build(settings, progress, catalogue.go[made_by]) / program
    if image.tree is not None:
        files.update(layers.tree(PACKAGE / image.tree))
    if files:
        stack.append(layers.of_files(settings, name_of(image.reference), files))
    return Made(image.reference, configuration(image, stack), tuple(stack))


def configuration(image: Image, stack: Iterable[Layer]) -> dict[str, Any]:
    """The image's configuration, labelled with a key over all of it."""
    settings: dict[str, Any] = {"Env": [f"{k}={v}" for k, v in {"PATH": PATH, **image.env}.items()]}
    if image.entrypoint:
        settings["Entrypoint"] = list(image.entrypoint)
    if image.command:
        settings["Cmd"] = list(image.command)
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in stack]},
    }
    return {**config, "config": {**settings, "Labels": {LABEL: store.key(config)}}}


def write(archive: IO[bytes], images: Iterable[Made]) -> None:
    """Write a `docker load` archive; a layer that several images share is in it once."""
    written: set[str] = set()
    manifest = []
    with tarfile.open(fileobj=archive, mode="w|") as tar:
        for image in images:
            config = json.dumps(image.config).encode()
            name = f"{image.key}.json"
            layers.add_bytes(tar, name, config)
            paths = [f"{layer.digest}/layer.tar" for layer in image.layers]
            for layer, path in zip(image.layers, paths, strict=True):
                if path not in written:
                    layers.add(tar, path, layer.tar)
                    written.add(path)
            manifest.append({"Config": name, "RepoTags": [image.reference], "Layers": paths})
        layers.add_bytes(tar, "manifest.json", json.dumps(manifest).encode())


def into_docker(image: Made, progress: Progress) -> None:
    """Give Docker an image made here, unless it has exactly that one."""
    if inspect(image.reference, LABEL_OF) == image.key:
        return
    with progress.step(f"load {image.reference} into Docker") as step, step.log.open("a") as log:
        with subprocess.Popen(["docker", "load"], stdin=subprocess.PIPE, stdout=log, stderr=log) as loading:
            assert loading.stdin is not None
            try:
                write(loading.stdin, [image])
            except BrokenPipeError as error:
                raise DevclusterError("`docker load` ended early. Its log says why.", step.log) from error
        if loading.returncode != 0:
            raise DevclusterError("`docker load` failed. Its log says why.", step.log)


def pull(reference: str, progress: Progress) -> None:
    """Give Docker a public image, unless it has one of that name. One made here is no public one."""
    if inspect(reference, LABEL_OF) == "":
        return
    with progress.step(f"pull {reference}") as step:
        shell.run(["docker", "pull", reference], step.log, timeout=PULL_SECONDS)


def pull_published(reference: str, progress: Progress) -> bool:
    """As `pull`; False where the registry answers that it has no such image, an error where it does not answer."""
    try:
        pull(reference, progress)
    except DevclusterError as error:
        if UNPUBLISHED.search(error.message):
            return False
        raise
    return True


def can_pull(reference: str, seconds: float) -> bool:
    try:
        return subprocess.run(["docker", "pull", reference], capture_output=True, timeout=seconds).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def inspect(reference: str, template: str) -> str | None:
    """A fact about an image that Docker has; None where it has none of that name."""
    command = ["docker", "image", "inspect", "--format", template, reference]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def name_of(reference: str) -> str:
    """A file name for a reference: `registry.k8s.io/etcd:3.7.0-0` -> `etcd`."""
    return reference.rpartition("/")[2].partition(":")[0]
