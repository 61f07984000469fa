"""The one edge where the API server's answers become Keelway's errors (`errors.py`)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from keelway.errors import AlreadyExists, Conflict, Forbidden, Invalid, KeelwayError, NotFound, Transient

EXPIRED: Final = "Expired"
"""Reason of the Transient that a 410 becomes: the list or watch must begin anew."""
# A list or a message of the API server may quote a whole object.
_MESSAGE_SHOWN: Final = 1024
# As RBAC words it (k8s.io/apiserver, endpoints/handlers/responsewriters/errors.go).
_NO_PERMISSION: Final = re.compile(r'User "[^"]*" cannot ')

# Answered with 500, and not to be cured by trying again: over etcd's limit, or over that of the way to it (gRPC); an
# apply that is no object of its kind.
_NEVER_TAKEN: Final = re.compile(
    "etcdserver: request is too large|trying to send message larger than max|failed to create typed patch object"
)


def refusal(what: str, status: int, body: Mapping[str, Any], retry_after: str | None) -> KeelwayError:
    """The error for an answer of 400 or more; `what` names the request, `body` is the answer's Status object."""
    cause = f"{what}: {str(body.get('message') or f'HTTP {status}')[:_MESSAGE_SHOWN]}"
    match status, body.get("reason"):
        case 401 | 403, _:
            return Forbidden("Forbidden", f"{cause}. {_permission_remedy(status, cause)}")
        case 404, _:
            return NotFound("NotFound", f"{cause}. Create it; work goes on by itself then.")
        case 409, "AlreadyExists":
            return AlreadyExists("AlreadyExists", f"{cause}. Another name is needed, or that object must go.")
        case 409, _:
            return Conflict("Conflict", f"{cause}. It is read again and retried by itself.")
        case 410, _:
            return Transient(EXPIRED, f"{cause}. It is listed again by itself.")
        case 408 | 429, _:
            return Transient("ApiServerBusy", f"{cause}. It is retried by itself.", _seconds(retry_after))
        case 500, _ if _NEVER_TAKEN.search(cause):
            return Invalid("Invalid", f"{cause}. Make the object smaller, or correct what the message names.")
        case _ if status >= 500:
            return Transient("ApiServerBusy", f"{cause}. It is retried by itself.", _seconds(retry_after))
    return Invalid("Invalid", f"{cause}. Correct what the message names.")


def _permission_remedy(status: int, cause: str) -> str:
    """403 is RBAC's answer, and also that of a quota, of Pod Security and of a namespace that is going away."""
    if status == 401 or _NO_PERMISSION.search(cause):
        return "Give the operator's service account this permission."
    return "Cure what the message names; it is tried again by itself."


def unreachable(what: str, error: BaseException) -> Transient:
    """The error for a request that had no answer."""
    cause = str(error) or type(error).__name__
    return Transient("ApiServerUnreachable", f"{what}: {cause}. It is retried by itself.")


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; the API server never sends its other form, a date."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None
