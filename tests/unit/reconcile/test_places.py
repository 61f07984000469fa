"""Places at the build service, over what the cache knows: a real cache, and the Images that are woken."""

from typing import Any

import pytest

from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.resources import BUILDS, IMAGES, JOBS
from keelway.children import names
from keelway.cluster.cache import Cache
from keelway.reconcile.outcome import Key
from keelway.reconcile.places import Places
from keelway.settings import Settings
from tests.unit.objects import raw_image


class World:
    """Images with a waiting Build each; `cap` builds may run."""

    def __init__(self, cap: int) -> None:
        self.cache = Cache()
        self.woken: list[Key] = []
        self.now = 0.0
        settings = Settings(registry="registry.example", max_builds=cap)
        self.places = Places(self.cache, settings, self.woken.append, lambda: self.now)
        self.version = 100

    def waits(self, namespace: str, minute: int, **image_spec: Any) -> tuple[Image, Build]:
        """A Build without a Job, made at that minute."""
        image = raw_image("hello", namespace, **image_spec)
        self._put(IMAGES, image)
        build = {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Build",
            "metadata": {
                "name": f"hello-{minute}",
                "namespace": namespace,
                "uid": f"{minute:08}-{namespace}",
                "creationTimestamp": f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z",
                "ownerReferences": [
                    {"kind": "Image", "name": "hello", "uid": image["metadata"]["uid"], "controller": True}
                ],
            },
            "spec": {
                "image": "hello",
                "number": minute,
                "reason": "SpecChanged",
                "revision": "r1",
                "source": image["spec"]["source"],
                "repository": f"registry.example/{namespace}/hello",
            },
        }
        self._put(BUILDS, build)
        return Image.parse(image), Build.parse(build)

    def waits_too(self, of: tuple[Image, Build], name: str, minute: int, **image_spec: Any) -> tuple[Image, Build]:
        """A Build like the one given, of another Image of its namespace."""
        image, build = of
        namespace = image.metadata.namespace
        raw = raw_image(name, namespace, **image_spec)
        self._put(IMAGES, raw)
        record = build.to_dict()
        record["metadata"] = {
            "name": f"{name}-{minute}",
            "namespace": namespace,
            "uid": f"{minute:08}-{namespace}-{name}",
            "creationTimestamp": f"2026-01-01T00:{minute:02}:00Z",
            "ownerReferences": [{"kind": "Image", "name": name, "uid": raw["metadata"]["uid"], "controller": True}],
        }
        record["spec"]["image"] = name
        self._put(BUILDS, record)
        return Image.parse(raw), Build.parse(record)

    def starts(self, build: Build, *, finished: bool = False) -> None:
        """The build's Job, as it stands in the cache once it was made."""
        metadata = build.metadata
        labels = {
            **names.image_labels(metadata.namespace, build.spec.image, f"uid-of-{metadata.namespace}-hello"),
            names.BUILD_UID_LABEL: metadata.uid,
        }
        name = names.job_name(metadata.name, metadata.uid)
        conditions = [{"type": "Complete", "status": "True"}] if finished else []
        job = {
            "metadata": {"name": name, "namespace": "keelway-builds", "uid": f"job-{metadata.uid}", "labels": labels},
            "spec": {},
            "status": {"conditions": conditions},
        }
        self._put(JOBS, job)

    def ends(self, build: Build) -> None:
        """The build's record is closed."""
        raw = self.cache.get(BUILDS, build.metadata.namespace, build.metadata.name)
        assert raw is not None
        closed = {"type": "Succeeded", "status": "False", "reason": "RunFailed"}
        raw["status"] = {"conditions": [closed | {"lastTransitionTime": "2026-01-01T01:00:00Z"}]}
        self._put(BUILDS, raw)

    def may_start(self, image: Image, build: Build) -> bool:
        with self.places.taking(image, build) as admitted:
            return admitted

    def wakes(self) -> list[str]:
        self.woken.clear()
        self.places.wake_next()
        return [key.namespace for key in self.woken]

    def _put(self, resource: Any, obj: dict[str, Any]) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        assert self.cache.put(resource, obj)


