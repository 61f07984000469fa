"""What an image is in the registry, and how it was built there: each option of docs/how-to.md, applied from there."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests import howto
from tests.e2e.commons import Forge
from tests.e2e.disturbance import BUILDKIT, Peace
from tests.e2e.objects import EMPTY, empty_image
from tests.e2e.registry import Repository
from tests.e2e.tenant import Tenant

OCI = "org.opencontainers.image"
RUNS = {"name": "runs", "command": ["python", "-c", "import app"]}
PYTHON = {"Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY app.py .\nUSER 1000\n", "app.py": "print('hello')\n"}


def image(files: dict[str, str], **spec: Any) -> dict[str, Any]:
    """The Image `app` of these files."""
    given = [{"name": name, "content": content} for name, content in files.items()]
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": "app"},
        "spec": {"source": {"inline": {"files": given}}, **spec},
    }


def latest(tenant: Tenant, name: str = "app") -> tuple[Repository, str]:
    """Where the Image's latest version is, and its digest."""
    reference = tenant.get(f"image/{name}")["status"]["latest"]["reference"]
    return Repository.of(reference), reference.partition("@")[2]


def build_again(tenant: Tenant, value: str, name: str = "app") -> tuple[Repository, str]:
    """The latest version after another build of the same inputs."""
    before = tenant.version(name)
    tenant.run("annotate", "--overwrite", f"image/{name}", f"keelway.dev/build-requested={value}")
    tenant.wait_for_version_after(name, before)
    return latest(tenant, name)


def test_an_image_says_what_it_is_of_and_a_statement_how_it_was_built(tenant: Tenant) -> None:
    tenant.apply(image(PYTHON, tests=[{**RUNS, "env": [{"name": "PYTHONPATH", "value": "/app"}]}]))
    tenant.wait("image/app")

    repository, digest = latest(tenant)
    build = tenant.builds("app")[-1]
    status = build["status"]
    assert status["digest"] == digest
    labels = repository.labels(digest)
    assert labels[f"{OCI}.version"] == status["version"]
    assert labels[f"{OCI}.revision"] == build["spec"]["revision"]
    assert abs((datetime.fromisoformat(labels[f"{OCI}.created"]) - datetime.now(UTC)).total_seconds()) < 1800
    assert f"{OCI}.source" not in labels
    (provenance,) = repository.attestations(digest)
    assert provenance["predicateType"].startswith("https://slsa.dev/provenance/")
    assert provenance["subject"][0]["digest"]["sha256"] == repository.image(digest)[0].removeprefix("sha256:")
    (material,) = status["materials"]
    assert material["reference"] == "docker.io/library/python:3.11-slim"
    assert material["digest"].removeprefix("sha256:") in str(provenance["predicate"])
    assert status["runAsUser"] == 1000, "read out of the index"


def test_provenance_tells_as_much_as_is_asked_for(tenant: Tenant) -> None:
    asked = howto.spec("See where an image comes from")
    dockerfile = "FROM scratch\nARG BATCH\nCOPY Dockerfile /\n"
    args = [{"name": "BATCH", "value": f"of-{tenant.namespace}"}]
    tenant.apply(empty_image(dockerfile, build={"args": args, **asked["build"]}))
    tenant.wait("image/empty")
    repository, digest = latest(tenant, "empty")
    (provenance,) = repository.attestations(digest)
    assert f"of-{tenant.namespace}" in str(provenance)

    first = tenant.version("empty")
    tenant.apply(empty_image(dockerfile, build={"args": args, "provenance": "Min"}))
    second = tenant.wait_for_version_after("empty", first)
    (provenance,) = repository.attestations(latest(tenant, "empty")[1])
    assert f"of-{tenant.namespace}" not in str(provenance)

    tenant.apply(empty_image(dockerfile, build={"args": args, "provenance": "None"}))
    third = tenant.wait_for_version_after("empty", second)
    digest = latest(tenant, "empty")[1]
    assert "layers" in repository.document(digest), "an image alone, without an index around it"
    assert repository.labels(digest)[f"{OCI}.version"] == third


def test_the_same_inputs_give_the_same_image(tenant: Tenant) -> None:
    files = {**PYTHON, "Dockerfile": tenant.dockerfile("COPY app.py /app.py", "RUN mkdir /made && touch /made/now")}
    tenant.apply(image(files, **howto.spec("Get the same image from the same inputs")))
    tenant.wait("image/app")
    repository, first = latest(tenant)
    versions = [tenant.version("app")]
    _, second = build_again(tenant, "once-more")
    versions.append(tenant.version("app"))

    assert first != second, "the provenance holds the time of the build"
    assert repository.image(first) == repository.image(second)
    told = [repository.document(digest)["annotations"][f"{OCI}.version"] for digest in (first, second)]
    assert told == versions
    assert repository.labels(first)[f"{OCI}.created"] == "1980-01-01T00:00:00Z"
    assert f"{OCI}.version" not in repository.labels(first)


