"""Every file of examples/ does what its comments promise, applied as a newcomer would apply it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.client import Ask, Client
from tests.e2e.disturbance import Peace
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant

EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"), key=lambda path: path.stem)


def hello_answers(client: Client) -> None:
    answer = client.get("http://hello/")
    assert answer.status == 200
    assert answer.text.startswith("Hello from hello-")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def httpbin_answers(client: Client) -> None:
    base = "http://httpbin"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    get, teapot, uuid, headers, gzip, redirect, post, missing, login, page = client.ask(
        Ask(f"{base}/get?color=red"),
        Ask(f"{base}/status/418"),
        Ask(f"{base}/uuid"),
        Ask(f"{base}/headers", headers={"X-Keelway": "here"}),
        Ask(f"{base}/gzip"),
        Ask(f"{base}/redirect-to?url=/get"),
        Ask(f"{base}/post", method="POST", headers=form, body="answer=42"),
        Ask(f"{base}/no-such-route"),
        Ask(f"{base}/basic-auth/someone/secret"),
        Ask(f"{base}/html"),
    )
    assert get.json()["args"] == {"color": "red"}
    assert teapot.status == 418
    assert len(uuid.json()["uuid"]) == 36
    assert headers.json()["headers"]["X-Keelway"] == "here"
    assert gzip.headers["content-encoding"] == "gzip"
    assert gzip.body.startswith(b"\x1f\x8b")
    assert (redirect.status, redirect.headers["location"]) == (302, "/get")
    assert post.json()["form"] == {"answer": "42"}
    assert missing.status == 404
    assert login.status == 401
    assert "Herman Melville" in page.text


ANSWERS: Mapping[str, Callable[[Client], None]] = {"hello": hello_answers, "httpbin": httpbin_answers}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_serves_after_one_apply(example: Path, tenant: Tenant, client: Client) -> None:
    name = example.stem
    tenant.apply_file(example)

    tenant.wait(f"app/{name}")

    ANSWERS[name](client)
    build = tenant.get(f"build/{tenant.get(f'image/{name}')['status']['latestBuild']}")
    assert build["status"]["version"] == tenant.version(name)
    assert {one["type"]: one["status"] for one in build["status"]["conditions"]} == {
        "Built": "True",
        "Succeeded": "True",
        "Tested": "True",
    }
    material = build["status"]["materials"][0]
    assert material["reference"].startswith("docker.io/library/python:3.11-slim")
    assert material["digest"].startswith("sha256:")


def test_tables_and_events_tell_the_whole_story(tenant: Tenant, peace: Peace) -> None:
    with peace.undisturbed():
        tenant.apply_file(ROOT / "examples" / "hello" / "hello.yaml")
        tenant.wait("app/hello")

    version = tenant.version("hello")
    number = version.removeprefix("v")
    image, build, app = (_row(tenant, what) for what in ("image/hello", f"build/hello-{number}", "app/hello"))

    assert image == ["hello", "True", "VersionReady", version, f"hello-{number}"]
    assert build == [f"hello-{number}", "hello", "SpecChanged", "True", "VersionReady", version]
    assert app == ["hello", "True", "RolledOut", version, "1", "1", f"http://hello.{tenant.namespace}.svc"]
    assert "keelway.dev/hello" in tenant.run("get", "keelway"), "the category lists all of them"
    status = tenant.get("image/hello")["status"]
    assert tenant.get("app/hello")["status"]["image"] == status["latest"]["reference"]
    running = tenant.pods("hello")[0]["status"]["containerStatuses"][0]["imageID"]
    assert running.endswith(status["latest"]["reference"].partition("@")[2])
    # An event follows the status that it tells of.
    told = {"BuildStarted", "VersionReady", "RolledOut"}
    eventually("all events are told", lambda: tenant.event_reasons("hello") >= told, 10)


def _row(tenant: Tenant, what: str) -> list[str]:
    """The line of `kubectl get`, without its age."""
    return tenant.run("get", what, "--no-headers").split()[:-1]
