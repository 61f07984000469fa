"""The fault proxy, tried on a small API server."""

import asyncio
import ssl

import aiohttp

from keelway.api.resources import APPS
from tests.faults.proxy import Proxy, Upstream
from tests.faults.rules import Rule, Stale, lists
from tests.unit.cluster.apiserver import ApiServer, serving

WHOLE = "application/json"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


async def test_a_list_of_the_past_is_answered_as_it_is_asked_for() -> None:
    api = ApiServer()
    api.put(APPS, {"metadata": {"name": "web", "namespace": "team"}, "spec": {"replicas": 1}})
    async with serving(api), aiohttp.ClientSession() as session:
        proxy = Proxy(Upstream(api.url, ssl.create_default_context()))
        await asyncio.to_thread(proxy.start)

        async def listed(accept: str) -> list[object]:
            url = f"{proxy.url}{APPS.path()}?limit=500"
            async with session.get(url, headers={"Accept": accept}) as answer:
                return [item.get("spec") for item in (await answer.json())["items"]]

        try:
            await listed(WHOLE)
            await listed(METADATA)
            api.put(APPS, {"metadata": {"name": "web", "namespace": "team"}, "spec": {"replicas": 2}})
            with proxy.faulty(Rule(lists(), Stale())):
                assert await listed(WHOLE) == [{"replicas": 1}]
                assert await listed(METADATA) == [None]
        finally:
            await asyncio.to_thread(proxy.stop)
