"""What `buildctl --progress rawjson` tells while it builds: steps, their logs, and its own last words.

One JSON object a line (github.com/moby/buildkit/client, SolveStatus), anything else is plain text: the
Dockerfile's lines around a fault and, last, `error: ...`.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keelway.api.buildrequest import LintWarning, Material
from keelway.builder.logtext import cleaned

_LOG_BYTES = 32 * 1024
_TEXT_LINES = 200
# Stage names hold no bracket, and steps of other kinds have their instruction where FROM stands here.
_FROM = re.compile(r"(?:\[[^\]]*\] FROM |docker-image://)(\S+)@(sha256:[0-9a-f]{64})")
_CONTEXT = re.compile(r"\[context [^\]]*\] (\S+)@(sha256:[0-9a-f]{64})")
# BuildKit looks up what the Dockerfile names, so this has a digest where the Dockerfile has one.
_ASKED = re.compile(
    r"(?:\[[^\]]*internal\] )?(?:load metadata for |resolve image config for (?:docker-image://)?)(\S+)"
)
_ERROR = "error: "
# Its faults end no build: a cache that is not there yet, or cannot be pushed (ignore-error).
_CACHE_STEPS = ("importing cache manifest from ", "exporting cache to ")
# `UndefinedVar: Usage of undefined variable '$X' (line 3)`; what a foreign frontend warns of may have no rule.
_LINT = re.compile(r"(?:(?P<rule>[A-Z][A-Za-z]{2,63}): )?(?P<message>.*?)(?: \(line (?P<line>\d{1,9})\))?", re.DOTALL)
_WARNINGS_KEPT = 256


@dataclass
class Vertex:
    """One step, in BuildKit's word. `name` as it shows it (`[2/3] RUN make`), `log` the end of its output."""

    name: str = ""
    started: bool = False
    completed: bool = False
    error: str = ""
    log: bytes = b""


@dataclass
class Progress:
    """Feed it lines; `echo` gets what a reader of the container's log wants to see."""

    echo: Callable[[str], None]
    steps: dict[str, Vertex] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    warnings: list[LintWarning] = field(default_factory=list)

    def feed(self, line: str) -> None:
        """Takes one line of buildctl's standard error."""
        event = _event(line)
        if event is None:
            self.text = [*self.text, line][-_TEXT_LINES:]
            self.echo(line)
            return
        for vertex in event.get("vertexes") or ():
            self._take_vertex(vertex)
        for log in event.get("logs") or ():
            self._take_log(log)
        for warning in event.get("warnings") or ():
            self._take_warning(warning)

    @property
    def error(self) -> str:
        """buildctl's last word, without its prefix; empty where it ended well or said nothing."""
        for line in reversed(self.text):
            if line.startswith(_ERROR):
                return line.removeprefix(_ERROR).strip()
        return self.text[-1].strip() if self.text else ""

    @property
    def failed(self) -> Vertex | None:
        """The step that ended in an error of its own, not by the end of the others."""
        wrong = [step for step in self.steps.values() if step.error and not step.name.startswith(_CACHE_STEPS)]
        own = [step for step in wrong if not step.error.endswith("context canceled")]
        return next(iter(own or wrong), None)

    @property
    def running(self) -> Vertex | None:
        """The step begun last that has not ended."""
        open_steps = [step for step in self.steps.values() if step.started and not step.completed]
        return open_steps[-1] if open_steps else None

    @property
    def faulty_line(self) -> int | None:
        """The Dockerfile's line that BuildKit points to with `>>>`."""
        for line in self.text:
            found = re.match(r"\s*(\d+) \| >>> ", line)
            if found:
                return int(found[1])
        return None

    def materials(self) -> tuple[Material, ...]:
        """The images that the build reads, with the digests their names led to, each once.

        One that the Dockerfile, or a named context, gives by its digest has that in its reference too.
        """
        asked = {match[1] for step in self.steps.values() if (match := _ASKED.fullmatch(step.name))}
        found: dict[tuple[str, str], None] = {}
        for step in self.steps.values():
            context = _CONTEXT.fullmatch(step.name)
            match = context or _FROM.fullmatch(step.name)
            if match is None:
                continue
            at_digest = f"{match[1]}@{match[2]}"
            fixed = at_digest in asked and match[1] not in asked
            found[at_digest if context or fixed else match[1], match[2]] = None
        return tuple(Material(reference=reference, digest=digest) for reference, digest in found)

    def _take_vertex(self, vertex: Mapping[str, Any]) -> None:
        step = self.steps.setdefault(str(vertex.get("digest")), Vertex())
        name = str(vertex.get("name", ""))
        if vertex.get("started") and not step.started and not name.startswith("[auth]"):
            self.echo(name)
        step.name = name
        step.started = step.started or bool(vertex.get("started"))
        step.completed = bool(vertex.get("completed"))
        step.error = str(vertex.get("error", ""))

    def _take_log(self, log: Mapping[str, Any]) -> None:
        step = self.steps.setdefault(str(log.get("vertex")), Vertex())
        data = base64.b64decode(log.get("data") or "")
        step.log = (step.log + data)[-_LOG_BYTES:]
        self.echo(cleaned(data).rstrip("\n"))

    def _take_warning(self, warning: Mapping[str, Any]) -> None:
        short = cleaned(base64.b64decode(warning.get("short") or "")).strip()
        found = _LINT.fullmatch(short)
        assert found is not None, "every text matches"
        line = _line(warning) or int(found["line"] or 0)
        told = LintWarning(
            rule=found["rule"] or "Warning",
            message=" ".join(found["message"].split()),
            line=line or None,
            url=str(warning.get("url") or "") or None,
        )
        if told not in self.warnings and len(self.warnings) < _WARNINGS_KEPT:
            self.warnings.append(told)
            self.echo(f"warning: {short}")


def _line(warning: Mapping[str, Any]) -> int:
    """Where the warning's first range begins; 0 where it has none."""
    ranges = warning.get("range") or [{}]
    start = ranges[0].get("start") or {}
    return int(start.get("line") or 0)


def _event(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
