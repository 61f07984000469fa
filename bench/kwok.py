"""Nodes and pods without containers: kwok gives each pod on its node the status that a kubelet would.

Meanwhile the real node takes no new pods. Three sorts of pods: those of build Jobs and tests are over at once, all
others run and are ready.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench.ground import BUILDS_NAMESPACE, Ground
from bench.kube import until
from bench.processes import must_run, program, running
from devcluster.outside import free_port
from keelway.api.resources import Resource
from keelway.children import names

NODE: Final = "keelway-bench-kwok"
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
_MANAGED: Final = "kwok.x-k8s.io/node=fake"
_LEASE_SECONDS: Final = 40
_READY_SECONDS: Final = 60.0
# Long enough for builds that may run at once to do so.
_BUILD_MILLISECONDS: Final = 200

_CONDITIONS: Final = """
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
addresses:
- {address: {{ NodeIP | Quote }}, type: InternalIP}
allocatable: {cpu: 1k, memory: 1Ti, pods: 1M}
capacity: {cpu: 1k, memory: 1Ti, pods: 1M}
phase: Running
"""
_RUNNING: Final = """
conditions:
{{ range (list "Initialized" "ContainersReady" "Ready") }}
- {type: {{ . }}, status: "True", lastTransitionTime: {{ Now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name }}
  image: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ Now | Quote }}}}
{{ end }}
phase: Running
startTime: {{ Now | Quote }}
"""
_OVER: Final = """
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name }}
  image: {{ .image | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ Now | Quote }}
      finishedAt: {{ Now | Quote }}
      message: 'REPORT'
{{ end }}
phase: Succeeded
startTime: {{ Now | Quote }}
"""


def stages(report: str) -> list[dict[str, Any]]:
    """kwok's configuration: what becomes of a node and of pods. `report` is what a build Job's pod ends with."""
    pending = [_field(".status.phase", "In", "Pending"), _field(".metadata.deletionTimestamp", "DoesNotExist")]
    of_build = _field(".metadata.namespace", "In", BUILDS_NAMESPACE)
    test_label = f'.metadata.labels["{names.TEST_LABEL}"]'
    over = _OVER.replace("REPORT", report.replace("'", "''"))
    return [
        _stage("node", "Node", [_field(".status.phase", "NotIn", "Running")], {"statusTemplate": _CONDITIONS}),
        _stage("build", "Pod", [*pending, of_build], {"statusTemplate": over}, _BUILD_MILLISECONDS),
        _stage("test", "Pod", [*pending, _field(test_label, "Exists")], {"statusTemplate": over}),
        _stage(
            "run",
            "Pod",
            [*pending, _field(".metadata.namespace", "NotIn", BUILDS_NAMESPACE), _field(test_label, "DoesNotExist")],
            {"statusTemplate": _RUNNING},
        ),
        _stage("delete", "Pod", [_field(".metadata.deletionTimestamp", "Exists")], {"delete": True}),
    ]


@asynccontextmanager
async def nodes(ground: Ground, report: str = "") -> AsyncIterator[None]:
    """One node of kwok's that alone takes new pods, while the block lasts."""
    config = _write_config(ground, report)
    log = ground.work / "kwok.log"
    command: list[str | Path] = [
        program(ground.settings, "kwok"),
        f"--kubeconfig={ground.settings.kubeconfig}",
        f"--config={config}",
        f"--manage-nodes-with-annotation-selector={_MANAGED}",
        f"--node-lease-duration-seconds={_LEASE_SECONDS}",
        f"--server-address=127.0.0.1:{free_port()}",
    ]
    real = sorted(await ground.kube.names(NODES) - {NODE})
    with running(command, log) as process:
        try:
            for name in real:
                await _cordon(ground, name, True)
            await ground.kube.delete(NODES, None, NODE)
            await ground.kube.create(NODES, _node())

            async def ready() -> bool:
                must_run(process, log)
                return _is_ready(await ground.kube.get(NODES, None, NODE))

            await until("a ready node of kwok's", ready, _READY_SECONDS)
            yield
        finally:
            await ground.kube.delete(NODES, None, NODE)
            for name in real:
                await _cordon(ground, name, False)


async def _cordon(ground: Ground, name: str, unschedulable: bool) -> None:
    await ground.kube.patch(NODES, None, name, {"spec": {"unschedulable": unschedulable or None}})


def _write_config(ground: Ground, report: str) -> str:
    path = ground.work / "kwok.yaml"
    path.write_text("\n---\n".join(json.dumps(stage) for stage in stages(report)))
    return str(path)


def _node() -> dict[str, Any]:
    key, _, value = _MANAGED.partition("=")
    metadata = {"name": NODE, "annotations": {key: value}, "labels": {"kubernetes.io/hostname": NODE}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    return not node["spec"].get("taints") and any(
        one["type"] == "Ready" and one["status"] == "True" for one in conditions
    )


def _field(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def _stage(
    name: str, kind: str, fields: list[dict[str, Any]], following: dict[str, Any], milliseconds: int = 0
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": fields},
        "next": following,
    }
    if milliseconds:
        spec["delay"] = {"durationMilliseconds": milliseconds}
    metadata = {"name": f"keelway-bench-{name}"}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": metadata, "spec": spec}
