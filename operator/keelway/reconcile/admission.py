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
    priority: int = 0
    """Counts among builds of the same namespace only: whoever asks for more takes nothing from another tenant."""


def order(waiting: Iterable[WaitingBuild], running: Sequence[str], turns: Sequence[str] = ()) -> Iterator[str]:
    """The uids in the order in which they get free places; `running` names the namespace of each running build,
    `turns` those that got a place.

    A free place goes to the namespace that has the fewest builds running, then to the one whose last turn is longest
    ago (the last of `turns` was the latest), then to the one whose build has waited longest. Within the namespace it
    goes to the highest priority, then to the build that has waited longest.
    """
    load = Counter(running)
    turn_of = {namespace: number for number, namespace in enumerate(turns)}
    queues: dict[str, list[WaitingBuild]] = {}
    for one in sorted(waiting, key=lambda one: (one.since, one.uid)):
        queues.setdefault(one.namespace, []).append(one)
    lines = {namespace: _Line(queue) for namespace, queue in queues.items()}
    heads = [_head(line.longest, load, turn_of) for line in lines.values()]
    heapq.heapify(heads)
    for turn in itertools.count(len(turns)):
        if not heads:
            return
        namespace = heapq.heappop(heads)[-1]
        line = lines[namespace]
        yield line.take().uid
        load[namespace] += 1
        turn_of[namespace] = turn
        if line:
            heapq.heappush(heads, _head(line.longest, load, turn_of))


class _Line:
    """The waiting builds of one namespace, given by age: the most urgent is taken, the oldest asks for turns."""

    def __init__(self, by_age: Sequence[WaitingBuild]) -> None:
        self._by_age = deque(by_age)
        self._by_urgency = deque(sorted(by_age, key=lambda one: -one.priority))
        self._taken: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._by_urgency)

    @property
    def longest(self) -> WaitingBuild:
        """The one that has waited longest."""
        while self._by_age[0].uid in self._taken:
            self._by_age.popleft()
        return self._by_age[0]

    def take(self) -> WaitingBuild:
        """The one whose turn it is; it waits no more."""
        one = self._by_urgency.popleft()
        self._taken.add(one.uid)
        return one


def _head(longest: WaitingBuild, load: Mapping[str, int], turn_of: Mapping[str, int]) -> tuple[int, int, str, str, str]:
    """What a namespace is compared by with the others; its name stands last."""
    namespace = longest.namespace
    return load.get(namespace, 0), turn_of.get(namespace, -1), longest.since, longest.uid, namespace


def coarse(place: int) -> int:
    """A place in the queue as it is told: 0 to 5, then 10, 20, 50, 100, 200, ...; never more than it is."""
    if place < 5:
        return place
    step = 10 ** (len(str(place)) - 1)
    return max(one for one in (step, 2 * step, 5 * step) if one <= place) if place >= 10 else 5
