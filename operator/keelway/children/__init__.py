"""PURE: what should exist for an App, one kind a file. A new kind is one file and one entry here.

`APP_CHILDREN` drives apply, prune and the golden tests (`tests/unit/golden`); `cluster/watched.py` lists the watches.
Order is the order of applying: the Service comes before the pods that are to be reached through it. What an Image needs
(its Job, that Job's Secret, test pods) is made once and never changed, so it has builders (`job.py`, `test_pod.py`) but
no entry here.
"""

from typing import Final

from keelway.children.base import ChildKind
from keelway.children.context import AppContext
from keelway.children.deployment import DEPLOYMENT
from keelway.children.hpa import HPA
from keelway.children.service import SERVICE

APP_CHILDREN: Final[tuple[ChildKind[AppContext], ...]] = (SERVICE, DEPLOYMENT, HPA)
