"""A git server over smart HTTP (git's own http-backend) and a server of files. Runs in an App's pod.

/git/<repository> and /files/<name> are open to all; the same below /private/ ask for Basic authentication with the
password of the environment's PASSWORD, or one whose sha256 is the name of a file in /srv/passwords. /to/<scheme>/<host>
redirects there, with whatever follows.
"""

import base64
import hashlib
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path("/srv")


class Forge(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def serve(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/private/"):
            if not self.is_authorized():
                self.answer(401, b"who are you?\n", {"WWW-Authenticate": 'Basic realm="forge"'})
                return
            path = path.removeprefix("/private")
        if path.startswith("/to/"):
            scheme, _, rest = self.path.removeprefix("/to/").partition("/")
            self.answer(302, b"over there\n", {"Location": f"{scheme}://{rest}"})
        elif path.startswith("/git/"):
            self.serve_git(path.removeprefix("/git"))
        elif path.startswith("/files/") and (ROOT / "files" / Path(path).name).is_file():
            self.answer(200, (ROOT / "files" / Path(path).name).read_bytes(), {})
        else:
            self.answer(404 if path != "/" else 200, b"forge\n", {})

    def is_authorized(self) -> bool:
        _, _, given = self.headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(given).partition(b":")[2]
        known = (ROOT / "passwords" / hashlib.sha256(password).hexdigest()).exists()
        return known or password == os.environ["PASSWORD"].encode()

    def serve_git(self, path: str) -> None:
        """CGI, RFC 3875."""
        environment = os.environ | {
            "GIT_PROJECT_ROOT": str(ROOT / "git"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": urlsplit(self.path).query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").partition(" ")[0])
        self.answer(status, content, headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for name in ("git", "files", "passwords"):
        (ROOT / name).mkdir(exist_ok=True)
    ThreadingHTTPServer(("", 8080), Forge).serve_forever()


main()
