"""The `build` container: from the fetched context to an image in the registry, and what is known of it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from keelway.api.buildrequest import DOCKER_CONFIG_FILE, BuildReport, BuildRequest, Material, Step
from keelway.builder import buildkit, sourcetime
from keelway.builder.buildkit import Paths
from keelway.builder.diagnosis import Diagnosis, Failure, diagnose
from keelway.builder.imagesolve import Moment, image_build
from keelway.builder.logtext import Redactor
from keelway.builder.progress import Progress
from keelway.builder.report import of_diagnosis, of_error, with_warnings
from keelway.builder.user import run_as_user
from keelway.errors import KeelwayError
from keelway.registry.client import Registry
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference
from keelway.sources.addresses import parse_networks
from keelway.sources.transport import GuardedTransport


async def build(request: BuildRequest, paths: Paths, redact: Redactor) -> BuildReport:
    """Builds, pushes and looks at the result. Every end is a report; only cancellation is raised."""
    progress = Progress(echo=lambda line: print(redact(line), flush=True))
    buildkit.prepare(request, paths)
    try:
        async with asyncio.timeout(request.timeout_seconds):
            report = await _built(request, paths, progress, redact)
    except TimeoutError:
        report = of_diagnosis(_timed_out(request, progress), progress.running, redact)
    return with_warnings(report, progress.warnings, redact)


async def _built(request: BuildRequest, paths: Paths, progress: Progress, redact: Redactor) -> BuildReport:
    asked_for = sourcetime.is_asked_for(paths.context / request.dockerfile)
    moment = Moment.of(request, sourcetime.find(paths.context), asked_for, datetime.now(UTC))
    code = await buildkit.run(image_build(request, paths, moment), request, paths, progress)
    digest = buildkit.image_digest(paths)
    if code != 0 or digest is None:
        diagnosis = diagnose(Failure(progress.error, progress, request.dockerfile))
        return of_diagnosis(diagnosis, progress.failed, redact)
    return await _inspected(request, paths, progress, digest, redact)


async def _inspected(
    request: BuildRequest, paths: Paths, progress: Progress, digest: str, redact: Redactor
) -> BuildReport:
    image = Reference.parse(request.push_reference).at(digest)
    try:
        async with registry_client(request) as registry:
            config = await registry.image_config(image, _keyring(paths.request))
    except KeelwayError as error:
        # The image is there, but what an App must know of it is not: the next attempt is a cached build.
        return of_error(error, Step.INSPECT, redact)
    return BuildReport(
        ok=True,
        step=Step.INSPECT,
        reason="Built",
        digest=digest,
        materials=materials(request, progress),
        user=config.user,
        run_as_user=await run_as_user(config.user, str(image), request, paths),
    )


def materials(request: BuildRequest, progress: Progress) -> tuple[Material, ...]:
    """Without the scanner of packages, which is read as they are: a new one makes no other image."""
    if request.sbom_scanner is None:
        return progress.materials()
    scanner = Reference.parse(request.sbom_scanner).name
    named = (f"{scanner}:", f"{scanner}@")
    return tuple(one for one in progress.materials() if not f"{one.reference}:".startswith(named))


def registry_client(request: BuildRequest) -> Registry:
    """The client of registries: a tenant's is guarded, the operator's own is reached wherever it is."""
    return Registry(
        frozenset(request.insecure_registries),
        own=request.policy.registry,
        # Which registries are spoken to by plain http is the administrator's choice.
        guard=GuardedTransport(parse_networks(request.allowed_networks), plain_http=True),
    )


def _keyring(request_dir: Path) -> Keyring:
    file = request_dir / DOCKER_CONFIG_FILE
    return Keyring.parse(file.read_bytes()) if file.is_file() else Keyring()


def _timed_out(request: BuildRequest, progress: Progress) -> Diagnosis:
    step = progress.running
    doing = f" while doing {step.name}" if step else ""
    message = (
        f"The build was ended after {request.timeout_seconds} s{doing}. "
        "Make it quicker, or raise spec.build.timeoutSeconds."
    )
    return Diagnosis(Step.BUILD, "BuildTimedOut", message)
