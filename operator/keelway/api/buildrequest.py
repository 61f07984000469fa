"""What the operator asks of a build Job and what the Job answers: between `reconcile/` and `builder/`.

The operator writes a `BuildRequest` as `request.json` into a Secret, beside the credential files named
below; all containers of the Job mount that Secret read-only at `REQUEST_DIR`. Each container answers
with a `BuildReport` as its termination message. A request says what to do, not how the user asked for
it: the operator has resolved references to Secrets and ConfigMaps, a git revision is pinned to a commit,
and a `configMap` source arrives as files like an `inline` one, for a Job has no token to read it with. Files are laid
out by the container that builds; any other source has an init container before it that fetches.
"""

import base64
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from keelway.api.meta import Model
from keelway.api.options import CacheMode, Network, Output, Provenance
from keelway.errors import Waiting

REQUEST_DIR = "/keelway/request"
WORKSPACE_DIR = "/keelway/workspace"
REQUEST_FILE = "request.json"

# Files beside request.json in the same Secret. The TLS files are always there: buildkitd speaks mutual
# TLS only. The source files are given for a private source: a token, or username and password.
TLS_CA_FILE = "tls-ca.crt"
TLS_CERT_FILE = "tls.crt"
TLS_KEY_FILE = "tls.key"
DOCKER_CONFIG_FILE = "config.json"  # a dockerconfigjson with this build's pull and push credentials
SOURCE_TOKEN_FILE = "source-token"
SOURCE_USERNAME_FILE = "source-username"
SOURCE_PASSWORD_FILE = "source-password"
SECRET_FILE_PREFIX = "secret-"  # secret-<id>, for each of BuildRequest.secret_ids

# A Secret may hold 1 MiB of data (core/v1 MaxSecretSize); certificates and credentials need the rest.
MAX_SECRET_BYTES = 1024 * 1024
MAX_REQUEST_BYTES = 960 * 1024
# The kubelet keeps this much of a container's termination message.
MAX_REPORT_BYTES = 4096
# A message is shortened down to this before materials are dropped: they say when to build again.
_SHORTEST_MESSAGE = 512

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$", max_length=63)]
# BUILDKIT_* arguments steer the daemon (frontend, cache namespace): never the user's (tenancy.md).
ArgName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class RequestFile(Model):
    """One file of an `inline` or `configMap` source: `content` is text, or base64 where `binary` is set."""

    name: str
    content: str
    binary: bool = False

    def data(self) -> bytes:
        """The bytes to write."""
        return base64.b64decode(self.content) if self.binary else self.content.encode()


class GitRequest(Model):
    """A git tree: `commit` (40 hex digits) is what is built, `revision` the name it was resolved from.

    `revision` serves only servers that hand out no commit but a ref's tip: that ref is fetched instead.
    """

    url: str
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    revision: str | None = None
    sub_path: str | None = None


class HttpRequest(Model):
    """An archive (tar.gz, tar.zst or zip, told by its first bytes) of the given sha256 (64 hex digits)."""

    url: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    sub_path: str | None = None


class SourceRequest(Model):
    """Where the build context comes from: exactly one of the three."""

    one_of = ("files", "git", "http")

    files: tuple[RequestFile, ...] | None = None
    git: GitRequest | None = None
    http: HttpRequest | None = None


class BuildArg(Model):
    """One `--build-arg`."""

    name: ArgName
    value: str

    @model_validator(mode="after")
    def _not_the_daemons(self) -> Self:
        if self.name.startswith("BUILDKIT_"):
            raise ValueError(f"build argument {self.name}: names beginning with BUILDKIT_ are reserved")
        return self


class Policy(Model):
    """What a build may read of the operator's registry: `own_repositories`, such as `reg:5000/team-a/`.

    `registry` is its host[:port] without a path. Every other registry is open to the build. `tools` are images that
    the administrator has chosen, and that may be read wherever they are.
    """

    registry: str
    own_repositories: Annotated[str, StringConstraints(pattern=r"^[^/]+/(.+/)?$")]
    tools: tuple[str, ...] = ()


class Material(Model):
    """An image that the build reads: `reference` in full (docker.io/library/...), `digest` as sha256:..."""

    reference: str
    digest: str


class NamedImage(Model):
    """What the Dockerfile means by `name`: `reference` is repository@sha256:..."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    reference: Annotated[str, StringConstraints(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$")]


class BuildkitEndpoint(Model):
    """The daemon to use: `address` such as tcp://host:1234, and the name its certificate must carry."""

    address: str
    server_name: str


class Limits(Model):
    """Limits of each RUN step, enforced by BuildKit: `memory_bytes`; `cpu_millis`, 1000 being one core."""

    memory_bytes: Annotated[int, Field(gt=0)] | None = None
    cpu_millis: Annotated[int, Field(gt=0)] | None = None


class CacheRequest(Model):
    """The registry's cache: `reference` is repository:tag; `read` is whether the build begins from it."""

    reference: str
    mode: CacheMode
    read: bool = True