def test_records_of_another_schema_take_no_place_and_stop_nobody() -> None:
    world = World(cap=1)
    waits = world.waits("a", 1)
    odd: list[dict[str, Any]] = [{}, {"spec": {"number": 1}}, {"spec": {}, "status": {"conditions": [{"odd": 1}]}}]
    odd += [{"status": "fine"}, {"status": {"conditions": "fine"}}, {"status": {"conditions": ["fine"]}}]
    for number, parts in enumerate(odd):
        world._put(BUILDS, {"metadata": {"name": f"odd-{number}", "namespace": "a", "uid": f"odd-{number}"}, **parts})
    world._put(IMAGES, {"metadata": {"name": "odd", "namespace": "a", "uid": "odd"}, "spec": None})
    assert world.may_start(*waits)


def test_a_build_starts_where_a_place_is_free() -> None:
    world = World(cap=1)
    assert world.may_start(*world.waits("a", 1))


def test_a_build_waits_while_all_places_are_taken() -> None:
    world = World(cap=1)
    first, second = world.waits("a", 1), world.waits("b", 2)
    world.starts(first[1])
    assert not world.may_start(*second)


def test_a_finished_job_frees_its_place() -> None:
    world = World(cap=1)
    first, second = world.waits("a", 1), world.waits("b", 2)
    world.starts(first[1], finished=True)
    world.ends(first[1])
    assert world.may_start(*second)
    assert world.wakes() == ["b"]


def test_who_waits_longer_goes_first() -> None:
    world = World(cap=1)
    first, second = world.waits("a", 1), world.waits("b", 2)
    assert not world.may_start(*second)
    assert world.may_start(*first)


def test_two_passes_at_once_do_not_take_the_same_place() -> None:
    """Between the decision and the Job's creation the cache shows neither of them."""
    world = World(cap=1)
    first, second = world.waits("a", 1), world.waits("b", 2)
    with world.places.taking(*first) as admitted:
        assert admitted
        assert not world.may_start(*second)


def test_a_job_that_was_just_made_is_not_counted_twice() -> None:
    world = World(cap=2)
    first, second = world.waits("a", 1), world.waits("b", 2)
    with world.places.taking(*first):
        world.starts(first[1])
        assert world.may_start(*second)


def test_a_build_that_cannot_start_leaves_its_place_to_others() -> None:
    world = World(cap=1)
    first, second = world.waits("a", 1), world.waits("b", 2)
    with pytest.raises(LookupError), world.places.taking(*first):
        raise LookupError("its Secret is missing")
    assert world.may_start(*second)
    assert world.wakes() == ["b"]


def test_a_build_that_could_not_start_may_try_again() -> None:
    world = World(cap=1)
    first = world.waits("a", 1)
    with pytest.raises(LookupError), world.places.taking(*first):
        raise LookupError("its Secret is missing")
    assert world.may_start(*first)


def test_a_record_that_somebody_made_by_hand_takes_no_place() -> None:
    """No pass would ever start it, for its Image does not own it."""
    world = World(cap=1)
    foreign, waiting = world.waits("a", 1), world.waits("b", 2)
    raw = world.cache.get(BUILDS, "a", foreign[1].metadata.name)
    assert raw is not None
    del raw["metadata"]["ownerReferences"]
    world._put(BUILDS, raw)
    assert world.may_start(*waiting)


def test_builds_of_a_suspended_image_or_of_none_take_no_place() -> None:
    world = World(cap=1)
    suspended, waiting = world.waits("a", 1, suspend=True), world.waits("b", 2)
    assert not world.may_start(*suspended)
    assert world.may_start(*waiting)


def test_a_record_that_cannot_be_read_stops_nobody() -> None:
    world = World(cap=1)
    broken = world.waits("a", 1)[1]
    raw = world.cache.get(BUILDS, "a", broken.metadata.name)
    assert raw is not None
    raw["spec"]["number"] = "seven"
    world._put(BUILDS, raw)
    assert world.may_start(*world.waits("b", 2))


def test_only_those_are_woken_that_may_start() -> None:
    world = World(cap=2)
    running = world.waits("a", 1)
    world.waits("b", 2)
    world.waits("c", 3)
    world.starts(running[1])
    assert world.wakes() == ["b"]


