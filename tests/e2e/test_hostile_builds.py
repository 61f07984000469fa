"""Builds and tests that would take everything: each ends with a condition that says why, and others go on meanwhile.

Where the boundary of the network is, test_boundary.py says.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.disturbance import BUILDKIT, Peace
from tests.e2e.objects import empty_image
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant
from tests.kubectl import JsonObject, Kubectl

# A child that does nothing, again and again, but no more than that often: python3 -c FORKS <how often>.
FORKS = """
import os, sys, time
for number in range(int(sys.argv[1])):
    try:
        if os.fork() == 0:
            time.sleep(15)
            os._exit(0)
    except OSError as error:
        sys.exit(f"stopped after {number}: {error.strerror}")
"""

MEMORY = """
taken = []
for _ in range(64):
    taken.append(bytearray(b"x" * 16 * 1024**2))
"""


def image(name: str, dockerfile: str, files: dict[str, str] | None = None, **spec: Any) -> JsonObject:
    made = empty_image(dockerfile, name, **spec)
    made["spec"]["source"]["inline"]["files"] += [
        {"name": path, "content": text} for path, text in (files or {}).items()
    ]
    return made


def buildkitd_restarts(kubectl: Kubectl) -> int:
    pods = kubectl.json("get", "pods", "-n", BUILDKIT, "-l", "app.kubernetes.io/name=buildkitd")["items"]
    statuses = [status for pod in pods for status in pod["status"]["containerStatuses"]]
    return sum(status["restartCount"] for status in statuses)


def failure(tenant: Tenant, build: str) -> tuple[str, str]:
    """Reason and message of a Build, once it has failed."""
    ended = tenant.wait_for_build(build, "condition=Succeeded=False")
    told = {one["type"]: one for one in ended["status"]["conditions"]}["Succeeded"]
    return told["reason"], ended["status"]["message"]


@pytest.fixture
def neighbour(kubectl: Kubectl, namespace: str) -> Iterator[Tenant]:
    """Another user, in a namespace of their own that goes with the first one's."""
    name = f"{namespace}-b"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "keelway.dev/test": "true"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield Tenant(kubectl, name)
    kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.mark.long
def test_builds_that_eat_memory_and_processes_and_time_end_while_others_go_on(
    tenant: Tenant, neighbour: Tenant, kubectl: Kubectl, peace: Peace
) -> None:
    limits = {"resources": {"limits": {"memory": "256Mi"}}}
    eat = ("COPY eat.py /", "RUN python3 /eat.py 1000")
    memory = image("memory", tenant.dockerfile(*eat), {"eat.py": MEMORY}, build=limits)
    # More than a step may have (manifests/dev), and less than the pod of all steps.
    forks = image("forks", tenant.dockerfile(*eat), {"eat.py": FORKS})
    # Ten gigabytes, of which the disk holds nothing, but which a layer would have to be packed of.
    huge = image("huge", tenant.dockerfile("RUN truncate -s 10G /huge"), build={"timeoutSeconds": 20})
    with peace.undisturbed():
        before = buildkitd_restarts(kubectl)
        tenant.apply(memory, forks, huge)
        tenant.wait("build/memory-1", "create")

        neighbour.apply(image("web", neighbour.dockerfile("RUN sleep 1", "USER 1000")))
        neighbour.wait("image/web")

        reason, message = failure(tenant, "memory-1")
        assert reason == "BuildFailed"
        assert "was killed (137), as the kernel does when memory runs out" in message
        assert "spec.build.resources.limits.memory" in message
        reason, message = failure(tenant, "forks-1")
        assert reason == "BuildFailed"
        assert "Resource temporarily unavailable" in message
        assert "stopped after 5" in message, "after five hundred and some, the most that a step may have here"
        reason, message = failure(tenant, "huge-1")
        assert reason == "BuildTimedOut"
        assert "20 s" in message
        assert buildkitd_restarts(kubectl) == before
        assert [one["metadata"]["name"] for one in neighbour.builds("web")] == ["web-1"], "at the first attempt"


