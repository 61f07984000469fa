"""Options of how an image is made and what it looks like in the registry; parts of `spec.build` and `spec.output`.

What each means to BuildKit is said in `builder/imagesolve.py`. Every default is what was so before the option was
there, but for provenance. No value is called Off: YAML 1.1, which kubectl reads, takes that for `false`.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from keelway.api.meta import Model
from keelway.api.schema import Rule


class CacheMode(StrEnum):
    """Which layers the registry's cache holds."""

    NONE = "None"
    MIN = "Min"
    MAX = "Max"


class Provenance(StrEnum):
    """How much an image's provenance tells."""

    NONE = "None"
    MIN = "Min"
    MAX = "Max"


class Network(StrEnum):
    """What RUN steps reach."""

    DEFAULT = "Default"
    NONE = "None"


class Priority(StrEnum):
    """Which of a namespace's waiting builds goes first."""

    LOW = "Low"
    NORMAL = "Normal"
    HIGH = "High"


class CompressionType(StrEnum):
    """How layers are compressed."""

    GZIP = "Gzip"
    ZSTD = "Zstd"


class TimestampMode(StrEnum):
    """Which time an image and its files have."""

    BUILD = "Build"
    SOURCE = "Source"


class BuildCache(Model):
    """A cache in the registry, beside the build service's own."""

    mode: CacheMode = CacheMode.NONE
    """None: there is none; the build service's own cache is used all the same. Max: all layers of all stages are kept
    under the tag build-cache of the Image's repository, and builds begin from there where the build service
    has lost its own cache. Min: only the layers of the image itself. Whoever may pull the image can then
    read those layers, and every build takes longer for pushing them. Default: None."""


class Compression(Model):
    """How all layers of the image are compressed, those of its base image too."""

    rules = (
        Rule(
            "!has(self.level) || self.level <= 9 || self.type == 'Zstd'",
            "level must be 0 to 9 for Gzip; only Zstd has levels up to 22",
        ),
    )

    type: CompressionType
    """Gzip: every container runtime reads it. Zstd: smaller and quicker to unpack, for containerd 1.5 or
    newer and registries that take OCI media types."""
    level: Annotated[int, Field(ge=0, le=22)] | None = None
    """0 to 9 for Gzip, 0 to 22 for Zstd: higher is smaller and slower. It counts for layers compressed from
    now on. Default: the compressor's own."""


class Output(Model):
    """What the image looks like in the registry."""

    compression: Compression | None = None
    """How layers are compressed. Default: new layers by gzip, those of the base image as they are."""
    timestamp: TimestampMode = TimestampMode.BUILD
    """Build: image and files have the time at which they were made. Source: no time is later than the
    source's, which is that of the git commit, or the year 1980 for all other sources; a Dockerfile that
    declares ARG SOURCE_DATE_EPOCH gets it. Two builds of the same inputs without a cache then give the same
    image, if their RUN steps do. Files that Python compiled in RUN steps without that ARG are compiled again
    at each start. Default: Build."""
