"""What the user sees while it works: each step with the time since the start, and where its log is when it fails."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.errors import DevclusterError


@dataclass(frozen=True)
class Step:
    """One line of progress; `log` takes the output of its commands."""

    name: str
    log: Path


@dataclass(frozen=True)
class Progress:
    logs: Path
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Announce a step, and say how long it took. An error that has no log of its own gets the step's."""
        slug = "".join(c if c.isalnum() else "-" for c in name.lower())
        step = Step(name, self.logs / f"{slug}.log")
        self.logs.mkdir(parents=True, exist_ok=True)
        step.log.write_text("")
        begun = time.monotonic()
        self.say(f"{name} ...")
        try:
            yield step
        except DevclusterError as error:
            raise DevclusterError(f"{name}: {error.message}", error.log or step.log) from error
        self.say(f"{name}: done in {time.monotonic() - begun:.1f} s")

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", file=sys.stderr, flush=True)
