"""Every verb that the operator is granted is used, and none is missing: told by the API server's audit log.

Runs after all other end-to-end tests (`make e2e`), for it is they that use the permissions.
"""

from datetime import datetime
from typing import Any

import pytest
import yaml

from keelway import rbac
from tests.e2e import audit
from tests.e2e.disturbance import SYSTEM
from tests.kubectl import Kubectl

pytestmark = pytest.mark.last


def test_the_cluster_grants_what_the_code_says_and_nothing_else(kubectl: Kubectl) -> None:
    for wanted in yaml.safe_load_all(rbac.manifest()):
        metadata = wanted["metadata"]
        where = ["-n", metadata["namespace"]] if "namespace" in metadata else []
        found = kubectl.json("get", wanted["kind"], metadata["name"], *where)
        for part in ("rules", "roleRef", "subjects"):
            assert found.get(part) == wanted.get(part), f"{wanted['kind']} {metadata}: run `make deploy`"
    bindings = kubectl.json("get", "clusterrolebindings,rolebindings", "--all-namespaces")["items"]
    mine = [one for one in bindings if any(_is_operator(subject) for subject in one.get("subjects", []))]
    assert {one["roleRef"]["name"] for one in mine} == {rbac.ACCOUNT}
    assert len(mine) == 1 + len({grant.namespace for grant in rbac.grants() if grant.namespace})


def _is_operator(subject: dict[str, Any]) -> bool:
    return (subject["kind"], subject.get("namespace"), subject["name"]) == ("ServiceAccount", SYSTEM, rbac.ACCOUNT)


def test_every_verb_granted_is_used() -> None:
    uses = {use for line in audit.read() for use in audit.uses_of(line) if not use.missing}
    unused = audit.unused(rbac.grants(), uses)
    assert not unused, "granted, and used by no test of tests/e2e (did all of them run on this cluster?):\n" + _listed(
        unused
    )


def test_no_verb_is_missing(kubectl: Kubectl) -> None:
    since = _installed_at(kubectl)
    lines = (line for line in audit.read() if audit.received_at(line) >= since)
    refused = [use for line in lines for use in audit.uses_of(line) if use.missing]
    missing = {str(use): use.missing for use in audit.ungranted(rbac.grants(), refused)}
    assert not missing, "asked for, and not granted:\n" + _listed(f"{use}: {told}" for use, told in missing.items())


def _installed_at(kubectl: Kubectl) -> datetime:
    """When today's operator was installed: what an earlier one lacked is no fault of this one's."""
    found = kubectl.json("get", "replicasets", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator")["items"]
    return max(datetime.fromisoformat(one["metadata"]["creationTimestamp"]) for one in found)


def _listed(found: Any) -> str:
    return "\n".join(f"  {one}" for one in sorted(map(str, found)))
