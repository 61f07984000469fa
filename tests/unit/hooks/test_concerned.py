"""Which Images a push concerns: those at that repository and ref, or on that tag, and no others."""

from typing import Any

import pytest

from keelway.hooks.concerned import Concerned, Delivery
from keelway.hooks.payload import GitPush, ImagePush, Push
from keelway.registry.mirrors import Mirror, Mirrors
from tests.unit.hooks.deliveries import COMMIT
from tests.unit.objects import raw_image

URL = "https://git.example/team/shop.git"
PLACES = frozenset({"git.example/team/shop"})
MIRRORS = Mirrors((Mirror.parse("docker.io=registry.example:5000/docker.io"),))


def at(revision: str | None, url: str = URL) -> dict[str, Any]:
    git = {"url": url} if revision is None else {"url": url, "revision": revision}
    return raw_image(source={"git": git})


def on(*bases: Any) -> dict[str, Any]:
    return {**raw_image(source={"inline": {"files": []}}), "status": {"baseImages": list(bases)}}


def concerns(push: Push, image: dict[str, Any]) -> bool:
    return Concerned([Delivery("one", (push,))], MIRRORS).by(image) == ["one"]


def moved(ref: str, default_branch: str | None = "main") -> GitPush:
    return GitPush(PLACES, ref, default_branch)


def pushed(name: str, tag: str) -> ImagePush:
    return ImagePush(frozenset({name}), tag)


@pytest.mark.parametrize(
    ("revision", "ref", "expected"),
    [
        ("main", "refs/heads/main", True),
        ("main", "refs/tags/main", True),
        ("main", "refs/heads/other", False),
        ("main", "refs/heads/feature/main", False),
        ("feature/main", "refs/heads/feature/main", True),
        ("v1.0.0", "refs/tags/v1.0.0", True),
        ("refs/pull/1/head", "refs/pull/1/head", True),
        ("refs/heads/main", "refs/heads/main", True),
        ("HEAD", "refs/heads/main", True),
        (None, "refs/heads/main", True),
        ("HEAD", "refs/heads/other", False),
        ("HEAD", "refs/tags/main", False),
        (COMMIT, "refs/heads/main", False),
        (COMMIT, f"refs/heads/{COMMIT}", False),
    ],
)
def test_an_image_follows_the_ref_that_its_revision_names(revision: str | None, ref: str, expected: bool) -> None:
    assert concerns(moved(ref), at(revision)) is expected


def test_a_push_that_does_not_name_the_default_branch_may_be_of_it() -> None:
    assert concerns(moved("refs/heads/other", None), at("HEAD"))


def test_an_image_of_another_repository_is_not_concerned() -> None:
    assert not concerns(moved("refs/heads/main"), at("main", "https://git.example/team/shop2.git"))
    assert not concerns(moved("refs/heads/main"), on("docker.io/library/python:3.11-slim"))


@pytest.mark.parametrize(
    ("push", "base", "expected"),
    [
        (pushed("registry.example:5000/team/base", "1"), "registry.example:5000/team/base:1", True),
        (pushed("registry.example:5000/team/base", "2"), "registry.example:5000/team/base:1", False),
        (pushed("registry.example:5000/team/base2", "1"), "registry.example:5000/team/base:1", False),
        (pushed("other.example/team/base", "1"), "registry.example:5000/team/base:1", False),
        (pushed("docker.io/library/python", "3"), "docker.io/library/python:3", True),
        # To the mirror that the administrator named.
        (pushed("registry.example:5000/docker.io/library/python", "3"), "docker.io/library/python:3", True),
        (pushed("registry.example:5000/library/python", "3"), "docker.io/library/python:3", False),
    ],
)
def test_an_image_is_on_the_tags_that_its_status_names(push: ImagePush, base: str, expected: bool) -> None:
    assert concerns(push, on("docker.io/library/alpine:3", base)) is expected


def test_an_image_that_follows_a_repository_is_on_all_of_its_tags() -> None:
    follows = {"spec": {"follow": {"repository": "registry.example:5000/team/base", "semver": ">=1"}}}
    assert concerns(pushed("registry.example:5000/team/base", "1.2.3"), follows)
    assert not concerns(pushed("registry.example:5000/team/other", "1.2.3"), follows)


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"spec": None, "status": None},
        {"spec": {"source": []}, "status": []},
        {"spec": {"source": {"git": {"url": 7}}}, "status": {"baseImages": "all"}},
        {"spec": {"source": {"git": {"url": "https://["}}}, "status": {"baseImages": [7, None, "", "::", "a" * 5000]}},
    ],
)
def test_an_image_that_nobody_can_read_is_not_concerned(image: dict[str, Any]) -> None:
    assert not concerns(moved("refs/heads/main"), image)
    assert not concerns(pushed("docker.io/library/python", "3"), image)


def test_of_several_deliveries_all_that_concern_it_are_told_the_newest_last() -> None:
    main, other, tag = moved("refs/heads/main"), moved("refs/heads/other"), moved("refs/tags/v1")
    both = Concerned([Delivery("a", (tag, main)), Delivery("b", (other,)), Delivery("c", (main,))], MIRRORS)
    assert both.by(at("main")) == ["a", "c"]
    assert both.by(at("other")) == ["b"]
