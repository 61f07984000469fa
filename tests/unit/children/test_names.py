"""Names are made from the owner's, of at most 40 characters, and must fit where Kubernetes puts them."""

from keelway.children import names

LONGEST = "a" * 40
HIGHEST = 999_999_999
UID = "0a1b2c3d-0000-4000-8000-000000000000"


def test_a_jobs_name_fits_into_the_label_that_its_pods_carry() -> None:
    name = names.job_name(names.build_name(LONGEST, HIGHEST), UID)
    assert name == f"{LONGEST}-999999999-0a1b2c3d"
    assert len(name) <= 63


def test_equal_builds_of_two_namespaces_have_two_jobs() -> None:
    build = names.build_name("hello", 7)
    assert names.job_name(build, UID) != names.job_name(build, "ffffffff-0000-4000-8000-000000000000")


def test_a_test_pods_name_fits_whatever_the_test_is_called() -> None:
    assert len(names.test_pod_name(names.build_name(LONGEST, HIGHEST), "t" * 40)) <= 253


def test_version_and_tags_are_of_one_number_and_cannot_be_mistaken() -> None:
    assert (names.build_name("hello", 7), names.version(7), names.technical_tag(7)) == ("hello-7", "v7", "build-7")


def test_a_version_with_build_metadata_has_a_tag_of_its_own() -> None:
    assert (names.version_tag("1.2.3+8"), names.version_tag("v7")) == ("1.2.3_8", "v7")


def test_what_no_registry_takes_or_is_technical_is_no_free_tag() -> None:
    free = [
        tag
        for tag in ("v7", "_a", "build-7", names.CACHE_TAG, "build-x", "1.2.3+8", "-a", ".a", "", "a" * 129)
        if names.is_free_tag(tag)
    ]
    assert free == ["v7", "_a", "build-x"]


def test_any_version_fits_into_a_label() -> None:
    assert names.label_value("1.2.3+8") == "1.2.3_8"
    assert names.label_value("v7") == "v7"
    assert names.label_value("_" + "a" * 61 + "-b") == "a" * 61


def test_labels_lead_from_a_job_back_to_its_image() -> None:
    labels = names.image_labels("team-a", "hello", UID)
    assert labels["keelway.dev/image-namespace"] == "team-a"
    assert labels["keelway.dev/image"] == "hello"
    assert labels["keelway.dev/image-uid"] == UID
    assert "app.kubernetes.io/instance" not in labels
