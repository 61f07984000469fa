"""PURE: where an Image may push, and whose it is (tenancy.md "Registry")."""

from collections.abc import Iterable
from typing import Final

from keelway.api.image import Image
from keelway.errors import Terminal, Waiting
from keelway.registry.reference import DOCKER_HUB, Reference
from keelway.settings import Settings

# The owner of the repository may be deleted at any time; nobody tells the Image that waits for it.
_LOOK_AGAIN: Final = 60.0


def repository(image: Image, settings: Settings) -> str:
    """The repository that the Image pushes to, in full. Raises Terminal where it is not allowed there."""
    default = Reference.parse(f"{settings.registry}/{image.metadata.namespace}/{image.metadata.name}")
    if image.spec.repository is None:
        return default.name
    asked = Reference.parse(image.spec.repository)
    if _host(asked) != _host(default):
        return _elsewhere(image, asked.name)
    own = default.name.removesuffix(image.metadata.name)
    if not asked.name.startswith(own):
        raise Terminal(
            "RepositoryNotAllowed",
            f"In this registry the namespace may only push below {own}, not to {asked.name}. "
            f"Set spec.repository to {default.name}, or leave it out.",
        )
    return asked.name


def check_unique(image: Image, wanted: str, others: Iterable[Image], settings: Settings) -> None:
    """Raise Waiting where an older Image pushes to the same repository: two would move each other's tags."""
    for other in others:
        if other.metadata.uid == image.metadata.uid or not _older(other, image):
            continue
        theirs = _repository_or_none(other, settings)
        if theirs is not None and _identity(theirs) == _identity(wanted):
            name = f"{other.metadata.namespace}/{other.metadata.name}"
            raise Waiting(
                "RepositoryInUse",
                f"{wanted} belongs to the older Image {name}. Set another spec.repository, or delete that Image.",
                retry_after=_LOOK_AGAIN,
            )


def _elsewhere(image: Image, asked: str) -> str:
    if image.spec.push_secret_ref is None:
        raise Terminal(
            "PushSecretRequired",
            f"{asked} is not in the operator's registry, for which alone it has credentials. "
            "Name a Secret of type kubernetes.io/dockerconfigjson in spec.pushSecretRef.",
        )
    return asked


def _host(reference: Reference) -> str:
    """One spelling for a registry: DNS knows no case, 443 is what https implies, and Docker's hub has several names."""
    host = reference.registry.lower().removesuffix(":443")
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _identity(repository: str) -> tuple[str, str]:
    reference = Reference.parse(repository)
    return _host(reference), reference.repository


def _repository_or_none(image: Image, settings: Settings) -> str | None:
    try:
        return repository(image, settings)
    except Terminal:
        return None


def _older(one: Image, other: Image) -> bool:
    def age(image: Image) -> tuple[str, str]:
        created = image.metadata.creation_timestamp
        return (created.isoformat() if created else "", image.metadata.uid)

    return age(one) < age(other)
