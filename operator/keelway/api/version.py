"""Which versions an Image's builds get, and the names that point to them in the registry.

Neighbours: `image.py` holds these; `reconcile/version.py` decides the next version by them.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.schema import Rule
from keelway.api.types import Observed

# distribution-spec, "Pulling manifests": what a tag may be.
Tag = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9._-]*$"),
    Rule(
        r"!self.matches(r'^(v[0-9]+|build-([0-9]+|cache))$') && !self.matches(r'^v?[0-9]+\.[0-9]+\.[0-9]+([._-].*)?$')",
        "must not look like a version (v7, 1.2.3) or like the operator's own build-7: those never move",
    ),
]

Version = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9._+-]*$"),
    Rule(
        "!self.matches('^build-([0-9]+|cache)$')",
        "must be a version; build-7 is a build that may not have passed its tests",
    ),
]


class VersionScheme(StrEnum):
    """What versions look like."""

    SEQUENTIAL = "Sequential"
    SEM_VER = "SemVer"
    CAL_VER = "CalVer"
    TEMPLATE = "Template"


class Bump(StrEnum):
    """Which part of a semantic version goes up."""

    PATCH = "Patch"
    MINOR = "Minor"
    MAJOR = "Major"


def sequential(number: int) -> str:
    """`v7`: the version of build 7 where versions are sequential."""
    return f"v{number}"


DEFAULT_FORMAT = "YYYY.0M.0D.MICRO"


class Versioning(Model):
    """Which versions builds get."""

    rules = (
        Rule("!has(self.bump) || self.scheme == 'SemVer'", "bump is for scheme SemVer alone"),
        Rule("!has(self.format) || self.scheme == 'CalVer'", "format is for scheme CalVer alone"),
        Rule(
            "has(self.template) == (self.scheme == 'Template')",
            "template must be given with scheme Template, and with no other",
        ),
    )

    scheme: VersionScheme = VersionScheme.SEQUENTIAL
    """Sequential: v7 is build 7. SemVer: the git tag that source.git.revision names, where it is a semantic
    version, else the highest version there is, bumped; the first is 0.1.0. CalVer: by the date (calver.org).
    Template: as written in template. Default: Sequential."""
    bump: Bump | None = None
    """With SemVer and no tag to go by: the part that goes up. Default: Patch."""
    format: (
        Annotated[
            str,
            Field(min_length=1, max_length=32),
            Rule(
                r"self.matches(r'^(YYYY|YY)(([._-]?0M|[._-]MM)([._-]?0D|[._-]DD)?)?[._-]MICRO$')",
                "must be YYYY or YY, then 0M or MM, then 0D or DD, then MICRO, with '.', '_' or '-' between them, "
                "e.g. YYYY.0M.MICRO; month and day may be left out",
            ),
        ]
        | None
    ) = None
    """With CalVer: YYYY or YY, 0M or MM, 0D or DD (0: always two digits) in UTC, and MICRO, which counts from 0
    within the rest. Default: YYYY.0M.0D.MICRO."""
    template: (
        Annotated[
            str,
            Field(min_length=1, max_length=128),
            Rule(
                r"self.matches(r'^([a-zA-Z0-9._-]|\{(number|revision|shortRevision|date)\})+$')",
                "may hold letters, digits, '.', '_', '-' and {number}, {revision}, {shortRevision}, {date}",
            ),
            Rule(
                "!self.matches('^([.-]|build-)')",
                "must not begin with '.' or '-', which no tag may, nor with build-, which is the operator's own",
            ),
        ]
        | None
    ) = None
    """With Template: text with {number} (of the build), {revision} (the commit, or the digest of the content),
    {shortRevision} (its first 7 digits) and {date} (20260102, in UTC). A result that is taken is refused."""


class TagStatus(Model):
    """An extra name, and where it points."""

    name: Observed
    """The tag in the Image's repository."""
    digest: Observed
    """The image that it was made to name last: sha256:..."""
