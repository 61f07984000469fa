"""`up`: from nothing, or from whatever is left, to a cluster that serves. The whole story in one function.

Every step first looks whether its result is there, so `up` can be run at any time and after any interruption.
"""

import shlex
import subprocess

from devcluster import addons, engine, images, kind, node_image, nodes, tools
from devcluster.catalogue import Catalogue
from devcluster.progress import Progress
from devcluster.settings import Settings

# A registry that cannot be reached shows within this time; it is spent once, when there is no cluster yet.
PROBE_SECONDS = 20


def up(settings: Settings, progress: Progress, catalogue: Catalogue) -> None:
    engine.ensure(settings, progress)
    built = must_build(settings, progress, catalogue)
    tools.ensure(settings, progress, catalogue, built=built)
    if built:
        images.into_docker(node_image.assemble(settings, progress, catalogue), progress)
    for image in catalogue.for_nodes():
        if built:
            images.into_docker(images.assemble(settings, progress, catalogue, image), progress)
        else:
            images.pull(image.reference, progress)
    ensure_cluster(settings, progress, catalogue.node.reference, built=built)
    with progress.step("configure the nodes") as step:
        if built:
            nodes.configure_network(settings, step.log)
        nodes.configure_registry(settings, step.log)
    nodes.load(settings, progress, [image.reference for image in catalogue.for_nodes()])
    with progress.step("wait until the cluster serves") as step:
        addons.apply(settings, step.log)
        kind.wait_until_ready(settings, step.log)
    progress.say(f"the cluster {settings.context} is up. To use it:")
    print(usage(settings))


def must_build(settings: Settings, progress: Progress, catalogue: Catalogue) -> bool:
    """Whether images are made here. A cluster that exists has answered this; else a pull is tried."""
    progress.logs.mkdir(parents=True, exist_ok=True)
    log = progress.logs / "way.log"
    for node in kind.nodes(settings, log):
        label = ["docker", "inspect", "--format", images.LABEL_OF, node]
        return bool(subprocess.run(label, capture_output=True, text=True).stdout.strip())
    with progress.step("see whether images can be pulled"):
        pullable = all(images.can_pull(reference, PROBE_SECONDS) for reference in catalogue.probes())
    progress.say("images can be pulled" if pullable else "images cannot be pulled: they are made here")
    return not pullable


def ensure_cluster(settings: Settings, progress: Progress, node: str, *, built: bool) -> None:
    with progress.step("look for the cluster") as step:
        if kind.nodes(settings, step.log) and kind.complete(settings, step.log):
            if not settings.kubeconfig.exists():
                kind.export_kubeconfig(settings, step.log)  # the cluster was made from another checkout
            if kind.healthy(settings, step.log) or kind.revive(settings, progress, step):
                return
            progress.say("the cluster there does not answer: it is made anew")
    image = node if built else published(node, progress)
    with progress.step("create the cluster") as step:
        configuration = kind.configuration(settings, built=built, resolv_conf=kind.host_resolv_conf())
        kind.create(settings, image, configuration, step.log)


def published(node: str, progress: Progress) -> str | None:
    """The node image of the list, pulled. None where there is none: kind publishes nodes of few patch releases."""
    if images.pull_published(node, progress):
        return node
    progress.say(f"{node} is not published: kind takes the node image that it names itself")
    return None


def usage(settings: Settings) -> str:
    kubeconfig, path = shlex.quote(str(settings.kubeconfig)), shlex.quote(str(settings.bin))
    return f"export PATH={path}:$PATH KUBECONFIG={kubeconfig}\nkubectl --context {settings.context} get nodes"
