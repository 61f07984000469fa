"""Two replicas: whatever happens to the one that leads, the other takes over in time, and there are never two writers.

That is proved from the API server's audit log (`audit.py`), not from what the replicas say of themselves.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from devcluster.outside import SYSTEM, Operator
from tests.e2e.patience import eventually
from tests.faults.audit import Audit, two_writers
from tests.faults.cluster import IDENTITY, Cluster
from tests.faults.commons import Commons
from tests.faults.oracles import builds_once, check, gives_versions_once
from tests.faults.proxy import Proxy
from tests.faults.rules import BlackHole, Refuse, Reset, Rule, everything
from tests.faults.scene import LEADING_SECONDS, Scene
from tests.faults.snapshot import Snapshot
from tests.faults.stories import app, day_with_both, life_of_an_app
from tests.faults.undisturbed import Undisturbed
from tests.kubectl import Kubectl

TAKEOVER_SECONDS = 20.0
"""From the leader's end until the other leads (issue 4): its Lease of 15 s runs out, who waits looks every 2 s."""
AWAY_SECONDS = 300.0
BACK_SECONDS = 15.0
"""From the moment that the API server is there again until what was asked meanwhile is done (issue 4)."""
ANOTHER = "faults-1"


@dataclass(frozen=True)
class Replica:
    """An operator, and its own way to the API server."""

    operator: Operator
    proxy: Proxy

    @property
    def leads(self) -> bool:
        return self.operator.metrics().get("keelway_leader") == 1.0


@contextmanager
def standby(cluster: Cluster, *wrapper: str) -> Iterator[Replica]:
    """A second replica, which waits; at the end the audit log has to know of never two writers meanwhile."""
    audit = Audit.from_now(cluster)
    proxy = cluster.proxy()
    proxy.start()
    operator = cluster.operator(proxy, ANOTHER, wrapper)
    operator.start()
    try:
        eventually("the second replica is there", operator.metrics, 60)
        yield Replica(operator, proxy)
    finally:
        # Well, so that the next test's operator need not wait for its Lease to run out.
        if operator.running:
            operator.thaw()
            operator.stop()
        proxy.stop()
    never_two_writers(audit)


