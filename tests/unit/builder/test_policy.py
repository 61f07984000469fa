"""What a build may read: the rules as BuildKit applies them (the last match decides, none allows).

BuildKit itself answers in tests/integration/test_buildkit.py; its regular expressions are RE2's, of which
the policy uses only what Python's read the same way.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from keelway.api.buildrequest import Material, Policy
from keelway.builder.policy import source_policy

REGISTRY = "registry.keelway-registry:5000"
POLICY = source_policy(Policy(registry=REGISTRY, own_repositories=f"{REGISTRY}/team-a/"))


def allows(identifier: str, policy: Mapping[str, Any] = POLICY) -> bool:
    allowed = True
    for rule in policy["rules"]:
        assert rule["selector"]["match_type"] == "REGEX"
        if re.search(rule["selector"]["identifier"], identifier):
            allowed = rule["action"] == "ALLOW"
    return allowed


@pytest.mark.parametrize(
    "identifier",
    [
        f"docker-image://{REGISTRY}/team-a/app:v1",
        f"docker-image://{REGISTRY}/team-a/deep/er@sha256:{'a' * 64}",
        "docker-image://docker.io/library/python:3.11-slim",
        "docker-image://ghcr.io/team-b/app:1",
        "docker-image://registry.example.org:5000/x",
        "https://github.com/a/b/archive/v1.tar.gz",
        "https://example.org:8443/x?host=localhost",
        "http://1.example.org/x",
        "git://github.com/a/b.git#main",
        "local://context",
        "local://dockerfile",
    ],
)
def test_own_repositories_and_the_public_internet_may_be_read(identifier: str) -> None:
    assert allows(identifier)


@pytest.mark.parametrize(
    "identifier",
    [
        f"docker-image://{REGISTRY}/team-b/app:v1",
        f"docker-image://{REGISTRY}/team-a-secrets/app",
        f"docker-image://{REGISTRY}/docker.io/library/python:3.11-slim",
        f"docker-image://{REGISTRY.upper()}/team-b/app",
        f"docker-image+blob://{REGISTRY}/team-b/app@sha256:{'a' * 64}",
        f"http://{REGISTRY}/v2/_catalog",
        f"http://user:pw@{REGISTRY}/v2/",
        f"https://{REGISTRY}",
        f"git://{REGISTRY}/x.git",
    ],
)
def test_nothing_else_of_the_operators_registry_may_be_read(identifier: str) -> None:
    assert not allows(identifier)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost.", "LOCALHOST", "app.localhost", "printer.local",
        "kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "x.svc.", "api.internal",
        "metadata.google.internal", "127.0.0.1", "169.254.169.254", "10.0.0.1", "127.1", "2130706433", "0x7f000001",
        "0x7f.0.0.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "8.8.8.8",
        "1.0.0.127.in-addr.arpa",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["http://{}/x", "https://{}:8443/x", "http://{}", "http://{}?x", "http://u@{}/", "http://a@b@{}/", "HTTP://{}#f",
             "git://{}/r.git#main", "git://git@{}/r.git"],
)  # fmt: skip
def test_names_and_addresses_that_lead_inwards_are_denied(host: str, form: str) -> None:
    assert not allows(form.format(host))


def test_a_registry_without_a_port_is_denied_on_its_default_port_too() -> None:
    policy = source_policy(Policy(registry="reg.example.org", own_repositories="reg.example.org/kw/team-a/"))
    deny, allow = policy["rules"][-2:]
    assert re.search(deny["selector"]["identifier"], "https://reg.example.org:443/v2/")
    assert not re.search(deny["selector"]["identifier"], "https://reg.example.org.evil.net/v2/")
    assert re.search(allow["selector"]["identifier"], "docker-image://reg.example.org/kw/team-a/app:1")


@pytest.mark.parametrize(
    ("suffix", "expected"), [("", True), (f"@sha256:{'a' * 64}", True), ("-other", False), ("0", False)]
)
def test_what_the_administrator_chose_is_read_wherever_it_is_and_nothing_beside_it(suffix: str, expected: bool) -> None:
    tool = f"{REGISTRY}/tools/scan:1.0"
    policy = source_policy(Policy(registry=REGISTRY, own_repositories=f"{REGISTRY}/team-a/", tools=(tool,)))
    assert allows(f"docker-image://{tool}{suffix}", policy) is expected
    assert not allows(f"docker-image://{tool}")


BASE = Material(reference="docker.io/library/python:3.11-slim", digest="sha256:" + "a" * 64)


def evaluated(identifier: str, *bases: Material) -> str:
    """What is read in the end, as sourcepolicy/engine.go has it: a conversion begins anew with the result.

    Of a REGEX selector the match is replaced by the update; of an EXACT one the selector itself would be the result.
    """
    rules = source_policy(Policy(registry=REGISTRY, own_repositories=f"{REGISTRY}/team-a/"), bases)["rules"]
    for _ in range(20):
        allowed, before = True, identifier
        for rule in rules:
            pattern = rule["selector"]["identifier"]
            assert rule["selector"]["match_type"] == "REGEX"
            if not re.search(pattern, identifier):
                continue
            if rule["action"] == "CONVERT":
                update = rule["updates"]["identifier"]
                assert "$" not in update, "it would be expanded"
                identifier = re.sub(pattern, update, identifier)
                break
            allowed = rule["action"] == "ALLOW"
        if identifier == before:
            assert allowed
            return identifier
    raise AssertionError("converted over and over")


def test_a_base_image_is_read_at_the_digest_given_under_its_tag() -> None:
    read = evaluated(f"docker-image://{BASE.reference}", BASE)
    assert read == f"docker-image://{BASE.reference}@{BASE.digest}"
    assert evaluated(read, BASE) == read


@pytest.mark.parametrize(
    "other",
    [
        "docker.io/library/python:3.11-slim-bookworm",
        "docker.io/library/python:3x11-slim",
        "evil.example/docker.io/library/python:3.11-slim",
        f"docker.io/library/python:3.11-slim@sha256:{'f' * 64}",
    ],
)
def test_nothing_else_is_converted(other: str) -> None:
    assert evaluated(f"docker-image://{other}", BASE) == f"docker-image://{other}"


def test_a_base_image_that_may_not_be_read_may_not_be_read_at_a_digest_either() -> None:
    foreign = Material(reference=f"{REGISTRY}/team-b/app:v1", digest=BASE.digest)
    with pytest.raises(AssertionError):
        evaluated(f"docker-image://{foreign.reference}", foreign)
    own = Material(reference=f"{REGISTRY}/team-a/app:v1", digest=BASE.digest)
    assert evaluated(f"docker-image://{own.reference}", own).endswith(f"v1@{BASE.digest}")
