"""A test of a built image, which must pass before the build counts as a version: a pod of it, with companions or alone.

Neighbours: `image.py` holds these; `children/test_pod.py` makes the pod and `status/job.py` reads how it went.
"""

from typing import Annotated

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.pod import Command, Env, Resources, Security
from keelway.api.probe import ExecProbe, HttpScheme
from keelway.api.schema import MergeKey, Rule, Unique
from keelway.api.types import DnsLabel, ImageReference

Port = Annotated[int, Field(ge=1, le=65535)]


class HttpCheck(Model):
    """An HTTP GET: a status from 200 to 399 is success."""

    port: Port
    """Port that the image's program listens on."""
    path: Annotated[str, Field(max_length=2048, pattern=r"^/[^\x00-\x20\x7f]*$")] = "/"
    """Path of the request, with its query. Default: /."""
    scheme: HttpScheme = HttpScheme.HTTP
    """HTTP or HTTPS; with HTTPS the certificate is not checked. Default: HTTP."""

    def __str__(self) -> str:
        return f"GET {self.path} on port {self.port}"


class TcpCheck(Model):
    """A TCP connection: being accepted is success."""

    port: Port
    """Port that the image's program listens on."""

    def __str__(self) -> str:
        return f"TCP port {self.port}"


class Check(Model):
    """What must become true while the image's program runs: exactly one of `http`, `tcp` and `exec`."""

    one_of = ("http", "tcp", "exec")

    http: HttpCheck | None = None
    """Ask by an HTTP GET."""
    tcp: TcpCheck | None = None
    """Ask by opening a TCP connection."""
    exec: ExecProbe | None = None
    """Ask by running a command in the container, beside its program."""

    def __str__(self) -> str:
        return str(self.http or self.tcp or "its command")


class Service(Model):
    """A companion of a test, there for as long as the test runs."""

    name: Annotated[DnsLabel, Field(max_length=40)]
    """Name of the service, each once, by which the test reaches it: db is found as db:5432. A DNS label of at most 40
    characters."""
    image: ImageReference | None = None
    """Image to run, e.g. docker.io/library/postgres:18. Default: the image under test."""
    command: Command = ()
    """Program and arguments in place of the image's ENTRYPOINT. Default: the ENTRYPOINT."""
    args: Command = ()
    """Arguments in place of the image's CMD. Default: the CMD where command is not given either, else none."""
    env: Env = ()
    """Environment variables of the service."""
    ports: Annotated[tuple[Port, ...], Field(max_length=10), Unique()] = ()
    """Ports that it listens on. What is tested starts once the first of them accepts connections."""
    run_as_user: Annotated[int, Field(ge=0, le=4294967295)] | None = None
    """Numeric user that it runs as. Default: the user of the image."""
    resources: Resources = Resources()
    """Requests and limits of the service's container."""


class TestSpec(Model):
    """A pod of the built image that must pass before the build counts as a version: its command must exit 0, or, with
    `check`, its program must come to answer."""

    __test__ = False  # not one of pytest's, for all its name

    rules = (
        Rule(
            "has(self.check) || (has(self.command) && size(self.command) > 0) "
            "|| (has(self.args) && size(self.args) > 0)",
            "a test needs command or args, or a check: with none of them, the image's own program would run, "
            "and a server would run until the timeout",
        ),
        Rule(
            "!has(self.services) || self.services.all(one, !has(one.ports) || one.ports.all(port, "
            "self.services.exists_one(other, has(other.ports) && port in other.ports)))",
            "the services of a test share one address: give each port to one of them only",
        ),
    )

    name: Annotated[DnsLabel, Field(max_length=40)]
    """Name of the test, each once: a DNS label of at most 40 characters."""
    command: Command = ()
    """Program and arguments in place of the image's ENTRYPOINT. No shell is started: for one, write
    ["sh", "-c", "..."]. Default: the ENTRYPOINT. One of command and args must be given where there is no check."""
    args: Command = ()
    """Arguments in place of the image's CMD. Default: the CMD where command is not given either, else
    none."""
    check: Check | None = None
    """What must become true while the program runs; the test then has passed, and the program is ended. Default: none,
    the program must exit 0."""
    env: Env = ()
    """Environment variables of the test."""
    services: Annotated[tuple[Service, ...], Field(max_length=5), MergeKey("name")] = ()
    """Companions of the test, started before it in this order and ended with it. All share one address: each finds the
    others by their names, and no two listen on the same port."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    """Seconds after which the test is ended as failed. Default: 300 (5 minutes)."""
    security: Security = Security.RESTRICTED
    """Restricted: the pod runs as non-root and without privileges. Baseline: as the users that the images
    want. Default: Restricted."""
    resources: Resources = Resources()
    """Requests and limits of the test's container."""
