"""Makes the HTTP requests given as JSON in argv[1] and prints the answers as JSON. Runs in a client pod."""

import base64
import json
import sys
import urllib.error
import urllib.request
from typing import Any


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def fetch(request: dict[str, Any]) -> dict[str, Any]:
    opener = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))
    body = request["body"].encode() if request["body"] is not None else None
    asked = urllib.request.Request(request["url"], method=request["method"], headers=request["headers"], data=body)
    try:
        with opener.open(asked, timeout=10) as answer:
            return told(answer)
    except urllib.error.HTTPError as error:
        return told(error)
    except OSError as error:
        return {"error": f"{type(error).__name__}: {error}"}


def told(answer: Any) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {"status": answer.status, "headers": headers, "body": base64.b64encode(answer.read()).decode()}


print(json.dumps([fetch(request) for request in json.loads(sys.argv[1])]))
