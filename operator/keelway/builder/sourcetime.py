"""The time of a source, in seconds since 1970: `fetch` leaves it beside the context, and `build` reads it there.

The context's own files do not carry it: BuildKit takes a file of the same size and time for the one that it has.
"""

from pathlib import Path
from typing import Final

EPOCH_ARG: Final = "SOURCE_DATE_EPOCH"
"""By which programs learn the time (reproducible-builds.org/specs/source-date-epoch)."""
FIXED: Final = 315532800
"""1980-01-01, of a source that has no time of its own: nothing earlier fits into a zip archive."""
_LATEST: Final = 253402300799  # the end of the year 9999, the last that RFC 3339 can write
_NAME: Final = "source-time"
# BuildKit reads no more of a Dockerfile.
_DOCKERFILE_BYTES: Final = 2 * 1024 * 1024


def leave(context: Path, seconds: int) -> None:
    """For the build of `context`; what no image's time can be is brought to what can."""
    (context.parent / _NAME).write_text(str(min(max(seconds, 0), _LATEST)))


def find(context: Path) -> int:
    """As it was left there."""
    try:
        return int((context.parent / _NAME).read_text())
    except FileNotFoundError:
        return FIXED


def is_asked_for(dockerfile: Path) -> bool:
    """Whether the Dockerfile speaks of SOURCE_DATE_EPOCH. One that cannot be read is for BuildKit to complain of."""
    try:
        with dockerfile.open("rb") as file:
            return EPOCH_ARG.encode() in file.read(_DOCKERFILE_BYTES)
    except OSError:
        return False
