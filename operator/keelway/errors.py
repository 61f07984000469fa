"""The error tree: how a pass over an object can end other than well.

Foreign errors are translated into it once, at the edges (`cluster/`, `registry/`, `sources/`); `reconcile/` turns it
into conditions and `engine/` into delays. A message always says the cause first and then the remedy.
"""


class KeelwayError(Exception):
    """Root of the tree: `reason` is a CamelCase word for a condition, `message` is cause, then remedy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Terminal(KeelwayError):
    """Only a change of the object's own spec can cure it: shown as `Stalled=True`, not retried."""


class Waiting(KeelwayError):
    """Something outside the object must change first (a Secret, a registry, a host): comes back by itself.

    `retry_after` is in seconds; None leaves the delay to the queue (10 s, backing off to minutes).
    """

    def __init__(self, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class Transient(KeelwayError):
    """A fault that passes by itself: retried with exponential back-off and jitter, a key at a time.

    `retry_after` is the least delay in seconds, where the other side asked for one.
    """

    def __init__(self, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class NotFound(Waiting):
    """404: the object named is not there (yet)."""


class Forbidden(Waiting):
    """401 or 403: the credentials used do not allow it."""


class Conflict(Transient):
    """409: the object changed (resourceVersion) or was replaced (uid) since it was read."""


class AlreadyExists(KeelwayError):
    """409 on create: the name is taken, which is how a number is claimed only once."""


class Invalid(KeelwayError):
    """400 or 422: the API server refuses the object; its message says which field."""


class NotLeader(Transient):
    """The write gate is shut: this replica's lease may have run out, so nothing was sent."""
