"""PURE: may this image run as the user it wants? Told before its pods crash (tenancy.md "Pods of users").

The kubelet refuses `runAsNonRoot` for user 0, and for a user given by name, whose number it cannot know.
"""

from keelway.api.pod import Security, SecurityContext
from keelway.errors import Terminal


def must_be_non_root(security: Security, context: SecurityContext) -> bool:
    """Whether the pods carry runAsNonRoot: true."""
    if context.run_as_non_root is not None:
        return context.run_as_non_root
    return security is Security.RESTRICTED


def uid_for_name(user: str | None, uid: int | None) -> int | None:
    """The uid to set where the image names its user: the kubelet cannot know that a name is not root."""
    name = (user or "").partition(":")[0]
    return uid if name and not name.isdecimal() else None


def check_user(security: Security, context: SecurityContext, user: str | None, run_as_user: int | None) -> None:
    """Raise Terminal ImageRunsAsRoot or ImageUserUnknown where pods that may not be root would not start.

    `user` is the image configuration's User string, `run_as_user` its numeric uid where that is known.
    """
    if not must_be_non_root(security, context) or context.run_as_user is not None:
        return
    name = (user or "").partition(":")[0]
    uid = int(name) if name.isdecimal() else run_as_user
    if uid == 0 or name in ("", "root"):
        raise Terminal(
            "ImageRunsAsRoot",
            "The image runs as root, which these pods may not. Put a line like `USER 1000` at the end of its "
            "Dockerfile, or set security: Baseline; an App can also name a user in securityContext.runAsUser.",
        )
    if uid is None:
        raise Terminal(
            "ImageUserUnknown",
            f"The image runs as {name!r}, and its number is not known, so it may be root. Write the number in the "
            "Dockerfile (`USER 1000`), or set security: Baseline; an App can also name a user in "
            "securityContext.runAsUser.",
        )
