"""An App's Deployment: the pods, rolled without a gap. `service.py` routes to them, `hpa.py` scales them."""

from typing import Any, Final

from keelway.api.app import App
from keelway.api.pod import HttpProbe, Probe, TcpProbe
from keelway.api.resources import DEPLOYMENTS
from keelway.children import names, pods
from keelway.children.base import DEPLOYMENT_EXACT, KEEP, POD_TEMPLATE, REPLICAS, ChildKind, Wanted
from keelway.children.context import AppContext, RunImage

CONTAINER: Final = "app"
# Endpoint removal reaches every node's proxy a moment after the pod is told to stop: it serves on meanwhile.
DRAIN_SECONDS: Final = 5
# A new pod's address reaches every node's proxy a moment after it is ready: only then it counts as available, an old
# pod goes, and the App is Ready. kube-proxy gathers changes for 1 s; the rest is for a cluster that is busy. And a
# program that dies at once never counts, also where there is no port to ask.
SETTLE_SECONDS: Final = 3
# Kubernetes' own default of 30 s for a graceful stop, on top of the drain.
GRACE_SECONDS: Final = 30 + DRAIN_SECONDS
# Ten minutes, as Kubernetes has it, is long to look at a bad rollout; a slow pull still fits in five.
PROGRESS_SECONDS: Final = 300
# Written out: Kubernetes keeps an account in a second field too, which nobody owns, and from which one that is left out
# comes back. Pods would go on with the account that was taken from them.
NO_ACCOUNT_OF_ITS_OWN: Final = "default"


def build(context: AppContext) -> Wanted:
    """The Deployment; KEEP while there is no image to run, so that a running App survives a lost Image."""
    if context.image is None:
        return KEEP
    app = context.app
    spec: dict[str, Any] = {
        "selector": {"matchLabels": names.app_selector(app.metadata.name)},
        # The new pod must be ready before an old one goes, also with a single replica.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "minReadySeconds": SETTLE_SECONDS,
        "progressDeadlineSeconds": PROGRESS_SECONDS,
        "revisionHistoryLimit": 3,
        "template": _pod_template(app, context.image),
    }
    if app.spec.autoscale is None:
        spec["replicas"] = app.spec.replicas if app.spec.replicas is not None else 1
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {
            "name": app.metadata.name,
            "namespace": app.metadata.namespace,
            "labels": names.app_labels(app.metadata.name),
            "annotations": _annotations(context.image),
        },
        "spec": spec,
    }


def _annotations(image: RunImage) -> dict[str, Any]:
    """What was asked for and what it came to, so that a tag is not looked up again at every pass."""
    return pods.given({names.REFERENCE: image.asked, names.RESOLVED: image.reference, names.VERSION: image.version})


def _pod_template(app: App, image: RunImage) -> dict[str, Any]:
    extra = app.spec.pod_template
    labels = {**extra.labels, **names.app_labels(app.metadata.name)}
    if image.version:
        labels["app.kubernetes.io/version"] = names.label_value(image.version)
    metadata = {"labels": labels, "annotations": dict(extra.annotations) or None}
    return {"metadata": pods.given(metadata), "spec": _pod_spec(app, image)}


def _pod_spec(app: App, image: RunImage) -> dict[str, Any]:
    extra = app.spec.pod_template
    return pods.given(
        {
            "automountServiceAccountToken": False if app.spec.service_account_name is None else None,
            "serviceAccountName": app.spec.service_account_name or NO_ACCOUNT_OF_ITS_OWN,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": pods.pod_security(app.spec.security, app.spec.security_context),
            "imagePullSecrets": [one.to_dict() for one in app.spec.pull_secrets] or None,
            "nodeSelector": dict(extra.node_selector) or None,
            "tolerations": [one.to_dict() for one in extra.tolerations] or None,
            "containers": [_container(app, image)],
        }
    )


def _container(app: App, image: RunImage) -> dict[str, Any]:
    spec = app.spec
    ports = [{"name": one.name, "containerPort": one.port, "protocol": one.protocol.value} for one in spec.ports]
    return pods.given(
        {
            "name": CONTAINER,
            "image": image.reference,
            "imagePullPolicy": "IfNotPresent",
            "command": list(spec.command) or None,
            "args": list(spec.args) or None,
            **pods.environment(spec.env, spec.env_from),
            "ports": ports or None,
            "resources": pods.container_resources(spec.resources),
            "securityContext": pods.container_security(spec.security, spec.security_context, image.run_as_user),
            # The end of the log stands in the pod's status then, where a condition can quote it.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}} if spec.ports else None,
            **_probes(app),
        }
    )


def _probes(app: App) -> dict[str, Any]:
    given = app.spec.probes
    wanted = {
        "readinessProbe": given.readiness or _derived_readiness(app),
        "livenessProbe": given.liveness,
        "startupProbe": given.startup,
    }
    return {name: _probe(app, probe) for name, probe in wanted.items() if probe is not None}


def _derived_readiness(app: App) -> Probe | None:
    if not app.spec.ports or app.spec.ports[0].protocol.value != "TCP":
        return None
    # Asked every 2 s: a rollout waits for the answer, and a TCP connection costs next to nothing.
    return Probe(tcp=TcpProbe(), period_seconds=2)


def _probe(app: App, probe: Probe) -> dict[str, Any]:
    fields = probe.to_dict()
    for ours in ("http", "tcp", "exec"):
        fields.pop(ours, None)
    if probe.initial_delay_seconds == 0:
        # The API server drops this zero, and what is wanted and never there would be taken for drift.
        del fields["initialDelaySeconds"]
    return {**fields, **_probe_action(app, probe)}


def _probe_action(app: App, probe: Probe) -> dict[str, Any]:
    if probe.http is not None:
        action: dict[str, Any] = {
            "port": _probe_port(app, probe.http),
            "path": probe.http.path,
            "scheme": probe.http.scheme.value,
        }
        if probe.http.http_headers:
            action["httpHeaders"] = [one.to_dict() for one in probe.http.http_headers]
        return {"httpGet": action}
    if probe.tcp is not None:
        return {"tcpSocket": {"port": _probe_port(app, probe.tcp)}}
    assert probe.exec is not None
    return {"exec": {"command": list(probe.exec.command)}}


def _probe_port(app: App, action: HttpProbe | TcpProbe) -> int | str:
    return action.port if action.port is not None else app.spec.ports[0].name


DEPLOYMENT: Final[ChildKind[AppContext]] = ChildKind(
    name="deployment",
    resource=DEPLOYMENTS,
    build=build,
    exact=DEPLOYMENT_EXACT,
    template=POD_TEMPLATE,
    handover=(REPLICAS,),
    # How many pods there are is no release of what runs in them.
    unreleased=("replicas", "autoscale", "suspend"),
)
