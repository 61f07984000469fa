"""The golden cases: `<case>/input.yaml` holds objects of a cluster, `expected.yaml` what Keelway makes of them.

What is in the input says what is asked: `app` alone for its children, `app` with `live` for its status, `image` for its
next step and status, `build` for its Job and test pods, `build` with `live` for the status of its end.
`python -m tests.unit.golden.regenerate` writes all `expected.yaml` anew: read the difference before it is kept.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import yaml

from keelway.api.app import App
from keelway.api.build import Build, PinnedBase, PinnedImage
from keelway.api.buildrequest import BuildReport
from keelway.api.image import Image
from keelway.api.resources import IMAGES
from keelway.children import APP_CHILDREN, job, names, test_pod
from keelway.children.base import KEEP, Wanted
from keelway.children.context import AppContext, JobContext, RunImage, TestContext
from keelway.children.deployment import DEPLOYMENT
from keelway.cluster.cache import Cache
from keelway.errors import KeelwayError, NotFound, Terminal, Transient, Waiting
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.decide import Attend, Cancel, Create, Decision, Rest, decide
from keelway.reconcile.image_of import Found, ImageFinder
from keelway.reconcile.repository import check_unique, repository
from keelway.reconcile.serving import Serving
from keelway.registry.client import Registry
from keelway.settings import Settings
from keelway.status import app as app_status
from keelway.status import image as image_status
from keelway.status import quarantine
from keelway.status.app import AppObserved
from keelway.status.build import Asked, Failure, Inputs, built_status, failed_status, version_of, version_status
from keelway.status.diagnosis import diagnose, diagnose_pending
from keelway.status.job import first_failure, job_result, job_started, report_failure, test_result
from keelway.status.observed import BaseCheck, ImageObserved, Stage
from tests.unit.golden.kstatus import kstatus

DIRECTORY: Final = Path(__file__).parent
NOW: Final = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SETTINGS: Final = Settings(registry="registry.example:5000/keelway", operator_image="keelway/operator:1.0.0")

Given = Mapping[str, Any]
Answer = dict[str, Any]


def case_names() -> list[str]:
    """Every case, in the order of the alphabet."""
    return sorted(path.parent.name for path in DIRECTORY.glob("*/input.yaml"))


def read(case: str, file: str) -> Any:
    """`input` or `expected` of a case."""
    return yaml.load((DIRECTORY / case / f"{file}.yaml").read_text(), Loader=yaml.CSafeLoader)


def answer(given: Given) -> Answer:
    """What Keelway makes of a case's input, as plain data."""
    if "app" in given:
        return _app_status(given) if "live" in given else _app_children(given)
    if "build" in given:
        return _build_status(given) if "live" in given else _build_children(given)
    return _image(given)


def _app_children(given: Given) -> Answer:
    app = App.parse(given["app"])
    found, problem = _find(app, given)
    context = AppContext(app, found.image if found else None)
    children = {kind.name: _plain(kind.build(context)) for kind in APP_CHILDREN}
    return {"children": children, **_problem(problem)}


def _app_status(given: Given) -> Answer:
    app = App.parse(given["app"])
    if app.spec.suspend:
        return _told(given["app"], app_status.suspended_status(app, NOW).to_dict())
    found, problem = _find(app, given)
    live = given["live"]
    deployment = _live_deployment(app, found.image if found else None, live.get("deployment"))
    observed = AppObserved(
        selector=names.app_selector(app.metadata.name),
        deployment=deployment,
        image_ready=found is not None,
        image_note=_error(live["note"]) if "note" in live else None,
        problem=problem or (_error(live["problem"]) if "problem" in live else None),
        finding=diagnose(live.get("pods", []), NOW),
        has_service=bool(app.spec.ports),
        version=found.image.version if found else None,
        image=deployment["spec"]["template"]["spec"]["containers"][0]["image"] if deployment else None,
    )
    return _told(given["app"], app_status.app_status(app, observed, NOW).to_dict())


def _find(app: App, given: Given) -> tuple[Found | None, KeelwayError | None]:
    """By the real finder where the App follows an Image; a registry's answer stands in the input as `resolved`."""
    if app.spec.image.reference is not None:
        return Found(RunImage(given.get("resolved", app.spec.image.reference), asked=app.spec.image.reference)), None
    cache = Cache()
    if "image" in given:
        cache.put(IMAGES, {**given["image"], "metadata": {**given["image"]["metadata"], "resourceVersion": "1"}})
    finder = ImageFinder(cache, cast("Registry", None), cast("Credentials", None))
    try:
        return asyncio.run(finder.find(app)), None
    except KeelwayError as error:
        return None, error


def _live_deployment(app: App, image: RunImage | None, live: Given | None) -> dict[str, Any] | None:
    """What was applied, with what the cluster adds to it laid over."""
    if live is None:
        return None
    wanted = DEPLOYMENT.build(AppContext(app, image))
    return _overlaid({} if wanted is None or wanted is KEEP else wanted, live)


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: _overlaid(below[name], value) for name, value in above.items() if isinstance(below.get(name), dict)}
    return {**below, **above, **both}


