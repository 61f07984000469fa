"""Election over a Lease, against an API server that answers, refuses, hangs or is away (contract, "Leadership")."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.apiserver import ApiServer, connected, refusal, serving

from kubernetes.aio.client import Configuration  # isort: skip

from keelway.api.resources import LEASES
from keelway.cluster.connection import Connection
from keelway.cluster.gate import WriteGate
from keelway.engine import leader
from keelway.engine.leader import Elector, Timing

# The real proportions, five times faster: a busy machine may stand still for some tenths of a second.
FAST = Timing(lease=3.0, renew=2.0, retry=0.4, call=0.8)


class Replica:
    def __init__(self, connection: Connection, identity: str) -> None:
        self.gate = WriteGate()
        self.elector = Elector(connection, self.gate, "keelway-system", identity, FAST)

    async def lead(self, seconds: float = 10) -> None:
        await asyncio.wait_for(self.elector.acquire(), seconds)


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def connection(api: ApiServer) -> AsyncIterator[Connection]:
    async with connected(api) as one:
        yield one


def lease(api: ApiServer) -> dict[str, Any]:
    spec: dict[str, Any] = api.objects["leases", "keelway-system", "keelway"]["spec"]
    return spec


@asynccontextmanager
async def holding(replica: Replica) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(replica.elector.hold())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_to_stand_leads_and_its_gate_is_open(connection: Connection, api: ApiServer) -> None:
    one = Replica(connection, "one")
    assert not one.gate.is_open
    await one.lead()
    assert one.gate.is_open
    assert one.elector.leads
    assert lease(api)["holderIdentity"] == "one"


async def test_while_one_leads_another_waits(connection: Connection) -> None:
    one, two = Replica(connection, "one"), Replica(connection, "two")
    await one.lead()
    async with holding(one):
        with pytest.raises(TimeoutError):
            await two.lead(seconds=2 * FAST.lease)
        assert not two.gate.is_open
        assert one.gate.is_open


async def test_a_leader_that_died_is_followed_when_its_lease_is_over(connection: Connection, api: ApiServer) -> None:
    one, two = Replica(connection, "one"), Replica(connection, "two")
    await one.lead()
    begun = asyncio.get_running_loop().time()
    await two.lead()
    waited = asyncio.get_running_loop().time() - begun
    # 15 + 2 * 1.2 s plus a call in real proportions: well within the 30 s, and the 20 s, that are promised
    assert FAST.lease <= waited <= FAST.lease + 1.2 * FAST.retry + FAST.call + 0.2
    assert not one.gate.is_open
    assert lease(api)["leaseTransitions"] == 1


async def test_a_lease_given_back_is_taken_at_once(connection: Connection) -> None:
    one, two = Replica(connection, "one"), Replica(connection, "two")
    await one.lead()
    await one.elector.release()
    assert not one.gate.is_open
    await two.lead(seconds=FAST.lease / 2)


async def test_the_same_pod_restarted_goes_on_at_once(connection: Connection) -> None:
    await Replica(connection, "one").lead()
    await Replica(connection, "one").lead(seconds=FAST.lease / 2)


async def test_a_wall_clock_that_is_off_changes_nothing(
    connection: Connection, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Replica(connection, "one"), Replica(connection, "two")
    monkeypatch.setattr(leader, "_now", lambda: "1999-01-01T00:00:00.000000Z")
    await one.lead()
    async with holding(one):
        monkeypatch.setattr(leader, "_now", lambda: "2099-01-01T00:00:00.000000Z")
        seen = lease(api)["renewTime"]
        with pytest.raises(TimeoutError):
            await two.lead(seconds=2 * FAST.lease)
        assert one.gate.is_open
        assert lease(api)["renewTime"] != seen


@pytest.mark.parametrize("fault", ["refused", "busy", "silent", "nonsense"])
async def test_a_leader_that_cannot_renew_shuts_its_gate_before_its_lease_is_over(
    connection: Connection, api: ApiServer, fault: str
) -> None:
    one = Replica(connection, "one")
    await one.lead()
    begun = asyncio.get_running_loop().time()
    answers = {
        "refused": lambda request: refusal(403, "Forbidden"),
        "busy": lambda request: refusal(503, "ServiceUnavailable"),
        "nonsense": lambda request: web.json_response({"spec": "x"}),
        "silent": lambda request: None,
    }
    api.interfere = answers[fault]
    api.hang = fault == "silent"
    await asyncio.wait_for(one.elector.hold(), FAST.lease)
    assert asyncio.get_running_loop().time() - begun < FAST.lease
    assert not one.gate.is_open
    assert not one.elector.leads


async def test_the_gate_shuts_even_while_the_renewal_still_hangs(connection: Connection, api: ApiServer) -> None:
    one = Replica(connection, "one")
    await one.lead()
    api.hang = True
    async with holding(one):
        await asyncio.sleep(FAST.renew + 0.02)
        assert not one.gate.is_open


async def test_one_failed_renewal_is_survived(connection: Connection, api: ApiServer) -> None:
    one = Replica(connection, "one")
    await one.lead()
    faults = iter([refusal(503, "ServiceUnavailable"), refusal(409, "Conflict")])
    api.interfere = lambda request: next(faults, None)
    async with holding(one) as hold:
        await asyncio.sleep(2 * FAST.renew)
        assert not hold.done()
        assert one.gate.is_open


async def test_who_sees_another_holder_stops_at_once(connection: Connection, api: ApiServer) -> None:
    one = Replica(connection, "one")
    await one.lead()
    taken = lease(api) | {"holderIdentity": "two"}
    api.put(LEASES, {"metadata": {"name": "keelway", "namespace": "keelway-system"}, "spec": taken})
    await asyncio.wait_for(one.elector.hold(), FAST.renew)
    assert not one.gate.is_open


async def test_of_two_that_take_it_at_the_same_moment_one_wins(connection: Connection) -> None:
    one, two = Replica(connection, "one"), Replica(connection, "two")
    tasks = [asyncio.create_task(replica.lead(seconds=FAST.renew / 2)) for replica in (one, two)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "TimeoutError"]
    assert [one.gate.is_open, two.gate.is_open].count(True) == 1


async def test_a_refused_connection_is_not_the_end(api: ApiServer) -> None:
    connection = Connection(Configuration(host="http://127.0.0.1:1"))
    one = Replica(connection, "one")
    with pytest.raises(TimeoutError):
        await one.lead(seconds=0.3)
    assert one.elector.unheard_for is None
    async with serving(api):
        connection._configuration.host = api.url
        await one.lead()
    await connection.close()


async def test_release_ends_also_when_nobody_answers(connection: Connection, api: ApiServer) -> None:
    one = Replica(connection, "one")
    await one.lead()
    api.hang = True
    await asyncio.wait_for(one.elector.release(), 2)
    assert not one.gate.is_open


async def test_a_renewal_that_was_cut_off_on_its_way_does_not_keep_the_lease(
    connection: Connection, api: ApiServer
) -> None:
    """It was written all the same, so the Lease is newer than the one that was last seen."""
    one = Replica(connection, "one")
    await one.lead()
    written = {"metadata": {"name": "keelway", "namespace": "keelway-system"}, "spec": lease(api)}
    api.put(LEASES, written)
    await one.elector.release()
    assert lease(api)["holderIdentity"] == ""


async def test_the_lease_of_another_is_not_given_back(connection: Connection, api: ApiServer) -> None:
    one = Replica(connection, "one")
    await one.lead()
    taken = lease(api) | {"holderIdentity": "two"}
    api.put(LEASES, {"metadata": {"name": "keelway", "namespace": "keelway-system"}, "spec": taken})
    await one.elector.release()
    assert lease(api)["holderIdentity"] == "two"


def test_the_numbers_leave_room_for_a_takeover_within_twenty_seconds() -> None:
    real = Timing()
    assert real.renew < real.lease
    assert 3 * real.call <= real.renew
    assert real.lease + 1.2 * real.retry + 2 * real.call < 25
