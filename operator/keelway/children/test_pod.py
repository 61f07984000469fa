"""A test of a built image: one pod of it, in the Image's own namespace, with the test's companions in the same pod.

Companions are sidecars (init containers that stay, Kubernetes 1.29): they are there before the test and end with it,
and nothing of them is left when the pod is gone, whoever was killed meanwhile. `status/job.py` reads how the pod went.
"""

from types import MappingProxyType
from typing import Any, Final

from keelway.api.pod import SecurityContext
from keelway.api.resources import BUILDS, PODS
from keelway.api.test import Check, Service, TestSpec
from keelway.children import names, pods
from keelway.children.context import TestContext

CONTAINER: Final = "test"
_SERVICE: Final = "service-"
"""Before the name of a service's container: a service may well be called `test`."""
_ALL_THE_TIME: Final = MappingProxyType({"periodSeconds": 1, "timeoutSeconds": 5})


def build(context: TestContext) -> dict[str, Any]:
    """The pod; owned by the Build, so that it goes when the record does."""
    build, test, image = context.build, context.test, context.image
    owner = {
        "apiVersion": BUILDS.api_version,
        "kind": BUILDS.kind,
        "name": build.metadata.name,
        "uid": build.metadata.uid,
        "controller": True,
    }
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": {
            "name": names.test_pod_name(build.metadata.name, test.name),
            "namespace": image.metadata.namespace,
            "labels": {
                **names.image_labels(image.metadata.namespace, image.metadata.name, image.metadata.uid),
                "app.kubernetes.io/component": "test",
                names.BUILD_LABEL: build.metadata.name,
                names.BUILD_UID_LABEL: build.metadata.uid,
                names.TEST_LABEL: test.name,
            },
            "ownerReferences": [owner],
        },
        "spec": _spec(context),
    }


def _spec(context: TestContext) -> dict[str, Any]:
    security = SecurityContext()
    push_secret = context.build.spec.push_secret_ref
    return pods.given(
        {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": context.test.timeout_seconds,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # A hung test is not asked for long to stop.
            "terminationGracePeriodSeconds": 5,
            "securityContext": pods.pod_security(context.test.security, security),
            # Where only a Secret of the user's may push, the node needs it to pull.
            "imagePullSecrets": [push_secret.to_dict()] if push_secret else None,
            # One address for all: a service is found by its name without a Service or DNS.
            "hostAliases": _aliases(context.test),
            "initContainers": [_service(context, one) for one in context.test.services] or None,
            "containers": [_container(context, security)],
        }
    )


def _aliases(test: TestSpec) -> list[dict[str, Any]] | None:
    return [{"ip": "127.0.0.1", "hostnames": [one.name for one in test.services]}] if test.services else None


def _container(context: TestContext, security_context: SecurityContext) -> dict[str, Any]:
    test = context.test
    return pods.given(
        {
            "name": CONTAINER,
            "image": context.build.status.reference,
            "imagePullPolicy": "IfNotPresent",
            "command": list(test.command) or None,
            "args": list(test.args) or None,
            **pods.environment(test.env),
            "readinessProbe": {**_asked(test.check), **_ALL_THE_TIME} if test.check else None,
            "resources": pods.container_resources(test.resources),
            "securityContext": pods.container_security(test.security, security_context, context.run_as_user),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )


def _service(context: TestContext, service: Service) -> dict[str, Any]:
    test = context.test
    user = context.run_as_user if service.image is None and service.run_as_user is None else service.run_as_user
    is_up = {"tcpSocket": {"port": service.ports[0]}, **_ALL_THE_TIME} if service.ports else None
    return pods.given(
        {
            "name": f"{_SERVICE}{service.name}",
            "image": service.image or context.build.status.reference,
            "imagePullPolicy": "IfNotPresent",
            "restartPolicy": "Always",
            "command": list(service.command) or None,
            "args": list(service.args) or None,
            **pods.environment(service.env),
            "ports": [{"containerPort": port} for port in service.ports] or None,
            # The pod's deadline ends a service that never comes up, not a count of probes.
            "startupProbe": {**is_up, "failureThreshold": test.timeout_seconds} if is_up else None,
            "resources": pods.container_resources(service.resources),
            "securityContext": pods.container_security(test.security, SecurityContext(), user),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )


def _asked(check: Check) -> dict[str, Any]:
    if check.http is not None:
        http = check.http
        return {"httpGet": {"port": http.port, "path": http.path, "scheme": http.scheme.value}}
    if check.tcp is not None:
        return {"tcpSocket": {"port": check.tcp.port}}
    assert check.exec is not None
    return {"exec": {"command": list(check.exec.command)}}
