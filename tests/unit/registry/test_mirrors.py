"""Where images of other registries are found first, and which places may not be named."""

import pytest

from keelway.registry.mirrors import Mirror, Mirrors
from keelway.registry.reference import Reference

HUB = Mirror.parse("docker.io=registry.example:5000/docker.io")
PLAIN = Mirror.parse("quay.io=http://mirror.internal")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("python:3", "registry.example:5000/docker.io/library/python:3"),
        ("team/app:1", "registry.example:5000/docker.io/team/app:1"),
        ("quay.io/team/app:1", "mirror.internal/team/app:1"),
        ("ghcr.io/team/app:1", None),
    ],
)
def test_an_image_is_found_below_the_mirrors_path(asked: str, found: str | None) -> None:
    at_mirror = Mirrors((HUB, PLAIN)).of(Reference.parse(asked))
    assert (str(at_mirror) if at_mirror is not None else None) == found


def test_plain_http_is_only_where_it_is_said() -> None:
    mirrors = Mirrors((HUB, PLAIN))
    assert mirrors.hosts == {"registry.example:5000", "mirror.internal"}
    assert mirrors.plain_hosts == {"mirror.internal"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "docker.io",
        "docker.io=",
        "=mirror.example",
        "docker.io=mirror",  # without a dot or a port it would be a repository of Docker Hub's
        "docker=mirror.example",
        "docker.io/library=mirror.example",
        "docker.io=https://mirror.example",
        "docker.io=mirror.example/UPPER",
        "index.docker.io=mirror.example",  # images never carry that name
    ],
)
def test_what_is_no_mirror_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no mirror"):
        Mirror.parse(text)


@pytest.mark.parametrize(
    ("place", "registry", "expected"),
    [
        ("reg.example", "reg.example", True),
        ("reg.example/hub", "reg.example", True),  # a namespace may be called hub
        ("reg.example/docker.io", "reg.example", False),
        ("reg.example/apps/hub", "reg.example/apps", True),
        ("reg.example/apps/docker.io", "reg.example/apps", False),
        ("reg.example", "reg.example/apps", True),  # FROM apps/team-b/web
        ("reg.example/mirror", "reg.example/apps", False),
        ("other.example/hub", "reg.example", False),
    ],
)
def test_what_namespaces_own_cannot_be_read_over_a_mirror(place: str, registry: str, expected: bool) -> None:
    assert Mirror.parse(f"docker.io={place}").is_below(registry) is expected
