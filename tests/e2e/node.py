"""The dev cluster's node, a container: for faults that no API can make."""

import subprocess

CONTAINER = "keelway-control-plane"


def run(*command: str) -> str:
    """What a command on the node prints."""
    done = subprocess.run(
        ["docker", "exec", CONTAINER, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
