"""The operator as an administrator sees it: probes, metrics, logs, and what is in the cluster for it."""

import json
import re

from tests.e2e.client import Client
from tests.e2e.disturbance import SYSTEM, Peace
from tests.e2e.objects import empty_image
from tests.e2e.tenant import Tenant


def test_both_replicas_are_ready_and_one_of_them_leads(client: Client, peace: Peace) -> None:
    with peace.undisturbed():
        pods = peace.kubectl.json("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator")
        addresses = [one["status"]["podIP"] for one in pods["items"] if "deletionTimestamp" not in one["metadata"]]
        assert len(addresses) == 2
        metrics = [client.get(f"http://{address}:8080/metrics").text for address in addresses]
        for address in addresses:
            assert client.get(f"http://{address}:8080/livez").status == 200
            assert client.get(f"http://{address}:8080/readyz").status == 200
    assert sorted(_value(text, "keelway_leader") for text in metrics) == [0, 1]


def test_metrics_tell_of_passes_and_builds(tenant: Tenant, client: Client, peace: Peace) -> None:
    with peace.undisturbed():
        address = tenant.kubectl.json("get", f"pod/{peace.leader()}", "-n", SYSTEM)["status"]["podIP"]
        url = f"http://{address}:8080/metrics"
        before = client.get(url).text
        tenant.apply(empty_image())
        tenant.wait("image/empty")
        after = client.get(url).text

    def grew(series: str) -> bool:
        return _value(after, series) > _value(before, series)

    assert grew('keelway_builds_total{result="succeeded"}')
    assert grew('keelway_build_duration_seconds_count{result="succeeded"}')
    assert grew('keelway_reconcile_duration_seconds_count{kind="Image"}')
    for name in ("keelway_reconciles_total", "keelway_reconcile_errors_total", "keelway_queue_depth"):
        assert f"# TYPE {name.removesuffix('_total')}" in after or name in after


def test_it_logs_json(peace: Peace) -> None:
    leader = peace.leader()
    log = peace.kubectl.run("logs", f"pod/{leader}", "-n", SYSTEM, "--tail=50").stdout.splitlines()
    assert log
    for line in log:
        told = json.loads(line)
        assert {"event", "level", "timestamp"} <= told.keys()


def test_an_idle_cluster_of_objects_is_not_written_to(tenant: Tenant) -> None:
    """What is as it should be stays untouched: a label makes a pass, and the pass writes nothing."""
    tenant.apply(empty_image())
    tenant.wait("image/empty")
    with tenant.watching("image/empty") as watched:
        tenant.run("label", "image/empty", "team=blue")
        labelled = watched.until(lambda seen: "team" in seen.object["metadata"].get("labels", {}))
        tenant.run("annotate", "image/empty", "example.com/note=hello")
        watched.until(lambda seen: "example.com/note" in seen.object["metadata"].get("annotations", {}), after=labelled)
        statuses = {json.dumps(seen.object["status"], sort_keys=True) for seen in watched.events}
    assert len(statuses) == 1
    assert len(watched.events) == 3, "as it was, the label, the annotation: nobody else wrote"


def _value(metrics: str, series: str) -> float:
    """The value of a series; 0 where it is not there yet."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0
