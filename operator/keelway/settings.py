"""What an administrator sets: read once from the environment (`KEELWAY_*`), frozen, and passed on by `__main__`.

`manifests/base` fills these from the ConfigMap `keelway-settings`; its comments say which are worth changing.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from keelway.api.quantity import Quantity
from keelway.errors import Terminal
from keelway.registry.mirrors import Mirror, Mirrors
from keelway.registry.reference import Reference


class Settings(BaseSettings):
    """The operator's settings. Durations are in seconds; `registry` is a host with an optional path prefix."""

    model_config = SettingsConfigDict(env_prefix="KEELWAY_", frozen=True, extra="ignore")

    # A host as image references know one: with a dot or a port, or localhost. `team/app` would be Docker's hub.
    registry: str = Field(
        pattern=r"^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+)(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
    )
    registry_insecure: bool = False
    registry_config: Path = Path("/var/run/keelway/registry/.dockerconfigjson")

    registry_endpoint: str | None = None
    """Where the operator itself reaches that registry, where its name means nothing: outside the cluster."""

    registry_mirrors: Annotated[tuple[str, ...], NoDecode] = ()
    """Where base images of other registries are looked at first, as by buildkitd: docker.io=mirror.example.com/hub."""

    namespace: str = "keelway-system"
    builds_namespace: str = "keelway-builds"
    buildkit_namespace: str = "keelway-buildkit"
    pod_name: str = "keelway"
    operator_image: str = "keelway/operator:dev"

    max_builds: int = Field(default=4, ge=1)
    buildkit_replicas: int = Field(default=1, ge=1)
    build_memory: Quantity = "4Gi"
    """The most memory of a RUN step, as Kubernetes writes quantities."""
    sbom_scanner: str | None = None
    """The image that lists an image's packages (BuildKit's SBOM generator protocol); None: Images cannot ask for it."""
    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()

    workers: int = Field(default=32, ge=1)
    sweep_seconds: float = Field(default=300, gt=0)
    port: int = Field(default=8080, ge=1, le=65535)
    webhook_port: int | None = Field(default=None, ge=1, le=65535)
    """Where webhooks are taken; None: nowhere."""
    webhook_tokens: Path = Path("/var/run/keelway/webhook/token")
    """What senders prove to know, one token a line; without the file all are refused."""
    context: str | None = None
    kubeconfig: Path | None = None
    """A kubeconfig context for running outside the cluster (`make run`); in a cluster there is none."""

    @field_validator("allowed_networks", "registry_mirrors", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("sbom_scanner")
    @classmethod
    def _in_full(cls, value: str | None) -> str | None:
        """As BuildKit names it to its policy: docker.io/library/... and with a tag or digest."""
        if not value:
            return None
        try:
            reference = Reference.parse(value)
        except Terminal as error:
            raise ValueError(error.message) from error
        named = reference.tag is not None or reference.digest is not None
        return str(reference) if named else f"{reference}:latest"

    @model_validator(mode="after")
    def _check_mirrors(self) -> Self:
        mirrors = self.mirrors.known
        if len({mirror.registry for mirror in mirrors}) < len(mirrors):
            raise ValueError("a registry has more than one mirror: name one")
        for mirror in mirrors:
            if mirror.is_below(self.registry):
                raise ValueError(
                    f"over the mirror {mirror.place} a namespace could read, or replace, what is another's: "
                    "use a path of it that no namespace can own, one with a dot such as /docker.io"
                )
        return self

    @property
    def mirrors(self) -> Mirrors:
        """Where base images are looked at first."""
        return Mirrors(tuple(Mirror.parse(one) for one in self.registry_mirrors))

    @property
    def registry_host(self) -> str:
        """host[:port] of the operator's registry, without its path prefix."""
        return self.registry.partition("/")[0]

    @property
    def registry_endpoints(self) -> dict[str, str]:
        """Where registries are reached whose names lead elsewhere, by host[:port]."""
        return {self.registry_host: self.registry_endpoint} if self.registry_endpoint else {}

    @property
    def insecure_registries(self) -> tuple[str, ...]:
        """The hosts spoken to by plain http."""
        return (self.registry_host,) if self.registry_insecure else ()
