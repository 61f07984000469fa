"""Objects that today's schema would refuse: stored while the CRD allowed anything, as an older one might have been.

The CRD is restored before anything is looked at: the API server checks what is written, not what it has.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any, Final

from keelway.api.resources import Resource
from keelway.errors import Conflict, Invalid, NotFound
from tests.faults.generated.crowd import Crowd, Object

_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ANYTHING: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_ANY: Final = {"type": "object", "properties": {"spec": _ANYTHING, "status": _ANYTHING}}
_EFFECTIVE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.2


@asynccontextmanager
async def lenient(crowd: Crowd, resource: Resource) -> AsyncIterator[None]:
    """While the block runs, the kind's schema allows anything; then it is as it was."""
    definition = await crowd.send("GET", _path(resource))
    strict: list[Object] = definition["spec"]["versions"]
    loose = deepcopy(strict)
    loose[0]["schema"]["openAPIV3Schema"] = _ANY
    try:
        await _define(crowd, resource, loose)
        await _effective(crowd, resource, lenient=True)
        yield
    finally:
        await _define(crowd, resource, strict)
        await _effective(crowd, resource, lenient=False)


async def store(crowd: Crowd, resource: Resource, name: str, spec: Any, status: Any = None) -> None:
    """An object with that spec and status, whatever they are."""
    body: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
    await crowd.send("POST", resource.path(crowd.namespace), body if spec is None else {**body, "spec": spec})
    if status is not None:
        await crowd.send("PATCH", resource.path(crowd.namespace, name, "status"), {"status": status})


async def _define(crowd: Crowd, resource: Resource, versions: list[Object]) -> None:
    while True:
        definition = await crowd.send("GET", _path(resource))
        definition["spec"]["versions"] = versions
        try:
            await crowd.send("PUT", _path(resource), definition)
        except Conflict:
            continue  # its controller wrote the status in between
        return


async def _effective(crowd: Crowd, resource: Resource, lenient: bool) -> None:
    """Wait until the API server goes by it: it takes a second or two."""
    until = time.monotonic() + _EFFECTIVE_SECONDS
    while await _takes_anything(crowd, resource) != lenient:
        assert time.monotonic() < until, f"the schema of {resource} does not get effective"
        await asyncio.sleep(_LOOK_SECONDS)


async def _takes_anything(crowd: Crowd, resource: Resource) -> bool | None:
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "probe"},
        "spec": {"odd": 1},
    }
    try:
        await crowd.send("POST", resource.path(crowd.namespace), body, dryRun="All")
    except Invalid:
        return False
    except NotFound:
        return None
    return True


def _path(resource: Resource) -> str:
    return f"{_CRDS}/{resource.plural}.{resource.group}"
