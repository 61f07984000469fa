"""What the API server says that was asked of it, by its audit log. It tells nothing of the operator's own.

The bare client works with the operator's service account too; the two differ by their User-Agent. Each entry is written
before its answer is sent.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from devcluster import audit_log
from devcluster.audit_log import Mark
from devcluster.settings import Settings

READS: Final = frozenset({"get", "list", "watch"})
# Not work on any object: the lease of the leader is renewed every 2 s.
_ELECTION: Final = "leases"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was answered; times are seconds since the epoch, by the machine's one clock."""

    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    agent: str
    received: float
    answered: float

    @property
    def what(self) -> str:
        """As RBAC has it: "patch apps/status"."""
        return f"{self.verb} {self.resource}" + (f"/{self.subresource}" if self.subresource else "")

    @property
    def is_write(self) -> bool:
        """Whether it changes something: neither a read, nor an Event, nor the leader's lease."""
        return self.verb not in READS and self.resource not in ("events", _ELECTION)

    @property
    def is_read(self) -> bool:
        """A read of objects; discovery has no resource, and a watch is one request for many objects."""
        return self.verb in ("get", "list") and self.resource not in ("", _ELECTION)


@dataclass(frozen=True)
class AuditLog:
    """The requests in the log of one cluster. Raises DevclusterError where it cannot be read."""

    settings: Settings

    def mark(self) -> Mark:
        """Here and now."""
        return audit_log.AuditLog(self.settings).mark()

    def since(self, mark: Mark, agent: str | None = None) -> list[Asked]:
        """What was answered after `mark`, in order; of User-Agents that begin so only, where it is given."""
        lines = audit_log.AuditLog(self.settings).lines_since(mark)
        return [one for one in parse(lines) if agent is None or one.agent.startswith(agent)]


def parse(lines: Iterable[str]) -> list[Asked]:
    """The requests that were answered, of the log's lines (audit.k8s.io/v1 Event, one a line)."""
    found = []
    for line in lines:
        event = json.loads(line)
        if event["stage"] == "ResponseComplete":
            found.append(_asked(event))
    return found


def _asked(event: dict[str, Any]) -> Asked:
    about = event.get("objectRef") or {}
    return Asked(
        verb=event["verb"],
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        agent=event.get("userAgent", ""),
        received=datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(),
        answered=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
    )


def writes(asked: Iterable[Asked]) -> list[Asked]:
    """Those that change something."""
    return [one for one in asked if one.is_write]


def events(asked: Iterable[Asked]) -> list[Asked]:
    """Those that write Events."""
    return [one for one in asked if one.resource == "events" and one.verb not in READS]


def reads(asked: Iterable[Asked]) -> list[Asked]:
    """Those that read objects, one by one or listed."""
    return [one for one in asked if one.is_read]


def tally(asked: Iterable[Asked]) -> dict[str, int]:
    """How often each was asked, the most frequent first: {"patch apps/status": 500}; refusals by their code."""
    counts = Counter(one.what if one.code < 400 else f"{one.what} ({one.code})" for one in asked)
    return dict(counts.most_common())