def test_a_fork_bomb_in_a_test_ends_at_the_kubelets_limit_of_processes(tenant: Tenant) -> None:
    # podPidsLimit is 2048 here (devcluster/controlplane/patches-dev), and no more than 2500 are tried.
    test = {"name": "bomb", "command": ["python3", "-c", FORKS, "2500"]}
    tenant.apply(image("bomb", tenant.dockerfile("USER 1000"), tests=[test]))

    told = tenant.wait_for_reason("image/bomb", "Quarantined")
    assert "Resource temporarily unavailable" in told["message"]


def test_a_cache_mount_of_one_namespace_is_no_other_ones(tenant: Tenant, neighbour: Tenant) -> None:
    uid = neighbour.kubectl.json("get", "namespace", neighbour.namespace)["metadata"]["uid"]
    ids = ["wheels", f"{uid}/wheels", f"../{uid}/wheels", f"/../{uid}//wheels"]
    poison = [f"RUN --mount=type=cache,id={id},target=/c echo poisoned > /c/wheel" for id in ids]
    seen = f"RUN --mount=type=cache,id={ids[0]},target=/c test -f /c/wheel"
    tenant.apply(image("poison", tenant.dockerfile(*poison, seen, "USER 1000")))
    tenant.wait("image/poison")

    empty = [f'RUN --mount=type=cache,id={id},target=/c test -z "$(ls -A /c)"' for id in ("wheels", *ids)]
    neighbour.apply(image("clean", neighbour.dockerfile(*empty, "USER 1000")))
    neighbour.wait("image/clean")


HOSTILE = "$(touch /tmp/ran); `touch /tmp/ran` && touch /tmp/ran | touch /tmp/ran #'\""
LINES = 'one\ntwo,build-arg:BUILDKIT_CACHE_MOUNT_NS=another"\n--opt target=other'
CHECK = "import json, sys; sys.exit(sys.argv[1:] != json.load(open('/expected')))"


def test_names_and_values_of_a_spec_never_reach_a_shell(tenant: Tenant) -> None:
    name = "$(touch ran)`touch ran`;touch ran&/Docker file,filename=other"
    # The shell of the Dockerfile's own RUN is told the values as the environment has them, quoted.
    dockerfile = tenant.dockerfile(
        "ARG HOSTILE LINES",
        "COPY expected /",
        "RUN python3 -c \"import json, os, sys; sys.exit([os.environ['HOSTILE'], os.environ['LINES']]"
        " != json.load(open('/expected')))\" && test ! -e /tmp/ran",
        "USER 1000",
    )
    expected = json.dumps([HOSTILE, LINES])
    files = [{"name": name, "content": dockerfile}, {"name": "expected", "content": expected}]
    made = {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": "quoted"},
        "spec": {
            "source": {"inline": {"files": files}},
            "build": {
                "dockerfile": name,
                "args": [{"name": "HOSTILE", "value": HOSTILE}, {"name": "LINES", "value": LINES}],
            },
            "tests": [{"name": "told", "command": ["python3", "-c", CHECK, HOSTILE, LINES]}],
        },
    }
    tenant.apply(made)
    tenant.wait("image/quoted")


def test_a_build_pod_holds_no_token_of_the_api(tenant: Tenant, kubectl: Kubectl) -> None:
    tenant.apply(image("slow", tenant.dockerfile("RUN sleep 20", "USER 1000")))
    tenant.wait("build/slow-1", "create")
    job = tenant.job_of("slow-1")
    builds = ("-n", "keelway-builds")
    (pod,) = kubectl.json("get", "pods", *builds, "-l", f"batch.kubernetes.io/job-name={job}")["items"]

    assert pod["spec"]["automountServiceAccountToken"] is False
    assert [volume["name"] for volume in pod["spec"]["volumes"] if "projected" in volume] == []
    look = "import os; print(os.path.exists('/var/run/secrets'), os.path.exists('/run/secrets'))"
    name = pod["metadata"]["name"]
    said = kubectl.run("exec", *builds, name, "-c", "build", "--", "python", "-c", look).stdout
    assert said.split() == ["False", "False"]
    eventually("it ends", lambda: tenant.jobs() == [], 60)
