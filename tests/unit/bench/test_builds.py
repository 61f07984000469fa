"""What is measured on the dev cluster: what the watches tell, what buildctl is given, what is made of both."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import web
from bench.aside import led_until
from bench.asker import Heard
from bench.buildctl import changed
from bench.building import Told
from bench.dev import Deployed
from bench.errors import BenchError
from bench.figures import builds, many_builds
from bench.incluster.buildctl import Prepared, prepared, seconds
from bench.kube import Seen
from keelway.api.app import App
from keelway.api.buildrequest import (
    DOCKER_CONFIG_FILE,
    REQUEST_FILE,
    BuildkitEndpoint,
    BuildRequest,
    Policy,
    RequestFile,
    SourceRequest,
)
from keelway.api.image import Image
from keelway.api.resources import JOBS, SECRETS
from keelway.children import names

REPOSITORY = "registry.example:5000/bench-1/web"


def raw(answer: str = "first") -> dict[str, Any]:
    image = web.image("bench-1", "web", answer)
    return {**image, "metadata": {**image["metadata"], "uid": "0-0", "generation": 1}}


def given(answer: str = "first") -> dict[str, bytes]:
    """The files of a Job's Secret."""
    inline = Image.parse(raw(answer)).spec.source.inline
    assert inline is not None
    request = BuildRequest(
        source=SourceRequest(files=tuple(RequestFile(name=one.name, content=one.content) for one in inline.files)),
        push_reference=f"{REPOSITORY}:build-7",
        policy=Policy(registry="registry.example:5000", own_repositories="registry.example:5000/bench-1/"),
        cache_namespace="0-1",
        buildkit=BuildkitEndpoint(address="tcp://buildkitd-0:1234", server_name="buildkitd-0"),
    )
    login = {"auths": {"registry.example:5000": {"auth": "eDp5"}}}
    return {REQUEST_FILE: request.encode(), DOCKER_CONFIG_FILE: json.dumps(login).encode()}


def encoded(files: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(data).decode() for name, data in files.items()}


def seen(type_: str = "ADDED", time: float = 1.0, **obj: Any) -> Seen:
    return Seen(type_, obj, time)


def made_for(namespace: str, name: str = "web-1-0", **obj: Any) -> dict[str, Any]:
    """An object of the builds' namespace."""
    return {"metadata": {"name": name, "labels": names.image_labels(namespace, "web", "0-0")}, **obj}


def test_what_is_applied_is_an_image_and_an_app() -> None:
    assert Image.parse(raw()).spec.source.inline is not None
    app = web.app("bench-1")
    assert App.parse({**app, "metadata": {**app["metadata"], "uid": "0-0", "generation": 1}}).spec.image.name == "web"


def test_another_answer_is_another_build_under_a_tag_of_its_own() -> None:
    before, after = given(), changed(given(), "buildctl-3")
    assert {name for name in before if before[name] != after[name]} == {REQUEST_FILE}
    was, now = (BuildRequest.model_validate_json(one[REQUEST_FILE]) for one in (before, after))
    assert now.push_reference == f"{REPOSITORY}:buildctl-3"
    assert names.is_free_tag("buildctl-3")
    assert now.model_copy(update={"source": was.source, "push_reference": was.push_reference}) == was
    contents = {one.name: one.content for one in now.source.files or ()}
    assert contents.pop(web.CHANGED) == "buildctl-3"
    assert contents == {one.name: one.content for one in was.source.files or () if one.name != web.CHANGED}


def test_a_build_that_would_come_out_of_the_cache_is_refused() -> None:
    with pytest.raises(BenchError, match="the same as before"):
        changed(given("buildctl-3"), "buildctl-3")


def test_buildctl_is_run_as_a_job_runs_it(tmp_path: Path) -> None:
    build = prepared(encoded(given()), tmp_path / "0")
    context = tmp_path / "0" / "workspace" / "context"
    assert (context / web.CHANGED).read_text() == "first"
    assert build.command[:3] == ["buildctl", "--addr", "tcp://buildkitd-0:1234"]
    assert "build-arg:BUILDKIT_CACHE_MOUNT_NS=0-1" in build.command
    assert f"context={context}" in build.command
    [output] = [word for word in build.command if word.startswith("type=image")]
    assert f"name={REPOSITORY}:build-7,push=true" in output
    login = json.loads((Path(build.environment["DOCKER_CONFIG"]) / "config.json").read_text())
    assert login["auths"]["registry.example:5000"] == {"auth": "eDp5"}


