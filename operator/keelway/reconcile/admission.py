"""PURE: which builds may run now: never more than the cap, and fairly by namespace (tenancy.md "BuildKit").

RUN steps of all tenants share the build service, so the operator decides before a Job exists.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WaitingBuild:
    """A Build without a Job."""

    uid: str
    namespace: str
    since: str
    """When it was made, RFC 3339 in UTC: these sort as they follow each other."""
    priority: int = 0
    """Counts among builds of the same namespace only: whoever asks for more takes nothing from another tenant."""


def admitted(
    waiting: Iterable[WaitingBuild], running: Sequence[str], cap: int, turns: Sequence[str] = ()
) -> frozenset[str]:
    """The uids that may start; `running` names the namespace of each running build, `turns` those that got a place.

    A free place goes to the namespace that has the fewest builds running, then to the one whose last turn is longest
    ago (the last of `turns` was the latest), then to the one whose build has waited longest. Within the namespace it
    goes to the highest priority, then to the build that has waited longest.
    """
    load = Counter(running)
    turn_of = {namespace: number for number, namespace in enumerate(turns)}
    queue = sorted(waiting, key=lambda one: (one.since, one.uid))
    chosen: set[str] = set()
    while queue and len(running) + len(chosen) < cap:
        turn = min(queue, key=lambda one: (load[one.namespace], turn_of.get(one.namespace, -1))).namespace
        following = max((one for one in queue if one.namespace == turn), key=lambda one: one.priority)
        queue.remove(following)
        chosen.add(following.uid)
        load[following.namespace] += 1
        turn_of[following.namespace] = len(turns) + len(chosen)
    return frozenset(chosen)
