"""What users do while things break: steps, each of which has one end state, whatever happens on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.e2e.commons import SMALL
from tests.e2e.tenant import Tenant
from tests.faults.commons import Commons
from tests.kubectl import JsonObject


@dataclass(frozen=True)
class Step:
    """One thing that a user does."""

    name: str
    act: Callable[[Tenant], object]


@dataclass(frozen=True)
class Story:
    """Steps that follow each other in one namespace."""

    name: str
    steps: tuple[Step, ...]


def app(image: str, **spec: Any) -> JsonObject:
    """An App with a Service."""
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {"image": {"reference": image}, "ports": [{"name": "http", "port": 8080}], "resources": SMALL, **spec},
    }


def life_of_an_app(commons: Commons) -> Story:
    """Deployment, Service and HPA; another image; a fixed number of pods, so no HPA; gone."""
    scaled = {"minReplicas": 1, "maxReplicas": 2, "cpuPercent": 900}
    return Story(
        "life of an App",
        (
            Step("create", lambda tenant: tenant.apply(app(commons.old, autoscale=scaled))),
            Step("change image", lambda tenant: tenant.apply(app(commons.new, autoscale=scaled))),
            Step("scale", lambda tenant: tenant.apply(app(commons.new, replicas=2))),
            Step("delete", lambda tenant: _delete(tenant, "app/web")),
        ),
    )


def image(answer: str, **spec: Any) -> JsonObject:
    """An Image whose build takes seconds, with a test; two builds are kept at most."""
    dockerfile = "FROM python:3.11-slim\nCOPY answer /\nUSER 1000\n"
    files = [{"name": "Dockerfile", "content": dockerfile}, {"name": "answer", "content": answer}]
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": "made"},
        "spec": {
            "source": {"inline": {"files": files}},
            "tests": [{"name": "answers", "command": ["cat", "/answer"], "resources": SMALL}],
            "history": {"limit": 1},
            **spec,
        },
    }


def life_of_both(commons: Commons) -> Story:
    """An App as above, and beside it an Image: built, tested, tagged; again, with the first record pruned; gone."""
    scaled = {"minReplicas": 1, "maxReplicas": 2, "cpuPercent": 900}
    return Story(
        "life of both",
        (
            Step("create", lambda tenant: tenant.apply(app(commons.old, autoscale=scaled), image("one"))),
            Step("change", lambda tenant: tenant.apply(app(commons.new, autoscale=scaled), image("two"))),
            Step("scale", lambda tenant: tenant.apply(app(commons.new, replicas=2))),
            Step("delete", lambda tenant: tenant.run("delete", "app/web", "image/made", "--wait=false")),
        ),
    )


def day_with_both(commons: Commons) -> Story:
    """The same in two steps, for faults that come once a step or last."""
    scaled = {"minReplicas": 1, "maxReplicas": 2, "cpuPercent": 900}
    return Story(
        "day with both",
        (
            Step("create", lambda tenant: tenant.apply(app(commons.old, autoscale=scaled), image("one"))),
            Step("change", lambda tenant: tenant.apply(app(commons.new, replicas=2), image("two"))),
        ),
    )


def _delete(tenant: Tenant, what: str) -> None:
    tenant.run("delete", what, "--wait=false")
