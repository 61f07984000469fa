"""What a build's Job is given: request.json and the credential files, all in one Secret (`api/buildrequest.py`).

Everything is read at the moment the Job starts, and only for it: no copy of a tenant's Secret outlives the Job.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keelway.api import buildrequest, quantity
from keelway.api.build import Build
from keelway.api.buildoptions import BuildLimits, BuildOptions, BuildSecret
from keelway.api.buildrequest import (
    BuildArg,
    BuildkitEndpoint,
    BuildRequest,
    CacheRequest,
    Caps,
    Identity,
    Limits,
    Material,
    NamedImage,
    Policy,
)
from keelway.api.image import Image
from keelway.api.options import CacheMode
from keelway.api.resources import NAMESPACES
from keelway.children import names
from keelway.cluster.client import Cluster
from keelway.errors import Waiting
from keelway.pki import certificates
from keelway.reconcile import buildkit
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.secrets import secret_data
from keelway.reconcile.source import Sources
from keelway.settings import Settings
from keelway.status.build import version_of

# Time for the Job's pod to be scheduled, to start its containers, and to report.
_SLACK_SECONDS: Final = 300
# The administrator may name a scanner at any time, which restarts the operator, too.
_LOOK_AGAIN: Final = 300.0


@dataclass(frozen=True)
class JobData:
    """A Job's Secret, how long the Job may take, and the buildkitd replica that it goes to."""

    files: dict[str, bytes]
    deadline_seconds: int
    replica: int


@dataclass(frozen=True)
class Requests:
    """Gathers what a build needs."""

    cluster: Cluster
    sources: Sources
    credentials: Credentials
    settings: Settings
    clock: Callable[[], datetime]

    async def job_data(self, image: Image, build: Build) -> JobData | None:
        """All that the Job needs; None where the source has moved on from the build's revision.

        Raises Waiting for a Secret, ConfigMap or key that is not there, or for more than a Secret can hold.
        """
        source = await self.sources.request(image, build.spec.source, build.spec.revision)
        if source is None:
            return None
        namespace_uid = await self._namespace_uid(image.metadata.namespace)
        replica = replica_of(namespace_uid, self.settings.buildkit_replicas)
        request = self._request(image, build, source, namespace_uid, replica)
        deadline = request.caps.fetch_seconds + request.timeout_seconds + _SLACK_SECONDS
        files = {
            buildrequest.REQUEST_FILE: request.encode(),
            **await self._certificates(build, timedelta(seconds=deadline)),
            **await self._logins(image, build),
            **await self._secrets(image, build.spec.build.secrets),
        }
        _check_size(files)
        return JobData(files, deadline, replica)

    def _request(
        self,
        image: Image,
        build: Build,
        source: buildrequest.SourceRequest,
        namespace_uid: str,
        replica: int,
    ) -> BuildRequest:
        settings, options = self.settings, build.spec.build
        scanner = _scanner(options, settings)
        address, server_name = buildkit.replica_address(settings, replica)
        return BuildRequest(
            source=source,
            dockerfile=options.dockerfile,
            target=options.target,
            args=tuple(BuildArg(name=one.name, value=one.value) for one in options.args),
            secret_ids=tuple(secret.id for secret in options.secrets),
            push_reference=f"{build.spec.repository}:{names.technical_tag(build.spec.number)}",
            insecure_registries=settings.insecure_registries,
            policy=Policy(
                registry=settings.registry_host,
                own_repositories=f"{settings.registry}/{image.metadata.namespace}/",
                tools=(scanner,) if scanner else (),
            ),
            cache_namespace=namespace_uid,
            buildkit=BuildkitEndpoint(address=address, server_name=server_name),
            timeout_seconds=options.timeout_seconds,
            limits=_limits(options.resources.limits, settings.build_memory),
            bases=tuple(Material(reference=base.reference, digest=base.digest) for base in build.spec.bases),
            images=tuple(NamedImage(name=one.name, reference=one.reference) for one in build.spec.images),
            allowed_networks=tuple(str(network) for network in settings.allowed_networks),
            caps=Caps(),
            network=options.network,
            no_cache=options.no_cache,
            cache=_cache(build),
            output=build.spec.output,
            provenance=options.provenance,
            sbom_scanner=scanner,
            identity=_identity(build),
        )

    async def _certificates(self, build: Build, lifetime: timedelta) -> dict[str, bytes]:
        now = self.clock()
        authority = await buildkit.authority(self.cluster, self.settings, now)
        client = certificates.issue_client(authority, build.metadata.name, lifetime, now)
        return {
            buildrequest.TLS_CA_FILE: authority.certificate,
            buildrequest.TLS_CERT_FILE: client.certificate,
            buildrequest.TLS_KEY_FILE: client.key,
        }

    async def _logins(self, image: Image, build: Build) -> dict[str, bytes]:
        push_secret = build.spec.push_secret_ref
        secrets = (push_secret.name,) if push_secret else ()
        files = {
            buildrequest.DOCKER_CONFIG_FILE: await self.credentials.docker_config(image.metadata.namespace, secrets)
        }
        login = await self.sources.credentials(image, build.spec.source)
        given = {
            buildrequest.SOURCE_TOKEN_FILE: login.token if login else None,
            buildrequest.SOURCE_USERNAME_FILE: login.username if login else None,
            buildrequest.SOURCE_PASSWORD_FILE: login.password if login else None,
        }
        return files | {name: text.encode() for name, text in given.items() if text is not None}

    async def _secrets(self, image: Image, secrets: tuple[BuildSecret, ...]) -> dict[str, bytes]:
        files = {}
        for secret in secrets:
            key = secret.secret_ref.key or secret.id
            data = await secret_data(self.cluster, image.metadata.namespace, secret.secret_ref.name)
            if key not in data:
                raise Waiting(
                    "SecretKeyNotFound",
                    f"Secret {secret.secret_ref.name} has no key {key}. Add it, or name another in secretRef.key.",
                )
            files[f"{buildrequest.SECRET_FILE_PREFIX}{secret.id}"] = data[key]
        return files

    async def _namespace_uid(self, name: str) -> str:
        namespace = await self.cluster.get(NAMESPACES, None, name)
        if namespace is None:
            raise Waiting("NamespaceNotFound", f"Namespace {name} is going away.")
        return str(namespace["metadata"]["uid"])