@pytest.mark.subset
def test_a_leader_that_is_killed_is_replaced(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = day_with_both(commons)
    created, *_ = undisturbed.of(story, scene)
    with standby(cluster) as other:
        story.steps[0].act(scene.tenant)
        scene.operator.kill()
        takes_over(other, since=time.monotonic())
        check_both(scene, other, created.state)


def test_a_leader_that_is_cut_off_writes_no_more(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    first = Replica(scene.operator, scene.proxy)
    with standby(cluster) as other:
        with first.proxy.faulty(Rule(everything(), BlackHole())):
            story.steps[0].act(scene.tenant)
            takes_over(other, since=time.monotonic())
            assert not first.leads
            check_both(scene, other, created.state)
        # It is back, and stands by.
        story.steps[1].act(scene.tenant)
        check_both(scene, other, changed.state)
        assert other.leads
        assert not first.leads


def test_a_leader_that_was_frozen_wakes_up_as_none(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, *_ = undisturbed.of(story, scene)
    first = Replica(scene.operator, scene.proxy)
    with standby(cluster) as other:
        story.steps[0].act(scene.tenant)
        eventually("it is at work", lambda: scene.writes, 30)
        first.operator.freeze()
        takes_over(other, since=time.monotonic())
        # Many changes, so that it would have a lot to write when it wakes.
        scene.tenant.apply(*({**app(commons.old, replicas=0), "metadata": {"name": f"more-{n}"}} for n in range(20)))
        first.operator.thaw()
        for n in range(20):
            scene.tenant.wait(f"app/more-{n}")
        scene.tenant.run("delete", *(f"app/more-{n}" for n in range(20)), "--wait=false")
        check_both(scene, other, created.state)


def test_clocks_that_are_off_do_no_harm(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    """One is 30 s fast, the other 30 s slow: nobody goes by the time that another wrote."""
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    scene.operator.kill()
    # Under the same name, so it leads at once.
    first = Replica(cluster.operator(scene.proxy, IDENTITY, ["skewed.py", "+30"]), scene.proxy)
    first.operator.start()
    try:
        first.operator.wait_until_leading(LEADING_SECONDS)
        with standby(cluster, "skewed.py", "-30") as other:
            story.steps[0].act(scene.tenant)
            check(of(scene, first), created.state)
            held = scene.kubectl.json("get", "lease/keelway", "-n", SYSTEM)["spec"]["leaseTransitions"]
            time.sleep(20)  # longer than a Lease
            assert scene.kubectl.json("get", "lease/keelway", "-n", SYSTEM)["spec"]["leaseTransitions"] == held
            assert first.leads
            first.operator.kill()
            takes_over(other, since=time.monotonic())
            story.steps[1].act(scene.tenant)
            check_both(scene, other, changed.state)
    finally:
        first.operator.kill()


def test_an_api_server_that_was_gone_for_five_minutes_is_served_within_15_s(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    """To one replica it answers 503 all the while, to the other nothing at all."""
    story = life_of_an_app(commons)
    created, changed, scaled, _ = undisturbed.of(story, scene)
    first = Replica(scene.operator, scene.proxy)
    with standby(cluster) as second:
        story.steps[0].act(scene.tenant)
        check(scene, created.state)
        with (
            first.proxy.faulty(Rule(everything(), Refuse(503))),
            second.proxy.faulty(Rule(everything(), Reset())),
        ):
            first.proxy.cut_watches()
            story.steps[1].act(scene.tenant)
            time.sleep(AWAY_SECONDS)
            assert first.operator.running
            assert second.operator.running
        there_again = time.monotonic()
        asked = "jsonpath={.spec.template.spec.containers[0].image}"
        eventually(
            "the new image is asked for", lambda: scene.tenant.run("get", "deploy/web", "-o", asked) == commons.new
        )
        took = time.monotonic() - there_again
        print(f"at work again after {took:.1f} s")
        assert took <= BACK_SECONDS
        leader, other = (first, second) if first.leads else (second, first)
        check(of(scene, leader), changed.state)
        # The other is none the worse for it either.
        leader.operator.kill()
        takes_over(other, since=time.monotonic())
        story.steps[2].act(scene.tenant)
        check_both(scene, other, scaled.state)


def test_a_leader_that_is_asked_to_end_hands_over_in_the_middle_of_its_work(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    with standby(cluster) as other:
        story.steps[0].act(scene.tenant)
        eventually("it is at work", lambda: scene.writes, 30)
        begun = time.monotonic()
        assert scene.operator.stop() == 0
        eventually("the other leads", lambda: other.leads, 60)
        assert time.monotonic() - begun < 10, "the Lease was given back, not waited for"
        check_both(scene, other, created.state)
        story.steps[1].act(scene.tenant)
        check_both(scene, other, changed.state)


def test_a_rolling_update_of_the_operator_ends(
    kubectl: Kubectl, cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, *_ = undisturbed.of(story, scene)
    scene.operator.stop()
    audit = Audit.from_now(cluster)
    inside = ("-n", SYSTEM, "deployment/keelway")
    try:
        kubectl.run("scale", *inside, "--replicas=2")
        kubectl.run("rollout", "status", *inside, "--timeout=120s", timeout=150)
        story.steps[0].act(scene.tenant)
        kubectl.run("rollout", "restart", *inside)
        kubectl.run("rollout", "status", *inside, "--timeout=120s", timeout=150)
        check(scene, created.state)
    finally:
        kubectl.run("scale", *inside, "--replicas=0")
        kubectl.run("wait", "pods", "-n", SYSTEM, "--all", "--for=delete", "--timeout=60s")
    never_two_writers(audit)


def takes_over(other: Replica, since: float) -> None:
    """The other replica leads, in time."""
    eventually("the other replica leads", lambda: other.leads, 60)
    took = time.monotonic() - since
    print(f"taken over after {took:.1f} s")
    assert took <= TAKEOVER_SECONDS


def of(scene: Scene, replica: Replica) -> Scene:
    """The same namespace, with that replica at work."""
    return replace(scene, operator=replica.operator, proxy=replica.proxy)


def check_both(scene: Scene, leader: Replica, undisturbed: Snapshot) -> None:
    """All oracles; what both replicas wrote counts together."""
    check(of(scene, leader), undisturbed)
    written = (*scene.writes, *of(scene, leader).writes)
    builds_once(written)
    gives_versions_once(written)


def never_two_writers(audit: Audit) -> None:
    """From the API server's audit log."""
    entries = audit.entries()
    assert any(one.is_write for one in entries), "the log tells of the operator"
    assert two_writers(entries) == []
