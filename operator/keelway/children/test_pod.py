"""A test of a built image: one pod of it, in the Image's own namespace, that must exit 0."""

from typing import Any, Final

from keelway.api.pod import Security, SecurityContext
from keelway.api.resources import BUILDS, PODS
from keelway.children import names, pods
from keelway.children.context import TestContext

CONTAINER: Final = "test"


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
            "containers": [_container(context, context.test.security, security)],
        }
    )


def _container(context: TestContext, security: Security, security_context: SecurityContext) -> dict[str, Any]:
    test = context.test
    return pods.given(
        {
            "name": CONTAINER,
            "image": context.build.status.reference,
            "imagePullPolicy": "IfNotPresent",
            "command": list(test.command) or None,
            "args": list(test.args) or None,
            **pods.environment(test.env),
            "resources": pods.container_resources(test.resources),
            "securityContext": pods.container_security(security, security_context, context.run_as_user),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )
