from typing import Any

from bench import kwok, newer_operator, objects
from bench.plot import series
from bench.results import Figure
from keelway.api.app import App
from keelway.api.buildrequest import BuildReport, Step, decode_report
from keelway.children.context import AppContext, RunImage


def raw_app() -> dict[str, Any]:
    app = objects.app("team", "app-0000")
    return {**app, "metadata": {**app["metadata"], "uid": "0-0", "generation": 1}}


def raw_image() -> dict[str, Any]:
    return {**objects.image("team"), **objects.image_status("team")}


def test_an_app_has_three_children_that_belong_to_it() -> None:
    children = objects.children(raw_app(), raw_image())
    assert sorted(resource.kind for resource, _ in children) == ["Deployment", "HorizontalPodAutoscaler", "Service"]
    for _, child in children:
        [owner] = child["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("App", "0-0", True)
        assert child["metadata"]["namespace"] == "team"
        assert child["metadata"]["annotations"]


def test_an_edit_changes_the_deployment() -> None:
    before = dict(objects.children(raw_app(), raw_image()))
    edited = {**raw_app(), "spec": {**raw_app()["spec"], **objects.edited("other")["spec"]}}
    after = dict(objects.children(edited, raw_image()))
    assert {one.kind for one in before if before[one] != after[one]} == {"Deployment"}


def test_names_sort_as_they_count() -> None:
    names = objects.app_names(1200)
    assert names == sorted(set(names))
    assert len(names) == 1200


def test_the_newer_builder_changes_pods_and_more_than_pods() -> None:
    run = RunImage("registry.example.com/web@sha256:0", asked="web", version="v1")
    built = newer_operator.build(AppContext(App.parse(raw_app()), run))
    assert isinstance(built, dict)
    assert built["spec"]["revisionHistoryLimit"] == newer_operator.HISTORY
    assert built["spec"]["template"]["metadata"]["annotations"] == {newer_operator.ANNOTATION: "newer"}


def test_the_report_survives_its_way_into_a_pods_status() -> None:
    report = BuildReport(ok=True, step=Step.PUSH, reason="Pushed", message="it's done", digest="sha256:0")
    build = next(one for one in kwok.stages(report.encode().decode()) if one["metadata"]["name"].endswith("build"))
    template = build["spec"]["next"]["statusTemplate"]
    message = template.partition("message: '")[2].rpartition("'")[0].replace("''", "'")
    assert decode_report(message) == report


def test_the_picture_finds_its_figures_by_name() -> None:
    figures = [Figure("memory with 0 Apps", 80), Figure("memory with 3000 Apps", 200), Figure("memory", 1)]
    assert {apps: one.value for apps, one in series(figures, lambda n: f"memory with {n} Apps").items()} == {
        0: 80,
        3000: 200,
    }
