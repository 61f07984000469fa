"""What a registry sends, read without trust: manifests, indexes, lists. Pure; used by `client.py`."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keelway.registry.faults import unreadable
from keelway.registry.reference import Reference, is_digest

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# docs/attestations/attestation-storage.md of BuildKit: what has it is no image, whatever platform it names.
_REFERENCE_TYPE = "vnd.docker.reference.type"


@dataclass(frozen=True)
class ImageConfig:
    """What of an image's config matters here: `user` as written by USER, empty for root; `created` and `revision` (the
    OCI label) where it has them.
    """

    digest: str
    user: str
    created: datetime | None = None
    revision: str | None = None


def digest_of(body: bytes) -> str:
    """The digest that a body has."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def parsed(body: bytes, reference: Reference) -> Mapping[str, Any]:
    """The JSON object that a body is. Raises Waiting UnreadableImage."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unreadable(str(reference), "is described by no JSON") from error
    if not isinstance(document, dict):
        raise unreadable(str(reference), "is described by no JSON object")
    return document


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def config_of(digest: str, document: Mapping[str, Any]) -> ImageConfig:
    """What an image's config says."""
    config = mapping(document.get("config"))
    revision = mapping(config.get("Labels")).get("org.opencontainers.image.revision")
    created = None
    with contextlib.suppress(TypeError, ValueError):
        created = datetime.fromisoformat(document.get("created"))  # type: ignore[arg-type]
    return ImageConfig(
        digest,
        str(config.get("User") or ""),
        created if created is not None and created.tzinfo is not None else None,
        revision if isinstance(revision, str) else None,
    )


def for_this_platform(index: Mapping[str, Any], reference: Reference) -> str:
    """The digest of the manifest for Linux on this machine. Raises Waiting UnreadableImage."""
    machine = platform.machine()
    wanted = ("linux", _ARCHITECTURES.get(machine, machine))
    for manifest in map(mapping, items(index["manifests"])):
        if _REFERENCE_TYPE in mapping(manifest.get("annotations")):
            continue  # an attestation of one of the images, not an image
        offered = mapping(manifest.get("platform"))
        if (offered.get("os"), offered.get("architecture")) == wanted and is_digest(manifest.get("digest")):
            return str(manifest["digest"])
    raise unreadable(str(reference), f"has nothing for {'/'.join(wanted)}")
