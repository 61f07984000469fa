"""Every name, label and annotation that Keelway gives: the one place to look one up.

Labels are Keelway's own and never copied from the owner: a GitOps tool that finds its instance label on a child
prunes the child (see the design's API rules).
"""

import re
from typing import Final

from keelway.api.labels import CHECK_REQUESTED as CHECK_REQUESTED
from keelway.api.labels import IMAGE_LABEL as IMAGE_LABEL
from keelway.api.labels import IMAGE_NAMESPACE_LABEL as IMAGE_NAMESPACE_LABEL
from keelway.api.labels import IMAGE_UID_LABEL as IMAGE_UID_LABEL
from keelway.api.labels import MANAGED_BY as MANAGED_BY
from keelway.api.labels import MANAGER as MANAGER
from keelway.api.labels import RELEASE_QUARANTINE as RELEASE_QUARANTINE
from keelway.api.meta import GROUP
from keelway.api.version import sequential

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
    """`v7`: the version that build 7 becomes where versions are sequential."""
    return sequential(number)


def version_tag(version: str) -> str:
    """The registry tag of a version: as Helm does it, `1.2.3+8` is tagged `1.2.3_8`, for no tag has a plus."""
    return version.replace("+", "_")


def technical_tag(number: int) -> str:
    """`build-7`: keeps an untested build's manifest from a registry's clean-up of untagged ones."""
    return f"build-{number}"


CACHE_TAG: Final = "build-cache"
"""The tag of the registry's build cache: no version has it, and no number of `technical_tag`."""


def is_free_tag(tag: str) -> bool:
    """Whether a registry takes the tag (distribution-spec), and it is none that Keelway keeps for itself."""
    return _TAG.fullmatch(tag) is not None and _TECHNICAL_TAG.fullmatch(tag) is None


def label_value(text: str) -> str:
    """The text as a label may hold it: at most 63 characters, letters and digits at both ends."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:63].strip("._-")


_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_TECHNICAL_TAG: Final = re.compile(r"build-([0-9]+|cache)")


def job_name(build: str, build_uid: str) -> str:
    """Jobs of all namespaces share one: eight digits of the Build's uid keep equal names apart."""
    return f"{build}-{build_uid[:8]}"


def test_pod_name(build: str, test: str) -> str:
    """`hello-7-test-answers`."""
    return f"{build}-test-{test}"
