"""PURE: which builds ran at once, and whether namespaces took turns, from what a watch told of their Jobs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keelway.children import names


@dataclass(frozen=True)
class JobSeen:
    """A Job at one moment: of which namespace its Image is, and whether it was there and had not ended."""

    name: str
    namespace: str
    running: bool
    time: float


def seen(type_: str, job: Mapping[str, Any], time: float) -> JobSeen:
    """One watch event."""
    conditions = job.get("status", {}).get("conditions", ())
    ended = any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)
    running = type_ != "DELETED" and not ended
    labels = job["metadata"]["labels"]
    return JobSeen(job["metadata"]["name"], labels[names.IMAGE_NAMESPACE_LABEL], running, time)


def most_at_once(jobs: Iterable[JobSeen]) -> int:
    """The most Jobs that ran at one moment."""
    running: set[str] = set()
    most = 0
    for job in jobs:
        (running.add if job.running else running.discard)(job.name)
        most = max(most, len(running))
    return most


def admitted(jobs: Iterable[JobSeen]) -> list[JobSeen]:
    """Each Job when it was made, in that order."""
    first: dict[str, JobSeen] = {}
    for job in jobs:
        if job.running:
            first.setdefault(job.name, job)
    return list(first.values())


def largest_lead(turns: Sequence[str], waiting: Mapping[str, int]) -> int:
    """By how many turns a namespace was ever ahead of another that still waited.

    `turns` are the namespaces of the builds in the order in which they were made, `waiting` how many builds each
    namespace had waiting before the first of these. Where namespaces take turns strictly, it is 1.
    """
    taken: Counter[str] = Counter()
    left = Counter(waiting)
    most = 0
    for namespace in turns:
        taken[namespace] += 1
        left[namespace] -= 1
        behind = min((taken[one] for one, count in left.items() if count > 0), default=taken[namespace])
        most = max(most, taken[namespace] - behind)
    return most
