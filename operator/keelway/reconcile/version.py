"""PURE: the version that the next build is to become, by the Image's `spec.version`.

Decided when the record is made (`records.py`), and standing in it from then on: a crash changes nothing. A version is
unique and only goes up, whatever happens to records and status, for the repository's tags count too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keelway.api.version import DEFAULT_FORMAT, Bump, Versioning, VersionScheme
from keelway.children import names
from keelway.errors import Terminal
from keelway.reconcile.calver import next_calver
from keelway.reconcile.semver import SemVer

_FIRST: Final = SemVer(0, 1, 0)
_SHORT: Final = 7


@dataclass(frozen=True)
class Candidate:
    """A build that is due: `git_tag` is the tag that its source's revision names, if it is one."""

    number: int
    revision: str
    git_tag: str | None
    now: datetime


def next_version(versioning: Versioning, taken: frozenset[str], build: Candidate) -> str:
    """The version; `taken` are registry tags. Raises Terminal VersionNotNewer, VersionTaken or InvalidVersion."""
    version = _SCHEMES[versioning.scheme](versioning, taken, build)
    if not names.is_free_tag(names.version_tag(version)):
        raise Terminal(
            "InvalidVersion",
            f"{version} cannot be a tag in a registry: at most 128 letters, digits, '.', '_' and '-', and not build-7, "
            "which is the operator's own. Correct spec.version, or the git tag.",
        )
    return version


def is_sequential(version: str | None, number: int) -> bool:
    """Whether a record's version is the one that its number makes."""
    return version is None or version == names.version(number)


def _sequential(_: Versioning, __: frozenset[str], build: Candidate) -> str:
    return names.version(build.number)


def _semver(versioning: Versioning, taken: frozenset[str], build: Candidate) -> str:
    known = [version for tag in taken if (version := SemVer.parse(tag)) is not None]
    highest = max(known, key=lambda version: version.precedence, default=None)
    tagged = SemVer.parse(build.git_tag) if build.git_tag is not None else None
    if tagged is None:
        return str(highest.bumped(versioning.bump or Bump.PATCH) if highest is not None else _FIRST)
    if highest is not None and tagged.precedence < highest.precedence:
        raise Terminal(
            "VersionNotNewer",
            f"The git tag {build.git_tag} is lower than {highest}, which is there already, and versions only go up. "
            f"To go back to a version that is there, set spec.pin; to build something newer, tag it above {highest}.",
        )
    return str(tagged if names.version_tag(str(tagged)) not in taken else tagged.again(build.number))


def _calver(versioning: Versioning, taken: frozenset[str], build: Candidate) -> str:
    return next_calver(versioning.format or DEFAULT_FORMAT, taken, build.now.astimezone(UTC))


def _template(versioning: Versioning, taken: frozenset[str], build: Candidate) -> str:
    template = versioning.template or ""
    # Of sha256:..., which no tag may hold, the digits.
    revision = build.revision.rpartition(":")[2]
    values = {
        "number": str(build.number),
        "revision": revision,
        "shortRevision": revision[:_SHORT],
        "date": f"{build.now.astimezone(UTC):%Y%m%d}",
    }
    version = re.sub(r"\{(\w+)\}", lambda name: values.get(name[1], name[0]), template)
    if version in taken:
        raise Terminal(
            "VersionTaken",
            f"spec.version.template {template} gives {version}, which is taken already: versions are never used twice. "
            "Add {number} to the template; the build starts by itself then.",
        )
    return version


_SCHEMES: Final[Mapping[VersionScheme, Callable[[Versioning, frozenset[str], Candidate], str]]] = {
    VersionScheme.SEQUENTIAL: _sequential,
    VersionScheme.SEM_VER: _semver,
    VersionScheme.CAL_VER: _calver,
    VersionScheme.TEMPLATE: _template,
}
