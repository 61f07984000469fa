"""The dev cluster's registry as its administrator sees it: which tags there are, and what they name."""

import httpx

from devcluster.settings import Registry

DEV = Registry()
LOGIN = (DEV.username, DEV.password)
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


def tags(repository: str) -> set[str]:
    """The tags of a repository, but the operator's own technical ones."""
    found = httpx.get(f"{_url(repository)}/tags/list", auth=LOGIN).raise_for_status().json()["tags"]
    return {tag for tag in found or () if not tag.startswith("build-")}


def digest(repository: str, tag: str) -> str:
    """What a tag names now."""
    url = f"{_url(repository)}/manifests/{tag}"
    answer = httpx.head(url, auth=LOGIN, headers={"Accept": MANIFEST}).raise_for_status()
    return str(answer.headers["docker-content-digest"])


def _url(repository: str) -> str:
    return f"http://{DEV.local_address}/v2/{repository.removeprefix(f'{DEV.host}/')}"
