"""What Images build on: base images whose tags move, and other Images."""

import json
import time
from contextlib import ExitStack

import pytest

from keelway.status.job import job_finished
from tests.e2e import node
from tests.e2e.commons import REGISTRY
from tests.e2e.objects import EMPTY, empty_image
from tests.e2e.patience import DEADLINE_SECONDS
from tests.e2e.tenant import BUILDS_NAMESPACE, Tenant
from tests.e2e.watching import Seen, Watching
from tests.howto import fragments
from tests.kubectl import JsonObject

STORAGE = "/var/local/keelway/registry/docker/registry/v2/repositories"
LOOKS = {"baseImagesIntervalSeconds": 60}
"""The shortest interval there is; a look comes within a tenth more."""


def move_tag(tenant: Tenant, image: str, version: str, tag: str, below: str = "") -> str:
    """Somebody moves a tag in the Image's repository to a version of it; gives the digest."""
    tags = f"{STORAGE}/{below}{tenant.namespace}/{image}/_manifests/tags"
    # What a push of a tag leaves there: the index of all it ever named, and what it names now.
    node.run("sh", "-c", f"mkdir -p {tags}/{tag} && cp -r {tags}/{version}/. {tags}/{tag}/")
    return node.run("cat", f"{tags}/{tag}/current/link").strip()


def using(tenant: Tenant, tag: str, name: str = "user", **spec: object) -> JsonObject:
    return empty_image(f"FROM {REGISTRY}/{tenant.namespace}/empty:{tag}\n{EMPTY.partition(chr(10))[2]}", name, **spec)


def test_the_how_to_for_base_images_works_as_it_stands(tenant: Tenant) -> None:
    tenant.apply(*fragments("Keep base images fresh"))
    tenant.wait("image/fresh")
    build = tenant.wait_for_build("fresh-1")
    assert build["status"]["materials"][0]["reference"] == "docker.io/library/python:3.11-slim"
    tenant.wait("image/fresh", "condition=BaseImagesChecked")
    assert tenant.get("image/fresh")["status"]["nextCheckTime"]
    assert tenant.condition("image/fresh", "Ready")["status"] == "True"


@pytest.mark.long
def test_a_tag_that_moves_is_built_anew_on_what_it_names_now(tenant: Tenant) -> None:
    tenant.apply(empty_image())
    tenant.wait("image/empty")
    first = move_tag(tenant, "empty", "v1", "stable")
    tenant.apply(using(tenant, "stable", poll=LOOKS))
    tenant.wait("image/user")
    reference = f"{REGISTRY}/{tenant.namespace}/empty:stable"
    assert tenant.wait_for_build("user-1")["status"]["materials"] == [{"reference": reference, "digest": first}]

    tenant.apply(empty_image(EMPTY + "# changed\n"))
    tenant.wait("image/empty", "jsonpath={.status.latest.version}=v2")
    second = move_tag(tenant, "empty", "v2", "stable")
    assert first != second
    tenant.wait("build/user-2", "create", 120)
    build = tenant.wait_for_build("user-2")

    assert build["spec"]["reason"] == "BaseImageChanged"
    assert build["spec"]["bases"] == [{"reference": reference, "digest": second}]
    assert build["status"]["materials"] == build["spec"]["bases"], "record and image agree"
    tenant.wait("image/user", "jsonpath={.status.latest.version}=v2")


@pytest.mark.long
def test_a_base_image_is_what_the_record_says_though_its_tag_moves_before_the_build(tenant: Tenant) -> None:
    tenant.apply(empty_image())
    tenant.wait("image/empty")
    first = move_tag(tenant, "empty", "v1", "stable")
    tenant.apply(using(tenant, "stable", poll=LOOKS))
    tenant.wait("image/user")
    tenant.apply(empty_image(EMPTY + "# changed\n"))
    tenant.wait("image/empty", "jsonpath={.status.latest.version}=v2")

    # Between the record and the build: its Secret is not there yet.
    secrets = [{"id": "late", "secretRef": {"name": "late"}}]
    tenant.apply(using(tenant, "stable", poll=LOOKS, build={"secrets": secrets}))
    tenant.wait_for_reason("image/user", "SecretNotFound")
    second = move_tag(tenant, "empty", "v2", "stable")
    tenant.run("create", "secret", "generic", "late", "--from-literal=late=x")
    build = tenant.wait_for_build("user-2")

    assert build["spec"]["bases"][0]["digest"] == first
    assert build["status"]["materials"] == build["spec"]["bases"]
    tenant.wait("build/user-3", "create", 120)
    build = tenant.wait_for_build("user-3")
    assert build["spec"]["reason"] == "BaseImageChanged"
    assert build["status"]["materials"][0]["digest"] == second


