"""The tests' web application: gives its answer, shows how it runs, and works hard when asked to.

Runs in an App's pod; knows nothing but the standard library.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
ANSWER = Path(__file__).with_name("answer")


def answer() -> str:
    return os.environ.get("ANSWER") or ANSWER.read_text().strip()


def whoami() -> str:
    facts = {"uid": os.getuid(), "token": TOKEN.exists(), "arguments": sys.argv[1:], "env": dict(os.environ)}
    return json.dumps(facts)


def burn() -> str:
    """A tenth of a second of processor time."""
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        pass
    return "burnt"


ROUTES = {"/": answer, "/whoami": whoami, "/burn": burn}


class Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        route = ROUTES.get(self.path)
        body = (route() if route else "no such route").encode()
        self.send_response(200 if route else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Said once each 50 ms it would be all that the log holds."""


def main() -> None:
    # As process 1 of its container it gets no default action for SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Web).serve_forever()


if __name__ == "__main__":
    main()
