"""The table "What Ready says": what clients may rely on in every state, and how kstatus reads it.

Each row names a golden case; `tests/unit/golden/test_golden.py` proves that Keelway says what stands there.
"""

from typing import Any

import pytest

from tests.unit.golden.cases import case_names, read
from tests.unit.golden.kstatus import kstatus

# golden case, Ready, Reconciling, Stalled, reason of Ready, what kstatus makes of it
TABLE = [
    # first build or rollout running
    ("image-first-build-queued", "Unknown", "True", "False", "Queued", "InProgress"),
    ("image-first-build-running", "Unknown", "True", "False", "Building", "InProgress"),
    ("image-first-build-under-test", "Unknown", "True", "False", "Testing", "InProgress"),
    ("app-waits-for-first-version", "False", "True", "False", "NoVersionYet", "InProgress"),
    ("app-first-rollout", "False", "True", "False", "RollingOut", "InProgress"),
    ("app-rolling-out", "False", "True", "False", "RollingOut", "InProgress"),
    # all is well
    ("image-version-ready", "True", "False", "False", "VersionReady", "Current"),
    ("app-rolled-out", "True", "False", "False", "RolledOut", "Current"),
    # newest build or test failed
    ("image-first-build-failed", "False", "False", "True", "RunFailed", "Failed"),
    ("image-build-failed-last-good-serves", "False", "False", "True", "RunFailed", "Failed"),
    ("image-test-failed-last-good-serves", "False", "False", "True", "Quarantined", "Failed"),
    ("image-quarantined-inputs-come-back", "False", "False", "True", "Quarantined", "Failed"),
    ("image-requested-build-failed", "False", "False", "True", "RunFailed", "Failed"),
    ("app-image-build-failed-last-good-serves", "True", "False", "False", "RolledOut", "Current"),
    # waiting for something outside
    ("image-waiting-for-secret", "False", "True", "False", "SecretNotFound", "InProgress"),
    ("image-repository-in-use", "False", "True", "False", "RepositoryInUse", "InProgress"),
    ("image-fault-outside-is-retried", "False", "True", "False", "RegistryFailed", "InProgress"),
    ("app-waits-for-image", "False", "True", "False", "ImageNotFound", "InProgress"),
    ("app-image-deleted-while-running", "False", "True", "False", "ImageNotFound", "InProgress"),
    ("app-secret-missing", "False", "True", "False", "ContainerConfigError", "InProgress"),
    ("app-image-not-pulled", "False", "True", "False", "ImagePullFailed", "InProgress"),
    ("app-pods-refused-by-quota", "False", "True", "False", "PodsRefused", "InProgress"),
    ("app-name-conflict", "False", "True", "False", "NameConflict", "InProgress"),
    # only a change of the object's own spec helps
    ("image-repository-of-another-namespace", "False", "False", "True", "RepositoryNotAllowed", "Failed"),
    ("app-crash-loop-past-deadline", "False", "False", "True", "CrashLoop", "Failed"),
    ("app-not-ready-past-deadline", "False", "False", "True", "ProgressDeadlineExceeded", "Failed"),
    ("app-new-image-runs-as-root", "False", "False", "True", "ImageRunsAsRoot", "Failed"),
    ("app-child-refused", "False", "False", "True", "InvalidDeployment", "Failed"),
    ("app-pods-refused-by-pod-security", "False", "False", "True", "PodsRefused", "Failed"),
    ("image-pinned-version-unknown", "False", "False", "True", "VersionNotFound", "Failed"),
    ("image-pinned-version-in-quarantine", "False", "False", "True", "Quarantined", "Failed"),
    # pinned: what is pinned serves
    ("image-pinned", "True", "False", "False", "Pinned", "Current"),
    # suspended: as last
    ("image-suspended", "True", "False", "False", "Suspended", "Current"),
    ("app-suspended", "True", "False", "False", "Suspended", "Current"),
    ("app-suspended-from-the-start", "Unknown", "False", "False", "Suspended", "InProgress"),
]


@pytest.mark.parametrize(("case", "ready", "reconciling", "stalled", "reason", "read_as"), TABLE)
def test_what_ready_says(case: str, ready: str, reconciling: str, stalled: str, reason: str, read_as: str) -> None:
    expected = EXPECTED[case]
    conditions = {one["type"]: one for one in expected["status"]["conditions"]}
    told = tuple(conditions[one]["status"] for one in ("Ready", "Reconciling", "Stalled"))
    assert (told, conditions["Ready"]["reason"]) == ((ready, reconciling, stalled), reason)
    assert expected["kstatus"] == read_as


EXPECTED: dict[str, Any] = {case: read(case, "expected") for case in case_names()}
STATUSES: dict[str, Any] = {case: one["status"] for case, one in EXPECTED.items() if "kstatus" in one}


@pytest.mark.parametrize("case", STATUSES)
def test_the_three_summary_conditions_never_contradict_each_other(case: str) -> None:
    conditions = {one["type"]: one["status"] for one in STATUSES[case]["conditions"]}
    assert [conditions["Reconciling"], conditions["Stalled"]].count("True") <= 1
    if conditions["Ready"] == "True":
        assert conditions["Reconciling"] == conditions["Stalled"] == "False"


@pytest.mark.parametrize("case", STATUSES)
def test_whatever_is_not_ready_says_why_and_what_to_do(case: str) -> None:
    ready = next(one for one in STATUSES[case]["conditions"] if one["type"] == "Ready")
    if ready["status"] == "False" and ready["reason"] != "RollingOut":
        cause_and_remedy = ready["message"].split(". ")
        assert len(cause_and_remedy) >= 2
        assert all(sentence.strip() for sentence in cause_and_remedy)


def test_kstatus_does_not_trust_a_status_of_an_older_generation() -> None:
    ready = {"type": "Ready", "status": "True"}
    obj = {"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [ready]}}
    assert kstatus(obj) == "InProgress"
    assert kstatus({**obj, "metadata": {"generation": 1}}) == "Current"
