"""What a delivery tells: pushes of git refs and of tags, and else nothing."""

from typing import Any
from urllib.parse import urlencode

import pytest

from keelway.errors import Terminal
from keelway.hooks.payload import GitPush, ImagePush, Push, pushes
from keelway.hooks.places import place
from keelway.hooks.senders import Headers, Sender
from tests.unit.hooks import deliveries
from tests.unit.hooks.deliveries import Object, encoded

SHOP = frozenset({"git.example/team/shop"})


def of_git(told: Object, sender: Sender = Sender.GITHUB, event: str = "push") -> tuple[Push, ...]:
    names = {Sender.GITHUB: "x-github-event", Sender.GITEA: "x-gitea-event", Sender.GITLAB: "x-gitlab-event"}
    return pushes(sender, {names[sender]: event}, encoded(told))


def of_registry(told: Object) -> tuple[Push, ...]:
    return pushes(Sender.REGISTRY, deliveries.of_registry(), encoded(told))


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        (Sender.GITHUB, deliveries.github()),
        (Sender.GITEA, deliveries.gitea()),
        (Sender.GITLAB, deliveries.gitlab()),
    ],
)
def test_a_push_names_ref_repository_and_default_branch(sender: Sender, told: Object) -> None:
    assert of_git(told, sender) == (GitPush(SHOP, "refs/heads/main", "main"),)


def test_a_tag_of_gitlab_is_a_push_too() -> None:
    told = deliveries.gitlab(object_kind="tag_push", ref="refs/tags/v1.0.0")
    assert of_git(told, Sender.GITLAB, "Tag Push Hook") == (GitPush(SHOP, "refs/tags/v1.0.0", "main"),)


def test_a_ref_that_went_is_a_push() -> None:
    told = deliveries.github(ref="refs/tags/v1", deleted=True, after="0" * 40)
    assert of_git(told) == (GitPush(SHOP, "refs/tags/v1", "main"),)


def test_a_form_with_the_payload_in_it_is_read() -> None:
    body = urlencode({"payload": encoded(deliveries.github())}).encode()
    headers = {"x-github-event": "push", "content-type": "application/x-www-form-urlencoded"}
    assert pushes(Sender.GITHUB, headers, body) == (GitPush(SHOP, "refs/heads/main", "main"),)


@pytest.mark.parametrize(
    ("sender", "told", "event"),
    [
        (Sender.GITHUB, {"zen": "Design for failure.", "hook_id": 1}, "ping"),
        (Sender.GITHUB, {"action": "opened"}, "issues"),
        (Sender.GITEA, {"ref": "main", "ref_type": "branch"}, "create"),
        (Sender.GITLAB, {"object_kind": "merge_request"}, "Merge Request Hook"),
        (Sender.GITLAB, {"event_name": "project_create"}, "System Hook"),
    ],
)
def test_other_events_tell_nothing(sender: Sender, told: Object, event: str) -> None:
    assert of_git(told, sender, event) == ()


def test_a_push_to_a_registry_names_tag_and_repository_by_all_its_hosts() -> None:
    told = deliveries.registry({"url": "http://Registry.internal/v2/library/python/manifests/sha256:f"})
    names = frozenset({"registry.example:5000/library/python", "registry.internal/library/python"})
    assert of_registry(told) == (ImagePush(names, "3.11-slim"),)


@pytest.mark.parametrize(
    "told",
    [
        deliveries.registry({"tag": ""}),
        deliveries.registry({"tag": "", "mediaType": "application/octet-stream"}),
        deliveries.registry(action="pull"),
        deliveries.registry(action="delete"),
        deliveries.registry({"url": ""}, host=""),
        deliveries.registry({"url": "http://[::1"}, host=""),
        {"events": []},
        {},
    ],
)
def test_what_moves_no_tag_tells_nothing(told: Object) -> None:
    assert of_registry(told) == ()


def test_many_events_come_at_once_and_the_same_count_once() -> None:
    told = deliveries.registry(*({"tag": tag} for tag in ("a", "b", "a")))
    assert [push.tag for push in of_registry(told) if isinstance(push, ImagePush)] == ["a", "b"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b""),
        ({}, b"no json"),
        ({}, b"[]"),
        ({}, b"[" * 100_000),
        ({}, b"\xff\xfe"),
        ({}, b"{}"),
        ({}, b'{"ref": "refs/heads/main"}'),
        ({}, b'{"ref": 7, "repository": {}}'),
        ({}, encoded(deliveries.github(ref="refs/heads/" + "x" * 4000))),
        ({}, encoded(deliveries.github(repository={"clone_url": "not an address"}))),
        ({"content-type": "application/x-www-form-urlencoded"}, b"payload"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"\xff=1"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1&" * 100),
    ],
)
def test_a_payload_that_cannot_be_read_is_refused_in_a_few_words(headers: Headers, body: bytes) -> None:
    with pytest.raises(Terminal, match="InvalidPayload") as refused:
        pushes(Sender.GITHUB, {"x-github-event": "push", **headers}, body)
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "told", [{"events": "all"}, {"events": [{"target": []}]}, {"events": [{"target": {"tag": 1}}]}]
)
def test_so_is_one_of_a_registry(told: dict[str, Any]) -> None:
    with pytest.raises(Terminal, match="InvalidPayload"):
        of_registry(told)


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example/team/shop",
        "https://git.example/team/shop/",
        "https://git.example/team/shop.git",
        "https://git.example/team/shop.git/",
        "https://GIT.example:443/Team/Shop.git",
        "http://git.example:80/team/shop",
        "https://user:secret@git.example/team/shop.git",
        "git@git.example:team/shop.git",
        "git.example:team/shop.git",
        "git@git.example:/team/shop",
        "ssh://git@git.example/team/shop.git",
        "ssh://git@git.example:2222/team/shop.git",
        "git://git.example/team/shop.git",
    ],
)
def test_an_address_is_the_same_however_it_is_written(address: str) -> None:
    assert place(address) == "git.example/team/shop"


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example/team/shop2",
        "https://git.example/team",
        "https://git.example:8443/team/shop",
        "https://git.example.evil/team/shop",
        "https://git.example@evil/team/shop",
    ],
)
def test_another_repository_is_another(address: str) -> None:
    assert place(address) not in (None, "git.example/team/shop")


@pytest.mark.parametrize(
    "address", ["", "shop", "/srv/git/shop", "https://", "https://git.example/", "https://[::1", "a:"]
)
def test_what_is_no_address_is_none(address: str) -> None:
    assert place(address) is None
