"""What all pods of a user have in common: security, environment, resources. Used by `deployment.py` and `test_pod.py`.

The restricted Pod Security Standard is the default (tenancy.md): pods that keep it run in any namespace.
"""

from typing import Any

from keelway.api.pod import Env, EnvFrom, Resources, Security, SecurityContext

JsonObject = dict[str, Any]


def pod_security(security: Security, context: SecurityContext) -> JsonObject:
    """The pod's securityContext."""
    restricted = security is Security.RESTRICTED
    wanted = {
        "runAsNonRoot": True if restricted and context.run_as_non_root is None else context.run_as_non_root,
        "fsGroup": context.fs_group,
        "supplementalGroups": list(context.supplemental_groups) or None,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return given(wanted)


def container_security(security: Security, context: SecurityContext, run_as_user: int | None) -> JsonObject:
    """The container's securityContext; `run_as_user` is used where the user gives none."""
    wanted: JsonObject = {
        "runAsUser": context.run_as_user if context.run_as_user is not None else run_as_user,
        "runAsGroup": context.run_as_group,
        "readOnlyRootFilesystem": context.read_only_root_filesystem,
    }
    if security is Security.RESTRICTED:
        wanted |= {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return given(wanted)


def environment(env: Env, env_from: tuple[EnvFrom, ...] = ()) -> JsonObject:
    """`env` and `envFrom` of a container, each only where there is something in it."""
    wanted = {"env": [one.to_dict() for one in env], "envFrom": [one.to_dict() for one in env_from]}
    return {name: entries for name, entries in wanted.items() if entries}


def container_resources(resources: Resources) -> JsonObject:
    """Requests with their defaults, and limits where given."""
    wanted = {"requests": resources.effective_requests(), "limits": dict(resources.limits)}
    return {name: amounts for name, amounts in wanted.items() if amounts}


def given(fields: JsonObject) -> JsonObject:
    """The fields that have a value: server-side apply takes a null for a wish to remove."""
    return {name: value for name, value in fields.items() if value is not None}