def test_a_commit_gives_its_image_its_time(tenant: Tenant, forge: Forge) -> None:
    source = forge.repository(tenant.namespace)
    commit = source.commit({"Dockerfile": EMPTY})
    asked = howto.spec("Get the same image from the same inputs")
    tenant.apply({**empty_image(), "spec": {"source": {"git": {"url": source.url}}, **asked}})
    tenant.wait("image/empty")

    told = forge.run("git", "-C", f"/srv/git/{source.name}", "show", "-s", "--format=%ct", commit)
    repository, digest = latest(tenant, "empty")
    labels = repository.labels(digest)
    assert datetime.fromisoformat(labels[f"{OCI}.created"]).timestamp() == int(told)
    assert (labels[f"{OCI}.source"], labels[f"{OCI}.revision"]) == (source.url, commit)


def test_layers_are_compressed_as_asked(tenant: Tenant) -> None:
    tests = [{**RUNS, "env": [{"name": "PYTHONPATH", "value": "/app"}]}]
    tenant.apply(image(PYTHON, tests=tests, **howto.spec("Choose the compression of layers")))
    tenant.wait("image/app")

    repository, digest = latest(tenant)
    types = {layer["mediaType"] for layer in repository.image(digest)[1]["layers"]}
    assert types == {"application/vnd.oci.image.layer.v1.tar+zstd"}


@pytest.mark.disturbing
def test_a_cache_in_the_registry_outlives_the_build_services_own(tenant: Tenant, peace: Peace) -> None:
    files = {"Dockerfile": tenant.dockerfile("RUN head -c 16 /dev/urandom > /random")}
    with peace.disturbing():
        tenant.apply(image(files, **howto.spec("Keep a build cache in the registry")))
        tenant.wait("image/app")
        repository, first = latest(tenant)
        assert "build-cache" in repository.tags()

        prune = ("exec", "-n", BUILDKIT, "buildkitd-0", "-c", "buildkitd", "--", "buildctl", "prune", "--all")
        tenant.kubectl.run(*prune, timeout=120)
        _, second = build_again(tenant, "after-the-loss")

        layers = [repository.image(digest)[1]["layers"] for digest in (first, second)]
        assert layers[0] == layers[1], "16 random bytes are the same only if the step did not run again"


def test_a_step_without_a_network_has_none(tenant: Tenant) -> None:
    # The first line of the table is its heading; whoever is on a network has a route.
    step = "RUN python -c \"routes = open('/proc/net/route').readlines()[1:]; assert not routes, 'on a network'\""
    tenant.apply(image({"Dockerfile": tenant.dockerfile(step)}))
    told = tenant.wait_for_reason("image/app", "BuildFailed")
    assert "on a network" in told["message"]

    asked = howto.spec("Build without a network, or without a cache")
    tenant.apply(image({"Dockerfile": tenant.dockerfile(step)}, **asked))
    tenant.wait("image/app")


def test_warnings_of_the_dockerfile_are_told(tenant: Tenant) -> None:
    tenant.apply(empty_image("FROM scratch as base\nMAINTAINER nobody\nCOPY Dockerfile /\n"))
    tenant.wait("image/empty")

    status = tenant.builds("empty")[-1]["status"]
    found = {(one["rule"], one["line"]) for one in status["warnings"]}
    assert found == {("FromAsCasing", 1), ("MaintainerDeprecated", 2)}
    assert status["warningCount"] == 2
    assert all(one["message"] for one in status["warnings"])
    assert "2 warnings" in tenant.condition("image/empty", "Ready")["message"]


def test_where_the_cache_is_and_who_goes_first_start_no_build(tenant: Tenant) -> None:
    tenant.apply(empty_image())
    tenant.wait("image/empty")
    tenant.apply(empty_image(**howto.spec("Build this first")))
    tenant.apply(empty_image(**howto.spec("Keep a build cache in the registry")))
    generation = tenant.get("image/empty")["metadata"]["generation"]
    tenant.wait("image/empty", f"jsonpath={{.status.observedGeneration}}={generation}")
    assert len(tenant.builds("empty")) == 1


def test_a_list_of_packages_needs_a_scanner(tenant: Tenant) -> None:
    tenant.apply(empty_image(**howto.spec("List an image's packages")))
    told = tenant.wait_for_reason("image/empty", "ScannerNotSet")
    assert "KEELWAY_SBOM_SCANNER" in told["message"]
    assert tenant.condition("image/empty", "Reconciling")["status"] == "True"
