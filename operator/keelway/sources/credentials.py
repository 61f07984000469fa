"""The credentials of a private source, as the HTTP header that carries them."""

import base64
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """A token, or username and password; never shown by repr().

    A token is sent as the password of Basic authentication: every git host takes a personal access token
    so (GitHub, GitLab, Gitea, Bitbucket), while Bearer is refused by GitHub's and Gitea's git endpoints.
    `username` goes with it where the host wants a certain one (GitLab deploy tokens, Bitbucket).
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def header(self) -> str:
        """The value of `Authorization`."""
        secret = self.token if self.token is not None else self.password or ""
        # GitHub's documented name for an App's token; hosts that only look at the token ignore it.
        name = self.username or ("x-access-token" if self.token is not None else "")
        return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()

    def secrets(self) -> tuple[str, ...]:
        """Every form in which these may turn up in a text: what to redact."""
        plain = tuple(value for value in (self.password, self.token) if value)
        return (*plain, self.header().removeprefix("Basic ")) if plain else ()

    def redacted(self, text: str) -> str:
        """A server's words without what it was sent: some tell a refused request back, headers and all."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text
