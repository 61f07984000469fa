"""What Apps and tests say about their pods: command, resources, security, tolerations.

Names and meanings are Kubernetes' own (core/v1) wherever it has them. The whole vocabulary of pods is to be
had from this module; `env.py` and `probe.py` hold its larger parts.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import Field

from keelway.api import quantity
from keelway.api.env import Env, EnvFrom, EnvVar
from keelway.api.meta import Model
from keelway.api.probe import ExecProbe, HttpProbe, Probe, Probes, TcpProbe
from keelway.api.quantity import Quantity
from keelway.api.schema import Rule
from keelway.api.types import Argument

__all__ = [
    "DEFAULT_REQUESTS",
    "Command",
    "Env",
    "EnvFrom",
    "EnvVar",
    "ExecProbe",
    "HttpProbe",
    "Probe",
    "Probes",
    "Resources",
    "Security",
    "SecurityContext",
    "TcpProbe",
    "Toleration",
]

Command = Annotated[tuple[Argument, ...], Field(max_length=100)]

_ResourceMap = Annotated[
    Mapping[str, Quantity],
    Field(max_length=16),
    Rule(
        "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || name.startsWith('hugepages-') "
        "|| name.contains('/'))",
        "resource names are cpu, memory, ephemeral-storage, hugepages-<size>, or of the form example.com/gpu",
    ),
]

DEFAULT_REQUESTS: Final[Mapping[str, str]] = MappingProxyType({"cpu": "100m", "memory": "128Mi"})


class Resources(Model):
    """What a container asks for and what it may use at most."""

    requests: _ResourceMap = Field(default=dict(DEFAULT_REQUESTS))
    """What the scheduler reserves, by resource name, e.g. {cpu: 250m, memory: 1Gi}; write fractions as 500m
    or "0.5". Default: cpu 100m and memory 128Mi, each for itself where it is not given. Never more than the
    limit is used."""
    limits: _ResourceMap = Field(default_factory=dict)
    """The most that the container may use, by resource name: past cpu it is slowed down, past memory it is
    killed. Default: none."""

    def effective_requests(self) -> dict[str, str]:
        """The requests with the defaults filled in, none above its limit: Kubernetes refuses such a pod.

        So `limits: {memory: 64Mi}` alone requests 64Mi of memory, not the default's 128Mi.
        """
        wanted = {**DEFAULT_REQUESTS, **self.requests}
        return {name: self._capped(name, amount) for name, amount in wanted.items()}

    def _capped(self, name: str, amount: str) -> str:
        limit = self.limits.get(name)
        if limit is None or quantity.value(amount) <= quantity.value(limit):
            return amount
        return limit


class Security(StrEnum):
    """Which Pod Security Standard the pods keep."""

    RESTRICTED = "Restricted"
    BASELINE = "Baseline"


_Id = Annotated[int, Field(ge=0, le=2147483647)]


class SecurityContext(Model):
    """Users, groups and file system of the container; each field's text says where it goes."""

    run_as_user: _Id | None = None
    """Numeric user that the container runs as; goes to the container. Default: the user of the image."""
    run_as_group: _Id | None = None
    """Numeric main group of the process; goes to the container. Default: the group of the image."""
    run_as_non_root: bool | None = None
    """true: refuse to start as user 0; goes to the pod. Default: true with security Restricted."""
    read_only_root_filesystem: bool | None = None
    """true: the container's root file system cannot be written to; goes to the container. Default: false."""
    fs_group: _Id | None = None
    """Numeric group that owns the pod's volumes and that all processes have in addition; goes to the pod.
    Default: none."""
    supplemental_groups: Annotated[tuple[_Id, ...], Field(max_length=32)] = ()
    """Numeric groups that all processes have in addition; goes to the pod. Default: none."""


class TolerationOperator(StrEnum):
    """How a toleration's key is compared."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Model):
    """Lets pods run on nodes with a matching taint."""

    rules = (
        Rule("has(self.key) || self.operator == 'Exists'", "without key the operator must be Exists"),
        Rule("self.operator != 'Exists' || !has(self.value)", "with operator Exists no value may be given"),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect NoExecute",
        ),
    )

    key: Annotated[str, Field(min_length=1, max_length=317)] | None = None
    """Key of the taint. Default: every key, with operator Exists."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """Exists: any value matches. Equal: the value must be the same. Default: Equal."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint, with operator Equal. Default: the empty string."""
    effect: TaintEffect | None = None
    """NoSchedule, PreferNoSchedule or NoExecute. Default: every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=315360000)] | None = None
    """Seconds that a running pod stays on a node tainted NoExecute. Default: for ever."""
