"""How kstatus (sigs.k8s.io/cli-utils/pkg/kstatus), so `flux`, Argo CD and Helm's `--wait`, reads an object of ours.

The short form for tests that run without Go; `tests/integration/test_kstatus.py` holds it against the real one.
"""

from collections.abc import Mapping
from typing import Any, Literal

KStatus = Literal["Current", "InProgress", "Failed", "Terminating"]


def kstatus(obj: Mapping[str, Any]) -> KStatus:
    """The generic rules, in kstatus's order: deletion, generation, Reconciling and Stalled, then Ready."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = obj.get("status", {})
    if "observedGeneration" in status and status["observedGeneration"] != obj["metadata"]["generation"]:
        return "InProgress"
    for condition in status.get("conditions", []):
        if condition["status"] == "True" and condition["type"] == "Reconciling":
            return "InProgress"
        if condition["status"] == "True" and condition["type"] == "Stalled":
            return "Failed"
    ready = next((one["status"] for one in status.get("conditions", []) if one["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