def test_an_image_in_a_hurry_goes_before_others_of_its_namespace() -> None:
    world = World(cap=1)
    calm = world.waits("a", 1)
    urgent = world.waits_too(calm, "urgent", 2, build={"priority": "High"})
    assert not world.may_start(*calm)
    assert world.may_start(*urgent)


def test_a_priority_counts_as_the_image_has_it_now() -> None:
    world = World(cap=1)
    first = world.waits("a", 1)
    second = world.waits_too(first, "second", 2)
    assert not world.may_start(*second)
    world._put(IMAGES, raw_image("second", "a", build={"priority": "High"}))
    assert world.may_start(*second)
    assert second[1].spec.build.priority == "Normal", "its record says what was asked when it was made"


def test_a_priority_takes_no_turn_from_another_namespace() -> None:
    world = World(cap=1)
    calm = world.waits("a", 1)
    urgent = world.waits("b", 2, build={"priority": "High"})
    assert not world.may_start(*urgent)
    assert world.may_start(*calm)


def _queue(world: World, length: int) -> list[tuple[Image, Build]]:
    """One build runs; so many of other namespaces wait, and each has been told its place."""
    world.starts(world.waits("running", 999)[1])
    queue = [world.waits(f"n{number:03}", number) for number in range(1, length + 1)]
    assert not any(world.may_start(*one) for one in queue)
    return queue


def test_who_waits_is_told_how_many_are_before_it_in_coarse_steps() -> None:
    world = World(cap=1)
    queue = _queue(world, 25)
    told = [world.places.place(build.metadata.uid) for _, build in queue]
    assert told == [0, 1, 2, 3, 4, *[5] * 5, *[10] * 10, *[20] * 5]


def test_who_waits_is_woken_only_when_its_place_has_come_a_step_nearer() -> None:
    """Or each end of a build would write the status of everybody in the queue."""
    world = World(cap=1)
    queue = _queue(world, 40)
    passes = 0
    for image, build in queue:
        raw = world.cache.get(BUILDS, image.metadata.namespace, build.metadata.name)
        assert raw is not None
        raw["metadata"]["resourceVersion"] = str(world.version + 1)
        world.version += 1
        world.cache.remove(BUILDS, raw)  # it had its turn
        woken = world.wakes()
        for one in queue:
            if one[0].metadata.namespace in woken:
                assert not world.may_start(*one)
        passes += len(woken)
    assert passes <= 40 * 8
    assert passes < sum(range(40)) / 2


def test_a_place_that_was_told_is_never_told_as_later() -> None:
    """However many join the queue before it: a status that tells it is written a few times, not for ever."""
    world = World(cap=1)
    world.starts(world.waits("running", 999)[1])
    late = world.waits("b", 30)
    assert not world.may_start(*late)
    for number in range(1, 9):
        world.waits(f"n{number}", number)
    assert not world.may_start(*late)
    assert world.places.place(late[1].metadata.uid) == 0


def test_nobody_is_remembered_who_waits_no_more() -> None:
    world = World(cap=1)
    queue = _queue(world, 3)
    world.ends(queue[2][1])
    world.wakes()
    assert world.places.place(queue[2][1].metadata.uid) is None


def test_a_place_is_told_anew_after_two_minutes_at_the_soonest() -> None:
    """Each telling is a write of an Image's status, and a queue of hundreds moves every second."""
    world = World(cap=1)
    queue = _queue(world, 8)
    last = queue[7]
    for image, build in queue[:5]:
        raw = world.cache.get(BUILDS, image.metadata.namespace, build.metadata.name)
        assert raw is not None
        world.version += 1
        raw["metadata"]["resourceVersion"] = str(world.version)
        world.cache.remove(BUILDS, raw)  # it had its turn
    assert last[0].metadata.namespace not in world.wakes()
    assert not world.may_start(*last)
    assert world.places.place(last[1].metadata.uid) == 5

    world.now = 120.0
    assert last[0].metadata.namespace in world.wakes()
    assert not world.may_start(*last)
    assert world.places.place(last[1].metadata.uid) == 2
