"""An App's HorizontalPodAutoscaler: given only with `autoscale`; then it alone owns the Deployment's replicas."""

from typing import Any, Final

from keelway.api.resources import DEPLOYMENTS, HPAS
from keelway.children import names
from keelway.children.base import KEEP, ChildKind, Wanted
from keelway.children.context import AppContext


def build(context: AppContext) -> Wanted:
    """The HPA; None without `autoscale`; KEEP while there is nothing to scale."""
    app = context.app
    autoscale = app.spec.autoscale
    if autoscale is None:
        return None
    if context.image is None:
        return KEEP
    spec: dict[str, Any] = {
        "scaleTargetRef": {
            "apiVersion": DEPLOYMENTS.api_version,
            "kind": DEPLOYMENTS.kind,
            "name": app.metadata.name,
        },
        "minReplicas": autoscale.min_replicas,
        "maxReplicas": autoscale.max_replicas,
        "metrics": [_utilization(name, percent) for name, percent in autoscale.targets()],
    }
    if autoscale.behavior is not None:
        spec["behavior"] = autoscale.behavior.to_dict()
    return {
        "apiVersion": HPAS.api_version,
        "kind": HPAS.kind,
        "metadata": {
            "name": app.metadata.name,
            "namespace": app.metadata.namespace,
            "labels": names.app_labels(app.metadata.name),
        },
        "spec": spec,
    }


def _utilization(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


HPA: Final[ChildKind[AppContext]] = ChildKind(name="hpa", resource=HPAS, build=build, exact=(("spec", "metrics"),))
