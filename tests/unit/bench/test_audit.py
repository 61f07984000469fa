import json
from typing import Any

from bench.audit import events, parse, reads, tally, writes


def event(verb: str, resource: str, name: str = "", **other: Any) -> dict[str, Any]:
    """As the API server writes it with level Metadata."""
    about = {"resource": resource, "namespace": "default", "name": name, "apiVersion": "v1"}
    if "subresource" in other:
        about["subresource"] = other["subresource"]
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "stage": other.get("stage", "ResponseComplete"),
        "verb": verb,
        "userAgent": "keelway",
        "objectRef": about,
        "responseStatus": {"metadata": {}, "code": other.get("code", 200)},
        "requestReceivedTimestamp": "2026-01-01T00:00:01.000000Z",
        "stageTimestamp": "2026-01-01T00:00:01.250000Z",
    }


def lines(*events: dict[str, Any]) -> list[str]:
    return [json.dumps(one) for one in events]


def test_a_line_is_a_request() -> None:
    [asked] = parse(lines(event("patch", "apps", "shop", subresource="status")))
    assert (asked.what, asked.name, asked.namespace, asked.code) == ("patch apps/status", "shop", "default", 200)
    assert round(asked.answered - asked.received, 6) == 0.25


def test_a_watch_that_begins_is_not_counted_twice() -> None:
    begun = event("watch", "apps", stage="ResponseStarted")
    assert [one.what for one in parse(lines(begun, event("watch", "apps")))] == ["watch apps"]


def test_a_request_of_no_resource_is_read() -> None:
    version = event("get", "")
    del version["objectRef"]
    [asked] = parse(lines(version))
    assert not asked.is_write
    assert not asked.is_read


def test_events_and_the_lease_are_no_writes_of_objects() -> None:
    asked = parse(
        lines(
            event("create", "events"),
            event("update", "leases", "keelway"),
            event("get", "leases", "keelway"),
            event("patch", "deployments", "shop"),
            event("delete", "jobs", "shop-1"),
            event("get", "services", "shop"),
            event("list", "pods"),
            event("watch", "pods"),
        )
    )
    assert [one.what for one in writes(asked)] == ["patch deployments", "delete jobs"]
    assert [one.what for one in events(asked)] == ["create events"]
    assert [one.what for one in reads(asked)] == ["get services", "list pods"]


def test_the_tally_keeps_refusals_apart() -> None:
    asked = parse(
        lines(
            event("patch", "apps", "a", subresource="status", code=409),
            event("patch", "apps", "a", subresource="status"),
            event("patch", "apps", "b", subresource="status"),
        )
    )
    assert tally(asked) == {"patch apps/status": 2, "patch apps/status (409)": 1}
