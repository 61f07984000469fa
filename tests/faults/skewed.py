"""The operator on a machine whose wall clock is off: `python skewed.py SECONDS`.

The monotonic clock is left alone: no clock that is set, by hand or by NTP, moves that one.
"""

import datetime
import sys
import time

OFFSET = float(sys.argv.pop(1))
_Datetime = datetime.datetime
_time = time.time


class Skewed(_Datetime):
    """A datetime that tells the wrong time."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Skewed":
        wrong = _Datetime.now(tz) + datetime.timedelta(seconds=OFFSET)
        return cls.combine(wrong.date(), wrong.timetz())


datetime.datetime = Skewed  # type: ignore[misc]
time.time = lambda: _time() + OFFSET

if __name__ == "__main__":
    # Only now: whoever imports a clock gets the wrong one.
    from keelway.__main__ import main

    sys.exit(main())
