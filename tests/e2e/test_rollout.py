"""A new version takes over without a failed request; a bad one never gets that far."""

import json
from typing import Any

import pytest

from tests.e2e.client import Client, Load, Trickle
from tests.e2e.commons import SMALL, WEB_PY, Web
from tests.e2e.disturbance import Peace
from tests.e2e.tenant import Tenant

GOOD = 'FROM python:3.11-slim\nCOPY web.py answer /\nUSER 1000\nCMD ["python", "/web.py"]\n'
AS_ROOT = GOOD.replace("USER 1000\n", "")
FAILING = GOOD + "RUN echo the oven is cold && exit 9\n"
PASSES = {"name": "compiles", "command": ["python", "-c", "import sys; sys.path.insert(0, '/'); import web"]}
FAILS = {"name": "answers", "command": ["python", "-c", "raise SystemExit('no answer from anybody')"]}
HANGS = {"name": "answers", "command": ["sleep", "300"], "timeoutSeconds": 3}


@pytest.mark.long
def test_a_changed_source_is_served_without_a_failed_request(tenant: Tenant, client: Client, peace: Peace) -> None:
    with peace.undisturbed():
        tenant.apply(_image("one"), _app(replicas=2))
        tenant.wait("app/web")
        trickle = Trickle(tenant, "http://web/")
        trickle.start()
        trickle.must_hear("one")
        before = tenant.get("app/web")["status"]

        tenant.apply(_image("two"))
        version = tenant.wait_for_version_after("web", before["version"])
        tenant.wait_for_app("web", version)

        trickle.must_hear("two")
        after = tenant.get("app/web")["status"]
        assert after["image"] != before["image"]
        assert after["image"] == tenant.get("image/web")["status"]["latest"]["reference"]
        digest = after["image"].partition("@")[2]
        running = [pod["status"]["containerStatuses"][0]["imageID"] for pod in tenant.pods("web")]
        assert [one for one in running if not one.endswith(digest)] == [], "by digest, on every pod"
        # The old pods drain to their end.
        tenant.run("wait", "--for=delete", "pod", f"--selector=app.kubernetes.io/version={before['version']}")

        tenant.run("delete", "image/web", "--timeout=30s")
        tenant.wait_for_reason("app/web", "ImageNotFound")
        assert tenant.condition("app/web", "Available")["status"] == "True", "a running App survives a lost Image"
        trickle.must_not_have_failed()


