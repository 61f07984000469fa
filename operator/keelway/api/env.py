"""Environment variables of a container, in Kubernetes' own shape: `to_dict()` goes into a pod as it is."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.quantity import Quantity
from keelway.api.schema import MergeKey, Rule
from keelway.api.types import DataKey, ObjectName


class KeyRef(Model):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the Secret or ConfigMap, in the same namespace."""
    key: DataKey
    """The key whose value is taken."""
    optional: bool | None = None
    """true: start without the variable where the object or key does not exist. Default: false, the pod
    waits."""


class FieldRef(Model):
    """A field of the pod itself."""

    field_path: Annotated[
        str,
        Field(max_length=320),
        Rule(
            "self in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', "
            "'spec.serviceAccountName', 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'] || "
            "((self.startsWith('metadata.labels[\\'') || self.startsWith('metadata.annotations[\\'')) "
            "&& self.endsWith('\\']'))",
            "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['<key>'], "
            "metadata.annotations['<key>'], spec.nodeName, spec.serviceAccountName, status.hostIP, "
            "status.hostIPs, status.podIP or status.podIPs",
        ),
    ]
    """Path of the field, e.g. metadata.name, metadata.labels['tier'] or status.podIP."""


class ResourceField(StrEnum):
    """The container's own requests and limits, by Kubernetes' names."""

    LIMITS_CPU = "limits.cpu"
    LIMITS_MEMORY = "limits.memory"
    LIMITS_EPHEMERAL_STORAGE = "limits.ephemeral-storage"
    REQUESTS_CPU = "requests.cpu"
    REQUESTS_MEMORY = "requests.memory"
    REQUESTS_EPHEMERAL_STORAGE = "requests.ephemeral-storage"


class ResourceFieldRef(Model):
    """One of the container's own requests or limits."""

    resource: ResourceField
    """Which one, e.g. limits.memory."""
    divisor: Quantity | None = None
    """The unit to count in, e.g. 1Mi for mebibytes or 1m for millicores. The result is rounded up. Default:
    1."""


class EnvVarSource(Model):
    """Where an environment variable's value comes from: exactly one of the members."""

    one_of = ("secret_key_ref", "config_map_key_ref", "field_ref", "resource_field_ref")

    secret_key_ref: KeyRef | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap."""
    field_ref: FieldRef | None = None
    """A field of the pod, such as its name or IP address."""
    resource_field_ref: ResourceFieldRef | None = None
    """One of the container's own requests or limits."""


class EnvVar(Model):
    """One environment variable: `value` or `valueFrom`; neither means the empty string."""

    rules = (Rule("!(has(self.value) && has(self.valueFrom))", "give either value or valueFrom, not both"),)

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")]
    """Name of the variable, unique in the list."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """The value. $(NAME) stands for a variable defined before it; $$(NAME) is the text $(NAME) itself."""
    value_from: EnvVarSource | None = None
    """Take the value from elsewhere."""


Env = Annotated[tuple[EnvVar, ...], Field(max_length=200), MergeKey("name")]


class EnvFromRef(Model):
    """A whole Secret or ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the object, in the same namespace."""
    optional: bool | None = None
    """true: start also where the object does not exist. Default: false, the pod waits for it."""


class EnvFrom(Model):
    """All keys of a Secret or ConfigMap as environment variables: exactly one of `configMapRef` and
    `secretRef`."""

    one_of = ("config_map_ref", "secret_ref")

    prefix: Annotated[str, Field(max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")] | None = None
    """Put before the name of each variable. Default: nothing."""
    config_map_ref: EnvFromRef | None = None
    """The ConfigMap."""
    secret_ref: EnvFromRef | None = None
    """The Secret."""
