"""Asks argv[1] over HTTP every 25 ms, each time on a new connection, and prints each answer when it hears it first.

Runs in a pod. A line is JSON: {"time": seconds since the epoch, "answer": text}. That nobody answers is no answer.
"""

import http.client
import json
import sys
import time
import urllib.parse

EVERY_SECONDS = 0.025
PATIENCE_SECONDS = 1


def ask(address: urllib.parse.SplitResult) -> str | None:
    """What it answers; None where it does not, or not with 200."""
    connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", address.path or "/")
        answer = connection.getresponse()
        text = answer.read().decode().strip()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return text if answer.status == 200 else None


def main() -> None:
    """Never ends."""
    address = urllib.parse.urlsplit(sys.argv[1])
    heard: set[str] = set()
    while True:
        begun = time.monotonic()
        answer = ask(address)
        if answer is not None and answer not in heard:
            heard.add(answer)
            print(json.dumps({"time": time.time(), "answer": answer}), flush=True)
        time.sleep(max(0.0, begun + EVERY_SECONDS - time.monotonic()))


if __name__ == "__main__":
    main()
