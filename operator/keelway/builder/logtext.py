"""Log text of a build, made fit to show: without escape sequences, without secrets, not too long. Pure."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# ECMA-48: CSI sequences, OSC strings (titles, links), and the two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Shorter ones would blank ordinary words and protect nothing.
_SHORTEST_SECRET = 4
_MASK = "***"


@dataclass(frozen=True)
class Redactor:
    """Replaces secret values in texts; `of()` makes one. Never shows them itself."""

    _values: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, secrets: Iterable[str]) -> "Redactor":
        """For these values, as they are, line by line (logs come in lines), and in base64."""
        values = {form.strip() for secret in secrets for form in _forms(secret)}
        known = {value for value in values if len(value) >= _SHORTEST_SECRET}
        # The longest first, or a part of a secret would keep the rest from being found.
        return cls(tuple(sorted(known, key=lambda value: (-len(value), value))))

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, _MASK)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    encoded = base64.b64encode(secret.strip().encode()).decode()
    return (secret, *secret.splitlines(), encoded)


def cleaned(raw: bytes) -> str:
    """The text of a terminal's output: of a line that was overwritten (`\\r`) what stood there last."""
    text = _ESCAPES.sub("", raw.decode(errors="replace")).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", "\n".join(lines))


def last_lines(text: str, max_characters: int) -> str:
    """The last whole lines that fit; of one that is too long alone, its end."""
    text = text.strip("\n")
    if len(text) <= max_characters:
        return text
    tail = text[-max_characters:]
    return tail.partition("\n")[2] or tail
