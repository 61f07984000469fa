"""Deliveries in the shapes that their senders document, cut down to what is sent in each of them."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final

from keelway.hooks.senders import Headers
from tests.unit.objects import NOW

TOKEN: Final = "a-token-of-some-length"
COMMIT: Final = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"
Object = dict[str, Any]


def github(**changes: Any) -> Object:
    return {
        "ref": "refs/heads/main",
        "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "after": COMMIT,
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": {
            "id": 186853002,
            "full_name": "Team/Shop",
            "html_url": "https://git.example/Team/Shop",
            "url": "https://git.example/Team/Shop",
            "git_url": "git://git.example/Team/Shop.git",
            "ssh_url": "git@git.example:Team/Shop.git",
            "clone_url": "https://git.example/Team/Shop.git",
            "homepage": "https://git.example/other/victim",
            "default_branch": "main",
        },
        "pusher": {"name": "somebody", "email": "somebody@example.com"},
        "commits": [{"id": COMMIT, "message": "More.", "added": ["a"], "removed": [], "modified": []}],
        **changes,
    }


def gitea(**changes: Any) -> Object:
    told = github(compare_url="https://git.example/Team/Shop/compare/a...b", total_commits=1, **changes)
    told["repository"] = {**told["repository"], "owner": {"login": "Team"}, "empty": False}
    return told


def gitlab(**changes: Any) -> Object:
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
        "after": COMMIT,
        "ref": "refs/heads/main",
        "ref_protected": True,
        "checkout_sha": COMMIT,
        "project_id": 15,
        "project": {
            "id": 15,
            "name": "Shop",
            "web_url": "https://git.example/team/shop",
            "git_ssh_url": "git@git.example:team/shop.git",
            "git_http_url": "https://git.example/team/shop.git",
            "path_with_namespace": "team/shop",
            "default_branch": "main",
            "homepage": "https://git.example/team/shop",
            "url": "git@git.example:team/shop.git",
        },
        "repository": {
            "name": "Shop",
            "url": "git@git.example:team/shop.git",
            "description": "",
            "git_http_url": "https://git.example/team/shop.git",
            "git_ssh_url": "git@git.example:team/shop.git",
            "visibility_level": 0,
        },
        "total_commits_count": 4,
        **changes,
    }


def registry(*targets: Object, action: str = "push", host: str = "registry.example:5000") -> Object:
    return {
        "events": [
            {
                "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
                "timestamp": "2026-01-02T12:00:00.000Z",
                "action": action,
                "target": {
                    "mediaType": "application/vnd.oci.image.index.v1+json",
                    "size": 708,
                    "digest": "sha256:" + "f" * 64,
                    "length": 708,
                    "repository": "library/python",
                    "url": f"http://{host}/v2/library/python/manifests/sha256:{'f' * 64}",
                    "tag": "3.11-slim",
                    **target,
                },
                "request": {"id": "6df24a34", "addr": "10.0.0.1:64961", "host": host, "method": "PUT"},
                "actor": {"name": "ci"},
                "source": {"addr": "xtal.local:5000", "instanceID": "a53db899"},
            }
            for target in (targets or ({},))
        ]
    }


def encoded(told: Object) -> bytes:
    return json.dumps(told).encode()


def hexed(body: bytes, token: str = TOKEN) -> str:
    return hmac.new(token.encode(), body, hashlib.sha256).hexdigest()


def of_github(body: bytes, token: str = TOKEN, event: str = "push", **more: str) -> Headers:
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature-256": f"sha256={hexed(body, token)}",
        **more,
    }


def of_gitea(body: bytes, token: str = TOKEN, event: str = "push") -> Headers:
    """It sends GitHub's headers, too; `X-Hub-Signature-256` not in all of its versions."""
    return {"x-gitea-event": event, "x-github-event": event, "x-gitea-signature": hexed(body, token)}


def of_forgejo(body: bytes, token: str = TOKEN) -> Headers:
    signature = hexed(body, token)
    return {"x-forgejo-event": "push", "x-gitea-event": "push", "x-github-event": "push"} | {
        "x-forgejo-signature": signature,
        "x-gitea-signature": signature,
        "x-hub-signature-256": f"sha256={signature}",
    }


def of_gitlab(token: str = TOKEN, event: str = "Push Hook") -> Headers:
    return {"x-gitlab-event": event, "x-gitlab-token": token}


def of_gitlab_signed(body: bytes, key: bytes, seconds_ago: float = 0) -> Headers:
    identity, time = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f", str(int(NOW.timestamp() - seconds_ago))
    digest = hmac.new(key, f"{identity}.{time}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {
        "x-gitlab-event": "Push Hook",
        "webhook-id": identity,
        "webhook-timestamp": time,
        "webhook-signature": signature,
    }


def of_registry(authorization: str = f"Bearer {TOKEN}") -> Headers:
    return {"content-type": "application/vnd.docker.distribution.events.v1+json", "authorization": authorization}
