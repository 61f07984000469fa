"""PURE: semantic versions (semver.org 2.0.0): read, compared, bumped. `version.py` decides with them."""

import re
from dataclasses import dataclass, replace
from typing import Final

from keelway.api.version import Bump

_NUMBER: Final = r"(?:0|[1-9][0-9]{0,17})"
_IDENTIFIER: Final = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
# A tag has no plus, so build metadata follow an underscore there (Helm does it so).
_SEMVER: Final = re.compile(
    rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:[+_]([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)

Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@dataclass(frozen=True)
class SemVer:
    """`1.2.3-rc.1+8`; `prerelease` and `metadata` are the parts between dots."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "SemVer | None":
        """Of a version, of a git tag (`v1.2.3`) or of a registry's (`1.2.3_8`); None of anything else."""
        match = _SEMVER.fullmatch(text)
        if match is None:
            return None
        prerelease, metadata = (tuple(part.split(".")) if part else () for part in (match[4], match[5]))
        return cls(int(match[1]), int(match[2]), int(match[3]), prerelease, metadata)

    def __str__(self) -> str:
        prerelease = f"-{'.'.join(self.prerelease)}" if self.prerelease else ""
        metadata = f"+{'.'.join(self.metadata)}" if self.metadata else ""
        return f"{self.major}.{self.minor}.{self.patch}{prerelease}{metadata}"

    @property
    def precedence(self) -> Precedence:
        """Which of two is newer (semver.org, 11): metadata do not count, numbers are lower than words."""
        parts = tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in self.prerelease)
        return self.major, self.minor, self.patch, not self.prerelease, parts

    def bumped(self, bump: Bump) -> "SemVer":
        """The next version; a prerelease becomes the release that it announced, where that is enough of a step."""
        announced = SemVer(self.major, self.minor, self.patch)
        if self.prerelease and announced == _floored(announced, bump):
            return announced
        match bump:
            case Bump.PATCH:
                return replace(announced, patch=self.patch + 1)
            case Bump.MINOR:
                return SemVer(self.major, self.minor + 1, 0)
            case Bump.MAJOR:
                return SemVer(self.major + 1, 0, 0)

    def again(self, number: int) -> "SemVer":
        """The same version as build `number` of it."""
        return replace(self, metadata=(*self.metadata, str(number)))


def _floored(version: SemVer, bump: Bump) -> SemVer:
    """The version without what is below the part that goes up."""
    match bump:
        case Bump.PATCH:
            return version
        case Bump.MINOR:
            return replace(version, patch=0)
        case Bump.MAJOR:
            return replace(version, minor=0, patch=0)
