"""Quarantine: builds that turned out bad and are not chosen again.

A Build's record holds the evidence, the Image's status lists it; `status/quarantine.py` says what follows.
"""

from typing import Annotated

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.types import Observed, Timestamp

MAX_QUARANTINED = 20
"""So many records count, the newest ones; they are kept beside those of `history.limit`."""


class Quarantine(Model):
    """Why a build is not chosen again: neither its inputs nor, where given, its digest."""

    reason: Observed
    """What turned out bad, e.g. TestFailed."""
    message: Annotated[str, Field(max_length=1024)]
    """The cause."""
    time: Timestamp
    """When it turned out."""
    test: Observed | None = None
    """Name of the test that failed. A build with another test of that name is tested anew."""
    digest: Observed | None = None
    """The image that is not chosen again. Absent where the same image is a good version already: then only these
    inputs are not built again."""
    released_time: Timestamp | None = None
    """When it was let out again. Absent: it still counts."""


class QuarantinedBuild(Model):
    """A build that is not chosen again."""

    build: Observed
    """Name of the Build, which holds the details."""
    digest: Observed | None = None
    """The image that it made: sha256:..."""
    reason: Observed
    """What turned out bad, e.g. TestFailed."""
    message: Annotated[str, Field(max_length=1024)]
    """The cause."""
    time: Timestamp
    """When it turned out."""
