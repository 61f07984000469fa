"""How an Image is built: `spec.build`. The kinds of options are in `options.py`, the Image itself in `image.py`."""

from typing import Annotated

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.options import BuildCache, Network, Priority, Provenance
from keelway.api.quantity import Quantity
from keelway.api.schema import MergeKey, Rule
from keelway.api.types import DataKey, DnsLabel, ObjectName, RelativePath


class BuildArg(Model):
    """A value for an ARG of the Dockerfile."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Rule(
            "!self.startsWith('BUILDKIT_')",
            "names that begin with BUILDKIT_ are reserved for the build service",
        ),
    ]
    """Name of the ARG, each once."""
    value: Annotated[str, Field(max_length=32768)] = ""
    """Its value. It stays readable in the image's history: use secrets for what is secret. Default: empty."""


class SecretKey(Model):
    """A Secret, or one key of it, in the Image's namespace."""

    name: ObjectName
    """Name of the Secret, in the Image's namespace."""
    key: DataKey | None = None
    """Key of the Secret. Default: the id."""


class BuildSecret(Model):
    """A secret file for RUN --mount=type=secret,id=...; it does not get into the image."""

    id: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$")]
    """The id that the Dockerfile uses: RUN --mount=type=secret,id=<id>. Each once."""
    secret_ref: SecretKey
    """The Secret that holds the value."""


class BuildLimits(Model):
    """The most that each RUN step may use."""

    cpu: Quantity | None = None
    """CPU, in cores, e.g. "2" or 500m. Default: what the administrator allows."""
    memory: Quantity | None = None
    """Memory, in bytes, e.g. 2Gi. Default: what the administrator allows."""


class BuildResources(Model):
    """Bounds of a build."""

    limits: BuildLimits = BuildLimits()
    """The most that each RUN step of the Dockerfile may use."""


class BaseImage(Model):
    """Another Image that the Dockerfile uses by a name of its own."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$"),
        Rule(
            "!(self in ['scratch', 'context', 'dockerfile'])",
            "scratch, context and dockerfile mean something else to BuildKit already: use another name",
        ),
    ]
    """The name that the Dockerfile uses, as in FROM <name> or COPY --from=<name>: lower case letters, digits
    and '-', starting with a letter; each once. It goes before a stage or an image of the same name."""
    image: Annotated[DnsLabel, Field(max_length=40)]
    """Name of the Image, in the same namespace. Its latest version is used, by its digest; a newer one
    starts a build."""


class BuildOptions(Model):
    """How to build."""

    dockerfile: RelativePath = "Dockerfile"
    """Path of the Dockerfile in the source. Default: Dockerfile."""
    target: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$")] | None = None
    """Stage of the Dockerfile to build. Default: the last one."""
    args: Annotated[tuple[BuildArg, ...], Field(max_length=100), MergeKey("name")] = ()
    """Values for the Dockerfile's ARGs."""
    secrets: Annotated[tuple[BuildSecret, ...], Field(max_length=20), MergeKey("id")] = ()
    """Secrets that RUN steps may mount."""
    timeout_seconds: Annotated[int, Field(ge=10, le=86400)] = 1800
    """Seconds after which the build is ended as failed. Default: 1800 (30 minutes)."""
    resources: BuildResources = BuildResources()
    """Bounds of the build's RUN steps."""
    images: Annotated[tuple[BaseImage, ...], Field(max_length=10), MergeKey("name")] = ()
    """Images of this namespace that the Dockerfile uses by name. They are built first; Images that use each
    other in a circle are not built."""
    network: Network = Network.DEFAULT
    """Default: RUN steps reach the internet, and nothing of the cluster. None: they have no network; FROM and
    ADD still fetch. Default: Default."""
    cache: BuildCache = BuildCache()
    """A cache in the registry. To change it starts no build."""
    no_cache: bool = False
    """true: every step runs anew in every build. Default: false."""
    priority: Priority = Priority.NORMAL
    """Which of this namespace's waiting builds goes first: Low, Normal or High. Other namespaces have their
    turns all the same. To change it starts no build. Default: Normal."""
    provenance: Provenance = Provenance.MIN
    """A statement beside the image in the registry of how it was built (SLSA, in-toto). Min: the base images
    and when. Max: also the Dockerfile, its steps and the values of args. None: no
    statement. Default: Min."""
    sbom: bool = False
    """true: a list of the image's packages (SPDX) beside it in the registry, made by the scanner that the
    administrator has named. Default: false."""

    def deciding(self) -> "BuildOptions":
        """What of this the image depends on: not where the build gets its cache, nor whom it waits for."""
        return self.model_copy(update={"cache": BuildCache(), "priority": Priority.NORMAL})
