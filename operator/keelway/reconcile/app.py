"""The story of an App: find the image, build what is wanted, settle the children, say what is so.

`image_of.py` finds the image, `children/` says what should exist, `children.py` makes it so, `status/app.py` sums up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from keelway.api.app import App
from keelway.api.resources import APPS, PODS
from keelway.children import APP_CHILDREN, names
from keelway.children.context import AppContext
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.errors import KeelwayError, Terminal
from keelway.reconcile.children import Settler
from keelway.reconcile.image_of import ImageFinder
from keelway.reconcile.outcome import Key, Outcome
from keelway.reconcile.statuses import write_invalid, write_status
from keelway.status.app import AppObserved, app_status, rolled_out, suspended_status
from keelway.status.diagnosis import diagnose, running_digest

# While a rollout runs, pods are looked at every few seconds, for their troubles make no event that is watched; the
# longer it has not got anywhere, the less often: a thousand broken Apps must not keep the API server busy.
_LOOK_AGAIN_SECONDS: Final = (5.0, 60.0)
_OF_ITS_AGE: Final = 0.1
# Steps on the way, of which the conditions tell enough.
_QUIET: Final = frozenset({"Deploying", "RollingOut", "Suspended", "NoVersionYet"})


@dataclass(frozen=True)
class AppReconciler:
    """One pass over an App: `await reconciler(key)`. Raises what ended the pass, after status was written."""

    cluster: Cluster
    images: ImageFinder
    settler: Settler
    events: Events
    clock: Callable[[], datetime]

    async def __call__(self, key: Key) -> Outcome:
        raw = self.cluster.cache.get(APPS, key.namespace, key.name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return Outcome()  # the children go with their owner
        try:
            app = App.parse(raw)
        except Terminal as error:
            await write_invalid(self.cluster, self.events, APPS, raw, error, self.clock())
            raise
        if app.spec.suspend:
            await self._write_status(raw, suspended_status(app, self.clock()).to_dict())
            return Outcome()
        observed = await self._observe(app, raw)
        await self._write_status(raw, app_status(app, observed, self.clock()).to_dict())
        if observed.problem is not None:
            raise observed.problem
        return Outcome(None if _is_done(app, observed) else look_again(observed.deployment, self.clock()))

    async def _observe(self, app: App, raw: dict[str, Any]) -> AppObserved:
        """Do all that can be done, and tell what was seen; a fault ends the doing, not the telling."""
        observed = AppObserved(selector=names.app_selector(app.metadata.name))
        image = None
        try:
            found = await self.images.find(app)
        except KeelwayError as error:
            # Without an image the children that need none are settled all the same.
            observed = replace(observed, problem=error)
        else:
            image = found.image
            observed = replace(observed, image_ready=True, image_note=found.note)
        context = AppContext(app, image)
        settled = await self.settler.settle(raw, [(child, child.build(context)) for child in APP_CHILDREN])
        deployment = settled.live.get("deployment")
        observed = replace(
            observed,
            deployment=deployment,
            has_service=settled.live.get("service") is not None,
            version=_version(deployment),
            problem=observed.problem or settled.problem,
        )
        try:
            return await self._look_at_pods(app, observed)
        except KeelwayError as error:
            return replace(observed, problem=observed.problem or error)

    async def _look_at_pods(self, app: App, observed: AppObserved) -> AppObserved:
        """Pods are not watched, for most of their changes mean nothing: they are read while a rollout runs, and where
        only they can tell the digest that runs."""
        deployment = observed.deployment
        if deployment is None:
            return observed
        image, done = _container(deployment)["image"], rolled_out(app, deployment)
        has_pods = deployment.get("status", {}).get("replicas", 0) > 0
        if not has_pods or (done and "@" in image):
            return replace(observed, image=image)
        selector = ",".join(f"{key}={value}" for key, value in observed.selector.items())
        pods = [pod async for pod in self.cluster.list(PODS, app.metadata.namespace, label_selector=selector)]
        if "@" not in image:
            image = running_digest(pods, _container(deployment)["name"]) or image
        return replace(observed, image=image, finding=None if done else diagnose(pods, self.clock()))

    async def _write_status(self, raw: dict[str, Any], status: dict[str, Any]) -> None:
        before = raw.get("status", {})
        if status == before:
            return
        await write_status(self.cluster, self.events, APPS, raw, status)
        await self._tell(raw, before, status)

    async def _tell(self, raw: dict[str, Any], before: dict[str, Any], status: dict[str, Any]) -> None:
        """An event where Ready got another reason."""
        was, now = _ready(before), _ready(status)
        if was.get("reason") == now["reason"] or now["reason"] in _QUIET:
            return
        tell = self.events.normal if now["status"] == "True" else self.events.warning
        await tell(raw, now["reason"], now["message"])


def look_again(deployment: Mapping[str, Any] | None, now: datetime) -> float:
    """In how many seconds an App that is not ready wants another look: a tenth of how long it has made no progress."""
    soonest, latest = _LOOK_AGAIN_SECONDS
    conditions = (deployment or {}).get("status", {}).get("conditions", ())
    told = next((one for one in conditions if one["type"] == "Progressing"), None)
    if told is None or "lastUpdateTime" not in told:
        return soonest
    age = (now - datetime.fromisoformat(told["lastUpdateTime"])).total_seconds()
    return min(latest, max(soonest, age * _OF_ITS_AGE))


def _is_done(app: App, observed: AppObserved) -> bool:
    return observed.deployment is not None and rolled_out(app, observed.deployment)


def _container(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def _version(deployment: Mapping[str, Any] | None) -> str | None:
    return deployment["metadata"].get("annotations", {}).get(names.VERSION) if deployment else None


def _ready(status: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = (one for one in status.get("conditions", ()) if isinstance(one, Mapping))
    return next((one for one in conditions if one.get("type") == "Ready"), {})