@pytest.mark.long
def test_bad_builds_and_tests_leave_the_last_good_version_serving(tenant: Tenant, client: Client, peace: Peace) -> None:
    tenant.apply(_image("good"), _app())
    tenant.wait("app/web")
    good = tenant.get("app/web")["status"]
    bad: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
        (_image("bad", FAILING), "BuildFailed", ("Dockerfile line 5", "exit code 9", "the oven is cold")),
        (_image("bad", tests=[PASSES, FAILS]), "Quarantined", ("answers", "code 1", "no answer from anybody")),
        (_image("worse", tests=[PASSES, HANGS]), "Quarantined", ("answers", "within 3 s", "timeoutSeconds")),
    ]

    for image, reason, says in bad:
        tenant.apply(image)
        told = tenant.wait_for_reason("image/web", reason)
        assert [words for words in says if words not in told["message"]] == [], told["message"]
        assert tenant.condition("image/web", "Stalled")["status"] == "True"
        assert tenant.condition("image/web", "Built")["status"] == str(reason != "BuildFailed")
        assert tenant.condition("image/web", "Tested")["status"] == ("Unknown" if reason == "BuildFailed" else "False")
        status = tenant.get("app/web")["status"]
        assert (status["image"], status["version"]) == (good["image"], good["version"])
        assert tenant.condition("app/web", "Ready")["status"] == "True"
        assert client.get("http://web/").text == "good"
    failed = tenant.get("image/web")["status"]["latestBuild"]
    # The failed test's pod stays, for kubectl logs.
    pod = tenant.get(f"pod/{failed}-test-answers")["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    tenant.apply(_image("better", tests=[PASSES]))
    tenant.wait_for_app("web", tenant.wait_for_version_after("web", good["version"]))
    client.must_hear("http://web/", "better")
    assert tenant.condition("image/web", "Stalled")["status"] == "False"


@pytest.mark.long
def test_an_image_that_runs_as_root_is_told_before_its_pods_crash(tenant: Tenant, client: Client) -> None:
    tenant.apply(_image("good"), _app())
    tenant.wait("app/web")
    good = tenant.get("app/web")["status"]

    tenant.apply(_image("root", AS_ROOT))
    told = tenant.wait_for_reason("app/web", "ImageRunsAsRoot")
    assert "USER 1000" in told["message"], "one remedy"
    assert "security: Baseline" in told["message"], "the other"
    assert tenant.condition("app/web", "Stalled")["status"] == "True"
    assert tenant.condition("app/web", "Available")["status"] == "True"
    assert tenant.get("app/web")["status"]["image"] == good["image"]
    assert client.get("http://web/").text == "good"

    root = tenant.version("web")
    tenant.apply(_image("by name", AS_ROOT.replace("CMD", "RUN useradd --uid 4711 waiter\nUSER waiter\nCMD")))
    tenant.wait_for_app("web", tenant.wait_for_version_after("web", root))
    client.must_hear("http://web/", "by name")
    assert client.get("http://web/whoami").json()["uid"] == 4711, "its number was read from the image"
    latest = tenant.get("image/web")["status"]["latest"]
    assert (latest["user"], latest["runAsUser"]) == ("waiter", 4711)


def test_autoscale_takes_over_at_the_live_number(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app_of(web, resources=SMALL, replicas=10))
    tenant.wait("app/web")
    assert tenant.get("app/web")["status"]["readyReplicas"] == 10

    with tenant.watching("deployment/web") as watched:
        autoscale = {"minReplicas": 1, "maxReplicas": 12, "cpuPercent": 80}
        tenant.apply(_app_of(web, resources=SMALL, autoscale=autoscale))
        tenant.wait("hpa/web", "create")
        tenant.wait("app/web")
        wanted = tenant.get("deployment/web")
        watched.until(lambda seen: seen.object["metadata"]["resourceVersion"] == wanted["metadata"]["resourceVersion"])

    assert {seen.object["spec"]["replicas"] for seen in watched.events} == {10}
    told = json.loads(tenant.run("get", "deployment/web", "-o", "json", "--show-managed-fields"))
    owners = [one for one in told["metadata"]["managedFields"] if "f:replicas" in one["fieldsV1"].get("f:spec", {})]
    assert "keelway" not in {one["manager"] for one in owners}, "the number is not Keelway's any more"


@pytest.mark.long
def test_an_app_scales_up_under_real_load_and_back(tenant: Tenant, web: Web) -> None:
    at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}
    tenant.apply(
        _app_of(
            web,
            resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "150m"}},
            autoscale={
                "minReplicas": 1,
                "maxReplicas": 3,
                "cpuPercent": 60,
                "behavior": {"scaleUp": at_once, "scaleDown": at_once},
            },
        )
    )
    tenant.wait("app/web")
    load = Load(tenant, "http://web:8080/burn")

    load.start()
    tenant.wait("app/web", "jsonpath={.status.readyReplicas}=3")
    assert tenant.condition("app/web", "Ready")["status"] == "True", "scaling is no rollout"

    load.stop()
    tenant.wait("app/web", "jsonpath={.status.readyReplicas}=1")


def _image(answer: str, dockerfile: str = GOOD, tests: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    files = {"Dockerfile": dockerfile, "web.py": WEB_PY, "answer": answer}
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": "web"},
        "spec": {
            "source": {"inline": {"files": [{"name": name, "content": text} for name, text in files.items()]}},
            "tests": tests or [],
        },
    }


def _app(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {"image": {"name": "web"}, "ports": [{"name": "http", "port": 8080, "servicePort": 80}], **spec},
    }


def _app_of(web: Web, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {"image": {"reference": web.reference}, "ports": [{"name": "http", "port": 8080}], **spec},
    }
