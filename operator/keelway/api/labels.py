"""The labels by which Keelway finds its objects again: put on by `children/`, watched and looked up by `cluster/`;
the name that it writes under, and the annotations that `status/` tells the user of.

The rest of the names that it gives are in `children/names.py`.
"""

from typing import Final

from keelway.api.meta import GROUP

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "keelway"
"""The value of MANAGED_BY."""
FIELD_MANAGER: Final = "keelway"
"""The field manager of every write, and the component of every Event."""

IMAGE_LABEL: Final = f"{GROUP}/image"
IMAGE_NAMESPACE_LABEL: Final = f"{GROUP}/image-namespace"
IMAGE_UID_LABEL: Final = f"{GROUP}/image-uid"

RELEASE_QUARANTINE: Final = f"{GROUP}/release-quarantine"
"""Annotation of an Image: a Build's name, a digest, or all."""

CHECK_REQUESTED: Final = f"{GROUP}/check-requested"
"""Annotation of an Image: any value, and another one to look once more."""
