"""From BuildKit's words to a reason, a message and whether time can cure it: pure, a table read from above.

The patterns are those of BuildKit 0.34 (tests/unit/builder/test_diagnosis.py holds its real answers). They
are anchored at the beginning, because what follows may quote the Dockerfile.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from keelway.api.buildrequest import Step
from keelway.builder.progress import Progress


@dataclass(frozen=True)
class Diagnosis:
    """`message` is cause, then remedy; `retryable` as in BuildReport."""

    step: Step
    reason: str
    message: str
    retryable: bool = False


@dataclass(frozen=True)
class Failure:
    """What there is to go by: buildctl's error, the progress so far, and the Dockerfile's name."""

    error: str
    progress: Progress
    dockerfile: str

    @property
    def place(self) -> str:
        """Where in the Dockerfile, as a message begins."""
        line = self.progress.faulty_line
        return f"{self.dockerfile} line {line}" if line is not None else self.dockerfile


_Rule = Callable[[re.Match[str], Failure], Diagnosis]


def diagnose(failure: Failure) -> Diagnosis:
    """The first rule whose pattern fits; else the error itself, as a failed build."""
    for pattern, rule in _RULES:
        found = re.match(pattern, failure.error, re.DOTALL)
        if found:
            return rule(found, failure)
    if not failure.error:
        return _unavailable("buildctl ended without a word")
    return _build_failed(f"{failure.place}: {_short(failure.error)}.")


def _build_failed(message: str) -> Diagnosis:
    return Diagnosis(Step.BUILD, "BuildFailed", f"{message} Correct the Dockerfile or its files.")


def _run_failed(found: re.Match[str], failure: Failure) -> Diagnosis:
    step = failure.progress.failed
    name = re.sub(r"^\[[^\]]*\] ", "", step.name) if step else found["process"]
    code = found["code"]
    if code == "137":
        cause = "was killed (137), as the kernel does when memory runs out"
        remedy = "Use less, or raise spec.build.resources.limits.memory, as far as the administrator allows."
    else:
        cause, remedy = f"ended with exit code {code}", "Correct the step; its last lines are below."
    message = f"{failure.place}: {_short(name)} {cause}. {remedy}"
    return Diagnosis(Step.BUILD, "BuildFailed", message)


def _no_dockerfile(found: re.Match[str], _: Failure) -> Diagnosis:
    message = f"The source has no {found['name']}. Add it, or name it in spec.build.dockerfile (and subPath)."
    return Diagnosis(Step.BUILD, "DockerfileNotFound", message)


def _parse_error(found: re.Match[str], failure: Failure) -> Diagnosis:
    message = f"{failure.dockerfile} line {found['line']}: {_short(found['what'])}. Correct the Dockerfile."
    return Diagnosis(Step.BUILD, "DockerfileInvalid", message)


def _invalid(found: re.Match[str], failure: Failure) -> Diagnosis:
    message = f"{failure.place}: {_short(found['what'])}. Correct the Dockerfile."
    return Diagnosis(Step.BUILD, "DockerfileInvalid", message)


def _no_target(found: re.Match[str], failure: Failure) -> Diagnosis:
    message = f"{failure.dockerfile} has no stage {found['target']}. Correct spec.build.target."
    return Diagnosis(Step.BUILD, "DockerfileInvalid", message)


def _nothing_to_copy(found: re.Match[str], failure: Failure) -> Diagnosis:
    message = (
        f"{failure.place}: {found['path']} is not there to be copied. Correct the path, or check "
        "subPath and .dockerignore."
    )
    return Diagnosis(Step.BUILD, "BuildFailed", message)


def _nothing_to_add(found: re.Match[str], failure: Failure) -> Diagnosis:
    step = failure.progress.failed
    what = step.name if step else "an ADD"
    message = f"{failure.place}: {_short(what)} cannot be fetched: {_short(found['why'])}. Check its URL."
    return Diagnosis(Step.BUILD, "BuildFailed", message, retryable=True)


def _no_secret(found: re.Match[str], failure: Failure) -> Diagnosis:
    message = f"{failure.place} wants the secret {found['id']}. Name it in spec.build.secrets."
    return Diagnosis(Step.BUILD, "BuildFailed", message)


def _denied(found: re.Match[str], failure: Failure) -> Diagnosis:
    message = (
        f"{failure.place}: a build here must not read {found['source']}. Use a public source, or an image "
        "of your own namespace."
    )
    return Diagnosis(Step.BUILD, "PolicyDenied", message)


def _base_image(found: re.Match[str], failure: Failure) -> Diagnosis:
    image, why = found["image"], found["why"]
    reason, cause, remedy = _base_image_fault(why)
    message = f"{failure.place}: the image {image} {cause}. {remedy} It is tried again by itself."
    return Diagnosis(Step.BUILD, reason, message, retryable=True)


def _base_image_fault(why: str) -> tuple[str, str, str]:
    if re.search(r"insufficient_scope|authorization failed|unauthorized|denied|\b40[13]\b", why, re.I):
        remedy = "Check its name; a private one needs credentials."
        return "BaseImageUnauthorized", "may not be read, or does not exist", remedy
    if why.endswith("not found"):
        return "BaseImageNotFound", "is not in its registry", "Correct its name or tag, or push it."
    if "no such host" in why:
        return "BaseImageNotFound", "names a registry that was not found", "Correct its name."
    if re.search(r"\b429\b|toomanyrequests", why, re.I):
        return "RateLimited", "cannot be read now, its registry limits the rate", "Wait."
    return "BaseImageUnavailable", f"cannot be read: {_short(why)}", "Check its registry."


def _push(found: re.Match[str], _: Failure) -> Diagnosis:
    where, why = found["where"], found["why"]
    if re.search(r"insufficient_scope|authorization failed|unauthorized|denied|\b40[13]\b", why, re.I):
        message = f"The registry refused the push to {where}: {_short(why)}. Check the push credentials."
        return Diagnosis(Step.PUSH, "PushRefused", message, retryable=True)
    if re.search(r"\b4\d\d\b", why):
        message = f"The registry refused the push to {where}: {_short(why)}. Check its rules and quota."
        return Diagnosis(Step.PUSH, "PushRefused", message, retryable=True)
    message = f"The push to {where} failed: {_short(why)}. It is tried again; check the registry."
    return Diagnosis(Step.PUSH, "PushFailed", message, retryable=True)


def _transfer(found: re.Match[str], failure: Failure) -> Diagnosis:
    """A layer, of a base image or of the registry's cache, that its registry does not give."""
    why = found["why"]
    message = (
        f"{failure.place}: a layer cannot be read: {_short(why)}. Check its registry. It is tried again by itself."
    )
    reason = "RateLimited" if re.search(r"\b429\b|toomanyrequests", why, re.I) else "BaseImageUnavailable"
    return Diagnosis(Step.BUILD, reason, message, retryable=True)


