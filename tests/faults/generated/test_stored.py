"""What is stored and could not be applied today keeps nobody else from anything, and is told of."""

from contextlib import AsyncExitStack
from typing import Any, Final

from devcluster.outside import Operator
from keelway.api.resources import APPS, BUILDS, EVENTS, IMAGES
from tests.faults.generated import health
from tests.faults.generated.bases import IMAGE
from tests.faults.generated.crowd import Crowd
from tests.faults.generated.older import lenient, store
from tests.faults.generated.poison import app
from tests.faults.proxy import Proxy
from tests.faults.scene import LEADING_SECONDS

SECONDS: Final = 60.0

# Name: spec, status, and what Ready says. Of the first the API server takes no status any more: an Event tells.
OLD_APPS: Final[dict[str, tuple[Any, Any, str]]] = {
    "image-is-text": ({"image": "nginx"}, None, "event"),
    "ports-are-a-map": (app(ports={"http": 80}), None, "event"),
    "spec-is-missing": (None, None, "InvalidSpec"),
    "security-is-unknown": (app(security="Wild"), None, "InvalidSpec"),
    "two-images": ({"image": {"name": IMAGE, "reference": "nginx:1"}}, None, "InvalidSpec"),
    "a-variable-twice": (
        app(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        None,
        "InvalidDeployment",
    ),
    "conditions-are-odd": (app(), {"conditions": [{"type": "Ready", "status": "Perhaps"}]}, "RolledOut"),
    "conditions-are-text": (app(), {"conditions": "fine"}, "RolledOut"),
    "its-image-has-half-a-version": ({"image": {"name": "half-a-version"}, "replicas": 0}, None, "NoVersionYet"),
}
OLD_IMAGES: Final[dict[str, tuple[Any, Any]]] = {
    "source-is-text": ({"source": "https://example.com/x.git"}, None),
    "spec-is-missing": (None, None),
    "half-a-version": ({"source": {"configMap": {"name": "a"}}, "suspend": True}, {"latest": {"version": "v1"}}),
}
OLD_BUILDS: Final[dict[str, tuple[Any, Any]]] = {
    "spec-is-missing": (None, None),
    "spec-is-empty": ({}, {"conditions": [{"odd": 1}]}),
    "conditions-are-text": ({"image": 7}, {"conditions": "fine"}),
}


async def test_objects_of_another_schema_fail_alone(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    operator.stop()
    async with AsyncExitStack() as stack:
        for resource in (APPS, IMAGES, BUILDS):
            await stack.enter_async_context(lenient(crowd, resource))
        for name, (spec, status, _) in OLD_APPS.items():
            await store(crowd, APPS, name, spec, status)
        for resource, kept in ((IMAGES, OLD_IMAGES), (BUILDS, OLD_BUILDS)):
            for name, (spec, status) in kept.items():
                await store(crowd, resource, name, spec, status)
    # Its first passes wait until it has seen every object that is there: those too.
    operator.start()
    operator.wait_until_leading(LEADING_SECONDS)
    await crowd.create("apps", "neighbour", app())
    found = await crowd.settled("apps", ["neighbour"], SECONDS)
    assert found["neighbour"].reason == "RolledOut", "it lives beside them"
    said = {name: says for name, (_, _, says) in OLD_APPS.items()}
    with_status = [name for name, says in said.items() if says != "event"]
    found = await crowd.settled("apps", [name for name in with_status if name != "spec-is-missing"], SECONDS)
    told = {one["involvedObject"]["name"]: one["reason"] for one in await crowd.all_of(EVENTS)}
    for name, says in said.items():
        if says == "event":
            assert told.get(name) == "InvalidSpec", told
        else:
            assert found[name].reason == says, f"{name}: {found[name].owner.get('status')}"
    assert told.get("source-is-text") == "InvalidSpec", told
    await health.falls_quiet(proxy, crowd.namespace)
    health.is_unharmed(operator)
    for resource, names in ((APPS, OLD_APPS), (IMAGES, OLD_IMAGES), (BUILDS, OLD_BUILDS)):
        for name in names:
            await crowd.send("DELETE", resource.path(crowd.namespace, name))
            await crowd.gone(resource, name, SECONDS)