class Identity(Model):
    """What the image says of itself: OCI's predefined annotations (image-spec, annotations.md)."""

    revision: str
    version: str
    source: str | None = None


class Caps(Model):
    """Bounds of a source: bytes over the network, bytes and entries unpacked, seconds for all of it."""

    download_bytes: int = 512 * 1024 * 1024
    unpacked_bytes: int = 2 * 1024 * 1024 * 1024
    entries: int = 100_000
    fetch_seconds: int = 600


class BuildRequest(Model):
    """One build. `push_reference` is `repository:technical-tag`: a version's tag moves after the tests.

    `timeout_seconds` bounds the build container; the Job's deadline must leave `caps.fetch_seconds` too.
    `insecure_registries` are host[:port]s spoken to by plain http. `cache_namespace` is the uid of the
    user's namespace and keeps cache mounts apart. `allowed_networks` are CIDRs in which a source or a
    registry may lie although they are private. `bases` are used at these digests, whatever their tags name;
    `images` are what the Dockerfile may use by name. `sbom_scanner` is the image that lists the packages.
    """

    source: SourceRequest
    dockerfile: str = "Dockerfile"
    target: str | None = None
    args: tuple[BuildArg, ...] = ()
    secret_ids: tuple[Name, ...] = ()
    push_reference: str
    insecure_registries: tuple[str, ...] = ()
    policy: Policy
    cache_namespace: Annotated[str, StringConstraints(min_length=1)]
    buildkit: BuildkitEndpoint
    timeout_seconds: Annotated[int, Field(gt=0)] = 1800
    limits: Limits = Limits()
    allowed_networks: tuple[str, ...] = ()
    bases: tuple[Material, ...] = ()
    images: tuple[NamedImage, ...] = ()
    caps: Caps = Caps()
    network: Network = Network.DEFAULT
    no_cache: bool = False
    cache: CacheRequest | None = None
    output: Output = Output()
    provenance: Provenance = Provenance.NONE
    sbom_scanner: str | None = None
    identity: Identity | None = None

    def encode(self) -> bytes:
        """request.json; raises Waiting SourceTooLarge where no Secret could hold it."""
        data = self.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(data) > MAX_REQUEST_BYTES:
            # Only a ConfigMap can be that large, for inline files have their bound; and it may get smaller.
            raise Waiting(
                "SourceTooLarge",
                f"The source's files take {len(data)} bytes, over {MAX_REQUEST_BYTES}. "
                "Use a git or http source for a context of that size.",
            )
        return data


class Step(StrEnum):
    """Where a build ended."""

    FETCH = "Fetch"
    BUILD = "Build"
    PUSH = "Push"
    INSPECT = "Inspect"


class LintWarning(Model):
    """What BuildKit's check of the Dockerfile found."""

    rule: str
    message: str
    line: int | None = None
    url: str | None = None


class BuildReport(Model):
    """The end of a container, at most MAX_REPORT_BYTES as JSON.

    `retryable`: the fault lies outside and may pass, so the operator tries again after a pause. `user` is the
    image config's User string, `run_as_user` its numeric uid, absent where that cannot be known. An init
    container answers too: ok with step Fetch, or its failure.
    """

    ok: bool
    step: Step
    reason: str
    message: str = ""
    retryable: bool = False
    digest: str | None = None
    materials: tuple[Material, ...] = ()
    user: str | None = None
    run_as_user: int | None = None
    warnings: tuple[LintWarning, ...] = ()
    warning_count: int = 0

    def encode(self) -> bytes:
        """The termination message; cut to fit: warnings first, then the message in its middle, then materials."""
        report = self
        while (excess := len(data := report._json()) - MAX_REPORT_BYTES) > 0:
            report = report._shortened(excess)
        return data

    def _json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    def _shortened(self, excess: int) -> Self:
        if self.warnings:
            return self.model_copy(update={"warnings": self.warnings[:-1]})
        if len(self.message) > _SHORTEST_MESSAGE:
            return self.model_copy(update={"message": _cut_in_the_middle(self.message, excess)})
        if self.materials:
            return self.model_copy(update={"materials": self.materials[:-1]})
        # A USER of kilobytes is no user's name: what is left of it is as unknown as the whole.
        halves = {name: text[: len(text) // 2] for name in ("message", "user") if (text := getattr(self, name))}
        return self.model_copy(update=halves)


def decode_report(text: str) -> BuildReport | None:
    """The report in a termination message; None where there is none (killed, evicted, out of memory)."""
    try:
        return BuildReport.model_validate_json(text)
    except ValidationError:
        return None


def _cut_in_the_middle(message: str, excess: int) -> str:
    # The head names the cause and the tail holds the last log lines: both matter more than the middle.
    mark = "\n[...]\n"
    keep = max(_SHORTEST_MESSAGE, len(message) - excess) - len(mark) - 1
    head = keep // 3
    return message[:head] + mark + message[len(message) - (keep - head) :]
