"""The verbs: gate, cache, preconditions, errors (contract rules 2 and 6, "Errors", "Leadership")."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import yaml
from aiohttp import web
from kubernetes.aio.client import Configuration

from keelway.api.resources import APPS, DEPLOYMENTS, IMAGES, SECRETS, Resource
from keelway.cluster.cache import Cache
from keelway.cluster.client import WRITES_AT_ONCE, Cluster, merge_patch
from keelway.cluster.connection import Connection, Request
from keelway.cluster.gate import WriteGate, always_open
from keelway.errors import AlreadyExists, Conflict, Forbidden, Invalid, KeelwayError, NotFound, NotLeader, Transient
from tests.unit.cluster.apiserver import ApiServer, connected, refusal
from tests.unit.conditions import until
from tests.unit.web import serve


def an_app(name: str = "web", **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {"replicas": 1}} | parts


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def connection(api: ApiServer) -> AsyncIterator[Connection]:
    async with connected(api) as one:
        yield one


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
def cluster(connection: Connection, woken: list[str]) -> Cluster:
    def wake(resource: Resource, obj: Mapping[str, Any]) -> None:
        woken.append(f"{resource.kind} {obj['metadata']['name']}")

    return Cluster(connection, Cache(), always_open(), wake)


async def test_the_answer_of_a_write_is_in_the_cache_before_its_watch_event(cluster: Cluster, api: ApiServer) -> None:
    made = await cluster.create(APPS, an_app())
    assert cluster.cache.get(APPS, "team", "web") == made
    assert not cluster.cache.put(APPS, api.objects["apps", "team", "web"])  # the event is no news


async def test_a_write_wakes_those_who_did_not_write_it(cluster: Cluster, woken: list[str]) -> None:
    await cluster.create(APPS, an_app())
    assert woken == []
    await cluster.create(IMAGES, an_app("hello"))
    assert woken == ["Image hello"]


async def test_a_shut_gate_lets_no_write_out_and_every_read(connection: Connection, api: ApiServer) -> None:
    cluster = Cluster(connection, Cache(), WriteGate())
    current = api.put(APPS, an_app())
    for write in (
        cluster.create(APPS, an_app()),
        cluster.apply(APPS, an_app()),
        cluster.patch_status(APPS, current, {"url": "x"}),
        cluster.merge_patch(APPS, "team", "web", {}),
        cluster.json_patch(APPS, "team", "web", []),
        cluster.delete(APPS, "team", "web"),
    ):
        with pytest.raises(NotLeader):
            await write
    assert api.writes == []
    assert await cluster.get(APPS, "team", "web") is not None


async def test_status_patches_hold_the_version_and_only_what_changed(cluster: Cluster, api: ApiServer) -> None:
    current = api.put(APPS, an_app(status={"url": "old", "version": "v1", "gone": 1}))
    answer = await cluster.patch_status(APPS, current, {"url": "new", "version": "v1"})
    assert answer["status"] == {"url": "new", "version": "v1"}
    assert api.requests[-1].endswith("/apps/web/status")


async def test_a_status_that_is_so_already_is_not_written(cluster: Cluster, api: ApiServer) -> None:
    current = api.put(APPS, an_app(status={"url": "same"}))
    await cluster.patch_status(APPS, current, {"url": "same"})
    assert api.writes == []


async def test_a_status_patch_over_somebody_elses_write_is_a_conflict_and_the_cache_reads_again(
    cluster: Cluster, api: ApiServer
) -> None:
    old = api.put(APPS, an_app())
    api.put(APPS, an_app(spec={"replicas": 7}))
    with pytest.raises(Conflict):
        await cluster.patch_status(APPS, old, {"url": "x"})
    assert cluster.cache.get(APPS, "team", "web")["spec"] == {"replicas": 7}  # type: ignore[index]


async def test_the_change_that_a_conflict_told_of_is_looked_at_at_once(
    cluster: Cluster, api: ApiServer, woken: list[str]
) -> None:
    """Its watch event is no news any more, and the refused pass would wait for its turn after a failure."""
    old = api.put(APPS, an_app())
    cluster.cache.put(APPS, old)
    changed = api.put(APPS, an_app(spec={"replicas": 7}))
    with pytest.raises(Conflict):
        await cluster.patch_status(APPS, old, {"url": "x"})
    assert woken == ["App web"]
    assert not cluster.cache.put(APPS, changed)


async def test_a_status_patch_of_what_is_gone_takes_it_out_of_the_cache(cluster: Cluster, api: ApiServer) -> None:
    """A pass over it would be tried again and again where the watch has missed its end."""
    gone = api.put(APPS, an_app())
    cluster.cache.put(APPS, gone)
    api.drop(APPS, "team", "web", quietly=True)
    with pytest.raises(NotFound):
        await cluster.patch_status(APPS, gone, {"url": "x"})
    assert cluster.cache.get(APPS, "team", "web") is None


async def test_create_is_the_compare_and_swap(cluster: Cluster) -> None:
    await cluster.create(APPS, an_app())
    with pytest.raises(AlreadyExists):
        await cluster.create(APPS, an_app())


@pytest.mark.parametrize("text", ["🚢", "ünï 漢", "🚢\x7f\ufeff\uffff\u2028", "\\ud83d 🚢", "\\ud83d", "\ud7ff"])
async def test_what_is_applied_is_yaml_whatever_the_text(text: str) -> None:
    """Kubernetes reads an apply as YAML, whose escapes know no surrogate pairs."""
    bodies: list[str] = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.json_response(an_app())

    async with serve(keep) as url:
        connection = Connection(Configuration(host=url))
        await Cluster(connection, Cache(), always_open()).apply(DEPLOYMENTS, an_app(spec={"text": text}))
        await connection.close()
    assert yaml.safe_load(bodies[0])["spec"] == {"text": text}


async def test_delete_only_ever_hits_the_object_that_was_meant(cluster: Cluster, api: ApiServer) -> None:
    api.put(APPS, an_app())
    with pytest.raises(Conflict):
        await cluster.delete(APPS, "team", "web", uid="another")
    assert ("apps", "team", "web") in api.objects


async def test_delete_of_what_is_gone_is_done(cluster: Cluster) -> None:
    await cluster.delete(APPS, "team", "web", uid="u1")


async def test_what_was_deleted_is_out_of_the_cache_at_once(cluster: Cluster) -> None:
    made = await cluster.create(APPS, an_app())
    await cluster.delete_object(APPS, made)
    assert cluster.cache.get(APPS, "team", "web") is None


async def test_lists_are_paged_to_their_end(cluster: Cluster, api: ApiServer) -> None:
    for number in range(7):
        api.put(APPS, an_app(f"app-{number}"))
    found = [item async for page in cluster.pages(APPS, limit=3) for item in page["items"]]
    assert len(found) == 7
    assert len(api.requests) == 3


async def test_metadata_lists_hold_no_spec_but_say_what_they_are(cluster: Cluster, api: ApiServer) -> None:
    api.put(APPS, an_app())
    found = [one async for one in cluster.list(APPS, metadata_only=True)]
    assert "spec" not in found[0]
    assert found[0]["kind"] == "App"


async def test_secrets_are_read_but_never_kept(cluster: Cluster, api: ApiServer) -> None:
    api.interfere = lambda request: web.json_response({"kind": "Secret", "metadata": {"name": "s"}, "data": {}})
    assert await cluster.get(SECRETS, "team", "s") is not None
    assert len(cluster.cache) == 0


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Forbidden),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Transient),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Transient),
        (500, "InternalError", Transient),
        (503, "ServiceUnavailable", Transient),
        (599, "", Transient),
    ],
)
async def test_refusals_become_our_errors(
    cluster: Cluster, api: ApiServer, code: int, reason: str, error: type[KeelwayError]
) -> None:
    api.interfere = lambda request: refusal(code, reason)
    with pytest.raises(error, match="PATCH /apis/apps/v1"):
        await cluster.apply(DEPLOYMENTS, an_app())


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ('pods is forbidden: User "keelway" cannot create resource "pods"', "this permission"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest"', "Cure what the message names"),
        ('pods "a" is forbidden: exceeded quota: team', "Cure what the message names"),
    ],
)
async def test_a_403_is_not_always_a_missing_permission(
    cluster: Cluster, api: ApiServer, message: str, remedy: str
) -> None:
    body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
    api.interfere = lambda request: web.json_response(body, status=403)
    with pytest.raises(Forbidden) as refused:
        await cluster.apply(DEPLOYMENTS, an_app())
    assert message in refused.value.message
    assert remedy in refused.value.message


@pytest.mark.parametrize(
    "message",
    [
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2098 vs. 2097)",
        'failed to create typed patch object (a/b; v1, Kind=X): .env: duplicate entries for key [name="A"]',
    ],
)
async def test_a_500_that_no_retry_cures_is_a_refusal(cluster: Cluster, api: ApiServer, message: str) -> None:
    body = {"kind": "Status", "code": 500, "message": message}
    api.interfere = lambda request: web.json_response(body, status=500)
    with pytest.raises(Invalid) as refused:
        await cluster.apply(DEPLOYMENTS, an_app())
    assert message in refused.value.message
    assert "Make the object smaller" in refused.value.message


async def test_retry_after_is_told_to_whoever_retries(cluster: Cluster, api: ApiServer) -> None:
    api.interfere = lambda request: refusal(429, "TooManyRequests", **{"Retry-After": "7"})
    with pytest.raises(Transient) as caught:
        await cluster.apply(APPS, an_app())
    assert caught.value.retry_after == 7.0


async def test_an_answer_that_is_not_kubernetes_is_transient(cluster: Cluster, api: ApiServer) -> None:
    api.interfere = lambda request: web.Response(status=502, text="<html>bad gateway</html>")
    with pytest.raises(Transient, match="bad gateway"):
        await cluster.get(APPS, "team", "web")
    api.interfere = lambda request: web.Response(text="[]")
    with pytest.raises(Transient, match="no JSON object"):
        await cluster.get(APPS, "team", "web")


async def test_silence_ends_after_the_time_given(connection: Connection, api: ApiServer) -> None:
    api.hang = True
    with pytest.raises(Transient, match="GET /x"):
        await connection.send(Request("GET", "/x", seconds=0.05))


async def test_a_write_never_outlives_the_lease(connection: Connection, api: ApiServer) -> None:
    gate = WriteGate(clock=lambda: 100.0)
    gate.open_until(deadline=100.01, expiry=100.1)
    api.hang = True
    with pytest.raises(Transient):
        await Cluster(connection, Cache(), gate).apply(APPS, an_app())


async def test_a_refused_connection_is_transient() -> None:
    connection = Connection(Configuration(host="http://127.0.0.1:1"))
    with pytest.raises(Transient, match="retried by itself"):
        await connection.send(Request("GET", "/x"))
    await connection.close()


async def test_a_rotated_token_counts_at_the_next_request(api: ApiServer) -> None:
    async with connected(api):
        tokens = iter(["first", "second"])
        seen: list[str | None] = []

        def note(request: web.Request) -> web.Response:
            seen.append(request.headers.get("Authorization"))
            return web.json_response({})

        api.interfere = note
        configuration = Configuration(host=api.url)

        def refresh(configuration: Any) -> None:
            configuration.api_key["BearerToken"] = f"bearer {next(tokens)}"

        configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]
        connection = Connection(configuration)
        await connection.send(Request("GET", "/x"))
        await connection.send(Request("GET", "/x"))
        await connection.close()
    assert seen == ["bearer first", "bearer second"]


async def test_each_request_says_which_replica_it_is_of(api: ApiServer) -> None:
    seen: list[str | None] = []

    def note(request: web.Request) -> web.Response:
        seen.append(request.headers.get("User-Agent"))
        return web.json_response({})

    api.interfere = note
    async with connected(api):
        connection = Connection(Configuration(host=api.url), agent="keelway/1.2.3 (keelway-abc)")
        await connection.send(Request("GET", "/x"))
        async with connection.new_session() as watching, watching.get(f"{api.url}/x"):
            pass
        await connection.close()
    assert seen == ["keelway/1.2.3 (keelway-abc)"] * 2


async def test_credentials_that_cannot_be_read_say_what_to_do() -> None:
    with pytest.raises(Transient, match="KEELWAY_CONTEXT"):
        await Connection.open(context="no-such-context")


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({}, {"a": {}}, {"a": {}}),
    ],
)
def test_a_merge_patch_is_the_smallest_that_leads_there(
    before: dict[str, Any], after: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert merge_patch(before, after) == patch


async def test_a_burst_of_writes_leaves_the_api_server_to_others_and_ends_with_the_lease(
    connection: Connection, api: ApiServer
) -> None:
    gate = always_open()
    cluster = Cluster(connection, Cache(), gate)
    api.hold = asyncio.Event()
    writes = [
        asyncio.create_task(cluster.create(APPS, {"metadata": {"name": f"web-{n}", "namespace": f"team-{n % 3}"}}))
        for n in range(30)
    ]
    await until(lambda: len(api.requests) == WRITES_AT_ONCE)
    await cluster.get(APPS, "team", "web")  # a read is not kept waiting

    gate.shut()
    api.hold.set()
    ends = await asyncio.gather(*writes, return_exceptions=True)
    assert len(api.writes) == WRITES_AT_ONCE
    assert sum(isinstance(end, NotLeader) for end in ends) == 30 - WRITES_AT_ONCE


async def test_a_delete_that_met_another_object_makes_it_known(cluster: Cluster, api: ApiServer) -> None:
    known = await cluster.create(APPS, an_app())
    api.drop(APPS, "team", "web", quietly=True)
    another = api.put(APPS, an_app(), quietly=True)
    with pytest.raises(Conflict):
        await cluster.delete_object(APPS, known)
    assert cluster.cache.get(APPS, "team", "web") == another
