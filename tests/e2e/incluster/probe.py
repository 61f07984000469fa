"""Tries to connect to each "host:port" given and prints a JSON object of those that answered and those that did not."""

import json
import socket
import sys


def answers(target: str) -> bool:
    """Whether a TCP connection comes about."""
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except OSError:
        return False


found = {target: answers(target) for target in sys.argv[1:]}
print(json.dumps({"open": [t for t in found if found[t]], "shut": [t for t in found if not found[t]]}))
