"""The source policy of a build: what its Dockerfile may read. Pure; `buildkit.py` hands it to the daemon.

`FROM`, `COPY --from`, `ADD` and `# syntax=` all pass it. The rules of github.com/moby/buildkit/sourcepolicy:
the last one that matches decides, and a source that none matches is allowed. BuildKit's credentials answer
for a whole host, so this is what keeps one namespace out of another's repositories; that a name leads
inwards by DNS or a redirect is the firewall's part (manifests/base/buildkit/boundary.sh).
"""

import re
from collections.abc import Iterable
from typing import Any

from keelway.api.buildrequest import Material, Policy

# The identifiers of sources elsewhere: docker-image://host/..., https://[user@]host/..., git://host/...
# The others (local://, oci-layout://) name what buildctl itself offers.
_SCHEME = r"(?i)^(docker-image[+a-z]*|https?|git)://([^/?#]*@)?"
_END = r"(:[0-9]*)?([/?#]|$)"
_INTERNAL_HOSTS = (
    # The names that lead to this pod or into the cluster, with or without the root's dot.
    r"localhost\.?",
    r"[^/:@]*\.(localhost|local|internal|svc|cluster|arpa)\.?",
    # Without a dot only the cluster's search domains give a name a meaning.
    r"[^/:.@\[\]]+",
    # Addresses, in every form that a resolver takes: [::1], 10.0.0.1, 10.1, 0x7f000001, 017700000001.
    r"\[[^\]]*\]",
    r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+))*\.?",
)


def source_policy(policy: Policy, bases: Iterable[Material] = ()) -> dict[str, Any]:
    """The policy as BuildKit's --source-policy-file wants it; `bases` are read at the digests given.

    A source that was converted is judged anew, by all rules.
    """
    registry = re.escape(policy.registry)
    own = re.escape(policy.own_repositories)
    return {
        "version": 1,
        "rules": [
            *(_rule("DENY", f"{_SCHEME}{host}{_END}") for host in _INTERNAL_HOSTS),
            _rule("DENY", f"{_SCHEME}{registry}{_END}"),
            _rule("ALLOW", f"^docker-image://{own}"),
            *(_rule("ALLOW", f"^docker-image://{re.escape(tool)}(@|$)") for tool in policy.tools),
            *(_pin(base) for base in bases),
        ],
    }


def _pin(base: Material) -> dict[str, Any]:
    """The tag stays in the name, so that the build's steps tell which image it was (as in docs/build-repro.md there).

    A regular expression, for of an EXACT selector BuildKit takes the selector itself as what to convert to.
    """
    rule = _rule("CONVERT", f"^docker-image://{re.escape(base.reference)}$")
    return {**rule, "updates": {"identifier": f"docker-image://{base.reference}@{base.digest}"}}


def _rule(action: str, pattern: str) -> dict[str, Any]:
    # With the key `matchType` the pattern would silently be no regular expression.
    return {"action": action, "selector": {"identifier": pattern, "match_type": "REGEX"}}
