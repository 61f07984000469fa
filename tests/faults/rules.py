"""What the fault proxy does to which requests: plain data. `proxy.py` acts on it.

A rule is a match, an action, and how many matches it lets pass first and acts upon then. A request is given to every
rule that matches it, in the order they were made; actions on events reach watches that are open already.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LEASES = re.compile(r"/leases(/|$)")
_EVENTS = re.compile(r"/events(/|$)")


Asked = tuple[str, str]
"""What a list was asked by: path with query, and Accept."""


@dataclass(frozen=True)
class Call:
    """One request as it came; `agent` is its User-Agent."""

    method: str
    path: str
    query: Mapping[str, str]
    agent: str = ""

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") in ("true", "1")

    @property
    def is_write(self) -> bool:
        """Whether it may change what the operator is there for: not its Lease."""
        return self.method in WRITING and not _LEASES.search(self.path)

    @property
    def is_event(self) -> bool:
        """Whether it tells a Kubernetes Event, by which nobody decides."""
        return self.method in WRITING and bool(_EVENTS.search(self.path))

    @property
    def is_list(self) -> bool:
        """Whether it asks for a whole collection, or a page of one."""
        return self.method == "GET" and not self.is_watch and "limit" in self.query


@dataclass(frozen=True)
class Match:
    """Which requests: a `path` to be searched for (a regular expression), and what must be so beside it."""

    path: str = ""
    so: Callable[[Call], bool] = lambda call: True

    def takes(self, call: Call) -> bool:
        return bool(re.search(self.path, call.path)) and self.so(call)


def everything(path: str = "") -> Match:
    """All requests, the Lease's too."""
    return Match(path)


def writes(path: str = "") -> Match:
    """Writes that count: no Lease, no Event."""
    return Match(path, lambda call: call.is_write and not call.is_event)


def reads(path: str = "") -> Match:
    """Gets and lists, not the Lease's."""
    return Match(path, lambda call: call.method == "GET" and not call.is_watch and not _LEASES.search(call.path))


def lists(path: str = "") -> Match:
    return Match(path, lambda call: call.is_list)


def next_pages(path: str = "") -> Match:
    """Every page of a list but the first."""
    return Match(path, lambda call: call.is_list and "continue" in call.query)


def watches(path: str = "") -> Match:
    return Match(path, lambda call: call.is_watch)


@dataclass(frozen=True)
class Write:
    """A write that the API server has answered."""

    number: int
    """1, 2, ... among those that count (Events do not: they have the number of the one before)."""
    at: float
    """time.monotonic() of the answer."""
    call: Call
    status: int
    body: Any = None
    answer: Any = None

    def __str__(self) -> str:
        return f"#{self.number} {self.call.method} {self.call.path} -> {self.status}"


@dataclass(frozen=True)
class Delay:
    """Pass it on so many seconds later."""

    seconds: float


@dataclass(frozen=True)
class Refuse:
    """Answer so, as the API server would, without asking it. `retry_after` is in seconds."""

    status: int
    retry_after: int | None = None


@dataclass(frozen=True)
class BlackHole:
    """Answer nothing, ever, and keep the connection; an open watch is told nothing more."""


@dataclass(frozen=True)
class Reset:
    """Close the connection at once."""


@dataclass(frozen=True)
class LoseAnswer:
    """Let the API server do it, then close the connection in place of the answer."""


@dataclass(frozen=True)
class Then:
    """Call `act`, in the proxy's thread, once the API server has answered and before the operator hears of it."""

    act: Callable[[Write], None]


@dataclass(frozen=True)
class Instead:
    """Call `act`, in the proxy's thread, in place of asking the API server; close the connection."""

    act: Callable[[Call], None]


@dataclass(frozen=True)
class Pages:
    """Let the API server give lists in pages of so many objects."""

    limit: int


@dataclass(frozen=True)
class Stale:
    """Answer a list as it was last answered before this rule was made; ask where it never was."""


@dataclass(frozen=True)
class Drop:
    """Do not tell the watch's event."""


@dataclass(frozen=True)
class Duplicate:
    """Tell the event twice."""


@dataclass(frozen=True)
class Hold:
    """Tell the event, and with it all that follow, so many seconds later."""

    seconds: float


@dataclass(frozen=True)
class Cut:
    """Close the watch's connection in place of the event."""


@dataclass(frozen=True)
class Expire:
    """End the watch with the ERROR event 410 in place of the event."""


OnRequest = Delay | Refuse | BlackHole | Reset | LoseAnswer | Then | Instead | Pages | Stale
OnEvent = Drop | Duplicate | Hold | Cut | Expire


@dataclass(frozen=True)
class Rule:
    """Does `action` to the matches after the first `skip`, `times` times (None: always)."""

    match: Match
    action: OnRequest | OnEvent
    skip: int = 0
    times: int | None = None


@dataclass
class ActiveRule:
    """A rule at work: it counts."""

    rule: Rule
    remembered: Mapping[Asked, tuple[int, bytes]] = field(default_factory=dict)
    matched: int = 0

    def strikes(self, call: Call) -> bool:
        """Whether the action is due; counts the match."""
        if not self.rule.match.takes(call):
            return False
        self.matched += 1
        past = self.matched - self.rule.skip
        return past > 0 and (self.rule.times is None or past <= self.rule.times)

    @property
    def struck(self) -> int:
        """How often it has acted."""
        past = max(0, self.matched - self.rule.skip)
        return past if self.rule.times is None else min(past, self.rule.times)
