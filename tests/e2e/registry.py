"""What lies in the dev cluster's registry, read past Keelway: indexes, manifests, blobs."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from devcluster.seed import DIRECT
from devcluster.settings import Registry

ATTESTATION = "vnd.docker.reference.type"
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
Document = dict[str, Any]


def read(path: str) -> bytes:
    """The body of a GET below /v2/."""
    registry = Registry()
    headers = {"Authorization": f"Basic {registry.token}", "Accept": _ACCEPT}
    request = urllib.request.Request(f"http://{registry.local_address}/v2/{path}", headers=headers)
    with DIRECT.open(request, timeout=60) as response:
        content: bytes = response.read()
        return content


@dataclass(frozen=True)
class Repository:
    """One of the registry's repositories, by its path there ("team-a/hello")."""

    path: str

    @classmethod
    def of(cls, reference: str) -> "Repository":
        """That of a reference to the registry, with a tag or digest or without."""
        path = reference.removeprefix(f"{Registry().host}/")
        return cls(path.partition("@")[0].partition(":")[0])

    def tags(self) -> list[str]:
        """All of them."""
        return list(json.loads(read(f"{self.path}/tags/list"))["tags"] or ())

    def versions(self) -> set[str]:
        """All but the operator's own technical ones."""
        return {tag for tag in self.tags() if not tag.startswith("build-")}

    def digest(self, name: str) -> str:
        """What a tag names now."""
        return f"sha256:{hashlib.sha256(read(f'{self.path}/manifests/{name}')).hexdigest()}"

    def document(self, name: str) -> Document:
        """The manifest or index of a tag or digest."""
        found: Document = json.loads(read(f"{self.path}/manifests/{name}"))
        return found

    def blob(self, digest: str) -> bytes:
        """A blob's content."""
        return read(f"{self.path}/blobs/{digest}")

    def manifests(self, name: str) -> Iterator[tuple[Document, Document]]:
        """(descriptor, manifest) of each manifest under a tag or digest: of one alone the descriptor is empty."""
        document = self.document(name)
        if "manifests" not in document:
            yield {}, document
        for descriptor in document.get("manifests", ()):
            yield descriptor, self.document(descriptor["digest"])

    def image(self, name: str) -> tuple[str, Document]:
        """Digest and manifest of the one image under a tag or digest, without its attestations."""
        found = [one for one in self.manifests(name) if ATTESTATION not in one[0].get("annotations", {})]
        ((descriptor, manifest),) = found
        return str(descriptor.get("digest", name)), manifest

    def labels(self, name: str) -> dict[str, str]:
        """The labels of the image under a tag or digest."""
        config = json.loads(self.blob(self.image(name)[1]["config"]["digest"]))
        found: dict[str, str] = config["config"].get("Labels") or {}
        return found

    def attestations(self, name: str) -> list[Document]:
        """The in-toto statements beside the image."""
        attested = [one for one in self.manifests(name) if ATTESTATION in one[0].get("annotations", {})]
        return [json.loads(self.blob(layer["digest"])) for _, manifest in attested for layer in manifest["layers"]]
