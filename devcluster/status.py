"""`status`: what is there and what is not, each with what to do about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from devcluster import engine, images, kind, nodes
from devcluster.catalogue import Catalogue
from devcluster.errors import DevclusterError
from devcluster.settings import Settings

UP = "run `python -m devcluster up`"


@dataclass(frozen=True)
class Finding:
    name: str
    good: bool
    remedy: str


def status(settings: Settings, catalogue: Catalogue) -> int:
    """Print the findings; the exit status is 1 where one is bad."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    findings = list(find(settings, catalogue))
    print(table(findings))
    return 0 if all(finding.good for finding in findings) else 1


def find(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    """In the order of dependence; what depends on something missing is not looked for."""
    log = settings.logs / "status.log"
    docker = engine.answers()
    yield Finding("Docker Engine answers", docker, f"start Docker, or {UP}")
    if not docker:
        return
    names = kind.nodes(settings, log)
    yield Finding(f"cluster {settings.cluster} exists", bool(names), UP)
    if not names:
        return
    healthy = kind.healthy(settings, log)
    yield Finding("its API server answers", healthy, f"{UP}: it starts the nodes again, or makes new ones")
    if not healthy:
        return
    yield from ready(settings)
    for node in names:
        there = nodes.loaded(node, log)
        for image in catalogue.for_nodes():
            here = images.inspect(image.reference, "{{.Id}}")
            same = here is not None and there.get(nodes.full_name(image.reference)) == here
            yield Finding(f"{node} has {image.reference}", same, UP)


def ready(settings: Settings) -> Iterator[Finding]:
    log = settings.logs / "status.log"
    checks = {
        "nodes are Ready": ["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=2s"],
        "cluster DNS serves": ["-n=kube-system", "rollout", "status", "deployment/coredns", "--timeout=2s"],
        "`kubectl top` answers": ["top", "nodes"],
    }
    for name, arguments in checks.items():
        try:
            kind.run_kubectl(settings, log, *arguments)
        except DevclusterError as error:
            yield Finding(name, False, f"{UP}, or see: {error.message.splitlines()[-1]}")
        else:
            yield Finding(name, True, "")


def table(findings: Iterable[Finding]) -> str:
    """One line a finding: yes or no, what, and the remedy where it is no."""
    lines = []
    for finding in findings:
        answer = "yes" if finding.good else "no "
        lines.append(f"{answer}  {finding.name}" + ("" if finding.good else f"  -> {finding.remedy}"))
    return "\n".join(lines)
