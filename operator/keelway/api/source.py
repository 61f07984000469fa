"""Source: where the files to build come from. An Image has one, and each Build keeps it as it was."""

from typing import Annotated

from pydantic import Field

from keelway.api.meta import LocalRef, Model
from keelway.api.schema import MergeKey, Rule
from keelway.api.types import ObjectName, RelativePath, Sha256, WebUrl

# A client-side `kubectl apply` keeps the object in an annotation too, and annotations end at 256 KiB in all.
INLINE_CHARACTERS = 262144


class InlineFile(Model):
    """One text file."""

    name: Annotated[
        RelativePath,
        Rule(
            r"!self.matches(r'(^|/)\.?(/|$)')",
            "must name a file: no empty or '.' segment, no / at the end",
        ),
    ]
    """Path of the file in the source, e.g. Dockerfile or app/main.py. Relative, without '..'."""
    content: Annotated[str, Field(max_length=INLINE_CHARACTERS)]
    """Text of the file."""


class InlineSource(Model):
    """Files written in the Image itself: for small things, 256 KiB in all."""

    files: Annotated[
        tuple[InlineFile, ...],
        Field(min_length=1, max_length=100),
        MergeKey("name"),
        Rule(
            f"self.map(file, size(file.content)).sum() <= {INLINE_CHARACTERS}",
            f"the files may have at most {INLINE_CHARACTERS} characters in all; use git or http for a larger source",
        ),
    ]
    """The files, 1 to 100, each name once."""


class ConfigMapSource(Model):
    """The keys of a ConfigMap as files; a change of it starts a build."""

    name: ObjectName
    """Name of the ConfigMap, in the Image's namespace."""


class GitSource(Model):
    """A git repository, over https."""

    url: Annotated[
        WebUrl,
        Rule("!self.matches('[?#]')", "must not have a query or fragment: give it in revision"),
    ]
    """https:// address of the repository, without credentials (they belong into secretRef)."""
    revision: Annotated[
        str,
        Field(min_length=1, max_length=255),
        Rule(
            r"!self.matches(r'^-|\.\.|[\x00-\x20\x7f~^:?*\[\\]')",
            "must be a branch, a tag or a full commit: no spaces, none of ~^:?*[\\, no '..', no '-' in front",
        ),
    ] = "HEAD"
    """A branch, a tag, or a full commit (40 hex digits). A branch is followed. Default: HEAD, the
    repository's default branch."""
    sub_path: RelativePath | None = None
    """Directory of the repository to build from. Default: its root."""
    secret_ref: LocalRef | None = None
    """Secret with the credentials for a private repository: the key token, or the keys username and
    password."""


class HttpSource(Model):
    """An archive fetched over HTTP: tar.gz, tar.zst or zip."""

    url: WebUrl
    """https:// address of the archive, without credentials."""
    sha256: Sha256
    """SHA-256 of the archive, 64 hex digits in lower case (sha256sum prints it). Another content is
    refused."""
    sub_path: RelativePath | None = None
    """Directory of the archive to build from, e.g. flask-3.1. Default: its root."""


class Source(Model):
    """Where the files come from: exactly one of the members."""

    one_of = ("inline", "config_map", "git", "http")

    inline: InlineSource | None = None
    """Files written here."""
    config_map: ConfigMapSource | None = None
    """Files from a ConfigMap."""
    git: GitSource | None = None
    """Files from a git repository."""
    http: HttpSource | None = None
    """Files from an archive on a web server."""
