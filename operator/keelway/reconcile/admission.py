"""PURE: in which order builds get a place: fairly by namespace (tenancy.md "BuildKit"). `places.py` has the cap.

RUN steps of all tenants share the build service, so the operator decides before a Job exists.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WaitingBuild:
    """A Build without a Job."""

    uid: str
    namespace: str
    since: str
    """When it was made, RFC 3339 in UTC: these sort as they follow each other."""


def order(waiting: Iterable[WaitingBuild], running: Sequence[str], turns: Sequence[str] = ()) -> Iterator[str]:
    """The uids in the order in which they get free places; `running` names the namespace of each running build,
    `turns` those that got a place.

    A free place goes to the namespace that has the fewest builds running, then to the one whose last turn is longest
    ago (the last of `turns` was the latest), then to the build that has waited longest.
    """
    load = Counter(running)
    turn_of = {namespace: number for number, namespace in enumerate(turns)}
    queues: dict[str, deque[WaitingBuild]] = {}
    for one in sorted(waiting, key=lambda one: (one.since, one.uid)):
        queues.setdefault(one.namespace, deque()).append(one)
    heads = [_head(queue, load, turn_of) for queue in queues.values()]
    heapq.heapify(heads)
    for turn in itertools.count(len(turns)):
        if not heads:
            return
        namespace = heapq.heappop(heads)[-1]
        queue = queues[namespace]
        yield queue.popleft().uid
        load[namespace] += 1
        turn_of[namespace] = turn
        if queue:
            heapq.heappush(heads, _head(queue, load, turn_of))


def _head(
    queue: deque[WaitingBuild], load: Mapping[str, int], turn_of: Mapping[str, int]
) -> tuple[int, int, str, str, str]:
    """What a namespace's next build is compared by with the other namespaces'; the namespace stands last."""
    one = queue[0]
    return load.get(one.namespace, 0), turn_of.get(one.namespace, -1), one.since, one.uid, one.namespace


def coarse(place: int) -> int:
    """A place in the queue as it is told: 0 to 5, then 10, 20, 50, 100, 200, ...; never more than it is."""
    if place < 5:
        return place
    step = 10 ** (len(str(place)) - 1)
    return max(one for one in (step, 2 * step, 5 * step) if one <= place) if place >= 10 else 5
