"""Events: written once, counted up, never in the way."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.events import AGGREGATE_SECONDS, Events
from keelway.cluster.gate import WriteGate, always_open
from tests.unit.cluster.apiserver import ApiServer, connected, refusal

APP = {
    "apiVersion": "keelway.dev/v1alpha1",
    "kind": "App",
    "metadata": {"name": "web", "namespace": "team", "uid": "u1"},
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def cluster(api: ApiServer) -> AsyncIterator[Cluster]:
    async with connected(api) as connection:
        yield Cluster(connection, Cache(), always_open())


def written(api: ApiServer) -> list[dict[str, Any]]:
    return [obj for (plural, _, _), obj in api.objects.items() if plural == "events"]


async def test_an_event_names_its_object_and_who_told_it(cluster: Cluster, api: ApiServer) -> None:
    await Events(cluster).warning(APP, "NameConflict", "There is a Service web already.")
    (event,) = written(api)
    assert event["involvedObject"]["uid"] == "u1"
    assert (event["type"], event["reason"]) == ("Warning", "NameConflict")
    assert event["source"]["component"] == "keelway"


async def test_the_same_word_again_is_counted_up(cluster: Cluster, api: ApiServer) -> None:
    events = Events(cluster, clock=Clock())
    for _ in range(3):
        await events.normal(APP, "Ready", "It serves.")
    (event,) = written(api)
    assert event["count"] == 3


async def test_after_a_while_it_is_told_anew(cluster: Cluster, api: ApiServer) -> None:
    clock = Clock()
    events = Events(cluster, clock=clock)
    await events.normal(APP, "Ready", "It serves.")
    clock.now = AGGREGATE_SECONDS + 1
    await events.normal(APP, "Ready", "It serves.")
    assert len(written(api)) == 2


async def test_a_long_message_is_cut_to_what_an_event_holds(cluster: Cluster, api: ApiServer) -> None:
    await Events(cluster).normal(APP, "Ready", "ä" * 1000)
    assert len(written(api)[0]["message"].encode()) <= 1024


async def test_a_refused_event_ends_nothing(cluster: Cluster, api: ApiServer) -> None:
    api.interfere = lambda request: refusal(403, "Forbidden")
    await Events(cluster).normal(APP, "Ready", "It serves.")
    assert written(api) == []


async def test_who_does_not_lead_tells_nothing(api: ApiServer) -> None:
    async with connected(api) as connection:
        await Events(Cluster(connection, Cache(), WriteGate())).normal(APP, "Ready", "It serves.")
    assert api.writes == []
