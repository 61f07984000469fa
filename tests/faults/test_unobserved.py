"""The operator is not told of what happens (Sieve's "unobserved states"): its sweep finds it."""

from collections.abc import Iterator

import pytest

from devcluster.outside import Operator
from tests.faults.cluster import Cluster
from tests.faults.commons import Commons
from tests.faults.oracles import check
from tests.faults.playing import play_through
from tests.faults.proxy import Proxy
from tests.faults.rules import Drop, Match, Reset, Rule, watches
from tests.faults.scene import LEADING_SECONDS, Scene
from tests.faults.stories import app, day_with_both, life_of_an_app
from tests.faults.undisturbed import Undisturbed


@pytest.fixture
def operator(cluster: Cluster, commons: Commons, proxy: Proxy) -> Iterator[Operator]:
    """An operator that sweeps every 5 s in place of 300."""
    operator = cluster.operator(proxy, KEELWAY_SWEEP_SECONDS="5")
    operator.start()
    operator.wait_until_leading(LEADING_SECONDS)
    yield operator
    operator.kill()


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(watches(), id="none"),
        pytest.param(watches("/(builds|jobs|pods)$"), id="none of a build"),
    ],
)
def test_events_that_never_come_are_found_by_the_sweep(
    scene: Scene, commons: Commons, undisturbed: Undisturbed, which: Match
) -> None:
    play_through(
        scene, undisturbed, day_with_both(commons), lambda scene: scene.proxy.faulty(Rule(which, Drop())), seconds=240
    )


def test_what_came_and_went_while_no_watch_was_open_is_known(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, *_, deleted = undisturbed.of(story, scene)
    scene.tenant.apply(app(commons.old, replicas=1), {**app(commons.old, replicas=1), "metadata": {"name": "brief"}})
    scene.tenant.wait("app/web")
    scene.tenant.wait("app/brief")

    with scene.proxy.faulty(Rule(watches(), Reset())):
        scene.proxy.cut_watches()
        # Gone; gone and there again as another; there and gone again.
        scene.tenant.run("delete", "app/brief", "app/web")
        story.steps[0].act(scene.tenant)
        scene.tenant.apply({**app(commons.old), "metadata": {"name": "briefer"}})
        scene.tenant.run("delete", "app/briefer")
        scene.tenant.run("wait", "--for=delete", "deployment/web", "deployment/brief", "--timeout=60s")
    check(scene, created.state)
    story.steps[-1].act(scene.tenant)
    check(scene, deleted.state)
