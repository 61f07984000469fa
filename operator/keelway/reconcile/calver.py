"""PURE: versions by the calendar (calver.org): a format's versions read, and the next one. Used by `version.py`."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

# What each token matches, so that a version is read one way only.
_TOKENS: Final = {
    "YYYY": "[0-9]{4}",
    "YY": "[0-9]{1,3}",
    "0M": "[0-9]{2}",
    "MM": "[0-9]{1,2}",
    "0D": "[0-9]{2}",
    "DD": "[0-9]{1,2}",
    "MICRO": "[0-9]{1,9}",
}
_TOKEN: Final = re.compile("YYYY|YY|0M|MM|0D|DD|MICRO")


def next_calver(form: str, taken: Iterable[str], now: datetime) -> str:
    """The version of today, or of the latest day that is there, should the clock have been set back."""
    tokens = _TOKEN.findall(form)
    pattern = re.compile(_TOKEN.sub(lambda token: f"({_TOKENS[token[0]]})", re.escape(form)))
    known = [tuple(map(int, match.groups())) for version in taken if (match := pattern.fullmatch(version))]
    day = tuple(_value(token, now) for token in tokens[:-1])
    highest = max(known, default=(*day, -1))
    numbers = (*day, 0) if day > highest[:-1] else (*highest[:-1], highest[-1] + 1)
    texts = iter([_text(token, number) for token, number in zip(tokens, numbers, strict=True)])
    return _TOKEN.sub(lambda _: next(texts), form)


def _value(token: str, now: datetime) -> int:
    match token:
        case "YYYY":
            return now.year
        case "YY":
            return now.year - 2000
        case "0M" | "MM":
            return now.month
        case _:
            return now.day


def _text(token: str, number: int) -> str:
    return f"{number:02}" if token.startswith("0") else f"{number:04}" if token == "YYYY" else str(number)
