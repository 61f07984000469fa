"""Probes and metrics over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from keelway.engine.health import HealthServer
from keelway.engine.metrics import Metrics


class Process:
    def __init__(self) -> None:
        self.trouble: list[str] = []
        self.unready: list[str] = []
        self.metrics = Metrics()
        self.server = HealthServer(0, lambda: self.trouble, lambda: self.unready, self.metrics.registry)
        self.port = 0

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text()


@asynccontextmanager
async def serving() -> AsyncIterator[Process]:
    process = Process()
    process.port = await process.server.start()
    try:
        yield process
    finally:
        await process.server.stop()


async def test_all_is_well() -> None:
    async with serving() as process:
        assert await process.get("/livez") == (200, "ok")
        assert await process.get("/readyz") == (200, "ok")


async def test_trouble_is_told_in_words() -> None:
    async with serving() as process:
        process.trouble = ["the queue stands still"]
        assert await process.get("/livez") == (503, "the queue stands still")
        assert (await process.get("/readyz"))[0] == 200


async def test_readiness_is_asked_separately() -> None:
    async with serving() as process:
        process.unready = ["no answer"]
        assert (await process.get("/readyz"))[0] == 503
        assert (await process.get("/livez"))[0] == 200


async def test_metrics_are_served_as_prometheus_reads_them() -> None:
    async with serving() as process:
        process.metrics.reconciles.labels("App", "ok").inc()
        status, text = await process.get("/metrics")
    assert status == 200
    assert 'keelway_reconciles_total{kind="App",result="ok"} 1.0' in text


def test_a_build_is_counted_once_and_history_not_at_all() -> None:
    metrics = Metrics()
    ended = {"conditions": [{"type": "Succeeded", "status": "True"}], "startedAt": "2999-01-01T00:00:00Z"}
    build = {"metadata": {"uid": "u1"}, "status": ended | {"finishedAt": "2999-01-01T00:00:05Z"}}
    old = {"metadata": {"uid": "u2"}, "status": ended | {"finishedAt": "2020-01-01T00:00:05Z"}}
    for one in (build, build, old, {"metadata": {"uid": "u3"}}):
        metrics.build_ended(one)
    value = metrics.registry.get_sample_value
    assert value("keelway_builds_total", {"result": "succeeded"}) == 1
    assert value("keelway_build_duration_seconds_sum", {"result": "succeeded"}) == 5
