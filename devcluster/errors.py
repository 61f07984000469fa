"""The one error of the dev cluster: what `__main__` prints and turns into exit status 1."""

from pathlib import Path


class DevclusterError(Exception):
    """`message` gives the cause, then the remedy; `log` the file that holds the failed command's output."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.log = log
