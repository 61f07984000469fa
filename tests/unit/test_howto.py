"""What docs/how-to.md shows of Images is read by the models as it is meant."""

import pytest

from keelway.api.image import Image
from tests.howto import fragments, laid_over
from tests.unit.objects import raw_image

VERSIONS = "Choose what versions look like"


def _image(section: str, number: int = 0) -> Image:
    return Image.parse(laid_over(raw_image(), fragments(section)[number]))


def test_versions() -> None:
    versions = [_image(VERSIONS, number).spec.version.to_dict() for number in range(len(fragments(VERSIONS)))]
    assert versions == [
        {"scheme": "SemVer"},
        {"scheme": "SemVer", "bump": "Minor"},
        {"scheme": "CalVer", "format": "YYYY.0M.MICRO"},
        {"scheme": "Template", "template": "web-{shortRevision}-{number}"},
    ]


def test_tags_and_pin() -> None:
    assert _image("Give an image more names").spec.tags == ("stable", "3.11")
    assert _image("Go back to an earlier version").spec.pin == "v1"


def test_quarantine() -> None:
    annotations = _image("When a build has failed its tests").metadata.annotations
    assert annotations == {"keelway.dev/release-quarantine": "hello-2"}


def test_a_push_wakes_an_image_that_is_not_polled() -> None:
    spec = _image("Let a push wake an Image").spec
    assert spec.source.git is not None
    assert (spec.poll.interval_seconds, spec.source.git.revision) == (0, "main")


def test_a_section_that_is_not_there_is_told() -> None:
    with pytest.raises(AssertionError, match="has no YAML"):
        fragments("Fly")
