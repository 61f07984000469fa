"""The API server's own account of who wrote when: the proof that there are never two writers.

It logs each answered request of the operator's service account, with the User-Agent that names the replica. Whoever
has last written the Lease leads; a write counts as two writers where another did so before the write was done.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from devcluster.audit_log import AuditLog, Mark
from tests.faults.cluster import Cluster

_WRITING = frozenset({"create", "update", "patch", "delete"})
_REPLICA = re.compile(r"^keelway/\S+ \((?P<identity>[^)]+)\)")


@dataclass(frozen=True)
class Entry:
    """One request: begun and done by the API server's clock, of the replica of that identity."""

    begun: datetime
    done: datetime
    replica: str
    verb: str
    resource: str
    name: str
    code: int

    @property
    def takes_the_lease(self) -> bool:
        return self.resource == "leases" and self.verb in ("create", "update") and self.code < 300

    @property
    def is_write(self) -> bool:
        return self.resource != "leases" and self.verb in _WRITING

    def __str__(self) -> str:
        return f"{self.begun:%H:%M:%S.%f}-{self.done:%S.%f} {self.replica} {self.verb} {self.resource}/{self.name}"


@dataclass(frozen=True)
class Audit:
    """The log from a moment on."""

    log: AuditLog
    begins: Mark

    @classmethod
    def from_now(cls, cluster: Cluster) -> Self:
        log = AuditLog(cluster.settings)
        return cls(log, log.mark())

    def entries(self) -> list[Entry]:
        """By the time at which they were done."""
        return sorted(_parsed(self.log.lines_since(self.begins)), key=lambda one: one.done)


def two_writers(entries: Sequence[Entry]) -> list[str]:
    """The writes during which, or before which, another replica had taken the Lease; what should never be."""
    taken = [one for one in entries if one.takes_the_lease]
    wrong = []
    for write in (one for one in entries if one.is_write):
        before = [one for one in taken if one.done <= write.begun]
        during = [one for one in taken if write.begun < one.done <= write.done]
        holders = {one.replica for one in (*before[-1:], *during)}
        if holders - {write.replica}:
            wrong.append(f"{write} while {sorted(holders)} held the Lease")
    return wrong


def _parsed(lines: Iterable[str]) -> Iterable[Entry]:
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue  # cut in two by the moment that the reading began or ended at
        replica = _REPLICA.match(told.get("userAgent", ""))
        about = told.get("objectRef") or {}
        if replica is None or told["stage"] != "ResponseComplete":
            continue
        yield Entry(
            begun=datetime.fromisoformat(told["requestReceivedTimestamp"]),
            done=datetime.fromisoformat(told["stageTimestamp"]),
            replica=replica["identity"],
            verb=told["verb"],
            resource=about.get("resource", ""),
            name=about.get("name", ""),
            code=told.get("responseStatus", {}).get("code", 0),
        )
