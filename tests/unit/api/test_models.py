"""How the models read and write objects, and the decisions that they make themselves."""

from typing import Any

import pytest
from pydantic import ValidationError

from keelway.api.app import App, AppStatus
from keelway.api.autoscale import Autoscale
from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.pod import Resources
from keelway.errors import Terminal

METADATA = {"name": "hello", "namespace": "team-a", "uid": "u-1", "generation": 3, "resourceVersion": "17"}


def app(**spec: Any) -> App:
    return App.parse({"metadata": METADATA, "spec": {"image": {"name": "hello"}, **spec}})


def image(**spec: Any) -> Image:
    return Image.parse({"metadata": METADATA, "spec": {"source": {"configMap": {"name": "src"}}, **spec}})


def build(**status: Any) -> Build:
    spec = {
        "image": "hello",
        "number": 7,
        "reason": "SpecChanged",
        "revision": "sha256:1",
        "source": {"inline": {"files": [{"name": "Dockerfile", "content": "FROM scratch"}]}},
        "repository": "registry:5000/team-a/hello",
    }
    return Build.parse({"metadata": METADATA, "spec": spec, **({"status": status} if status else {})})


def refusal(**spec: Any) -> str:
    with pytest.raises(Terminal) as caught:
        app(**spec)
    assert caught.value.reason == "InvalidSpec"
    return caught.value.message


class TestParsing:
    def test_names_are_snake_case_here_and_camel_case_in_kubernetes(self) -> None:
        parsed = app(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])
        source = parsed.spec.env[0].value_from
        assert source is not None
        assert source.secret_key_ref is not None
        assert source.secret_key_ref.key == "k"
        assert parsed.metadata.resource_version == "17"
        assert parsed.spec.env[0].to_dict() == {
            "name": "A",
            "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
        }

    def test_what_it_writes_it_reads_back_the_same(self) -> None:
        first = build(startedAt="2026-01-02T03:04:05Z", message="", attempt=2)
        assert Build.parse(first.to_dict()) == first

    def test_times_are_written_in_utc_to_the_second_like_kubernetes_own(self) -> None:
        written = build(startedAt="2026-01-02T04:04:05.678+01:00").to_dict()
        assert written["status"]["startedAt"] == "2026-01-02T03:04:05Z"

    def test_objects_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            app().spec.suspend = True  # type: ignore[misc]

    def test_unknown_fields_of_a_newer_version_do_not_matter(self) -> None:
        assert app(comingSoon=True).spec == app().spec

    def test_an_empty_value_is_kept_and_an_absent_one_left_out(self) -> None:
        assert [one.to_dict() for one in app(env=[{"name": "A", "value": ""}, {"name": "B"}]).spec.env] == [
            {"name": "A", "value": ""},
            {"name": "B"},
        ]


class TestInvalidSpec:
    def test_says_where_what_and_the_remedy(self) -> None:
        message = refusal(ports=[{"name": "http", "port": 70000}])
        assert message.startswith("spec.ports[0].port: Input should be less than or equal to 65535.")
        assert message.endswith("Correct the object and apply it again.")

    @pytest.mark.parametrize("chosen", [{}, {"name": "a", "reference": "nginx:1.27"}])
    def test_a_union_wants_exactly_one_member(self, chosen: dict[str, str]) -> None:
        assert "spec.image: exactly one of name, reference must be given" in refusal(image=chosen)

    def test_many_errors_are_told_in_a_bounded_message(self) -> None:
        message = refusal(ports=[{"name": f"p{number}", "port": 0} for number in range(30)])
        assert message.count("spec.ports[") == 3
        assert "27 more" in message

    def test_what_was_written_is_not_repeated_for_it_may_be_secret(self) -> None:
        assert "hunter2" not in refusal(env=[{"name": "PASSWORD", "value": ["hunter2"]}])

    @pytest.mark.parametrize(
        ("status", "kept"),
        [
            ("fine", {}),
            ({"conditions": "fine"}, {}),
            ({"conditions": [{"type": "Ready"}], "version": "v7"}, {"version": "v7"}),
            ({"replicas": "three", "readyReplicas": 2}, {"readyReplicas": 2}),
        ],
    )
    def test_what_cannot_be_read_of_a_status_is_as_if_it_were_not_there(
        self, status: object, kept: dict[str, Any]
    ) -> None:
        read = App.parse({"metadata": METADATA, "spec": {"image": {"name": "hello"}}, "status": status})
        assert read.status == AppStatus.model_validate(kept)

    def test_a_record_whose_status_cannot_be_read_is_no_record(self) -> None:
        """Else it would be taken for one that has not begun, and be built again."""
        with pytest.raises(Terminal):
            build(conditions=[{"type": "Succeeded"}])

    def test_a_probe_must_name_a_port_that_exists(self) -> None:
        probes = {"readiness": {"http": {"port": "web"}}}
        assert "a probe names port web, which is not in ports" in refusal(
            probes=probes, ports=[{"name": "http", "port": 80}]
        )
        assert app(probes=probes, ports=[{"name": "web", "port": 80}]).spec.probes.port_names() == {"web"}


