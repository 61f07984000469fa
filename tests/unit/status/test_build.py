"""A Build's record: what its inputs are, and what each end of it says."""

from datetime import timedelta
from typing import Any

import pytest

from keelway.api.build import Build
from keelway.api.buildrequest import BuildReport, Step
from keelway.status.build import (
    Asked,
    Failure,
    Inputs,
    built,
    built_status,
    ended,
    failed,
    failed_status,
    failure,
    retryable,
    succeeded,
    superseded,
    version_status,
)
from keelway.status.conditions import find
from tests.unit.objects import NOW, bad, build, good, image, inputs

TEST = {"name": "answers", "command": ["true"]}
REPORT = BuildReport(ok=True, step=Step.INSPECT, reason="Pushed", digest="sha256:1", user="web", run_as_user=33)
PLAIN = image()
R1 = inputs(PLAIN)


def test_a_new_record_is_neither_good_nor_bad() -> None:
    record = build(1, R1)
    assert not ended(record)
    assert not built(record)
    assert not succeeded(record)
    assert not failed(record)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"tests": [{**TEST, "env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": 1}}}]},
        {"build": {"args": [{"name": "V", "value": "1"}], "resources": {"limits": {"memory": "1Gi"}}}},
        {"pushSecretRef": {"name": "push"}},
        {"source": {"inline": {"files": [{"name": "Dockerfile", "content": "FROM scratch\n"}]}}},
    ],
)
def test_inputs_are_found_equal_again_after_a_way_through_the_api(spec: dict[str, Any]) -> None:
    asked = inputs(image(**spec))
    assert asked.made(build(1, asked))


def test_a_record_from_before_an_option_was_there_is_of_todays_inputs() -> None:
    raw = build(1, R1).to_dict()
    del raw["spec"]["output"]
    raw["spec"]["build"] = {"dockerfile": "Dockerfile", "timeoutSeconds": 1800}
    assert R1.made(Build.parse(raw))


@pytest.mark.parametrize(
    "spec",
    [
        {"build": {"provenance": "None"}},
        {"build": {"network": "None"}},
        {"build": {"noCache": True}},
        {"build": {"sbom": True}},
        {"output": {"timestamp": "Source"}},
        {"output": {"compression": {"type": "Gzip"}}},
        {"tests": [TEST]},
        {"build": {"dockerfile": "other.Dockerfile"}},
        {"build": {"timeoutSeconds": 60}},
        {"pushSecretRef": {"name": "push"}},
    ],
)
def test_any_change_of_what_is_asked_makes_other_inputs(spec: dict[str, Any]) -> None:
    assert not inputs(image(**spec)).made(build(1, R1))


def test_what_does_not_concern_the_result_makes_no_other_inputs() -> None:
    calmer = image(poll={"intervalSeconds": 600}, history={"limit": 3}, suspend=False)
    assert inputs(calmer).made(build(1, R1))


def test_another_revision_or_repository_makes_other_inputs() -> None:
    record = build(1, R1)
    assert not inputs(PLAIN, "r2").made(record)
    assert not Inputs(Asked.by_image(PLAIN, "elsewhere.example/hello"), "r1").made(record)


def test_a_pushed_image_is_no_version_before_its_tests() -> None:
    record = build(1, R1)
    status = built_status(record, REPORT, NOW - timedelta(minutes=2), NOW)
    record = record.model_copy(update={"status": status})
    assert built(record)
    assert not ended(record)
    assert (status.reference, status.version) == ("registry.example:5000/team-a/hello@sha256:1", None)
    assert (status.user, status.run_as_user) == ("web", 33)


def test_a_version_names_its_tests_or_that_there_are_none() -> None:
    with_tests = inputs(image(tests=[TEST]))
    record = build(3, with_tests)
    status = version_status(record, record.status, "v3", NOW)
    tested = find(status.conditions, "Tested")
    assert tested is not None
    assert (tested.reason, tested.message) == ("Passed", "1 of 1 passed.")
    untested = find(good(1, R1).status.conditions, "Tested")
    assert untested is not None
    assert untested.reason == "NoTests"


def test_the_schemas_default_condition_lends_its_time_to_nothing() -> None:
    record = build(1, R1)
    told = find(built_status(record, REPORT, None, NOW).conditions, "Succeeded")
    assert told is not None
    assert told.last_transition_time == NOW


def test_a_failed_build_was_not_built() -> None:
    record = bad(1, R1)
    assert failed(record)
    assert not retryable(record)
    assert {one.type: one.status.value for one in record.status.conditions} == {"Built": "False", "Succeeded": "False"}


def test_a_failed_test_was_built_and_not_tested() -> None:
    record = build(1, R1)
    record = record.model_copy(update={"status": built_status(record, REPORT, None, NOW)})
    status = failed_status(record, Failure("TestFailed", "Test a failed. Correct it.\nlog"), NOW)
    told = {one.type: one.status.value for one in status.conditions}
    assert told == {"Built": "True", "Succeeded": "False", "Tested": "False"}


def test_conditions_quote_the_first_line_and_the_message_the_log() -> None:
    record = build(1, R1)
    log = "\n".join(f"line {number}" for number in range(5000))
    record = record.model_copy(
        update={"status": failed_status(record, Failure("RunFailed", f"Build: it failed. Correct it.\n{log}"), NOW)}
    )
    succeeded_ = find(record.status.conditions, "Succeeded")
    assert succeeded_ is not None
    assert succeeded_.message == "Build: it failed. Correct it."
    told = failure(record)
    assert told.message.startswith("Build: it failed. Correct it.\nline 0")
    assert told.message.endswith("line 4999")
    assert len(told.message) <= 4096


def test_a_fault_outside_is_worth_another_attempt() -> None:
    assert retryable(bad(1, R1, "RegistryFailed", retry=True))


def test_a_superseded_build_says_nothing_of_its_inputs() -> None:
    assert superseded(bad(1, R1, "Superseded"))
    assert not superseded(bad(1, R1))
    assert not superseded(good(1, R1))
