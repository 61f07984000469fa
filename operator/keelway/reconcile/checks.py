"""PURE: what asks an Image to look at its source and base images now: its user by an annotation, or a webhook.

A webhook's delivery is in the Image's status, where any replica of the operator may write it (`engine/deliveries.py`).
Neighbours: `observe.py` looks, `status/image.py` says that it was done. Each is acted on once; where that is forgotten
the Image is looked at once more, and nothing else happens.
"""

from keelway.api.image import Image
from keelway.children.names import CHECK_REQUESTED


def open_check(image: Image) -> str | None:
    """What asks for a look and was not acted on yet, as one word or two; the same of all Images of one delivery."""
    status = image.status
    by_hand = image.metadata.annotations.get(CHECK_REQUESTED)
    asked = ((by_hand, status.observed_check_request), (status.last_delivery, status.observed_delivery))
    return " ".join(one for one, acted_on in asked if one and one != acted_on) or None
