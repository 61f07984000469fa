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


def test_the_key_with_the_longest_path_wins() -> None:
    ring = keyring(**{"reg.example.org": entry("all"), "reg.example.org/team": entry("team")})
    assert login_for(ring, "reg.example.org/team/app") == "team"
    assert login_for(ring, "reg.example.org/other/app") == "all"


def test_a_port_belongs_to_the_host() -> None:
    ring = keyring(**{"reg:5000": entry("x")})
    assert login_for(ring, "reg:5000/a") == "x"
    assert login_for(ring, "reg:5001/a") is None


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
