"""Ownership of fields: what healing takes over and what it leaves (contract rules 9 and 10)."""

from typing import Any

from keelway.cluster.managed_fields import applies, consolidated, last_other_manager

REPLICAS = ("spec", "replicas")


def live(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "metadata": {"managedFields": list(entries)}}


def entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields} | more


OURS = entry("keelway", {"f:spec": {"f:replicas": {}, "f:ports": {'k:{"port":80}': {".": {}}}}})
THEIRS = entry("kubectl-edit", {"f:spec": {"f:ports": {'k:{"port":81}': {}}}}, operation="Update", time="2026-01-02")
STATUS = entry("kube-controller-manager", {"f:status": {}}, operation="Update", subresource="status", time="2026-01-03")


def test_all_entries_become_one_of_ours() -> None:
    first, *rest = consolidated(live(OURS, THEIRS), "keelway")
    assert (first["manager"], first["operation"], rest) == ("keelway", "Apply", [])
    assert first["fieldsV1"]["f:spec"]["f:ports"] == {'k:{"port":80}': {".": {}}, 'k:{"port":81}': {}}


def test_what_belongs_to_a_subresource_stays_with_its_owner() -> None:
    assert consolidated(live(OURS, STATUS), "keelway")[1:] == [STATUS]


def test_a_field_that_another_controller_writes_becomes_nobodys() -> None:
    first, *_ = consolidated(live(OURS, THEIRS), "keelway", without=[REPLICAS])
    assert "f:replicas" not in first["fieldsV1"]["f:spec"]
    assert "f:ports" in first["fieldsV1"]["f:spec"]


def test_the_entries_given_are_not_changed() -> None:
    before = entry("keelway", {"f:spec": {"f:replicas": {}}})
    consolidated(live(before, THEIRS), "keelway", without=[REPLICAS])
    assert before == entry("keelway", {"f:spec": {"f:replicas": {}}})


def test_a_manager_applies_what_its_apply_entry_names() -> None:
    assert applies(live(OURS), "keelway", REPLICAS)
    assert not applies(live(OURS), "keelway-scale", REPLICAS)
    assert not applies(live(THEIRS), "kubectl-edit", ("spec", "ports"))  # an update, not an apply


def test_the_other_manager_is_the_latest_that_wrote_the_object_itself() -> None:
    earlier = entry("helm", {}, time="2026-01-01")
    assert last_other_manager(live(OURS, earlier, THEIRS, STATUS), "keelway") == "kubectl-edit"
    assert last_other_manager(live(OURS, STATUS), "keelway") is None