def _daemon(found: re.Match[str], _: Failure) -> Diagnosis:
    return _unavailable(_short(found["why"]))


def _unavailable(why: str) -> Diagnosis:
    message = f"BuildKit is out of reach or broke off: {why}. It is tried again."
    return Diagnosis(Step.BUILD, "BuildkitUnavailable", message, retryable=True)


def _disk_full(found: re.Match[str], _: Failure) -> Diagnosis:
    message = "BuildKit's disk is full. It is tried again; the administrator can enlarge its volume."
    return Diagnosis(Step.BUILD, "BuildkitUnavailable", message, retryable=True)


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= 400 else f"{text[:400]}..."


_SOLVE = r"failed to solve: (?:rpc error: code = \w+ desc = )?"
# What BuildKit was about when a layer or the context did not come.
_ABOUT = r"(?:failed to (?:compute cache key|load cache key|read dockerfile|resolve \S+|extract layer \S+): )*"
_CHECKSUM = r"(?:failed to calculate checksum of ref \S+: )?"
_LAYER = (
    r"(?:failed to copy: |httpReadSeeker: |failed commit on ref |content digest sha256:|blob sha256:|missing content)"
)
_SESSION = r"(?:no active sessions?\b|error from (?:sender|receiver):|session healthcheck|lease \"[^\"]*\": not found)"
_BROKE_OFF = r"(?:context canceled|context deadline exceeded|signal: killed|unexpected EOF|connection reset)"
# What BuildKit cannot do with its own store of layers (cache/, snapshot/, worker/base/ in its sources).
_STORE = (
    r"(?:failed to (?:create lease|prepare \S+ as |get record |load ref|open writer|write (?:compressed )?diff|"
    r"finalize |ensure compression|get compress|get and ensure)|inconsistent graph state|failed to get edge)"
)
_CODES = r"(?:Unavailable|DeadlineExceeded|Canceled|Aborted|Internal)"
_RULES: tuple[tuple[str, _Rule], ...] = (
    (_SOLVE + r"process \"(?P<process>.*)\" did not complete successfully: exit code: (?P<code>\d+)", _run_failed),
    (_SOLVE + r"process \".*\" did not complete successfully: (?P<why>" + _BROKE_OFF + r".*)", _daemon),
    (_SOLVE + r"failed to read dockerfile: open (?P<name>.+): no such file", _no_dockerfile),
    (_SOLVE + r"(?:dockerfile )?parse error on line (?P<line>\d+): (?P<what>.*)", _parse_error),
    (_SOLVE + r"(?P<what>file with no instructions|the Dockerfile cannot be empty)", _invalid),
    (_SOLVE + r"target stage (?P<target>\".*\") could not be found", _no_target),
    (_SOLVE + r"failed to push (?P<where>\S+): (?P<why>.*no space left on device)$", _disk_full),
    (_SOLVE + r"failed to push (?P<where>\S+): (?P<why>.*)", _push),
    (_SOLVE + r".*: source \"(?P<source>[^\"]+)\" (?:is )?denied by policy", _denied),
    (_SOLVE + r"(?:.*: )?failed to resolve source metadata for (?P<image>\S+): (?P<why>.*)", _base_image),
    (_SOLVE + _ABOUT + _CHECKSUM + r"(?P<why>" + _LAYER + r".*)", _transfer),
    (_SOLVE + r"(?:\w+: )?" + _ABOUT + r"(?P<why>" + _SESSION + r".*)", _daemon),
    (_SOLVE + r"failed to load cache key: (?P<why>.*)", _nothing_to_add),
    (_SOLVE + r"secret (?P<id>\S+): not found$", _no_secret),
    (_SOLVE + r"failed to compute cache key:.*: (?P<path>\".*\"): not found$", _nothing_to_copy),
    (_SOLVE + r".*no space left on device$", _disk_full),
    (r"(?:failed to solve: )?(?P<why>rpc error: code = " + _CODES + r"\b.*)", _daemon),
    (r"(?P<why>(?:listing workers|failed to (?:list workers|get info|receive status|dial)).*)", _daemon),
    (_SOLVE + r"(?P<why>(?:error reading from server|transport is closing|graceful_stop).*)", _daemon),
    (_SOLVE + r"(?P<why>" + _CODES + r": .*)", _daemon),
    (_SOLVE + r"(?P<why>" + _BROKE_OFF + r".*)", _daemon),
    (_SOLVE + _ABOUT + r"(?P<why>" + _STORE + r".*)", _daemon),
    (_SOLVE + r"(?P<what>(?:failed to parse|failed to process|base name|circular dependency).*)", _invalid),
)