@pytest.mark.long
def test_a_base_image_that_comes_over_a_mirror_is_looked_at_there(tenant: Tenant) -> None:
    """Docker Hub cannot be reached from here, and need not be: KEELWAY_REGISTRY_MIRRORS, and buildkitd's own list."""
    tenant.apply(empty_image())
    tenant.wait("image/empty")
    name = f"{tenant.namespace}/empty"
    # Docker Hub's repository of that name, as the mirror has it.
    mirrored = f"{STORAGE}/docker.io/{name}"
    node.run("sh", "-c", f"mkdir -p {mirrored} && cp -r {STORAGE}/{name}/. {mirrored}/")
    try:
        first = move_tag(tenant, "empty", "v1", "stable", below="docker.io/")
        tenant.apply(empty_image(f"FROM {name}:stable\n{EMPTY.partition(chr(10))[2]}", "user", poll=LOOKS))
        tenant.wait("image/user")
        tenant.wait("image/user", "condition=BaseImagesChecked")
        used = {"reference": f"docker.io/{name}:stable", "digest": first}
        assert tenant.wait_for_build("user-1")["status"]["materials"] == [used]

        tenant.apply(empty_image(EMPTY + "# changed\n"))
        tenant.wait("image/empty", "jsonpath={.status.latest.version}=v2")
        node.run("sh", "-c", f"cp -r {STORAGE}/{name}/. {mirrored}/")
        second = move_tag(tenant, "empty", "v2", "stable", below="docker.io/")
        tenant.wait("build/user-2", "create", 120)
        build = tenant.wait_for_build("user-2")
    finally:
        node.run("rm", "-r", mirrored)

    assert build["spec"]["reason"] == "BaseImageChanged"
    assert build["spec"]["bases"] == [{**used, "digest": second}]
    assert build["status"]["materials"] == build["spec"]["bases"]


@pytest.mark.long
def test_a_base_image_that_is_gone_is_told_and_breaks_nothing(tenant: Tenant) -> None:
    tenant.apply(empty_image())
    tenant.wait("image/empty")
    move_tag(tenant, "empty", "v1", "stable")
    tenant.apply(using(tenant, "stable", poll=LOOKS))
    tenant.wait("image/user")
    node.run("rm", "-r", f"{STORAGE}/{tenant.namespace}/empty/_manifests/tags/stable")

    told = tenant.wait_for_reason("image/user", "NotFound", "BaseImagesChecked")

    assert told["status"] == "False"
    assert tenant.condition("image/user", "Ready")["status"] == "True"
    assert len(tenant.builds("user")) == 1


def test_an_image_builds_from_another_and_again_when_that_has_a_new_version(tenant: Tenant) -> None:
    base_image, shop = fragments("Build from another Image")
    tenant.apply(base_image, shop)
    tenant.wait("image/shop")
    base = tenant.get("image/base")["status"]["latest"]
    (pinned,) = tenant.wait_for_build("shop-1")["spec"]["images"]
    assert pinned == {"name": "base", "version": "v1", "reference": base["reference"]}
    assert [one["reference"] for one in tenant.get("build/shop-1")["status"]["materials"]] == [base["reference"]]

    tenant.apply(json.loads(json.dumps(base_image).replace("retries 5", "retries 6")))
    build = tenant.wait_for_build("shop-2")

    assert build["spec"]["reason"] == "BaseImageChanged"
    assert build["spec"]["images"][0]["reference"] == tenant.get("image/base")["status"]["latest"]["reference"]


