"""An operator of tomorrow: its builder adds a field to each Deployment and one to its pods. Run as a program.

The builder is wrapped before anything else of the operator is loaded, for `reconcile/` takes the tuple by its name.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from keelway import children
from keelway.children.base import KEEP, Wanted
from keelway.children.context import AppContext
from keelway.children.deployment import DEPLOYMENT

# -P: this directory's modules are not to be taken for anybody's.
PROGRAM: Final = (sys.executable, "-P", str(Path(__file__).resolve()))
HISTORY: Final = 7
"""The Deployment's `revisionHistoryLimit`, which is no part of its pods: it shows that this builder was at work."""
ANNOTATION: Final = "example.com/builder"
"""On the pods. Whoever writes it into a running App's template restarts its pods."""


def build(context: AppContext) -> Wanted:
    """Today's Deployment with both."""
    built = DEPLOYMENT.build(context)
    return built if built is None or built is KEEP else newer(built)


def newer(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The object with both fields."""
    spec = deployment["spec"]
    metadata = spec["template"]["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION: "newer"}
    template = {**spec["template"], "metadata": {**metadata, "annotations": annotations}}
    return {**deployment, "spec": {**spec, "revisionHistoryLimit": HISTORY, "template": template}}


def main() -> int:
    """As `python -m keelway`."""
    wrapped = replace(DEPLOYMENT, build=build)
    children.APP_CHILDREN = tuple(wrapped if one is DEPLOYMENT else one for one in children.APP_CHILDREN)  # type: ignore[misc]
    from keelway.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
