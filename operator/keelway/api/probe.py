"""Probes of a container: Kubernetes' own, with the shorter names `http` and `tcp` and a port that may be left
out.

`children/` turns them into httpGet and tcpSocket and fills the port in.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, WithJsonSchema

from keelway.api.meta import Model
from keelway.api.schema import INT_OR_STRING, Rule
from keelway.api.types import Argument

# An IANA service name, as ports have it. Each keyword speaks of its own type: the bounds of numbers, the rest of names.
_PORT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

ProbePort = Annotated[
    Annotated[int, Field(ge=1, le=65535)] | Annotated[str, Field(max_length=15, pattern=_PORT_NAME)],
    WithJsonSchema({INT_OR_STRING: True, "minimum": 1, "maximum": 65535, "maxLength": 15, "pattern": _PORT_NAME}),
]


class HttpHeader(Model):
    """One header of a probe's request."""

    name: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[-!#$%&'*+.^_`|~A-Za-z0-9]+$")]
    """Name of the header."""
    value: Annotated[str, Field(max_length=4096)]
    """Value of the header."""


class HttpScheme(StrEnum):
    """How the probe connects."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class HttpProbe(Model):
    """An HTTP GET: a status from 200 to 399 is success."""

    path: Annotated[str, Field(max_length=2048, pattern=r"^/[^\x00-\x20\x7f]*$")] = "/"
    """Path of the request, with its query. Default: /."""
    port: ProbePort | None = None
    """Number or name of the port. Default: the first of the App's ports."""
    scheme: HttpScheme = HttpScheme.HTTP
    """HTTP or HTTPS; with HTTPS the certificate is not checked. Default: HTTP."""
    http_headers: Annotated[tuple[HttpHeader, ...], Field(max_length=20)] = ()
    """Headers to send, e.g. Host."""


class TcpProbe(Model):
    """A TCP connection: being accepted is success."""

    port: ProbePort | None = None
    """Number or name of the port. Default: the first of the App's ports."""


class ExecProbe(Model):
    """A command in the container: exit code 0 is success."""

    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=100)]
    """The command and its arguments. No shell is started: for one, write ["sh", "-c", "..."]."""


class Probe(Model):
    """How the kubelet asks the container for its state: exactly one of `http`, `tcp` and `exec`."""

    one_of = ("http", "tcp", "exec")

    http: HttpProbe | None = None
    """Ask by an HTTP GET."""
    tcp: TcpProbe | None = None
    """Ask by opening a TCP connection."""
    exec: ExecProbe | None = None
    """Ask by running a command in the container."""
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    """Seconds after the container's start before the first probe. Default: 0."""
    period_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    """Seconds from one probe to the next. Default: 10."""
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 1
    """Seconds after which a probe without an answer has failed. Default: 1."""
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 1
    """Successes in a row that count as success after a failure. Must be 1 for liveness and startup. Default:
    1."""
    failure_threshold: Annotated[int, Field(ge=1, le=1000)] = 3
    """Failures in a row that count as failure. Default: 3."""


class Probes(Model):
    """The container's probes, each optional."""

    rules = (
        Rule(
            "!has(self.liveness) || self.liveness.successThreshold == 1",
            "liveness.successThreshold must be 1",
        ),
        Rule(
            "!has(self.startup) || self.startup.successThreshold == 1",
            "startup.successThreshold must be 1",
        ),
    )

    readiness: Probe | None = None
    """May the pod get requests? Default: a TCP probe of the first port, where that is TCP; otherwise none."""
    liveness: Probe | None = None
    """Should the container be restarted? Default: none, it is restarted when its process ends."""
    startup: Probe | None = None
    """Has the container started? The other probes wait for it. Default: none."""

    def port_names(self) -> frozenset[str]:
        """The ports that are given by name."""
        probes = (probe for probe in (self.readiness, self.liveness, self.startup) if probe is not None)
        ports = (action.port for probe in probes for action in (probe.http, probe.tcp) if action is not None)
        return frozenset(port for port in ports if isinstance(port, str))
