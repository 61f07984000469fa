"""What an administrator sets: read once from the environment (`KEELWAY_*`), frozen, and passed on by `__main__`.

`manifests/base` fills these from the ConfigMap `keelway-settings`; its comments say which are worth changing.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from keelway.api.quantity import Quantity
from keelway.errors import Terminal
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
    context: str | None = None
    kubeconfig: Path | None = None
    """A kubeconfig context for running outside the cluster (`make run`); in a cluster there is none."""

    @field_validator("allowed_networks", mode="before")
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
