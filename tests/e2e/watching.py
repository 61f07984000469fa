"""Every state of one object as the API server told it, each with the moment of its telling.

Polling cannot show that something never was so, or how long it was: a watch gets every change.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Self

from tests.kubectl import JsonObject, Kubectl


@dataclass(frozen=True)
class Seen:
    """One event of the watch: `type` is ADDED, MODIFIED or DELETED, `at` is time.monotonic()."""

    at: float
    type: str
    object: JsonObject


@dataclass
class Watching:
    """`with tenant.watching("service/web") as watched:`; begins when the object as it is now was seen."""

    kubectl: Kubectl
    namespace: str
    what: str
    events: list[Seen] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        kind, _, name = self.what.partition("/")
        command = self.kubectl.command(
            *("get", kind, name, f"--namespace={self.namespace}"),
            *("--watch", "--output-watch-events", "--output=json"),
        )
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self.until(lambda _: True, seconds=30)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def until(self, is_so: Callable[[Seen], bool], seconds: float = 30, after: int = 0) -> int:
        """Index of the first event, from `after` on, that is so; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        index = after
        with self._news:
            while True:
                while index < len(self.events):
                    if is_so(self.events[index]):
                        return index
                    index += 1
                if not self._news.wait(deadline - time.monotonic()):
                    last = self.events[-1].object if self.events else {}
                    seen = json.dumps({"spec": last.get("spec"), "status": last.get("status")})
                    raise AssertionError(f"not within {seconds} s; {self.what} was last seen with {seen}")

    def healing(self, is_as_wanted: Callable[[Seen], bool], since: int) -> float:
        """Seconds from the first event after `since` that is not as wanted to the next that is."""
        drifted = self.until(lambda seen: not is_as_wanted(seen), after=since)
        healed = self.until(is_as_wanted, after=drifted)
        return self.events[healed].at - self.events[drifted].at

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            told = json.loads(line)
            with self._news:
                self.events.append(Seen(time.monotonic(), told["type"], told["object"]))
                self._news.notify_all()
