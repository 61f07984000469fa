"""Webhooks over real HTTP: who is refused and how, and what is written on which Images, over a small API server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from keelway.api.resources import IMAGES
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import always_open
from keelway.engine import deliveries as module
from keelway.engine import webhook
from keelway.engine.deliveries import Deliveries
from keelway.engine.metrics import Metrics
from keelway.engine.webhook import WebhookServer
from keelway.registry.mirrors import Mirrors
from tests.unit.cluster.apiserver import ApiServer, connected, refusal
from tests.unit.conditions import until
from tests.unit.hooks import deliveries as made
from tests.unit.hooks.deliveries import TOKEN, encoded
from tests.unit.objects import NOW, raw_image

SHOP = {"git": {"url": "https://git.example/team/shop.git", "revision": "main"}}
OTHER = {"git": {"url": "https://git.example/team/other.git", "revision": "main"}}
PUSH = encoded(made.github())


class World:
    """A replica of the operator, as far as it takes webhooks."""

    def __init__(self, api: ApiServer, deliveries: Deliveries, tokens: Path) -> None:
        self.api = api
        self.metrics = Metrics()
        self.tokens = tokens
        self.server = WebhookServer(0, tokens, deliveries, self.metrics, lambda: NOW)
        self.url = ""
        self.retry_after: str | None = None

    def image(self, name: str, namespace: str = "team-a", **more: Any) -> None:
        raw = raw_image(name, namespace, source=more.pop("source", SHOP))
        del raw["metadata"]["resourceVersion"]
        self.api.put(IMAGES, {**raw, **more})

    def delivery(self, name: str, namespace: str = "team-a") -> Any:
        """What is recorded on an Image."""
        return self.api.objects["images", namespace, name].get("status", {}).get("lastDelivery")

    async def send(self, body: Any, headers: Mapping[str, str], path: str = "/webhook") -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}{path}", data=body, headers=headers) as response,
        ):
            self.retry_after = response.headers.get("Retry-After")
            return response.status, await response.text()

    async def github(self, body: bytes = PUSH, token: str = TOKEN) -> tuple[int, str]:
        return await self.send(body, made.of_github(body, token))

    def counted(self, sender: str, result: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "keelway_webhook_deliveries_total", {"sender": sender, "result": result}
        )
        return value or 0.0


@asynccontextmanager
async def taking(tmp_path: Path, pause: float = 0.0) -> AsyncIterator[World]:
    api = ApiServer()
    tokens = tmp_path / "token"
    tokens.write_text(TOKEN)
    async with connected(api) as connection:
        cluster = Cluster(connection, Cache(()), always_open())
        async with Deliveries(cluster, Mirrors(), pause) as deliveries:
            world = World(api, deliveries, tokens)
            world.url = f"http://127.0.0.1:{await world.server.start()}"
            try:
                yield world
            finally:
                await world.server.stop()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with taking(tmp_path) as one:
        one.image("shop")
        one.image("other", source=OTHER)
        yield one


class TestADelivery:
    async def test_is_recorded_on_the_images_concerned_and_on_no_other(self, world: World) -> None:
        world.image("shop", "team-b", status={"latestBuild": "shop-1"})
        assert await world.github() == (200, '{"images": 2}')
        assert world.delivery("shop").startswith("github-")
        assert world.delivery("shop") == world.delivery("shop", "team-b")
        assert world.delivery("other") is None
        assert world.api.objects["images", "team-b", "shop"]["status"]["latestBuild"] == "shop-1", "and nothing else"
        assert len(world.api.writes) == 2
        assert all(one.endswith("/status") for one in world.api.writes), "no permission for more is needed"
        assert world.counted("github", "recorded") == 1

    async def test_sent_again_writes_nothing(self, world: World) -> None:
        await world.github()
        assert await world.github() == (200, '{"images": 1}')
        assert await world.send(PUSH, made.of_github(PUSH, **{"x-github-delivery": "another"})) == (
            200,
            '{"images": 1}',
        )
        assert len(world.api.writes) == 1

    async def test_of_another_push_is_another(self, world: World) -> None:
        await world.github()
        before = world.delivery("shop")
        await world.github(encoded(made.github(after="0" * 40)))
        assert world.delivery("shop") != before

    async def test_for_nobody_is_no_error(self, world: World) -> None:
        nobody = encoded(made.github(ref="refs/heads/nobody"))
        assert await world.github(nobody) == (200, '{"images": 0}')
        assert world.api.writes == []
        assert world.counted("github", "nobody") == 1

    async def test_of_a_registry_is_recorded_on_who_builds_on_the_tag(self, world: World) -> None:
        base = {"baseImages": ["registry.example:5000/library/python:3.11-slim"]}
        world.image("on-python", source={"inline": {"files": []}}, status=base)
        body = encoded(made.registry())
        assert await world.send(body, made.of_registry()) == (200, '{"images": 1}')
        assert world.delivery("on-python").startswith("registry-")
        assert world.delivery("shop") is None

    async def test_of_an_image_that_went_meanwhile_is_left(self, world: World) -> None:
        world.api.interfere = lambda request: refusal(404, "NotFound") if request.method == "PATCH" else None
        assert await world.github() == (200, '{"images": 1}')

    @pytest.mark.parametrize(("status", "answer"), [(422, 200), (403, 200), (500, 503)])
    async def test_that_cannot_be_written_on_one_image_is_written_on_the_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch, status: int, answer: int
    ) -> None:
        monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
        world.image("a-bad-one")
        world.api.interfere = lambda request: refusal(status, "No") if "a-bad-one" in request.path else None
        assert (await world.github())[0] == answer, "what another try may cure is asked for again"
        assert world.delivery("shop") is not None

    async def test_of_what_counts_not_asks_the_cluster_for_nothing(self, world: World) -> None:
        ping = b'{"zen": "Keep it logically awesome."}'
        status, text = await world.send(ping, made.of_github(ping, event="ping"))
        assert (status, "Nothing to do" in text) == (200, True)
        assert world.api.requests == []

    async def test_is_found_on_any_page_of_the_list(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_PAGE", 1)
        world.image("zoo")
        assert await world.github() == (200, '{"images": 2}')
        assert world.delivery("zoo") == world.delivery("shop")

    async def test_outlives_an_api_server_that_is_away_for_a_moment(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
        failures = iter((refusal(503, "Away"),))
        world.api.interfere = lambda request: next(failures, None)
        assert await world.github() == (200, '{"images": 1}')

    async def test_is_asked_for_again_where_it_is_away_for_long(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
        world.api.interfere = lambda request: refusal(503, "Away")
        status, text = await world.github()
        assert (status, world.retry_after) == (503, "10")
        assert "test says" not in text, "what the API server says is not for the sender"
        assert world.counted("github", "failed") == 1
        world.api.interfere = lambda request: None
        assert await world.github() == (200, '{"images": 1}')


class TestWhoIsNotBelieved:
    @pytest.mark.parametrize(
        "headers",
        [
            made.of_github(PUSH, "another-token-of-some-length"),
            {"x-github-event": "push"},
            made.of_gitlab("another-token-of-some-length"),
            made.of_registry("Bearer another-token-of-some-length"),
            {"content-type": "application/json"},
        ],
    )
    async def test_hears_no_more_than_that(self, world: World, headers: Mapping[str, str]) -> None:
        for body in (PUSH, b"no json", b""):
            status, text = await world.send(body, headers)
            assert (status, text) == (401, "The signature or token is missing, or not the right one.")
        assert world.api.requests == []
        assert sum(world.counted(one, "refused") for one in ("github", "gitlab", "registry", "unknown")) == 3

    async def test_is_everybody_where_there_is_no_token(self, world: World) -> None:
        for unusable in ("", "short\n"):
            world.tokens.write_text(unusable)
            status, text = await world.github()
            assert (status, "Secret keelway-webhook" in text) == (503, True)
        world.tokens.unlink()
        assert (await world.github())[0] == 503
        assert world.api.requests == []

    async def test_is_believed_as_soon_as_his_token_is_there(self, world: World) -> None:
        new = "a-new-token-of-some-length"
        assert (await world.github(token=new))[0] == 401
        world.tokens.write_text(f"{TOKEN}\n{new}\n")
        assert (await world.github(token=new))[0] == 200
        assert (await world.github())[0] == 200
        world.tokens.write_text(f"{new}\n")
        assert (await world.github())[0] == 401


class TestABody:
    async def test_past_its_bound_is_refused_before_it_is_read(self, world: World) -> None:
        assert (await world.github(b"x" * (webhook.MOST_BYTES + 1)))[0] == 413
        assert (await world.github(b"x" * webhook.MOST_BYTES))[0] == 400

    async def test_that_does_not_say_how_long_it_is_ends_at_the_bound(self, world: World) -> None:
        sent = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(64):
                sent += 1
                yield b"x" * 65536
                await asyncio.sleep(0)

        try:
            status, _ = await world.send(pieces(), {"x-github-event": "push"})
        except aiohttp.ClientError:
            status = 413  # the connection was closed while it was sent
        assert status == 413
        assert world.counted("github", "too large") == 1

    async def test_that_comes_slowly_is_not_waited_for(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook, "READ_SECONDS", 0.05)
        never = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"{"
            await never.wait()

        try:
            async with asyncio.timeout(5):
                status, _ = await world.send(pieces(), {"x-github-event": "push"})
        except aiohttp.ClientError:
            status = 408
        assert status == 408
        assert world.counted("github", "too slow") == 1

    async def test_is_not_unpacked(self, world: World) -> None:
        headers = {**made.of_github(PUSH), "content-encoding": "gzip"}
        assert (await world.send(PUSH, headers))[0] == 415

    async def test_that_cannot_be_read_is_told_to_who_is_believed(self, world: World) -> None:
        status, text = await world.github(b"{}")
        assert (status, text.startswith("InvalidPayload")) == (400, False)
        assert world.counted("github", "malformed") == 1

    async def test_is_taken_at_one_place_only(self, world: World) -> None:
        headers = made.of_github(PUSH)
        assert (await world.send(PUSH, headers, "/"))[0] == 404
        async with aiohttp.ClientSession() as session, session.get(f"{world.url}/webhook") as response:
            assert response.status == 405


class TestABurst:
    async def test_of_pushes_is_one_list_and_one_write_an_image(self, tmp_path: Path) -> None:
        async with taking(tmp_path, pause=0.5) as world:
            world.image("shop")
            await world.github()
            lists, writes = len(world.api.requests) - 1, len(world.api.writes)
            assert (lists, writes) == (1, 1)
            bodies = [encoded(made.github(after=f"{number:040}")) for number in range(100)]
            answers = await asyncio.gather(*(world.github(body) for body in bodies))

        recorded = [one for one in answers if one == (200, '{"images": 1}')]
        # More than are read at once may be asked to come again.
        assert {status for status, _ in answers} <= {200, 429}
        assert len(recorded) >= webhook.READ_AT_ONCE
        assert len(world.api.writes) <= 1 + 2, "the hundred were waited for together"

    async def test_of_bodies_at_once_is_told_to_come_again(self, world: World) -> None:
        release = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield PUSH[:10]
            await release.wait()
            yield PUSH[10:]

        headers = made.of_github(PUSH)
        reading = [asyncio.create_task(world.send(slow(), headers)) for _ in range(webhook.READ_AT_ONCE)]
        await until(world.server._reading.locked)
        assert (await world.github())[0] == 429
        assert world.retry_after is not None
        release.set()
        assert {status for status, _ in await asyncio.gather(*reading)} == {200}
        assert (await world.github())[0] == 200

    async def test_that_the_cluster_cannot_follow_is_told_to_come_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_WAITING", 0)
        assert (await world.github())[0] == 429
        assert world.counted("github", "busy") == 1


async def test_a_replica_that_ends_says_of_no_delivery_that_it_was_recorded(tmp_path: Path) -> None:
    async with taking(tmp_path) as world:
        world.image("shop")
        asked = asyncio.Event()

        def hang(request: web.Request) -> web.Response | None:
            asked.set()
            return None

        world.api.interfere = hang
        world.api.hold = asyncio.Event()
        sending = asyncio.create_task(world.github())
        await asked.wait()
    with pytest.raises(aiohttp.ClientError):
        await sending
    world.api.hold.set()
