"""What failed its tests is never built or chosen again, until source or test is another one, or somebody says so."""

from typing import Any

from tests.e2e.objects import empty_image
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant
from tests.howto import fragments, laid_over

(RELEASE,) = fragments("When a build has failed its tests")
PASSES = {"name": "answers", "command": ["python", "-c", "pass"]}
FAILS = {"name": "answers", "command": ["python", "-c", "raise SystemExit(open('/answer').read())"]}


def _image(tenant: Tenant, answer: str, test: dict[str, Any]) -> dict[str, Any]:
    dockerfile = tenant.dockerfile(f"RUN echo {answer} > /answer", "USER 1000")
    return empty_image(dockerfile, name="hello", tests=[test])


def test_what_failed_is_not_built_again_though_the_source_goes_back_and_forth(tenant: Tenant) -> None:
    good = _image(tenant, "good", PASSES)
    bad = _image(tenant, "bad", FAILS)
    tenant.apply(good)
    tenant.wait("image/hello")
    latest = tenant.get("image/hello")["status"]["latest"]

    tenant.apply(bad)
    told = tenant.wait_for_reason("image/hello", "Quarantined")
    assert "Test answers exited with code 1" in told["message"]
    assert "v1 serves on" in told["message"]
    assert tenant.condition("image/hello", "Stalled")["status"] == "True"
    assert tenant.condition("image/hello", "Tested")["reason"] == "TestFailed"

    for _ in range(2):
        tenant.apply(good)
        tenant.wait_for_reason("image/hello", "VersionReady")
        tenant.apply(bad)
        tenant.wait_for_reason("image/hello", "Quarantined")
    tenant.run("annotate", "image/hello", "keelway.dev/build-requested=please")
    status = tenant.get("image/hello")["status"]
    assert [one["metadata"]["name"] for one in tenant.builds("hello")] == ["hello-1", "hello-2"]
    assert status["latest"] == latest
    (entry,) = status["quarantine"]
    record = tenant.get("build/hello-2")["status"]
    assert (entry["build"], entry["digest"], entry["reason"]) == ("hello-2", record["digest"], "TestFailed")
    assert record["quarantine"]["test"] == "answers"

    tenant.apply({**bad, "spec": {**bad["spec"], "pin": "v2"}})
    told = tenant.wait_for_reason("image/hello", "Quarantined")
    assert "spec.pin names v2, which is in quarantine" in told["message"]
    assert tenant.get("image/hello")["status"]["latest"] == latest


def test_it_is_let_out_by_the_annotation_and_built_once_more(tenant: Tenant) -> None:
    good, bad = _image(tenant, "good", PASSES), _image(tenant, "bad", FAILS)
    tenant.apply(good)
    tenant.wait("image/hello")
    tenant.apply(bad)
    tenant.wait_for_reason("image/hello", "Quarantined")

    tenant.apply(laid_over(bad, RELEASE))
    tenant.wait_for_build("hello-3", "condition=Succeeded=False")
    tenant.wait_for_reason("image/hello", "Quarantined")
    assert [one["spec"]["reason"] for one in tenant.builds("hello")][-1] == "Released"
    assert "releasedTime" in tenant.get("build/hello-2")["status"]["quarantine"]
    listed = [one["build"] for one in tenant.get("image/hello")["status"]["quarantine"]]
    assert listed == ["hello-3"], "the same again, and the request was acted on"

    tenant.run("annotate", "image/hello", "--overwrite", "keelway.dev/release-quarantine=hello-33")
    eventually("an event says so", lambda: "NothingToRelease" in tenant.event_reasons("hello"), 20)


def test_a_corrected_test_is_asked_again(tenant: Tenant) -> None:
    tenant.apply(_image(tenant, "right", FAILS))
    told = tenant.wait_for_reason("image/hello", "Quarantined")
    assert "hello-1 is in quarantine" in told["message"]
    assert "latest" not in tenant.get("image/hello")["status"]

    tenant.apply(_image(tenant, "right", PASSES))
    tenant.wait("image/hello")
    assert tenant.get("image/hello")["status"]["latest"]["build"] == "hello-2"
