"""Which image an App is to run: the latest version of an Image beside it, or a reference by its digest."""

from dataclasses import dataclass
from typing import Any, Final

from keelway.api.app import App
from keelway.api.resources import DEPLOYMENTS
from keelway.budget import Postponed
from keelway.children import names
from keelway.children.context import RunImage
from keelway.cluster.cache import Cache, is_controlled_by
from keelway.errors import KeelwayError, Terminal, Waiting
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.versions import latest_version
from keelway.registry.client import Registry
from keelway.registry.reference import Reference
from keelway.status.app import IMAGE_READY
from keelway.status.conditions import find
from keelway.status.user import check_user, must_be_non_root, uid_for_name


@dataclass(frozen=True)
class Found:
    """The image; `note` says what could not be found out about it."""

    image: RunImage
    note: KeelwayError | None = None


@dataclass(frozen=True)
class ImageFinder:
    """Finds an App's image. Raises Waiting while there is none, Terminal where its user is not allowed."""

    cache: Cache
    registry: Registry
    credentials: Credentials

    async def find(self, app: App) -> Found:
        """The image to run now."""
        if app.spec.image.name is not None:
            return Found(self._of_image(app, app.spec.image.name))
        assert app.spec.image.reference is not None
        return self._known(app, app.spec.image.reference) or await self._of_reference(app, app.spec.image.reference)

    def _of_image(self, app: App, name: str) -> RunImage:
        latest = latest_version(self.cache, app.metadata.namespace, name)
        security = (app.spec.security, app.spec.security_context)
        check_user(*security, latest.user, latest.run_as_user)
        uid = uid_for_name(latest.user, latest.run_as_user) if must_be_non_root(*security) else None
        return RunImage(latest.reference, asked=name, version=latest.version, run_as_user=uid)

    def _known(self, app: App, asked: str) -> Found | None:
        """What this same reference was resolved to before: a tag is looked up when it is new, and only then."""
        deployment = self.cache.get(DEPLOYMENTS, app.metadata.namespace, app.metadata.name)
        if deployment is None or not is_controlled_by(deployment, app.metadata.uid) or not _same_user(deployment, app):
            return None
        annotations = deployment["metadata"].get("annotations", {})
        if annotations.get(names.REFERENCE) != asked:
            return None
        # Not the container's image: that may be what somebody has set by hand.
        resolved = annotations.get(names.RESOLVED, "")
        if "@" in resolved:
            return Found(RunImage(resolved, asked=asked))
        return _kept(app, asked) if _has_settled(app, deployment) else None

    async def _of_reference(self, app: App, asked: str) -> Found:
        reference = Reference.parse(asked)
        try:
            secrets = tuple(one.name for one in app.spec.pull_secrets)
            keyring = await self.credentials.keyring_for(reference, app.metadata.namespace, secrets)
            digest = await self.registry.resolve(reference, keyring)
            config = await self.registry.image_config(reference.at(digest), keyring)
        except (Terminal, Postponed):
            raise
        except KeelwayError as error:
            # The node may have credentials, or the image, that the operator has not: let it try.
            note = _not_resolved(asked, error) if reference.digest is None else None
            return Found(RunImage(asked, asked=asked), note=note)
        check_user(app.spec.security, app.spec.security_context, config.user, None)
        return Found(RunImage(str(reference.at(digest)), asked=asked))


def _same_user(deployment: dict[str, Any], app: App) -> bool:
    """Whether the pods were let run under the rules for users that hold today: else the image is to be checked anew."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    asked = app.spec.security_context
    non_root: bool = pod.get("securityContext", {}).get("runAsNonRoot", False)
    user: int | None = container.get("securityContext", {}).get("runAsUser")
    return user == asked.run_as_user and non_root == must_be_non_root(app.spec.security, asked)


def _has_settled(app: App, deployment: dict[str, Any]) -> bool:
    """Whether it was rolled out so, with the Secrets that are named today: a digest found now would roll pods that run.

    The condition outlives restarts of pods, and says nothing of a rollout to come.
    """
    secrets = deployment["spec"]["template"]["spec"].get("imagePullSecrets", [])
    if [one["name"] for one in secrets] != [one.name for one in app.spec.pull_secrets]:
        return False
    conditions = deployment.get("status", {}).get("conditions", [])
    return any(one["type"] == "Progressing" and one.get("reason") == "NewReplicaSetAvailable" for one in conditions)


def _kept(app: App, asked: str) -> Found:
    last = find(app.status.conditions, IMAGE_READY)
    cause = last.message if last is not None and last.reason == _NOT_RESOLVED else f"{asked} runs as it is written."
    return Found(RunImage(asked, asked=asked), note=Waiting(_NOT_RESOLVED, cause))


_NOT_RESOLVED: Final = "DigestNotResolved"


def _not_resolved(asked: str, error: KeelwayError) -> Waiting:
    return Waiting(
        _NOT_RESOLVED,
        f"{asked} runs as it is written, for its digest could not be found: {error.message}",
    )
