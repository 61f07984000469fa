"""From every way a container may end to the `BuildReport` in its termination message."""

import os
from collections.abc import Sequence
from pathlib import Path

from keelway.api.buildrequest import (
    DOCKER_CONFIG_FILE,
    SECRET_FILE_PREFIX,
    BuildReport,
    LintWarning,
    Step,
)
from keelway.builder.diagnosis import Diagnosis
from keelway.builder.fetch import credentials_in
from keelway.builder.logtext import Redactor, cleaned, last_lines
from keelway.builder.progress import Vertex
from keelway.errors import KeelwayError, Transient, Waiting
from keelway.registry.credentials import Keyring

# Leaves a kilobyte of the 4,096 bytes for the rest of the report.
_LOG_CHARACTERS = 3000
_WARNINGS_SHOWN = 10
_WARNING_CHARACTERS = 160
_TERMINATION_LOG = "/dev/termination-log"  # Kubernetes' default terminationMessagePath


def of_error(error: KeelwayError, step: Step, redact: Redactor) -> BuildReport:
    """A failure that `keelway.errors` names: what is not the spec's fault may be tried again.

    Redacted, for it may quote a server, which knows what it was sent.
    """
    return BuildReport(
        ok=False,
        step=step,
        reason=error.reason,
        message=redact(error.message),
        retryable=isinstance(error, Waiting | Transient),
    )


def of_diagnosis(diagnosis: Diagnosis, vertex: Vertex | None, redact: Redactor) -> BuildReport:
    """A build that failed, with the last lines of the step it failed in."""
    log = last_lines(redact(cleaned(vertex.log)), _LOG_CHARACTERS) if vertex else ""
    message = redact(diagnosis.message)
    return BuildReport(
        ok=False,
        step=diagnosis.step,
        reason=diagnosis.reason,
        message=f"{message}\n{log}" if log else message,
        retryable=diagnosis.retryable,
    )


def with_warnings(report: BuildReport, warnings: Sequence[LintWarning], redact: Redactor) -> BuildReport:
    """The report and the first of the warnings; a message is cut, half an URL would be none."""
    shown = tuple(_short(one, redact) for one in warnings[:_WARNINGS_SHOWN])
    return report.model_copy(update={"warnings": shown, "warning_count": len(warnings)})


def _short(warning: LintWarning, redact: Redactor) -> LintWarning:
    message = redact(warning.message)
    if len(message) > _WARNING_CHARACTERS:
        message = f"{message[:_WARNING_CHARACTERS]}..."
    url = warning.url if warning.url and len(warning.url) <= _WARNING_CHARACTERS else None
    return warning.model_copy(update={"message": message, "url": url})


def interrupted(step: Step) -> BuildReport:
    """SIGTERM: the Job was deleted, its node drained or its deadline reached."""
    message = "The build's pod was stopped from outside. It is tried again."
    return BuildReport(ok=False, step=step, reason="Interrupted", message=message, retryable=True)


def unexpected(error: BaseException, step: Step, redact: Redactor) -> BuildReport:
    """A fault of Keelway's own; the container's log has its trace."""
    message = f"Keelway's builder failed: {type(error).__name__}: {error}. Please report it."
    return BuildReport(ok=False, step=step, reason="BuilderFailed", message=redact(message), retryable=True)


def out_of_memory(step: Step) -> BuildReport:
    """The source did not fit into the memory that `__main__` allows."""
    message = "The source is too large to unpack: one of its files or lists fills the memory. Make it smaller."
    return BuildReport(ok=False, step=step, reason="SourceTooLarge", message=message)


def write(report: BuildReport) -> None:
    """Leaves the report where the kubelet reads it."""
    path = Path(os.environ.get("KEELWAY_TERMINATION_LOG", _TERMINATION_LOG))
    path.write_bytes(report.encode())


def redactor(request_dir: Path) -> Redactor:
    """For every secret value that the request's directory holds."""
    secrets = [file.read_text(errors="replace") for file in request_dir.glob(f"{SECRET_FILE_PREFIX}*")]
    credentials = credentials_in(request_dir)
    if credentials is not None:
        secrets += credentials.secrets()
    docker = request_dir / DOCKER_CONFIG_FILE
    keyring = Keyring.parse(docker.read_bytes()) if docker.is_file() else Keyring()
    for _, login in keyring.logins:
        secrets += (login.password, login.basic().removeprefix("Basic "))
    return Redactor.of(secrets)
