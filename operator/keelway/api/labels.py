"""The labels by which Keelway finds its objects again: put on by `children/`, watched and looked up by `cluster/`; and
the name that it writes under.

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