def replica_of(namespace_uid: str, replicas: int) -> int:
    """The buildkitd replica of a namespace: always the same, for that is where its cache is."""
    return int(namespace_uid.replace("-", ""), 16) % replicas


def _cache(build: Build) -> CacheRequest | None:
    """In the Image's own repository, where nobody else may write.

    Another attempt does not begin from it: a layer that the cache names and the registry has lost fails a build.
    """
    mode = build.spec.build.cache.mode
    if mode is CacheMode.NONE:
        return None
    reference = f"{build.spec.repository}:{names.CACHE_TAG}"
    return CacheRequest(reference=reference, mode=mode, read=build.spec.attempt == 1)


def _identity(build: Build) -> Identity:
    source = build.spec.source
    named = source.git or source.http
    return Identity(
        revision=build.spec.revision,
        version=version_of(build),
        source=named.url if named else None,
    )


def _scanner(options: BuildOptions, settings: Settings) -> str | None:
    if not options.sbom:
        return None
    if settings.sbom_scanner is None:
        raise Waiting(
            "ScannerNotSet",
            "spec.build.sbom asks for a list of the image's packages, and there is no scanner for it. Set it to false, "
            "or have the administrator name one in KEELWAY_SBOM_SCANNER.",
            retry_after=_LOOK_AGAIN,
        )
    return settings.sbom_scanner


def _check_size(files: Mapping[str, bytes]) -> None:
    """Before there is a Job: one whose Secret is refused would hold a place at the build service."""
    size = sum(map(len, files.values()))
    if size > buildrequest.MAX_SECRET_BYTES:
        raise Waiting(
            "BuildSecretsTooLarge",
            f"The source's files and the secrets of spec.build take {size} bytes together, over "
            f"{buildrequest.MAX_SECRET_BYTES}. Use smaller secrets, or a git or http source.",
        )


def _limits(limits: BuildLimits, most_memory: str) -> Limits:
    """Never none of memory: a step without would take what its neighbours in buildkitd's pod have."""
    most = int(quantity.value(most_memory))
    asked = int(quantity.value(limits.memory)) if limits.memory else 0
    # 0 would be no limit to BuildKit.
    memory = min(asked, most) if asked > 0 else most
    return Limits(
        memory_bytes=memory,
        cpu_millis=max(1, int(quantity.value(limits.cpu) * 1000)) if limits.cpu else None,
    )
