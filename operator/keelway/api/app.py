"""App: which image to run, and how. Neighbours: `image.py` (what it may follow), `autoscale.py`, `pod.py`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from keelway.api.autoscale import Autoscale
from keelway.api.image import Conditions
from keelway.api.meta import NAME_RULES, KeelwayObject, LocalRef, Model
from keelway.api.pod import Command, Env, EnvFrom, Probes, Resources, Security, SecurityContext, Toleration
from keelway.api.schema import MergeKey, Rule
from keelway.api.types import ImageReference, ObjectName, Observed


class AppImage(Model):
    """The image to run: exactly one of `name` and `reference`."""

    one_of = ("name", "reference")

    name: ObjectName | None = None
    """Name of an Image in the same namespace: its latest good version runs, and new ones roll out by
    themselves."""
    reference: ImageReference | None = None
    """An image from elsewhere, e.g. nginx:1.27. A tag is resolved to its digest when this spec changes."""


class Protocol(StrEnum):
    """What is spoken on a port."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


_PortNumber = Annotated[int, Field(ge=1, le=65535)]


class Port(Model):
    """A port of the container, served by the App's Service."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=15),
        Rule(
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.matches('[a-z]') && !self.contains('--')",
            "must be lower case letters, digits and single '-', with at least one letter, "
            "at most 15 characters (IANA service name)",
        ),
    ]
    """Name of the port, each once, at most 15 characters, e.g. http."""
    port: _PortNumber
    """The number that the container listens on, 1 to 65535."""
    protocol: Protocol = Protocol.TCP
    """TCP, UDP or SCTP. Default: TCP."""
    service_port: _PortNumber | None = None
    """The number that the Service listens on, 1 to 65535. Default: the same as port."""


Ports = Annotated[
    tuple[Port, ...],
    Field(max_length=32),
    MergeKey("name"),
    Rule(
        "self.all(a, self.exists_one(b, a.protocol == b.protocol && a.port == b.port))",
        "two ports have the same port and protocol",
    ),
    Rule(
        "self.all(a, self.exists_one(b, a.protocol == b.protocol "
        "&& a.?servicePort.orValue(a.port) == b.?servicePort.orValue(b.port)))",
        "two ports have the same servicePort (by default, port) and protocol",
    ),
]

# Qualified names: k8s.io/apimachinery validation.IsQualifiedName.
_KEYS = Rule(
    "self.all(key, key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
    "keys must be of the form name or example.com/name, the name of at most 63 letters, digits, '-', '_' and '.'",
)
_NOT_OURS = Rule(
    "self.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('keelway.dev/'))",
    "keys below app.kubernetes.io/ and keelway.dev/ are Keelway's own",
)

Labels = Annotated[
    Mapping[str, Annotated[str, Field(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]],
    Field(max_length=64),
    _KEYS,
]
Annotations = Annotated[Mapping[str, Annotated[str, Field(max_length=65536)]], Field(max_length=64), _KEYS]


class PodTemplate(Model):
    """Additions to the pods."""

    labels: Annotated[Labels, _NOT_OURS] = Field(default_factory=dict)
    """Labels for the pods, beside Keelway's own. Keys below app.kubernetes.io/ and keelway.dev/ are not
    allowed."""
    annotations: Annotated[Annotations, _NOT_OURS] = Field(default_factory=dict)
    """Annotations for the pods. Keys below app.kubernetes.io/ and keelway.dev/ are not allowed."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have to run the pods. Default: any node."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints of nodes that the pods tolerate."""


# CEL knows no list of different types, so what holds for each probe is written out for each.
_ACTIONS = [
    f"self.?probes.?{probe}.?{action}" for probe in ("readiness", "liveness", "startup") for action in ("http", "tcp")
]
_EACH_HAS_A_PORT = " && ".join(f"(!{action}.hasValue() || {action}.?port.hasValue())" for action in _ACTIONS)


class AppSpec(Model):
    """What to run, and how."""

    rules = (
        Rule(
            "!(has(self.replicas) && has(self.autoscale))",
            "give either replicas or autoscale, not both: with autoscale the number of replicas follows the load",
        ),
        Rule(
            "self.security != 'Restricted' || self.?securityContext.?runAsUser.orValue(1) != 0",
            "security Restricted does not allow runAsUser 0 (root): choose another user, or set security: Baseline",
        ),
        Rule(
            "self.security != 'Restricted' || self.?securityContext.?runAsNonRoot.orValue(true)",
            "security Restricted does not allow runAsNonRoot: false: leave it out, or set security: Baseline",
        ),
        Rule(
            f"size(self.?ports.orValue([])) > 0 || ({_EACH_HAS_A_PORT})",
            "a probe without port needs an entry in ports: it asks the first one",
        ),
    )

    image: AppImage
    """The image to run: exactly one of name and reference."""
    command: Command = ()
    """Program and arguments in place of the image's ENTRYPOINT. No shell is started: for one, write
    ["sh", "-c", "..."]. Default: the ENTRYPOINT."""
    args: Command = ()
    """Arguments in place of the image's CMD. Default: the CMD where command is not given either, else
    none."""
    env: Env = ()
    """Environment variables of the container."""
    env_from: Annotated[tuple[EnvFrom, ...], Field(max_length=50)] = ()
    """Whole Secrets and ConfigMaps as environment variables; env wins over them, a later one over an
    earlier."""
    ports: Ports = ()
    """Ports of the container. With at least one, the App gets a Service of its own name."""
    probes: Probes = Probes()
    """How the kubelet asks the container for its state."""
    resources: Resources = Resources()
    """Requests and limits of the container."""
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Number of pods, 0 to 1000. Default: 1. Not together with autoscale."""
    autoscale: Autoscale | None = None
    """Let the number of pods follow the load. Not together with replicas."""
    security: Security = Security.RESTRICTED
    """Restricted: the pods keep the Pod Security Standard restricted, so non-root and without privileges.
    Baseline: as the image wants, root included. Default: Restricted."""
    security_context: SecurityContext = SecurityContext()
    """Users, groups and file system of the container."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods, in the same namespace; its token is mounted. Default: default, without a
    token."""
    pull_secrets: Annotated[tuple[LocalRef, ...], Field(max_length=16), MergeKey("name")] = ()
    """Secrets of type kubernetes.io/dockerconfigjson to pull the image with."""
    pod_template: PodTemplate = PodTemplate()
    """Additions to the pods: labels, annotations, where they may run."""
    suspend: bool = False
    """true: change nothing. What runs goes on as it is. Default: false."""

    @model_validator(mode="after")
    def _probes_name_known_ports(self) -> Self:
        """Here and not in CEL, whose cost limit has no room for values that are a number or a string."""
        known = {port.name for port in self.ports}
        for name in self.probes.port_names():
            if name not in known:
                message = f"a probe names port {name}, which is not in ports"
                raise PydanticCustomError("unknown_port", "{message}", {"message": message})
        return self


class AppStatus(Model):
    """What is so, as the operator saw it last."""

    conditions: Conditions = ()
    """Ready sums up; ImageReady: the image is known; Available: enough pods serve; Reconciling: work goes on;
    Stalled: only a change of this object helps."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status speaks of."""
    image: Observed | None = None
    """The image that runs, by its digest."""
    version: Observed | None = None
    """The Image's version that runs, e.g. v7. Absent for a reference."""
    replicas: Annotated[int, Field(ge=0)] | None = None
    """Number of pods."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """Number of pods that are ready."""
    selector: Observed | None = None
    """Label selector of the pods, for kubectl scale and autoscalers."""
    url: Observed | None = None
    """Where the App is reached from inside the cluster. Absent without ports."""


class App(KeelwayObject):
    """An App says what to run: an Image's latest version or an image from elsewhere, with its ports, scale
    and security. Keelway makes a Deployment, a Service and, with autoscale, a HorizontalPodAutoscaler, and
    keeps them so."""

    rules = NAME_RULES
    status_is_a_view = True

    kind: Literal["App"] = "App"
    spec: AppSpec
    """What to run, and how."""
    status: AppStatus = AppStatus()
    """What is so, as the operator saw it last."""
