"""The operator's roles are made from what it watches and makes; an audit log tells which of them are needed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from keelway import rbac
from keelway.api.resources import EVENTS, IMAGES, SECRETS, SERVICES
from keelway.children import APP_CHILDREN
from keelway.cluster.watched import WATCHED
from keelway.rbac import Grant
from tests.e2e import audit

ROOT = Path(__file__).parents[2]


def granted(resource: str, namespace: str | None = None) -> set[str]:
    return {
        one.verb
        for one in audit.permissions(rbac.grants())
        if one.resource == resource and one.grant.namespace == namespace
    }


def test_the_file_is_as_the_code_says() -> None:
    assert (ROOT / "manifests" / "base" / "operator" / "rbac.yaml").read_text() == rbac.manifest()


def test_whatever_is_watched_may_be_listed_and_read() -> None:
    for one in WATCHED:
        assert {"get", "list", "watch"} <= granted(one.resource.plural)


def test_whatever_is_a_child_is_watched_and_may_be_made_changed_and_pruned() -> None:
    for kind in APP_CHILDREN:
        assert kind.resource in {one.resource for one in WATCHED}
        assert {"create", "patch", "delete"} <= granted(kind.resource.plural)


def test_every_rule_has_its_reason() -> None:
    assert all(grant.reason.endswith(".") for grant in rbac.grants())
    lines = rbac.manifest().splitlines()
    for number, line in enumerate(lines):
        if line == "rules:":
            assert lines[number + 1].startswith("# ")


def test_what_the_yaml_says_is_what_was_granted() -> None:
    roles = [one for one in yaml.safe_load_all(rbac.manifest()) if one["kind"] in ("Role", "ClusterRole")]
    said = {
        (role["metadata"].get("namespace"), rule["apiGroups"][0], resource, verb, tuple(rule.get("resourceNames", ())))
        for role in roles
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert said == {
        (one.grant.namespace, one.grant.group, one.resource, one.verb, one.grant.names)
        for one in audit.permissions(rbac.grants())
    }


def test_what_the_end_to_end_tests_cannot_use_is_tested_where_it_says() -> None:
    for grant in rbac.grants():
        if grant.rare:
            file, _, name = grant.rare.rpartition("; ")[2].partition("::")
            assert f"def {name}(" in (ROOT / file).read_text()


def line(verb: str, resource: str, code: int = 200, **more: Any) -> str:
    about = {"resource": resource, "apiVersion": "v1", **more.pop("about", {})}
    return json.dumps(
        {
            "stage": "ResponseComplete",
            "verb": verb,
            "objectRef": about,
            "responseStatus": {"code": code, **more.pop("answer", {})},
            "requestReceivedTimestamp": "2026-01-02T12:00:00.000000Z",
        }
    )


READ = Grant("For reading.", (SECRETS,), ("get",))
MAKE = Grant("For making.", (SERVICES,), ("create", "patch"))
NAMED = Grant("For one.", (SECRETS,), ("patch",), "keelway-system", ("keelway-ca",))
STATUS = Grant("For telling.", (IMAGES,), ("patch",), subresource="status")


@pytest.mark.parametrize(
    ("grant", "seen", "left"),
    [
        (READ, line("get", "secrets", about={"namespace": "team-a"}), []),
        (READ, line("list", "secrets", about={"namespace": "team-a"}), ["get secrets"]),
        # An apply that makes its object is authorized for both.
        (MAKE, line("patch", "services", 201, about={"namespace": "team-a"}), []),
        (MAKE, line("patch", "services", 200, about={"namespace": "team-a"}), ["create services"]),
        (NAMED, line("patch", "secrets", about={"namespace": "keelway-system", "name": "keelway-ca"}), []),
        (
            NAMED,
            line("patch", "secrets", about={"namespace": "keelway-system", "name": "another"}),
            ["patch secrets keelway-ca in keelway-system"],
        ),
        (
            NAMED,
            line("patch", "secrets", about={"namespace": "keelway-builds", "name": "keelway-ca"}),
            ["patch secrets keelway-ca in keelway-system"],
        ),
        (STATUS, line("patch", "images", about={"apiGroup": "keelway.dev", "subresource": "status"}), []),
        (STATUS, line("patch", "images", about={"apiGroup": "keelway.dev"}), ["patch images/status.keelway.dev"]),
    ],
)
def test_a_verb_that_no_request_needed_is_told(grant: Grant, seen: str, left: list[str]) -> None:
    assert [str(one) for one in audit.unused([grant], audit.uses_of(seen))] == left


@pytest.mark.parametrize(
    ("message", "is_missing"),
    [
        ('pods is forbidden: User "system:serviceaccount:keelway-system:keelway" cannot list resource "pods"', True),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest"', False),
        ('events "a" is forbidden: unable to create new content in namespace a because it is being terminated', False),
    ],
)
def test_of_all_refusals_only_a_missing_permission_counts(message: str, is_missing: bool) -> None:
    (use,) = audit.uses_of(line("list", "pods", 403, answer={"message": message}))
    assert bool(use.missing) is is_missing


def test_a_refusal_of_what_is_granted_is_the_api_servers_start() -> None:
    told = 'secrets is forbidden: User "system:serviceaccount:keelway-system:keelway" cannot get resource "secrets"'
    refused = audit.uses_of(line("get", "secrets", 403, about={"namespace": "team-a"}, answer={"message": told}))
    assert audit.ungranted([READ], refused) == []
    assert [str(use) for use in audit.ungranted([MAKE], refused)] == ["get secrets in team-a"]


def test_rare_permissions_are_not_looked_for() -> None:
    assert audit.unused([Grant("For years to come.", (EVENTS,), ("patch",), rare="once; a::b")], ()) == []
