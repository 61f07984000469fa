"""The operator is told of the past (Sieve's "stale states"). `test_unobserved.py`: it is not told at all."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.commons import Commons
from tests.faults.oracles import check
from tests.faults.rules import Hold, Rule, Stale, lists, watches
from tests.faults.scene import Scene
from tests.faults.snapshot import Snapshot
from tests.faults.stories import app, day_with_both, life_of_an_app, life_of_both
from tests.faults.undisturbed import Undisturbed


@contextmanager
def in_the_past(scene: Scene, lateness: float, which: str = "") -> Iterator[None]:
    """Lists are those of the operator's last start; watches go on from there, so many seconds behind."""
    with scene.proxy.faulty(Rule(lists(which), Stale()), Rule(watches(which), Hold(lateness), times=1)):
        yield


def begins_in_the_past(scene: Scene, expected: Snapshot, lateness: float = 3, which: str = "") -> None:
    """Killed and started again in the past, the operator leaves all as it is."""
    scene.operator.kill()
    with in_the_past(scene, lateness, which):
        scene.restart()
        check(scene, expected)


def test_an_operator_that_starts_in_the_past_undoes_nothing(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_both(commons)
    created, changed, _, deleted = undisturbed.of(story, scene)
    create, change, _, delete = story.steps
    create.act(scene.tenant)
    check(scene, created.state)
    # What it lists now is what it is told again later.
    scene.operator.kill()
    scene.restart()
    change.act(scene.tenant)
    check(scene, changed.state)

    begins_in_the_past(scene, changed.state)
    delete.act(scene.tenant)
    check(scene, deleted.state)
    begins_in_the_past(scene, deleted.state)


def test_an_operator_that_knows_an_app_of_before_leaves_the_new_one_alone(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created = undisturbed.of(story, scene)[0]
    scene.tenant.apply(app(commons.new, replicas=1))
    scene.tenant.wait("app/web")
    scene.operator.kill()
    scene.restart()
    scene.tenant.run("delete", "app/web")
    scene.tenant.run("wait", "--for=delete", "deployment/web", "service/web", "--timeout=60s")
    story.steps[0].act(scene.tenant)
    check(scene, created.state)

    begins_in_the_past(scene, created.state)


def test_an_image_whose_records_come_late_is_not_built_again(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = day_with_both(commons)
    built, *_ = undisturbed.of(story, scene)
    story.steps[0].act(scene.tenant)
    check(scene, built.state)

    begins_in_the_past(scene, built.state, 5, "/(builds|jobs)$")
