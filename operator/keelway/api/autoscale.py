"""Autoscaling of an App: bounds, targets, and the behaviour of autoscaling/v2 as it is."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.schema import Rule

# Used where neither target is given. It cannot be a default of the schema: it would stand beside
# memoryPercent.
DEFAULT_CPU_PERCENT: Final = 80


class PolicyType(StrEnum):
    """How a scaling policy counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class ScalingPolicy(Model):
    """How much may change in a time."""

    type: PolicyType
    """Pods: value is a number of pods. Percent: value is a percentage of the present pods."""
    value: Annotated[int, Field(ge=1, le=10000)]
    """The most that may change within periodSeconds."""
    period_seconds: Annotated[int, Field(ge=1, le=1800)]
    """The time in seconds that value is for, 1 to 1800."""


class SelectPolicy(StrEnum):
    """Which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class ScalingRules(Model):
    """How scaling in one direction behaves."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds of the past whose most cautious recommendation counts, 0 to 3600. Default: 0 up, 300 down."""
    select_policy: SelectPolicy | None = None
    """Max: the policy that changes most. Min: that changes least. Disabled: no scaling this way. Default:
    Max."""
    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1, max_length=10)] | None = None
    """How much may change in a time. Default: Kubernetes' own, see HorizontalPodAutoscaler."""


class ScalingBehavior(Model):
    """Speed and calm of scaling, as in HorizontalPodAutoscaler autoscaling/v2."""

    scale_up: ScalingRules | None = None
    """How pods are added."""
    scale_down: ScalingRules | None = None
    """How pods are taken away."""


class Autoscale(Model):
    """Bounds and targets: at least one target counts, cpuPercent 80 where none is given."""

    rules = (Rule("self.minReplicas <= self.maxReplicas", "minReplicas must not be more than maxReplicas"),)

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Fewest pods, 1 to 1000. Default: 1."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """Most pods, 1 to 1000."""
    cpu_percent: Annotated[int, Field(ge=1, le=1000)] | None = None
    """CPU use that is aimed at, in percent of the request, on average over the pods.
    Default: 80 where memoryPercent is not given either, else none."""
    memory_percent: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Memory use that is aimed at, in percent of the request, on average over the pods. Default: none."""
    behavior: ScalingBehavior | None = None
    """How fast to scale, as in HorizontalPodAutoscaler autoscaling/v2. Default: Kubernetes' own."""

    def targets(self) -> tuple[tuple[str, int], ...]:
        """Pairs of resource name (cpu, memory) and percent of its request; never empty."""
        given = (("cpu", self.cpu_percent), ("memory", self.memory_percent))
        chosen = tuple((name, percent) for name, percent in given if percent is not None)
        return chosen or (("cpu", DEFAULT_CPU_PERCENT),)