def _image(given: Given) -> Answer:
    image = Image.parse(given["image"])
    observed = ImageObserved(builds=tuple(Build.parse(one) for one in given.get("builds", [])))
    if image.spec.suspend:
        return _told(given["image"], image_status.suspended_status(image, observed, NOW).to_dict())
    observed, decision = _next(image, observed, given)
    observed = asyncio.run(_SERVING.settle(image, observed))
    if isinstance(decision, Create | Cancel):
        return {"next": _decision(decision)}  # status is written after that was done
    status = image_status.image_status(image, observed, NOW).to_dict()
    return {"next": _decision(decision), **_told(given["image"], status)}


def _next(image: Image, observed: ImageObserved, given: Given) -> tuple[ImageObserved, Decision | None]:
    try:
        target = repository(image, SETTINGS)
        check_unique(image, target, [Image.parse(one) for one in given.get("others", [])], SETTINGS)
    except KeelwayError as error:
        return replace(observed, problem=error), None
    if "sourceProblem" in given:
        lost = _error(given["sourceProblem"])
        return replace(observed, problem=lost, source_problem=lost), None
    observed = replace(observed, target=target, revision=given["revision"])
    if "imagesProblem" in given:
        return replace(observed, problem=_error(given["imagesProblem"])), None
    bases = tuple(PinnedBase.model_validate(one) for one in given.get("bases", []))
    images = tuple(PinnedImage.model_validate(one) for one in given.get("images", []))
    inputs = Inputs(Asked.by_image(image, target), given["revision"], bases, images)
    stage = Stage(given["stage"]) if "stage" in given else None
    problem = _error(given["basesProblem"]) if "basesProblem" in given else None
    observed = replace(
        observed,
        inputs=inputs,
        bases=BaseCheck(len(bases), problem, references=tuple(one.reference for one in bases))
        if bases or problem
        else None,
        stage=stage,
        place=given.get("place"),
        finding=diagnose_pending(given.get("pods", [])),
    )
    return observed, decide(image, observed, inputs, NOW)


class _NothingThere:
    """A registry without any tag, and credentials for it."""

    async def resolve(self, reference: object, _: object) -> str:
        raise NotFound("NotFound", f"{reference} is not there.")

    async def keyring(self, *_: object) -> None:
        return None


_SERVING: Final = Serving(cast("Registry", _NothingThere()), cast("Credentials", _NothingThere()))


def _decision(decision: Decision | None) -> str:
    match decision:
        case Attend(build):
            return f"attend to {build.metadata.name}"
        case Cancel(build):
            return f"cancel {build.metadata.name}"
        case Create(reason, requested):
            return f"create a build: {reason}" + (f" {requested}" if requested else "")
        case Rest(until=None):
            return "rest"
        case Rest(until):
            return f"rest until {until:%H:%M:%S}"
        case None:
            return "nothing"


def _build_children(given: Given) -> Answer:
    image, build = Image.parse(given["image"]), Build.parse(given["build"])
    if build.status.digest is not None:
        uid = given.get("runAsUser")
        return {"pods": [test_pod.build(TestContext(image, build, test, uid)) for test in build.spec.tests]}
    data = {name: text.encode() for name, text in given["data"].items()}
    context = JobContext(
        image=image,
        build=build,
        namespace=SETTINGS.builds_namespace,
        operator_image=SETTINGS.operator_image,
        buildkit_replica=1,
        deadline_seconds=2700,
        data=data,
    )
    return {"secret": job.secret(context), "job": job.job(context, given["secretUid"])}


def _build_status(given: Given) -> Answer:
    """The end of a Job, or of the tests, as `reconcile/build.py` writes it down."""
    build, live = Build.parse(given["build"]), given["live"]
    if "tests" in live:
        results = [test_result(test, pod, NOW) for test, pod in zip(build.spec.tests, live["tests"], strict=True)]
        failure = first_failure(results)
        version = version_of(build)
        if failure is None:
            return {"status": version_status(build, build.status, version, NOW).to_dict()}
        found = quarantine.verdict(build, failure, (), NOW)
        return {"status": failed_status(build, failure, NOW, None, found).to_dict()}
    started = job_started(live["job"])
    result = job_result(live["job"], live.get("pods", []))
    if isinstance(result, BuildReport) and not result.ok:
        result = report_failure(result)
    if isinstance(result, Failure):
        return {"status": failed_status(build, result, NOW, started).to_dict()}
    return {"status": built_status(build, result, started, NOW).to_dict()}


def _told(raw: Given, status: dict[str, Any]) -> Answer:
    return {"kstatus": kstatus({**raw, "status": status}), "status": status}


def _error(told: Given) -> KeelwayError:
    kinds: dict[str, type[KeelwayError]] = {"Terminal": Terminal, "Waiting": Waiting, "Transient": Transient}
    return kinds[told["kind"]](told["reason"], told["message"])


def _problem(error: KeelwayError | None) -> Answer:
    if error is None:
        return {}
    return {"problem": {"kind": type(error).__name__, "reason": error.reason, "message": error.message}}


def _plain(wanted: Wanted) -> Any:
    return "KEEP" if wanted is KEEP else wanted


class _Readable(yaml.SafeDumper):
    """Text of several lines as such, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def text(self, data: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Readable.add_representer(str, _Readable.text)


def documents() -> Iterator[tuple[str, Path, str]]:
    """Name, path and text of every `expected.yaml` as it should be."""
    for case in case_names():
        text = yaml.dump(answer(read(case, "input")), Dumper=_Readable, sort_keys=False, width=110)
        yield case, DIRECTORY / case / "expected.yaml", text
