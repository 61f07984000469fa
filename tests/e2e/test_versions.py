"""Versions as they are asked for, tags that follow, a pin that goes back and forth; the YAML is docs/how-to.md's."""

import re
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.commons import REGISTRY, SMALL, WEB_PY, Forge
from tests.e2e.disturbance import Peace
from tests.e2e.objects import EMPTY, empty_image
from tests.e2e.patience import eventually
from tests.e2e.registry import Repository
from tests.e2e.tenant import Tenant
from tests.howto import fragments, laid_over

SEMVER, BUMPED, CALVER, TEMPLATE = fragments("Choose what versions look like")
(TAGS,) = fragments("Give an image more names")
(PIN,) = fragments("Go back to an earlier version")


def test_semantic_versions_come_from_the_git_tag(tenant: Tenant, forge: Forge) -> None:
    repository = forge.repository(tenant.namespace)
    for number, tag in enumerate(("v1.2.2", "v1.2.3", "v1.3.0")):
        repository.commit({"Dockerfile": f"{EMPTY}# {number}\n"}, tag)

    def of_tag(revision: str, **build: Any) -> dict[str, Any]:
        source = {"git": {"url": repository.url, "revision": revision}}
        return laid_over(empty_image(source=source, build=build), SEMVER)

    def apply(revision: str, **build: Any) -> None:
        tenant.apply(of_tag(revision, **build))

    apply("v1.2.3")
    tenant.wait("image/empty")
    assert tenant.version("empty") == "1.2.3"
    assert tenant.get("build/empty-1")["spec"]["version"] == "1.2.3"

    apply("v1.2.3", args=[{"name": "A", "value": "1"}])
    assert tenant.wait_for_version_after("empty", "1.2.3") == "1.2.3+2"
    assert Repository.of(_repository(tenant)).versions() == {"1.2.3", "1.2.3_2"}

    apply("v1.2.2")
    told = tenant.wait_for_reason("image/empty", "VersionNotNewer")
    assert "v1.2.2 is lower than 1.2.3" in told["message"]
    assert "spec.pin" in told["message"]
    assert tenant.version("empty") == "1.2.3+2"

    apply("v1.3.0")
    assert tenant.wait_for_version_after("empty", "1.2.3+2") == "1.3.0"

    tenant.apply(laid_over(of_tag("main"), {"spec": {**BUMPED["spec"], "build": {"args": [{"name": "A"}]}}}))
    assert tenant.wait_for_version_after("empty", "1.3.0") == "1.4.0"


def test_versions_go_on_though_the_image_is_made_anew(tenant: Tenant) -> None:
    tenant.apply(laid_over(empty_image(), SEMVER))
    tenant.wait("image/empty")
    assert tenant.version("empty") == "0.1.0"
    tenant.run("delete", "image/empty", "--timeout=30s")
    tenant.wait("build/empty-1", "delete", 60)

    tenant.apply(laid_over(empty_image(), SEMVER))
    tenant.wait("image/empty")
    assert tenant.version("empty") == "0.1.1"


def test_versions_by_the_calendar_count_within_the_month(tenant: Tenant) -> None:
    for number in (0, 1):
        tenant.apply(laid_over(empty_image(build={"args": [{"name": "N", "value": str(number)}]}), CALVER))
        tenant.wait("build/empty-" + str(number + 1), "create")
        tenant.wait(f"build/empty-{number + 1}", "condition=Succeeded")
    first, second = (one["status"]["version"] for one in tenant.builds("empty"))
    assert re.fullmatch(r"20[0-9]{2}\.[01][0-9]\.0", first)
    assert second in (first[:-1] + "1", second[:-1] + "0"), "or a new month has begun"
    assert second > first


def test_a_template_gives_each_version_once(tenant: Tenant) -> None:
    tenant.apply(laid_over(empty_image(), TEMPLATE))
    tenant.wait("image/empty")
    assert re.fullmatch("web-[0-9a-f]{7}-1", tenant.version("empty"))

    constant: dict[str, Any] = {"version": {"scheme": "Template", "template": "release"}}
    tenant.apply(empty_image(**constant, build={"args": [{"name": "N", "value": "1"}]}))
    tenant.wait("image/empty", "jsonpath={.status.latest.version}=release")
    tenant.apply(empty_image(**constant, build={"args": [{"name": "N", "value": "2"}]}))
    told = tenant.wait_for_reason("image/empty", "VersionTaken")
    assert "Add {number}" in told["message"]
    assert tenant.condition("image/empty", "Stalled")["status"] == "True"
    assert tenant.version("empty") == "release"
    assert len(tenant.builds("empty")) == 2


