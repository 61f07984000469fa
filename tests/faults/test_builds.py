"""What a build needs goes away in the middle of it: the next good build follows by itself, or all ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.objects import empty_image
from tests.e2e.patience import eventually
from tests.faults.cluster import BUILDKIT, Cluster
from tests.faults.oracles import check_settled, writes_nothing
from tests.faults.scene import Scene
from tests.faults.snapshot import BUILDS_NAMESPACE, objects
from tests.kubectl import JsonObject

TAGGED = [{"name": "runs", "command": ["true"]}]


def slow(scene: Scene, seconds: int) -> JsonObject:
    """An Image whose build runs so long."""
    return empty_image(scene.tenant.dockerfile(f"RUN sleep {seconds}", "USER 1000"), tests=TAGGED)


def test_a_build_service_that_is_killed_costs_one_build(cluster: Cluster, scene: Scene) -> None:
    scene.tenant.apply(slow(scene, 12))
    scene.tenant.wait("build/empty-1", "create")
    scene.tenant.job_of("empty-1")

    cluster.node("sh", "-c", "kill -KILL $(pgrep -x buildkitd)")

    scene.tenant.wait("build/empty-1", "condition=Succeeded=False", 90)
    scene.tenant.wait("image/empty")
    check_settled(scene)
    assert [one["spec"]["reason"] for one in scene.tenant.builds("empty")] == ["SpecChanged", "Retried"]


def test_a_registry_that_is_down_at_the_push_is_waited_for(scene: Scene) -> None:
    scene.tenant.apply(slow(scene, 25))
    scene.tenant.wait("build/empty-1", "create")
    job = f"job/{scene.tenant.job_of('empty-1')}"
    # Past its FROM, which the registry serves as well.
    eventually("it is at its RUN", lambda: "RUN sleep" in scene.kubectl.run("logs", job, "-n", BUILDS_NAMESPACE).stdout)
    with without_registry(scene):
        told = scene.tenant.wait_for_reason("image/empty", "PushFailed", seconds=180)
        assert "registry" in told["message"]
    scene.tenant.wait("image/empty")
    check_settled(scene)


@contextmanager
def without_registry(scene: Scene) -> Iterator[None]:
    """While the block runs, nobody answers there."""
    where = ("-n", "keelway-registry", "deployment/registry")
    scene.kubectl.run("scale", *where, "--replicas=0")
    scene.kubectl.run("wait", "pods", "-n", "keelway-registry", "--all", "--for=delete", "--timeout=60s")
    try:
        yield
    finally:
        scene.kubectl.run("scale", *where, "--replicas=1")
        scene.kubectl.run("rollout", "status", *where, "--timeout=120s", timeout=150)


def test_a_job_that_is_deleted_by_hand_is_made_again(scene: Scene) -> None:
    scene.tenant.apply(slow(scene, 8))
    scene.tenant.wait("build/empty-1", "create")
    job = scene.tenant.job_of("empty-1")

    scene.kubectl.run("delete", "job", job, "-n", BUILDS_NAMESPACE, "--wait=false")

    scene.tenant.wait("image/empty")
    check_settled(scene)
    assert len({one["status"].get("version") for one in scene.tenant.builds("empty")} - {None}) == 1


def test_a_namespace_that_is_deleted_in_the_middle_of_a_build_leaves_nothing(scene: Scene) -> None:
    scene.tenant.apply(slow(scene, 60))
    scene.tenant.wait("build/empty-1", "create")
    scene.tenant.job_of("empty-1")

    scene.kubectl.run("delete", "namespace", scene.namespace, "--timeout=90s")

    eventually("nothing of it is left", lambda: _without_pods(scene) == [], 60)
    writes_nothing(scene, 5)


def _without_pods(scene: Scene) -> list[JsonObject]:
    """Pods may take their time to end."""
    return [one for one in objects(scene.api, scene.namespace) if "deletionTimestamp" not in one["metadata"]]


@pytest.fixture
def small_build_volume(cluster: Cluster, scene: Scene) -> Iterator[None]:
    """The build service on 300 MB of memory in place of its disk: what fills it up harms nobody."""
    volume = "/var/local/keelway/buildkitd-0"
    cluster.node("mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", volume)
    try:
        _begin_anew(scene)
        yield
    finally:
        cluster.node("umount", "--lazy", volume)
        _begin_anew(scene)


def _begin_anew(scene: Scene) -> None:
    scene.kubectl.run("delete", "pod/buildkitd-0", "-n", BUILDKIT, "--grace-period=1", timeout=180)
    scene.kubectl.run("rollout", "status", "statefulset/buildkitd", "-n", BUILDKIT, "--timeout=180s", timeout=200)


@pytest.mark.usefixtures("small_build_volume")
def test_a_build_that_fills_the_disk_fails_and_the_next_one_builds(scene: Scene) -> None:
    scene.tenant.apply(empty_image("FROM python:3.11-slim\nRUN dd if=/dev/zero of=/full bs=1M count=600\nUSER 1000\n"))
    scene.tenant.wait("build/empty-1", "create")
    scene.tenant.wait("build/empty-1", "condition=Succeeded=False", 120)
    message = scene.tenant.get("build/empty-1")["status"]["message"]
    assert "No space left on device" in message or "no space left on device" in message

    scene.tenant.apply(empty_image())
    scene.tenant.wait("image/empty", seconds=120)
    check_settled(scene)
