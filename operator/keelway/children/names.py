"""Every name, label and annotation that Keelway gives: the one place to look one up.

Labels are Keelway's own and never copied from the owner: a GitOps tool that finds its instance label on a child
prunes the child (see the design's API rules).
"""

import re

from keelway.api.build import Build
from keelway.api.labels import IMAGE_LABEL as IMAGE_LABEL
from keelway.api.labels import IMAGE_NAMESPACE_LABEL as IMAGE_NAMESPACE_LABEL
from keelway.api.labels import IMAGE_UID_LABEL as IMAGE_UID_LABEL
from keelway.api.labels import MANAGED_BY as MANAGED_BY
from keelway.api.labels import MANAGER as MANAGER
from keelway.api.meta import GROUP

APP_LABEL = f"{GROUP}/app"
BUILD_LABEL = f"{GROUP}/build"
BUILD_UID_LABEL = f"{GROUP}/build-uid"
TEST_LABEL = f"{GROUP}/test"
BUILDKIT_REPLICA_LABEL = f"{GROUP}/buildkit-replica"

BUILD_REQUESTED = f"{GROUP}/build-requested"
REFERENCE = f"{GROUP}/image-reference"
RESOLVED = f"{GROUP}/image-resolved"
VERSION = f"{GROUP}/version"


def app_labels(app: str) -> dict[str, str]:
    """The standard labels of an App's children."""
    return {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/component": "app",
        MANAGED_BY: MANAGER,
        APP_LABEL: app,
    }


def app_selector(app: str) -> dict[str, str]:
    """What selects an App's pods: immutable in a Deployment, so fixed and few, and never the user's labels."""
    return {APP_LABEL: app, MANAGED_BY: MANAGER}


def image_labels(namespace: str, image: str, uid: str) -> dict[str, str]:
    """Labels that lead from a Job or test pod back to its Image, across namespaces too."""
    return {
        "app.kubernetes.io/name": image,
        "app.kubernetes.io/component": "build",
        MANAGED_BY: MANAGER,
        IMAGE_LABEL: image,
        IMAGE_NAMESPACE_LABEL: namespace,
        IMAGE_UID_LABEL: uid,
    }


def build_name(image: str, number: int) -> str:
    """`hello-7`: build 7 of the Image `hello`."""
    return f"{image}-{number}"


def version(number: int) -> str:
    """`v7`: the version, and the registry tag, that build 7 becomes."""
    return f"v{number}"


def version_of(build: Build) -> str:
    """The version that the build becomes, if it is good: known before it runs, for its image carries it."""
    return version(build.spec.number)


def technical_tag(number: int) -> str:
    """`build-7`: keeps an untested build's manifest from a registry's clean-up of untagged ones."""
    return f"build-{number}"


CACHE_TAG = "build-cache"
"""The tag of the registry's build cache: no version has it, and no number of `technical_tag`."""


def is_technical_tag(tag: str) -> bool:
    """Whether the tag is one that Keelway keeps for itself: no version and no extra tag may be named so."""
    return re.fullmatch(r"build-([0-9]+|cache)", tag) is not None


def job_name(build: str, build_uid: str) -> str:
    """Jobs of all namespaces share one: eight digits of the Build's uid keep equal names apart."""
    return f"{build}-{build_uid[:8]}"


def test_pod_name(build: str, test: str) -> str:
    """`hello-7-test-answers`."""
    return f"{build}-test-{test}"
