"""Whatever is killed in the middle of work, the work ends well, and nothing is done twice.

Each of these breaks something that all tests share, so they run one by one (`disturbance.py`).
"""

import time
from typing import Any

import pytest

from tests.e2e.client import Client, Trickle
from tests.e2e.commons import Web
from tests.e2e.disturbance import SYSTEM, Peace
from tests.e2e.objects import empty_image
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant

# Others wait for a lease of 15 s to run out, look every 2 s, and list all objects then; the rest is for a busy machine.
TAKEOVER_SECONDS = 30

pytestmark = pytest.mark.disturbing


def test_a_build_survives_its_leader(tenant: Tenant, peace: Peace) -> None:
    with peace.disturbing():
        tenant.apply(
            empty_image(tenant.dockerfile("RUN sleep 15", "USER 1000"), tests=[{"name": "runs", "command": ["true"]}])
        )
        tenant.wait("build/empty-1", "create")
        tenant.job_of("empty-1")
        leader = _leader(peace)

        killed = time.monotonic()
        peace.kill_operator(leader)

        eventually("another replica leads", lambda: peace.leader() not in (None, leader), 60)
        assert time.monotonic() - killed < TAKEOVER_SECONDS
        tenant.wait("image/empty")
    assert [one["status"]["version"] for one in tenant.builds("empty")] == ["v1"], "no second Build"


def test_a_leader_that_is_asked_to_stop_hands_over_at_once(peace: Peace) -> None:
    with peace.disturbing():
        leader = _leader(peace)
        began = time.monotonic()

        peace.kubectl.run("delete", f"pod/{leader}", "-n", SYSTEM, "--wait=false")

        eventually("another replica leads", lambda: peace.leader() not in (None, leader), 60)
        assert time.monotonic() - began < 10, "the lease was given back, not waited for"


def test_a_rollout_survives_its_leader(tenant: Tenant, web: Web, peace: Peace) -> None:
    tenant.apply(_app(web, "old", replicas=2))
    tenant.wait("app/web")
    trickle = Trickle(tenant, "http://web:8080/")
    trickle.start()

    with peace.disturbing():
        tenant.apply(_app(web, "new", replicas=2))
        tenant.wait("deployment/web", "jsonpath={.status.updatedReplicas}=1")
        peace.kill_operator(_leader(peace))
        tenant.wait("app/web")

    trickle.must_hear("new")
    assert tenant.get("deployment/web")["metadata"]["generation"] == 2, "the new leader changed nothing"


def test_an_image_deleted_while_the_operator_is_down_has_its_job_removed(tenant: Tenant, peace: Peace) -> None:
    with peace.disturbing():
        tenant.apply(empty_image(tenant.dockerfile("RUN sleep 120")))
        tenant.wait("build/empty-1", "create")
        tenant.job_of("empty-1")
        peace.kubectl.run("scale", "deployment/keelway", "-n", SYSTEM, "--replicas=0")
        eventually("the operator is gone", lambda: not peace.operators(), 60)

        tenant.run("delete", "image/empty", "--timeout=30s")
        tenant.wait("build/empty-1", "delete", 60)
        assert len(tenant.jobs()) == 1
    # Its end brought the operator back.
    eventually("its Job is removed", lambda: tenant.jobs() == [], 60)


def test_a_build_survives_its_buildkitd(tenant: Tenant, peace: Peace) -> None:
    with peace.disturbing():
        tenant.apply(empty_image(tenant.dockerfile("RUN sleep 12")))
        tenant.wait("build/empty-1", "create")
        tenant.job_of("empty-1")

        peace.kill_buildkitd()
        tenant.wait("build/empty-1", "condition=Succeeded=False", 60)

    tenant.wait("image/empty")
    first, second = tenant.builds("empty")
    assert {one["type"]: one["status"] for one in first["status"]["conditions"]}["Retryable"] == "True"
    assert second["spec"]["reason"] == "Retried"


def test_a_rollout_survives_the_api_server(tenant: Tenant, client: Client, web: Web, peace: Peace) -> None:
    tenant.apply(_app(web, "old", replicas=2))
    tenant.wait("app/web")

    with peace.disturbing():
        tenant.apply(_app(web, "new", replicas=2))
        tenant.wait("deployment/web", "jsonpath={.status.updatedReplicas}=1")
        peace.kill_api_server()
        tenant.wait("app/web")

    def catches_up() -> bool:
        # Without an API server the proxies do not learn of pods that go: requests may fail until they have.
        try:
            return client.get("http://web:8080/").text == "new"
        except AssertionError:
            return False

    eventually("the new version answers", catches_up, 60)
    tenant.apply(_app(web, "newer", replicas=1))
    tenant.wait("app/web")
    client.must_hear("http://web:8080/", "newer")


def _leader(peace: Peace) -> str:
    return eventually("a replica of the operator leads", peace.leader, 60)


def _app(web: Web, answer: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {
            "image": {"reference": web.reference},
            "env": [{"name": "ANSWER", "value": answer}],
            "ports": [{"name": "http", "port": 8080}],
            **spec,
        },
    }
