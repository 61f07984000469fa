"""The API server's audit log, on the node: from a moment on, across rotations. `make bench` and `make faults` read it.

The policy (controlplane/audit-policy.yaml) logs all requests of the operator's service account.
"""

import subprocess
from dataclasses import dataclass
from typing import Final

from devcluster.control_plane import AUDIT_LOG
from devcluster.errors import DevclusterError
from devcluster.settings import Settings

_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Mark:
    """A place in the log: the file by its inode, for it is rotated, and bytes from its start."""

    inode: str
    offset: int


@dataclass(frozen=True)
class AuditLog:
    """The log of one cluster. Raises DevclusterError where it cannot be read."""

    settings: Settings

    def mark(self) -> Mark:
        """Here and now."""
        inode, size = self._on_node(f"stat -c '%i %s' {AUDIT_LOG}").split()
        return Mark(inode, int(size))

    def lines_since(self, mark: Mark) -> list[str]:
        """What was written after `mark`, in order; the last line may be cut off."""
        return self._on_node(
            f"cd $(dirname {AUDIT_LOG}); "
            # The oldest first: rotated files keep their inode.
            "for file in $(ls -tr audit*.log); do "
            '[ -n "$found" ] && cat $file; '
            f"[ $(stat -c %i $file) = {mark.inode} ] && found=yes && tail -c +{mark.offset + 1} $file; "
            'done; [ -n "$found" ] || { echo rotated away >&2; exit 1; }'
        ).splitlines()

    def _on_node(self, script: str) -> str:
        command = ["docker", "exec", f"{self.settings.cluster}-control-plane", "sh", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode != 0:
            raise DevclusterError(f"the audit log of {self.settings.cluster} cannot be read: {done.stderr.strip()}")
        return done.stdout
