"""When an Image is built and when not, what is kept of its builds, where it may push, and how it goes."""

from tests.e2e import node
from tests.e2e.commons import REGISTRY
from tests.e2e.disturbance import Peace
from tests.e2e.objects import EMPTY, empty_image
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant

REGISTRY_STORAGE = "/var/local/keelway/registry/docker/registry/v2/repositories"


def test_the_same_inputs_are_not_built_again(tenant: Tenant, peace: Peace) -> None:
    with peace.undisturbed():
        tenant.apply(empty_image())
        tenant.wait("image/empty")
        before = tenant.get("image/empty")["status"]

        tenant.apply(empty_image(), empty_image(poll={"intervalSeconds": 30}, history={"limit": 3}))
        tenant.run("label", "image/empty", "team=blue")
        tenant.wait("image/empty")
        assert len(tenant.builds("empty")) == 1

        tenant.run("annotate", "image/empty", "keelway.dev/build-requested=once")
        tenant.wait("image/empty", "jsonpath={.status.observedBuildRequest}=once")
        tenant.wait("image/empty")
        tenant.run("label", "image/empty", "team=red", "--overwrite")
        builds = tenant.builds("empty")
        assert [one["spec"]["reason"] for one in builds] == ["SpecChanged", "Requested"]
        after = tenant.get("image/empty")["status"]
        assert (before["latest"]["version"], after["latest"]["version"]) == ("v1", "v2")

        tenant.apply(empty_image(build={"args": [{"name": "NEW", "value": "1"}]}))
        tenant.wait_for_version_after("empty", "v2")
        assert tenant.builds("empty")[-1]["spec"]["reason"] == "SpecChanged"


def test_history_limit_keeps_the_newest_builds_and_the_last_good_one(tenant: Tenant, peace: Peace) -> None:
    with peace.undisturbed():
        tenant.apply(empty_image(history={"limit": 2}))
        tenant.wait("image/empty")
        for number in (2, 3):
            tenant.run("annotate", "--overwrite", "image/empty", f"keelway.dev/build-requested=number-{number}")
            tenant.wait("image/empty", f"jsonpath={{.status.latest.version}}=v{number}")
        tenant.wait("build/empty-1", "delete", 30)
        assert [one["metadata"]["name"] for one in tenant.builds("empty")] == ["empty-2", "empty-3"]

        for number, text in ((4, "FROM scratch\nCOPY gone /\n"), (5, "FROM scratch\nCOPY lost /\n")):
            tenant.apply(empty_image(text, history={"limit": 2}))
            tenant.wait("image/empty", f"jsonpath={{.status.latestBuild}}=empty-{number}")
            tenant.wait_for_reason("image/empty", "BuildFailed")
        names = eventually("only two are left", lambda: _two(tenant), 30)
        assert names == ["empty-3", "empty-5"], "the last good one stays, however old"


def test_a_suspended_image_starts_no_build(tenant: Tenant) -> None:
    tenant.apply(empty_image(suspend=True))

    tenant.wait_for_reason("image/empty", "Suspended")
    assert tenant.builds("empty") == []

    tenant.apply(empty_image())
    tenant.wait("image/empty")
    good = tenant.get("image/empty")["status"]["latest"]
    builds = len(tenant.builds("empty"))
    tenant.apply(empty_image(EMPTY + "# changed\n", suspend=True))
    told = tenant.wait_for_reason("image/empty", "Suspended")
    assert told["status"] == "True", "as last"
    assert len(tenant.builds("empty")) == builds
    assert tenant.get("image/empty")["status"]["latest"] == good


def test_deleting_an_image_in_mid_build_removes_its_job(tenant: Tenant) -> None:
    tenant.apply(empty_image(tenant.dockerfile("RUN sleep 120")))
    tenant.wait("build/empty-1", "create")
    tenant.job_of("empty-1")

    tenant.run("delete", "image/empty", "--timeout=30s")

    tenant.wait("build/empty-1", "delete", 60)
    eventually("its Job is gone", lambda: tenant.jobs() == [], 60)


def test_a_job_deleted_by_hand_is_made_again(tenant: Tenant) -> None:
    tenant.apply(empty_image(tenant.dockerfile("RUN sleep 8")))
    tenant.wait("build/empty-1", "create")
    job = tenant.job_of("empty-1")

    tenant.kubectl.run("delete", "job", job, "-n", "keelway-builds", "--wait=false")

    tenant.wait("image/empty")
    assert tenant.get(f"build/{tenant.get('image/empty')['status']['latestBuild']}")["status"]["version"]


def test_a_running_build_is_cancelled_when_its_spec_changes(tenant: Tenant) -> None:
    tenant.apply(empty_image(tenant.dockerfile("RUN sleep 120")))
    tenant.wait("build/empty-1", "create")
    tenant.job_of("empty-1")

    tenant.apply(empty_image())

    tenant.wait("image/empty", seconds=90)
    first = tenant.get("build/empty-1")
    assert first["status"]["conditions"][-1]["reason"] == "Superseded"


def test_a_repository_belongs_to_one_namespace_and_to_one_image(tenant: Tenant) -> None:
    foreign = f"{REGISTRY}/default/hello"
    tenant.apply(empty_image(repository=foreign))
    told = tenant.wait_for_reason("image/empty", "RepositoryNotAllowed")
    assert f"below {REGISTRY}/{tenant.namespace}/, not to {foreign}" in told["message"]
    assert "Set spec.repository" in told["message"]
    assert tenant.condition("image/empty", "Stalled")["status"] == "True"

    elsewhere = "registry.example.com/team/app"
    tenant.apply(empty_image(repository=elsewhere))
    told = tenant.wait_for_reason("image/empty", "PushSecretRequired")
    assert "spec.pushSecretRef" in told["message"]

    shared = f"{REGISTRY}/{tenant.namespace}/shared"
    tenant.apply(empty_image(repository=shared))
    tenant.wait("image/empty")
    assert tenant.get("image/empty")["status"]["latest"]["reference"].startswith(f"{shared}@sha256:")
    tenant.apply(empty_image(name="second", repository=shared))
    told = tenant.wait_for_reason("image/second", "RepositoryInUse")
    assert f"belongs to the older Image {tenant.namespace}/empty" in told["message"]
    assert tenant.builds("second") == []


def test_a_push_that_the_registry_refuses_is_named_and_tried_again(tenant: Tenant) -> None:
    # Where the registry wants a directory for what is being uploaded, there is a file.
    obstacle = f"{REGISTRY_STORAGE}/{tenant.namespace}/empty/_uploads"
    node.run("mkdir", "-p", obstacle.rpartition("/")[0])
    node.run("touch", obstacle)
    tenant.apply(empty_image())

    told = tenant.wait_for_reason("image/empty", "PushFailed")
    assert f"Push: The push to {REGISTRY}/{tenant.namespace}/empty:build-" in told["message"]
    assert "It is tried again; check the registry" in told["message"]
    assert tenant.condition("image/empty", "Reconciling")["status"] == "True"

    node.run("rm", obstacle)
    tenant.wait("image/empty")
    assert tenant.builds("empty")[-1]["spec"]["reason"] == "Retried"


def _two(tenant: Tenant) -> list[str]:
    names = [one["metadata"]["name"] for one in tenant.builds("empty")]
    return names if len(names) == 2 else []
