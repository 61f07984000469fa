"""An App's Service: one stable name and address in front of its pods, given only where the App has ports."""

from typing import Final

from keelway.api.resources import SERVICES
from keelway.children import names
from keelway.children.base import SERVICE_EXACT, ChildKind, Wanted
from keelway.children.context import AppContext


def build(context: AppContext) -> Wanted:
    """The Service; None without ports."""
    app = context.app
    if not app.spec.ports:
        return None
    ports = [
        {
            "name": port.name,
            "port": port.service_port if port.service_port is not None else port.port,
            # By name, so that old and new pods of a rollout that moves the port both keep answering.
            "targetPort": port.name,
            "protocol": port.protocol.value,
        }
        for port in app.spec.ports
    ]
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": app.metadata.name,
            "namespace": app.metadata.namespace,
            "labels": names.app_labels(app.metadata.name),
        },
        "spec": {"type": "ClusterIP", "selector": names.app_selector(app.metadata.name), "ports": ports},
    }


SERVICE: Final[ChildKind[AppContext]] = ChildKind(name="service", resource=SERVICES, build=build, exact=SERVICE_EXACT)