class TestResources:
    def test_both_requests_have_defaults(self) -> None:
        assert Resources().effective_requests() == {"cpu": "100m", "memory": "128Mi"}

    def test_giving_one_request_keeps_the_default_of_the_other(self) -> None:
        parsed = app(resources={"requests": {"cpu": 2}}).spec.resources
        assert parsed.effective_requests() == {"cpu": "2", "memory": "128Mi"}

    def test_giving_only_limits_keeps_both_defaults(self) -> None:
        parsed = app(resources={"limits": {"cpu": "1", "memory": "1Gi"}}).spec.resources
        assert parsed.effective_requests() == {"cpu": "100m", "memory": "128Mi"}

    @pytest.mark.parametrize("limit", ["64Mi", "0.0625Gi", "67108864"])
    def test_a_limit_below_the_default_request_lowers_the_request(self, limit: str) -> None:
        assert Resources(limits={"memory": limit}).effective_requests() == {"cpu": "100m", "memory": limit}

    def test_a_request_above_its_limit_counts_as_the_limit(self) -> None:
        assert Resources(requests={"cpu": "2"}, limits={"cpu": "500m"}).effective_requests()["cpu"] == "500m"

    def test_a_limit_equal_to_the_request_leaves_the_request_as_it_was_written(self) -> None:
        resources = Resources(requests={"memory": "1024Mi"}, limits={"memory": "1Gi"})
        assert resources.effective_requests()["memory"] == "1024Mi"

    def test_other_resources_are_requested_as_given(self) -> None:
        assert Resources(requests={"example.com/gpu": "1"}).effective_requests()["example.com/gpu"] == "1"


class TestAutoscale:
    def test_without_a_target_it_aims_at_80_percent_of_cpu(self) -> None:
        assert Autoscale(max_replicas=3).targets() == (("cpu", 80),)

    def test_memory_alone_is_not_joined_by_the_cpu_default(self) -> None:
        assert Autoscale(max_replicas=3, memory_percent=70).targets() == (("memory", 70),)

    def test_both_targets_count(self) -> None:
        assert Autoscale(max_replicas=3, cpu_percent=60, memory_percent=70).targets() == (
            ("cpu", 60),
            ("memory", 70),
        )

    def test_behavior_is_passed_on_in_kubernetes_own_words(self) -> None:
        behavior = {
            "scaleDown": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Min",
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}],
            }
        }
        parsed = app(autoscale={"maxReplicas": 3, "behavior": behavior}).spec.autoscale
        assert parsed is not None
        assert parsed.behavior is not None
        assert parsed.behavior.to_dict() == behavior


class TestDefaults:
    def test_an_image_is_built_from_its_dockerfile_and_looked_at_every_minute(self) -> None:
        spec = image().spec
        assert (spec.build.dockerfile, spec.build.timeout_seconds) == ("Dockerfile", 1800)
        assert (spec.poll.interval_seconds, spec.history.limit, spec.suspend) == (60, 10, False)

    def test_a_git_source_follows_the_default_branch(self) -> None:
        git = image(source={"git": {"url": "https://example.com/a.git"}}).spec.source.git
        assert git is not None
        assert git.revision == "HEAD"

    def test_an_app_is_restricted_and_says_nothing_about_its_replicas(self) -> None:
        spec = app().spec
        assert (spec.security, spec.replicas, spec.autoscale) == ("Restricted", None, None)

    def test_a_new_build_is_in_progress_before_anything_was_written(self) -> None:
        (succeeded,) = build().status.conditions
        assert (succeeded.type, succeeded.status, succeeded.reason) == ("Succeeded", "Unknown", "InProgress")


class TestAnOldRecord:
    def test_knows_nothing_of_base_images_and_says_so(self) -> None:
        """Of an operator before them: equal to what is asked today, or the upgrade would build everything."""
        record = build()
        assert (record.spec.bases, record.spec.images, record.spec.build.images) == ((), (), ())
        assert image().spec.poll.base_images_interval_seconds == 3600
