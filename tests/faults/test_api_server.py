"""The API server stops and starts, is slow, knows the operator no more, or not our kinds: and all ends well."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devcluster.outside import SYSTEM
from devcluster.settings import REPOSITORY
from tests.e2e.patience import eventually
from tests.faults.api import ApiAway
from tests.faults.cluster import IDENTITY, Cluster
from tests.faults.commons import Commons
from tests.faults.oracles import check
from tests.faults.playing import play_through
from tests.faults.rules import watches
from tests.faults.scene import LEADING_SECONDS, Scene
from tests.faults.stories import Step, app, day_with_both, life_of_an_app
from tests.faults.undisturbed import Undisturbed

SERVED_SECONDS = 30.0
"""From a CRD's coming until its objects are served."""
AWAY_SECONDS = 10.0
"""How long the API server is gone: the outage itself, not a wait for something."""
_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
_APPS = "customresourcedefinition/apps.keelway.dev"


def test_an_api_server_that_is_killed_is_none_the_worse(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = day_with_both(commons)
    endings = undisturbed.of(story, scene)
    for step, ending in zip(story.steps, endings, strict=True):
        acted_on(scene, step)
        cluster.node("sh", "-c", "kill -KILL $(pgrep -x kube-apiserver)")
        check(scene, ending.state, 180)


def test_an_api_server_that_is_stopped_for_a_while_is_waited_for(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    story.steps[0].act(scene.tenant)
    check(scene, created.state)

    story.steps[1].act(scene.tenant)
    cluster.node("mv", _MANIFEST, "/var/")
    try:
        eventually("the API server is gone", lambda: not _answers(scene), 60)
        time.sleep(AWAY_SECONDS)
        assert scene.operator.running
    finally:
        cluster.node("mv", f"/var/{Path(_MANIFEST).name}", _MANIFEST)
    eventually("the API server is there again", lambda: _answers(scene), 120)
    check(scene, changed.state, 180)


def test_etcd_that_stutters_is_borne(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    @contextmanager
    def stuttering(_: Scene) -> Iterator[None]:
        # It always goes on at the end, whatever becomes of us.
        script = (
            "trap 'kill -CONT $(pgrep -x etcd)' EXIT; for n in $(seq 60); do [ -e /run/calm ] && exit; "
            "kill -STOP $(pgrep -x etcd); sleep 0.6; kill -CONT $(pgrep -x etcd); sleep 0.3; done"
        )
        cluster.node("rm", "-f", "/run/calm")
        cluster.node("sh", "-c", f"({script}) >/dev/null 2>&1 &")
        try:
            yield
        finally:
            cluster.node("touch", "/run/calm")
            eventually("etcd is calm", lambda: _answers(scene), 60)

    play_through(scene, undisturbed, life_of_an_app(commons), stuttering, seconds=180)


def test_a_token_is_rotated_as_in_a_pod(
    cluster: Cluster, scene: Scene, commons: Commons, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    scene.operator.kill()
    host, _, port = cluster.api.url.removeprefix("https://").partition(":")
    (tmp_path / "ca.crt").write_text(cluster.authority())
    # A token ends with what it is bound to.
    for name in ("faults-first", "faults-second"):
        cluster.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}, SYSTEM)
    first = cluster.token("--bound-object-kind=Secret", "--bound-object-name=faults-first")
    (tmp_path / "token").write_text(first)
    address = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    operator = cluster.operator(scene.proxy, IDENTITY, ["incluster.py", str(tmp_path)], **address)
    operator.start()
    try:
        operator.wait_until_leading(LEADING_SECONDS)
        story.steps[0].act(scene.tenant)
        check(scene, created.state)

        second = cluster.token("--bound-object-kind=Secret", "--bound-object-name=faults-second")
        (tmp_path / "token").write_text(second)
        cluster.kubectl.run("-n", SYSTEM, "delete", "secret/faults-first")
        # The API server remembers for some seconds who it knew.
        eventually("the first token has ended", lambda: not cluster.api.accepts(first), 60)
        story.steps[1].act(scene.tenant)
        # The file is read once a minute; the kubelet renews it long before the old token ends.
        check(scene, changed.state, 150)
    finally:
        operator.kill()
        cluster.kubectl.run("-n", SYSTEM, "delete", "secret", "faults-first", "faults-second", "--ignore-not-found")


def test_a_permission_that_is_taken_away_is_named_and_its_return_is_noticed(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    with without_permission(scene, "services"):
        story.steps[0].act(scene.tenant)
        told = scene.tenant.wait_for_reason("app/web", "Forbidden", seconds=60)
        assert "services" in told["message"]
        assert scene.tenant.exists("deployment/web"), "one kind does not keep the others back"
    check(scene, created.state, 120)

    # Without it an operator that begins cannot watch, so it says so and waits.
    scene.operator.kill()
    with without_permission(scene, "services"):
        scene.restart()
        story.steps[1].act(scene.tenant)
        eventually("it says so", lambda: "cannot list resource" in scene.operator.log.read_text(), 30)
        assert scene.operator.running
    check(scene, changed.state)


def test_a_watch_that_is_cut_and_may_not_be_opened_again_goes_on_with_its_permission(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, changed, *_ = undisturbed.of(story, scene)
    story.steps[0].act(scene.tenant)
    check(scene, created.state)
    with without_permission(scene, "services"):
        assert scene.proxy.cut_watches(watches("/services$")) == 1
        eventually("it says so", lambda: "services is forbidden" in scene.operator.log.read_text(), 60)
        assert scene.operator.running
        story.steps[1].act(scene.tenant)
    check(scene, changed.state, 120)


@contextmanager
def without_permission(scene: Scene, plural: str) -> Iterator[None]:
    """While the block runs, the operator may do nothing with that kind."""
    role = scene.kubectl.json("get", "clusterrole/keelway")
    rules = [rule for rule in role["rules"] if plural not in rule["resources"]]
    assert len(rules) < len(role["rules"])
    scene.kubectl.run("patch", "clusterrole/keelway", "--type=json", f"--patch={_replaced(rules)}")
    try:
        yield
    finally:
        scene.kubectl.run("patch", "clusterrole/keelway", "--type=json", f"--patch={_replaced(role['rules'])}")


def test_kinds_that_are_not_there_at_the_start_are_served_once_they_come(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, *_ = undisturbed.of(story, scene)
    scene.operator.kill()
    with without_apps(scene):
        scene.restart()
        eventually("it says so", lambda: "not all kinds" in scene.operator.log.read_text(), 30)
        assert scene.operator.running
    begun = time.monotonic()
    story.steps[0].act(scene.tenant)
    is_served_in_time(scene, begun)
    check(scene, created.state)


def test_a_kind_that_is_deleted_and_made_anew_is_served_again(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    story = life_of_an_app(commons)
    created, *_ = undisturbed.of(story, scene)
    scene.tenant.apply(app(commons.old, replicas=1))
    scene.tenant.wait("app/web")
    with without_apps(scene):
        scene.tenant.run("wait", "--for=delete", "deployment/web", "--timeout=60s")
        time.sleep(15)  # terms that end by themselves follow each other ever more slowly
        assert scene.operator.running
    begun = time.monotonic()
    story.steps[0].act(scene.tenant)
    is_served_in_time(scene, begun)
    check(scene, created.state)


def is_served_in_time(scene: Scene, since: float) -> None:
    """The App that was made then has its Deployment, in time."""
    eventually("it is served", lambda: scene.tenant.exists("deployment/web"), 90)
    took = time.monotonic() - since
    print(f"served after {took:.1f} s")
    assert took <= SERVED_SECONDS


def acted_on(scene: Scene, step: Step) -> None:
    """The step is made, and the operator has heard of it."""
    before = heard(scene)
    step.act(scene.tenant)
    eventually("the operator has heard of it", lambda: heard(scene) > before, 30)


def heard(scene: Scene) -> float:
    """How many events that were news the operator's watches have told it."""
    metrics = scene.operator.metrics()
    return sum(
        value for name, value in metrics.items() if name.startswith("keelway_watch_events_total") and "yes" in name
    )


@contextmanager
def without_apps(scene: Scene) -> Iterator[None]:
    """While the block runs there is no kind App; every App goes with it."""
    scene.kubectl.run("delete", _APPS, "--timeout=60s")
    try:
        yield
    finally:
        scene.kubectl.apply_path(REPOSITORY / "crds" / "keelway.dev_apps.yaml")
        scene.kubectl.run("wait", "--for=condition=Established", _APPS, "--timeout=60s")


def _replaced(rules: object) -> str:
    return json.dumps([{"op": "replace", "path": "/rules", "value": rules}])


def _answers(scene: Scene) -> bool:
    try:
        return scene.api.get("/version") is not None
    except ApiAway:
        return False
