"""Image references, read as Docker reads them."""

import pytest

from keelway.errors import Terminal
from keelway.registry.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", None, None),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", None),
        ("team/app", "docker.io", "team/app", None, None),
        ("docker.io/nginx", "docker.io", "library/nginx", None, None),
        ("index.docker.io/nginx", "docker.io", "library/nginx", None, None),
        ("localhost/app", "localhost", "app", None, None),
        ("registry:5000/app:v1", "registry:5000", "app", "v1", None),
        ("ghcr.io/a/b/c@" + DIGEST, "ghcr.io", "a/b/c", None, DIGEST),
        (f"quay.io/a/b:t@{DIGEST}", "quay.io", "a/b", "t", DIGEST),
        ("Upper/app", "Upper", "app", None, None),
        ("[::1]:5000/app", "[::1]:5000", "app", None, None),
    ],
)
def test_a_reference_is_split_as_docker_splits_it(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    assert Reference.parse(text) == Reference(registry, repository, tag, digest)


@pytest.mark.parametrize("text", ["nginx", "nginx:1", f"a/b@{DIGEST}", f"reg.example.org:5000/a/b:t@{DIGEST}"])
def test_the_full_form_reads_back_as_the_same(text: str) -> None:
    reference = Reference.parse(text)
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    ["", " ", "UPPER", "a//b", "/a", "a/", "a:", "a@", "a:b:c", "a@sha256:123", "a b", "a:" + "x" * 129,
     "reg:70000/a", "http://reg/a", "a" * 256, "reg.example.org/", "a/../b"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(Terminal, match="InvalidReference"):
        Reference.parse(text)


def test_the_manifest_is_named_by_digest_then_tag_then_latest() -> None:
    assert Reference.parse(f"a:t@{DIGEST}").identifier == DIGEST
    assert Reference.parse("a:t").identifier == "t"
    assert Reference.parse("a").identifier == "latest"
    assert str(Reference.parse("a:t").at(DIGEST)) == f"docker.io/library/a@{DIGEST}"
