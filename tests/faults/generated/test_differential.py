"""Whatever an object was before, it ends as its spec says (Acto's idea: differential and rollback oracles).

The changes are generated from crds/, seeded: a failure prints the two YAMLs, to be applied one after the other.
"""

import sys
import time

import pytest

from devcluster.outside import Operator
from keelway.api.resources import DEPLOYMENTS
from tests.faults.generated import bases, changes, health, trial
from tests.faults.generated.changes import Change
from tests.faults.generated.crowd import Crowd
from tests.faults.generated.fields import Spec
from tests.faults.proxy import Proxy

SEED = 20260101
PHASE_SECONDS = 120.0
"""For all objects of a trial to settle; the controller manager makes about 7 Deployments a second."""
PHASES = 3

# What a spec may say and today's cluster cannot do; each is taken by the API server.
BROKEN: dict[str, Spec] = {
    "an Image that is not there": {"image": {"name": "not-there"}},
    "an Image without a version": {"image": {"name": "unbuilt"}},
    "an Image that runs as root": {"image": {"name": "rooted"}},
    "a reference that no registry knows": {"image": {"reference": "127.0.0.1:1/none:1"}},
    "a reference to no host": {"image": {"reference": "registry.invalid/none:1"}},
    "a ServiceAccount that is not there": {"serviceAccountName": "not-there", "replicas": 1},
    "a key that no Secret has": {
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "not-there", "key": ".."}}}]
    },
    "a probe of an unknown port": {
        "probes": {"readiness": {"tcp": {"port": "unknown"}}},
    },
    "huge pages without a limit": {"resources": {"requests": {"hugepages-2Mi": "2Mi"}}},
    "a label of another's domain": {"podTemplate": {"labels": {"kubernetes.io/metadata.name/x": "y"}}},
}


@pytest.mark.subset
async def test_some_changes_of_an_app_leave_no_trace(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    few = [*_valid("apps")[:12], *changes.joint_changes("apps", SEED, 3)]
    await _leaves_no_trace(crowd, operator, proxy, "apps", few)


@pytest.mark.subset
async def test_some_of_what_the_schema_forbids_is_refused(crowd: Crowd, operator: Operator) -> None:
    await _is_refused(crowd, operator, "apps", _forbidden("apps")[:100])


@pytest.mark.parametrize("part", range(5))
async def test_changes_of_one_field_of_an_app_leave_no_trace(
    crowd: Crowd, operator: Operator, proxy: Proxy, part: int
) -> None:
    await _leaves_no_trace(crowd, operator, proxy, "apps", _valid("apps")[part * 50 : (part + 1) * 50])


async def test_changes_of_many_fields_of_an_app_leave_no_trace(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    many = [*changes.base_changes("apps"), *changes.joint_changes("apps", SEED, 30)]
    await _leaves_no_trace(crowd, operator, proxy, "apps", many)


async def test_changes_of_an_image_leave_no_trace(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    many = [*_valid("images")[:100], *changes.base_changes("images"), *changes.joint_changes("images", SEED, 20)]
    await _leaves_no_trace(crowd, operator, proxy, "images", [one for one in many if _builds_nothing(one)])


@pytest.mark.parametrize("plural", ["apps", "images"])
async def test_what_the_schema_forbids_is_refused(crowd: Crowd, operator: Operator, plural: str) -> None:
    await _is_refused(crowd, operator, plural, _forbidden(plural))


async def test_an_app_comes_back_from_what_cannot_run(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    """A -> bad -> A is A; and while it is bad, it says why, and what ran before is as it was."""
    await crowd.create("images", "unbuilt", {"source": {"configMap": {"name": "not-there"}}})
    await crowd.stand_in("rooted", user="0", runAsUser=0)
    base = bases.APPS["bare"]
    cases = [Change("apps", what, base, {**base, **bad}) for what, bad in BROKEN.items()]
    await _leaves_no_trace(crowd, operator, proxy, "apps", cases, taken=len(cases) - 1)


async def test_an_app_without_pods_gets_its_autoscalers_fewest(crowd: Crowd, operator: Operator) -> None:
    """Kubernetes' autoscaler leaves a Deployment of 0 alone for ever."""
    await crowd.create("apps", "none", bases.APPS["bare"])
    await crowd.settled("apps", ["none"], PHASE_SECONDS)
    autoscale = {"minReplicas": 2, "maxReplicas": 3}
    await crowd.replace("apps", "none", {"image": bases.APPS["bare"]["image"], "autoscale": autoscale})
    await crowd.until("at its fewest", lambda one: one["spec"]["replicas"] == 2, DEPLOYMENTS, "none", 60)
    health.is_unharmed(operator)


async def _leaves_no_trace(
    crowd: Crowd, operator: Operator, proxy: Proxy, plural: str, cases: list[Change], taken: int | None = None
) -> None:
    begun = time.monotonic()
    verdict = await trial.differential(crowd, plural, cases, PHASE_SECONDS)
    await health.falls_quiet(proxy, crowd.namespace)
    seconds = time.monotonic() - begun
    told = f"{verdict.tried} changes of {plural}, {verdict.refused} refused by rules, {seconds:.0f} s"
    print(f"\n{told}: {verdict.reasons}", file=sys.stderr)
    assert not verdict.failures, verdict.report()
    # Else the generator makes nothing but refusals, and nothing was tried.
    assert verdict.tried - verdict.refused >= (taken if taken is not None else verdict.tried * 0.6)
    health.is_unharmed(operator)
    health.has_no_hot_loop(proxy, crowd.namespace, PHASES)


async def _is_refused(crowd: Crowd, operator: Operator, plural: str, cases: list[Change]) -> None:
    verdict = await trial.refusals(crowd, plural, cases)
    assert not verdict.failures, verdict.report()
    health.is_unharmed(operator)


def _valid(plural: str) -> list[Change]:
    return [one for one in changes.field_changes(plural, SEED) if one.valid]


def _forbidden(plural: str) -> list[Change]:
    return [one for one in changes.field_changes(plural, SEED) if not one.valid]


def _builds_nothing(change: Change) -> bool:
    """A source that is there, and looked at, would be built."""
    return all(spec.get("suspend") or "configMap" in spec.get("source", {}) for spec in (change.before, change.after))
