"""Registry logins out of a dockerconfigjson, found as the kubelet finds them."""

import base64
import json
from typing import Any

import pytest

from keelway.errors import Waiting
from keelway.registry.credentials import Keyring, Login
from keelway.registry.reference import Reference


def keyring(**auths: Any) -> Keyring:
    return Keyring.parse(json.dumps({"auths": auths}))


def entry(name: str) -> dict[str, str]:
    return {"username": name, "password": "pw"}


def login_for(ring: Keyring, reference: str) -> str | None:
    login = ring.login(Reference.parse(reference))
    return login.username if login else None


def test_username_and_password_or_auth_both_serve() -> None:
    auth = base64.b64encode(b"u:p:with:colons").decode()
    ring = keyring(**{"a.example.org": {"auth": auth}, "b.example.org": entry("b")})
    assert ring.login(Reference.parse("a.example.org/x")) == Login("u", "p:with:colons")
    assert login_for(ring, "b.example.org/x") == "b"
    assert login_for(ring, "c.example.org/x") is None


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://registry-1.docker.io/v2/"]
)
def test_every_key_of_docker_hub_serves_its_images(key: str) -> None:
    assert login_for(keyring(**{key: entry("hub")}), "nginx") == "hub"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("keys", "image", "wins"),
    [
        (("reg.example.org", "reg.example.org/team"), "reg.example.org/team/app", "reg.example.org/team"),
        (("reg.example.org", "reg.example.org/team"), "reg.example.org/other/app", "reg.example.org"),
        (("reg.example.org/team", "reg.example.org/team-a"), "reg.example.org/team-a/x", "reg.example.org/team-a"),
        (("reg.example.org/a", "reg.example.org/a/b/c", "reg.example.org/a/b"), "reg.example.org/a/b/x",
         "reg.example.org/a/b"),
        (("*.example.org", "reg.example.org"), "reg.example.org/x", "reg.example.org"),
        (("*.example.org/team/app", "*.example.org/team"), "reg.example.org/team/app", "*.example.org/team/app"),
        # A host by its name goes before a pattern, however long the pattern's path is.
        (("*.example.org/team", "reg.example.org"), "reg.example.org/team/app", "reg.example.org"),
    ],
)  # fmt: skip
def test_the_most_specific_key_wins_as_with_the_kubelet(
    keys: tuple[str, ...], image: str, wins: str, backwards: bool
) -> None:
    ring = keyring(**{key: entry(key) for key in (reversed(keys) if backwards else keys)})
    assert login_for(ring, image) == wins


def test_a_path_is_the_beginning_of_the_repositorys() -> None:
    assert login_for(keyring(**{"reg.example.org/team": entry("x")}), "reg.example.org/teams/app") == "x"
    ring = keyring(**{"reg.example.org/team/": entry("x")})
    assert login_for(ring, "reg.example.org/teams/app") is None
    assert login_for(ring, "reg.example.org/team/app") == "x"


@pytest.mark.parametrize("key", ["https://reg.example.org/v2/", "http://reg.example.org/v1/", "reg.example.org/"])
def test_an_api_version_stands_for_the_host(key: str) -> None:
    assert login_for(keyring(**{key: entry("x")}), "reg.example.org/team/app") == "x"


def test_a_path_below_an_api_version_counts() -> None:
    ring = keyring(**{"https://reg.example.org/v2/team": entry("x")})
    assert login_for(ring, "reg.example.org/team/app") == "x"
    assert login_for(ring, "reg.example.org/other/app") is None


def test_a_port_belongs_to_the_host() -> None:
    ring = keyring(**{"reg:5000": entry("x")})
    assert login_for(ring, "reg:5000/a") == "x"
    assert login_for(ring, "reg:5001/a") is None
    assert login_for(keyring(**{"reg.*": entry("x")}), "reg.org:5000/a") is None
    assert login_for(keyring(**{"reg.*:5000": entry("x")}), "reg.org:5000/a") == "x"


def test_a_wildcard_stands_for_one_label() -> None:
    ring = keyring(**{"*.example.org": entry("wild")})
    assert login_for(ring, "reg.example.org/a") == "wild"
    assert login_for(ring, "a.reg.example.org/a") is None
    assert login_for(ring, "example.org/a") is None


def test_an_entry_without_a_login_is_left_out() -> None:
    assert keyring(**{"reg.example.org": {"email": "x"}}) == Keyring()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"auths": []}', '{"auths": {"a": {"auth": "%%"}}}', '{"auths": {"a": 1}}']
)
def test_what_is_no_dockerconfigjson_waits_for_a_better_secret(text: str) -> None:
    with pytest.raises(Waiting, match="InvalidSecret"):
        Keyring.parse(text)


def test_a_password_is_never_shown() -> None:
    assert "pw" not in repr(keyring(**{"reg.example.org": entry("x")}))
