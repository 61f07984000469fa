"""A build's Job and that Job's Secret, in the builds' namespace (tenancy.md "Jobs").

The Secret comes first and owns the Job: whoever deletes it has the Job and its pod go with it (docs/adr/0013). What the
Job's containers do is `keelway.builder`; what they read and answer is `api/buildrequest.py`.
"""

import base64
from typing import Any, Final

from keelway.api.buildrequest import REQUEST_DIR, WORKSPACE_DIR
from keelway.api.resources import JOBS, SECRETS
from keelway.children import names
from keelway.children.context import JobContext

USER: Final = 65532
FETCH: Final = "fetch"
BUILD: Final = "build"


def job(context: JobContext, secret_uid: str) -> dict[str, Any]:
    """The Job; collected with its Secret."""
    labels = _labels(context)
    owner = {"apiVersion": SECRETS.api_version, "kind": SECRETS.kind, "name": _name(context), "uid": secret_uid}
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": _name(context),
            "namespace": context.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            # A retry is a new attempt of the operator's, which knows whether one can help.
            "backoffLimit": 0,
            "activeDeadlineSeconds": context.deadline_seconds,
            "template": {"metadata": {"labels": labels}, "spec": _pod(context)},
        },
    }


def secret(context: JobContext) -> dict[str, Any]:
    """The Secret that the Job mounts."""
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {"name": _name(context), "namespace": context.namespace, "labels": _labels(context)},
        "immutable": True,
        "type": "Opaque",
        "data": {name: base64.b64encode(data).decode() for name, data in context.data.items()},
    }


def _name(context: JobContext) -> str:
    return names.job_name(context.build.metadata.name, context.build.metadata.uid)


def _labels(context: JobContext) -> dict[str, str]:
    image = context.image.metadata
    return {
        **names.image_labels(image.namespace, image.name, image.uid),
        names.BUILD_LABEL: context.build.metadata.name,
        names.BUILD_UID_LABEL: context.build.metadata.uid,
        names.BUILDKIT_REPLICA_LABEL: str(context.buildkit_replica),
    }


def _pod(context: JobContext) -> dict[str, Any]:
    containers = {"containers": [_container(context, BUILD)]}
    # Files that came with the request need nobody to fetch them: one container less to start.
    if _is_fetched(context):
        containers["initContainers"] = [_container(context, FETCH)]
    return {
        **containers,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 15,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "request", "secret": {"secretName": _name(context), "defaultMode": 0o440}},
            {"name": "workspace", "emptyDir": {"sizeLimit": "4Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }


def _is_fetched(context: JobContext) -> bool:
    source = context.build.spec.source
    return source.git is not None or source.http is not None


def _container(context: JobContext, step: str) -> dict[str, Any]:
    return {
        "name": step,
        "image": context.operator_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "keelway.builder", step],
        # RUN steps use BuildKit's processor and memory; these two only fetch and hand over.
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "request", "mountPath": REQUEST_DIR, "readOnly": True},
            {"name": "workspace", "mountPath": WORKSPACE_DIR},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
