"""What the builders of children look at: plain frozen data, gathered by `reconcile/` before anything is built."""

from collections.abc import Mapping
from dataclasses import dataclass

from keelway.api.app import App
from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.test import TestSpec


@dataclass(frozen=True)
class RunImage:
    """The image that pods run: `reference` (repo@sha256:... unless its tag could not be resolved).

    `version` is given for what an Image built (`v7`), `asked` is the reference as the App names it, and
    `run_as_user` the numeric uid that replaces a user given by name, for the kubelet cannot tell that a name is not
    root.
    """

    reference: str
    asked: str
    version: str | None = None
    run_as_user: int | None = None


@dataclass(frozen=True)
class AppContext:
    """An App and the image it runs; `image` is None while there is nothing to run yet."""

    app: App
    image: RunImage | None


@dataclass(frozen=True)
class JobContext:
    """A Build about to run: where its Job lives, which image it uses and which buildkitd replica it goes to."""

    image: Image
    build: Build
    namespace: str
    operator_image: str
    buildkit_replica: int
    deadline_seconds: int
    data: Mapping[str, bytes]
    """The Job's Secret: request.json and credential files, as api/buildrequest.py names them."""


@dataclass(frozen=True)
class TestContext:
    """One test of a built image."""

    __test__ = False  # not pytest's

    image: Image
    build: Build
    test: TestSpec
    run_as_user: int | None