def test_a_build_that_fails_is_no_time(tmp_path: Path) -> None:
    def python(script: str) -> Prepared:
        return Prepared([sys.executable, "-c", script], {"MOOD": "bad"}, tmp_path / "log")

    assert 0 < seconds(python("import os; assert os.environ['MOOD'] == 'bad'")) < 60
    with pytest.raises(RuntimeError, match="status 3: no room"):
        seconds(python("import sys; print('no room'); sys.exit(3)"))


def test_all_that_runs_in_a_pod_stands_alone(tmp_path: Path) -> None:
    script = (Path(__file__).parents[3] / "bench" / "incluster" / "buildctl.py").read_text()
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps({"atOnce": 2, "builds": []}),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_digest_counts_from_when_it_was_there_first() -> None:
    told = Told("bench-1")
    for time, reference in enumerate((None, "web@a", "web@a", "web@b", "web@b"), start=1):
        status = {"observedGeneration": time, **({"latest": {"reference": reference}} if reference else {})}
        told.take_image(seen(time=time, metadata={"name": "web"}, status=status))
    assert told.digests == {"web": {"web@a": 2, "web@b": 4}}
    assert told.latest("web") == "web@b"
    assert told.latest("other") is None
    assert told.observed == {"web": 5}


async def test_the_next_digest_is_not_the_one_of_before() -> None:
    told = Told("bench-1", {"web": {"web@a": 2.0, "web@b": 4.0}})
    assert await told.after("web", "web@a") == ("web@b", 4.0)
    assert await told.after("web", None) == ("web@b", 4.0)


def test_a_pod_counts_when_it_is_ready() -> None:
    told = Told("bench-1")
    for time, ready in enumerate(("False", "True", "True"), start=1):
        conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]
        told.take_pod(seen(time=time, spec={"containers": [{"image": "web@a"}]}, status={"conditions": conditions}))
    assert told.ready == {"web@a": 2}
    told.take_pod(seen(spec={"containers": [{"image": "web@b"}]}))
    assert "web@b" not in told.ready


def test_jobs_and_what_they_are_given_are_of_this_namespace() -> None:
    told = Told("bench-1")
    data = encoded({REQUEST_FILE: b"{}"})
    for namespace, name in (("bench-1", "web-1-0"), ("other", "web-1-1")):
        told.take_job(seen(**made_for(namespace, name, kind=JOBS.kind)))
        told.take_secret(seen(**made_for(namespace, name, kind=SECRETS.kind, data=data)))
    told.take_job(seen("DELETED", **made_for("bench-1", "web-0-0")))
    told.take_secret(seen(metadata={"name": "somebody's"}, data=data))
    assert told.jobs == {"web-1-0"}
    assert told.given == {"web": {REQUEST_FILE: b"{}"}}


async def test_an_answer_is_heard_once() -> None:
    heard = Heard()
    for time in (2.5, 3.5):
        heard.take(json.dumps({"time": time, "answer": "first"}).encode() + b"\n")
    assert await heard.at("first") == 2.5


def test_the_builders_are_as_many_as_the_administrator_has_set() -> None:
    data = {"KEELWAY_OPERATOR_IMAGE": "keelway/operator:dev", "KEELWAY_MAX_BUILDS": "3"}
    assert Deployed.of(data) == Deployed("keelway/operator:dev", 3, "keelway-builds")


def test_what_is_more_than_buildctl_s_is_taken_round_by_round() -> None:
    rounds = [builds.Round(1.0, 2.0, 3.5, 4.0), builds.Round(5.0, 6.5, 8.5, 9.0), builds.Round(1.0, 2.2, 3.6, 4.5)]
    digest, serves, own, *beside = builds.figures(rounds)
    assert (round(digest.value, 3), digest.limit) == (1.2, 2.0)
    assert (round(serves.value, 3), serves.limit) == (3.5, 4.0)
    assert (own.value, own.limit) == (1.0, None)
    assert [one.value for one in beside] == [2.2, 3.6, 4.5]


def test_many_builds_are_compared_with_builders_that_are_never_idle() -> None:
    rounds = [
        many_builds.Round(12.0, [2.0] * 20, 4),
        many_builds.Round(30.0, [2.0] * 20, 4),
        many_builds.Round(26.0, [4.0] * 20, 4),
    ]
    ratio, total, share = many_builds.figures(rounds)
    assert (ratio.value, ratio.limit, ratio.ok) == (1.3, 1.3, True)
    assert (total.value, share.value) == (26.0, 10.0)


def test_a_cluster_is_led_as_long_as_the_one_of_its_leaders_that_is_late() -> None:
    leases = [{"spec": {"renewTime": f"1970-01-01T00:01:{second}.500000Z"}} for second in ("07", "05")]
    assert led_until({"items": leases}) == 65.5