@pytest.mark.long
def test_a_pin_takes_apps_and_tags_back_and_forward_again(tenant: Tenant, client: Client, peace: Peace) -> None:
    names = TAGS["spec"]["tags"]
    with peace.undisturbed():
        tenant.apply(laid_over(_web("one"), TAGS), _app())
        tenant.wait("app/web")
        tenant.apply(laid_over(_web("two"), TAGS))
        tenant.wait_for_app("web", "v2")
        client.must_hear("http://web/", "two")
        first, second = (one["status"]["digest"] for one in tenant.builds("web"))
        _must_name(tenant, names, second)

        tenant.apply(laid_over(laid_over(_web("two"), TAGS), PIN))
        tenant.wait_for_reason("image/web", "Pinned")
        tenant.wait_for_app("web", "v1")
        client.must_hear("http://web/", "one")
        _must_name(tenant, names, first)

        tenant.apply(laid_over(laid_over(_web("three"), TAGS), PIN))
        tenant.wait_for_build("web-3")
        told = eventually("Ready tells of v3", lambda: _told_of(tenant, "v3"), 30)
        assert told["reason"] == "Pinned"
        assert tenant.version("web") == "v1"

        tenant.apply(laid_over(_web("three"), TAGS))
        tenant.wait_for_app("web", "v3", 60)
        client.must_hear("http://web/", "three")
        _must_name(tenant, names, tenant.get("build/web-3")["status"]["digest"])
        assert len(tenant.builds("web")) == 3


def test_a_pin_finds_versions_whose_records_are_gone_and_names_those_that_are_kept(tenant: Tenant) -> None:
    def image(number: int, **spec: Any) -> dict[str, Any]:
        args = [{"name": "N", "value": str(number)}]
        return empty_image(f"{EMPTY}LABEL number={number}\n", build={"args": args}, history={"limit": 1}, **spec)

    tenant.apply(image(1))
    tenant.wait("image/empty")
    first = tenant.get("image/empty")["status"]["latest"]
    tenant.apply(image(2))
    tenant.wait_for_version_after("empty", "v1")
    tenant.wait("build/empty-1", "delete", 30)

    tenant.apply(laid_over(image(2), PIN))
    tenant.wait_for_reason("image/empty", "Pinned")
    latest = tenant.get("image/empty")["status"]["latest"]
    assert (latest["version"], latest["reference"]) == ("v1", first["reference"])
    assert "build" not in latest

    tenant.apply(image(2, pin="v12"))
    told = tenant.wait_for_reason("image/empty", "VersionNotFound")
    assert "Kept are v2" in told["message"]
    assert tenant.condition("image/empty", "Stalled")["status"] == "True"

    tenant.apply(image(2))
    tenant.wait("image/empty", "jsonpath={.status.latest.version}=v2")
    assert tenant.get("image/empty")["status"]["latestBuild"] == "empty-2"


def _repository(tenant: Tenant, image: str = "empty") -> str:
    return f"{REGISTRY}/{tenant.namespace}/{image}"


def _must_name(tenant: Tenant, names: list[str], digest: str) -> None:
    """The tags name that image, and status says so."""
    for name in names:
        _must_name_one(tenant, name, digest)
    wanted = [{"name": name, "digest": digest} for name in names]
    eventually("status says so", lambda: tenant.get("image/web")["status"]["tags"] == wanted, 10)


def _must_name_one(tenant: Tenant, tag: str, digest: str) -> None:
    repository = _repository(tenant, "web")
    eventually(f"{tag} names {digest}", lambda: Repository.of(repository).digest(tag) == digest, 30)


def _told_of(tenant: Tenant, version: str) -> dict[str, Any] | None:
    told = tenant.condition("image/web", "Ready")
    return told if version in told["message"] else None


def _web(answer: str) -> dict[str, Any]:
    dockerfile = 'FROM python:3.11-slim\nCOPY web.py answer /\nUSER 1000\nCMD ["python", "/web.py"]\n'
    files = {"Dockerfile": dockerfile, "web.py": WEB_PY, "answer": answer}
    source = {"inline": {"files": [{"name": name, "content": text} for name, text in files.items()]}}
    return empty_image(name="web", source=source)


def _app() -> dict[str, Any]:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {
            "image": {"name": "web"},
            "resources": SMALL,
            "ports": [{"name": "http", "port": 8080, "servicePort": 80}],
            "probes": {"readiness": {"http": {"path": "/"}, "periodSeconds": 2}},
        },
    }
