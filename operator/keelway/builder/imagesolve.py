"""PURE: from a BuildRequest to the solve that builds the image: frontend options, output and caches.

The names are those of BuildKit 0.34: frontend/dockerui and frontend/attestations for options, exporter/containerimage
for the output, cache/remotecache/registry for the caches. Neighbour: `buildkit.py` runs what is made here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from keelway.api.buildrequest import SECRET_FILE_PREFIX, BuildRequest
from keelway.api.options import CacheMode, Network, Provenance, TimestampMode
from keelway.builder.buildkit import Paths, Solve
from keelway.builder.sourcetime import EPOCH_ARG

# cgroup's default period, over which BuildKit is given the quota.
_CPU_PERIOD_MICROSECONDS = 100_000
_OCI = "org.opencontainers.image"


@dataclass(frozen=True)
class Moment:
    """The time that the image is given. `told`: the Dockerfile gets it as ARG SOURCE_DATE_EPOCH.

    That is for a Dockerfile that speaks of it alone: BuildKit gives the time to WORKDIR, too, so that all steps after
    one would run anew for each commit.
    """

    seconds: int
    told: bool = False

    @classmethod
    def of(cls, request: BuildRequest, source_time: int, asked_for: bool, now: datetime) -> "Moment":
        """The user's own SOURCE_DATE_EPOCH comes before everything. `asked_for`: the Dockerfile speaks of it."""
        given = _given_epoch(request)
        if given is not None and given.isascii() and given.isdecimal() and len(given) <= 11:
            return cls(int(given))
        if request.output.timestamp is TimestampMode.SOURCE:
            return cls(source_time, told=asked_for and given is None)
        return cls(int(now.timestamp()))

    def rfc3339(self) -> str:
        """As OCI's annotations want it."""
        return datetime.fromtimestamp(self.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _given_epoch(request: BuildRequest) -> str | None:
    return next((arg.value for arg in request.args if arg.name == EPOCH_ARG), None)


def image_build(request: BuildRequest, paths: Paths, moment: Moment) -> Solve:
    """The build that the request asks for, pushed by its technical tag."""
    secrets = [f"id={id},src={paths.request / (SECRET_FILE_PREFIX + id)}" for id in request.secret_ids]
    return Solve(
        paths.context,
        [*_dockerfile(request, moment), *_limits(request), *_attestations(request), *_labels(request, moment)],
        ",".join(_output(request, moment)),
        secrets,
        exports=_cache_exports(request),
        imports=_cache_imports(request),
    )


def _dockerfile(request: BuildRequest, moment: Moment) -> Iterator[str]:
    yield f"filename={request.dockerfile}"
    yield f"build-arg:BUILDKIT_CACHE_MOUNT_NS={request.cache_namespace}"
    if request.target:
        yield f"target={request.target}"
    for arg in request.args:
        yield f"build-arg:{arg.name}={arg.value}"
    for image in request.images:
        # A named context passes the source policy as FROM does.
        yield f"context:{image.name}=docker-image://{image.reference}"
    if moment.told:
        yield f"build-arg:{EPOCH_ARG}={moment.seconds}"
    if request.no_cache:
        yield "no-cache="  # without names: all stages
    if request.network is Network.NONE:
        yield "force-network-mode=none"


def _limits(request: BuildRequest) -> Iterator[str]:
    limits = request.limits
    if limits.memory_bytes is not None:
        # Swap counts in memswap: the same number means none.
        yield f"memory={limits.memory_bytes}"
        yield f"memswap={limits.memory_bytes}"
    if limits.cpu_millis is not None:
        yield f"cpuperiod={_CPU_PERIOD_MICROSECONDS}"
        yield f"cpuquota={limits.cpu_millis * _CPU_PERIOD_MICROSECONDS // 1000}"


def _attestations(request: BuildRequest) -> Iterator[str]:
    if request.provenance is not Provenance.NONE:
        yield f"attest:provenance=mode={request.provenance.value.lower()}"
    if request.sbom_scanner is not None:
        yield f"attest:sbom=generator={request.sbom_scanner}"


def _labels(request: BuildRequest, moment: Moment) -> Iterator[str]:
    """Labels are part of the image's config, so of its digest: see `_version_is_a_label`."""
    identity = request.identity
    if identity is None:
        return
    if identity.source is not None:
        yield f"label:{_OCI}.source={identity.source}"
    yield f"label:{_OCI}.revision={identity.revision}"
    yield f"label:{_OCI}.created={moment.rfc3339()}"
    if _version_is_a_label(request):
        yield f"label:{_OCI}.version={identity.version}"


def _version_is_a_label(request: BuildRequest) -> bool:
    """Not where the same inputs are to give the same image: each build has another version."""
    return request.output.timestamp is TimestampMode.BUILD


def _output(request: BuildRequest, moment: Moment) -> Iterator[str]:
    yield f"type=image,name={request.push_reference},push=true,oci-mediatypes=true"
    yield from _insecure(request)
    yield from _compression(request)
    if request.output.timestamp is not TimestampMode.SOURCE:
        return
    yield f"source-date-epoch={moment.seconds},rewrite-timestamp=true"
    # Only where there are attestations is there an index around the image that can be annotated.
    if request.identity is not None and _has_attestations(request):
        yield f"annotation-index.{_OCI}.version={request.identity.version}"


def _has_attestations(request: BuildRequest) -> bool:
    return request.provenance is not Provenance.NONE or request.sbom_scanner is not None


def _insecure(request: BuildRequest) -> Iterator[str]:
    if request.push_reference.partition("/")[0] in request.insecure_registries:
        yield "registry.insecure=true"


def _compression(request: BuildRequest) -> Iterator[str]:
    compression = request.output.compression
    if compression is None:
        return
    yield f"compression={compression.type.value.lower()}"
    if compression.level is not None:
        yield f"compression-level={compression.level}"
    # Without it a layer stays as the daemon happens to have it from an earlier build.
    yield "force-compression=true"


def _cache_exports(request: BuildRequest) -> tuple[str, ...]:
    cache = request.cache
    if cache is None or cache.mode is CacheMode.NONE:
        return ()
    # An image manifest: not every registry takes an index of layers. A cache that cannot be pushed fails no build.
    parts = [f"type=registry,ref={cache.reference},mode={cache.mode.value.lower()}"]
    parts += ["oci-mediatypes=true,image-manifest=true,ignore-error=true", *_insecure(request), *_compression(request)]
    return (",".join(parts),)


def _cache_imports(request: BuildRequest) -> tuple[str, ...]:
    cache = request.cache
    if cache is None or cache.mode is CacheMode.NONE or not cache.read:
        return ()
    return (",".join([f"type=registry,ref={cache.reference}", *_insecure(request)]),)
