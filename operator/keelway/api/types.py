"""Bounded strings and numbers that several kinds share.

Every string and list of the API has a bound, or the API server refuses the CRD for the cost of its CEL rules.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, PlainSerializer

from keelway.api.schema import Rule

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=_SUBDOMAIN)]
"""The name of an object in the same namespace (DNS subdomain, RFC 1123)."""

DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=_LABEL)]

# Keys of Secrets and ConfigMaps: k8s.io/apimachinery validation.IsConfigMapKey.
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]

Argument = Annotated[str, Field(max_length=32768)]
"""One word of a command line."""

# What the operator writes into a status is bounded but not judged: a refused status would say nothing at all.
Observed = Annotated[str, Field(max_length=4096)]

# Kubernetes allows this much for all annotations of an object together (validation.ValidateAnnotationsSize).
AnnotationValue = Annotated[str, Field(max_length=262144)]

Sha256 = Annotated[str, Field(min_length=64, max_length=64, pattern=r"^[a-f0-9]{64}$")]

# The distribution specification allows 255 characters of name; host, tag and digest come on top.
ImageReference = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Rule(
        r"self.matches(r'^([a-zA-Z0-9.-]+(:[0-9]{1,5})?/)?"
        r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
        r"(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$')",
        "must be an image reference such as nginx:1.27, ghcr.io/owner/name:v1 or host:5000/name@sha256:<64 hex>",
    ),
]

Repository = Annotated[
    str,
    Field(min_length=1, max_length=255),
    Rule(
        r"self.matches(r'^([a-zA-Z0-9.-]+(:[0-9]{1,5})?/)?"
        r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$')",
        "must be a repository such as ghcr.io/owner/name: path in lower case, no https://, no tag, no digest",
    ),
]

RelativePath = Annotated[
    str,
    Field(min_length=1, max_length=255),
    Rule(
        r"!self.startsWith('/') && !self.contains('\\') && !self.matches(r'(^|/)\.\.(/|$)') "
        r"&& !self.matches(r'[\x00-\x1f\x7f]')",
        "must be a relative path that stays inside the source: "
        "no leading /, no '..' segment, no backslash, no control character",
    ),
]

WebUrl = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    Rule(
        r"self.matches(r'^https?://[^/?#]')",
        "must start with https:// (or http://, where the administrator allows that network); "
        "other schemes are not supported",
    ),
    Rule(
        r"!self.matches(r'^[a-z]+://[^/?#]*@')",
        "must not contain credentials: anyone who may read this object would see them. "
        "Put them into a Secret and name it in secretRef",
    ),
    Rule(
        r"!self.matches(r'[\\\x00-\x20\x7f]')",
        "must not contain spaces, control characters or backslashes: percent-encode them",
    ),
]


def _to_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Kubernetes' own times (metav1.Time) are in UTC, to the second.
Timestamp = Annotated[AwareDatetime, PlainSerializer(_to_seconds, return_type=str, when_used="json")]