def test_images_that_build_from_each_other_in_a_circle_say_so_until_it_is_open(tenant: Tenant) -> None:
    def image(name: str, *uses: str) -> JsonObject:
        return empty_image(EMPTY, name, build={"images": [{"name": one, "image": one} for one in uses]})

    tenant.apply(image("one", "two"), image("two", "three"), image("three", "one"))
    for name in ("one", "two", "three"):
        told = tenant.wait_for_reason(f"image/{name}", "ImageCycle")
        assert tenant.condition(f"image/{name}", "Stalled")["status"] == "True"
    assert "three -> one -> two -> three" in told["message"]
    assert tenant.objects("builds.keelway.dev") == []

    tenant.apply(image("three"))
    tenant.wait("image/one")


def test_an_image_of_another_namespace_cannot_be_built_from(tenant: Tenant) -> None:
    """Not by its name, and not by a status that somebody has written."""
    tenant.apply(empty_image("FROM other\n", "thief", build={"images": [{"name": "other", "image": "web"}]}))
    assert tenant.wait_for_reason("image/thief", "ImageNotFound")

    tenant.apply(empty_image(EMPTY, "web", suspend=True))
    tenant.wait_for_reason("image/web", "Suspended")
    theirs = f"{REGISTRY}/keelway-e2e/web@sha256:{'a' * 64}"
    latest = {"version": "v1", "reference": theirs, "revision": "x", "builtAt": "2026-01-01T00:00:00Z"}
    status = f'[{{"op": "add", "path": "/status/latest", "value": {json.dumps(latest)}}}]'
    tenant.run("patch", "image/web", "--subresource=status", "--type=json", f"--patch={status}")

    build = tenant.wait_for_build("thief-1", "condition=Succeeded=False")
    told = {one["type"]: one for one in build["status"]["conditions"]}["Succeeded"]
    assert told["reason"] == "PolicyDenied", told


@pytest.mark.long
def test_a_popular_base_starts_no_more_builds_than_there_are_places_and_who_waits_tells_its_place(
    tenant: Tenant,
) -> None:
    """Ten Images of one base at once. Each state of the last one is seen: its status is written a few times."""
    steps = [f"FROM base\nCOPY Dockerfile /{number}\n" for number in range(10)]
    users = [
        empty_image(step, f"user{number}", build={"images": [{"name": "base", "image": "empty"}]})
        for number, step in enumerate(steps)
    ]
    # They all wait for the first version, and are woken by it at the same moment.
    tenant.apply(*users)
    for number in range(10):
        tenant.wait_for_reason(f"image/user{number}", "ImageNotFound")
    with ExitStack() as watches:
        watched = [watches.enter_context(tenant.watching(f"image/user{number}")) for number in range(10)]
        tenant.apply(empty_image())
        most = 0
        while not all(_is_built(one) for one in watched):
            most = max(most, len([job for job in _running(tenant) if not job.startswith("empty-")]))
            assert time.monotonic() - watched[0].events[0].at < DEADLINE_SECONDS
        places = [{message for message in map(_message, one.events) if "before it" in message} for one in watched]

    assert most <= 4, "KEELWAY_MAX_BUILDS"
    assert any(places), "some had to wait"
    assert all(len(one.events) < 30 for one in watched)


def _running(tenant: Tenant) -> list[str]:
    """The Jobs that have not ended: one that has is removed a moment later, and its place is free before."""
    selector = f"keelway.dev/image-namespace={tenant.namespace}"
    found = tenant.kubectl.json("get", "jobs", "-n", BUILDS_NAMESPACE, "-l", selector)["items"]
    return [one["metadata"]["name"] for one in found if not job_finished(one)]


def _is_built(watched: Watching) -> bool:
    conditions = watched.events[-1].object["status"]["conditions"]
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def _message(seen: Seen) -> str:
    conditions = seen.object.get("status", {}).get("conditions", [])
    return next((str(one["message"]) for one in conditions if one["type"] == "Ready"), "")
