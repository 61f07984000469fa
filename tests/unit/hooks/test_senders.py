"""Who knows a token is believed, and nobody else, in the way of each sender."""

import base64

import pytest

from keelway.hooks.senders import Headers, Sender, is_authentic, sender_of, tokens_of
from tests.unit.hooks import deliveries
from tests.unit.hooks.deliveries import TOKEN
from tests.unit.objects import NOW

BODY = b'{"ref": "refs/heads/main"}'
OTHER = "another-token-of-some-length"
KEY = b"24 bytes of a signing key"
SIGNING_TOKEN = "whsec_" + base64.b64encode(KEY).decode()


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"keelway:{password}".encode()).decode()


def is_believed(headers: Headers, body: bytes = BODY, tokens: str = TOKEN) -> bool:
    sender = sender_of(headers)
    assert sender is not None
    return is_authentic(sender, headers, body, tokens_of(tokens), NOW)


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        (deliveries.of_github(BODY), Sender.GITHUB),
        (deliveries.of_gitea(BODY), Sender.GITEA),
        (deliveries.of_forgejo(BODY), Sender.GITEA),
        (deliveries.of_gitlab(), Sender.GITLAB),
        (deliveries.of_registry(), Sender.REGISTRY),
        ({"content-type": "application/json"}, None),
        ({}, None),
    ],
)
def test_a_sender_is_known_by_its_headers(headers: Headers, sender: Sender | None) -> None:
    assert sender_of(headers) == sender


@pytest.mark.parametrize(
    "headers",
    [
        deliveries.of_github(BODY),
        deliveries.of_gitea(BODY),
        deliveries.of_forgejo(BODY),
        deliveries.of_gitlab(),
        deliveries.of_registry(),
        deliveries.of_registry(basic(TOKEN)),
    ],
)
def test_who_knows_the_token_is_believed(headers: Headers) -> None:
    assert is_believed(headers)
    assert not is_believed(headers, tokens=OTHER), "it is not this one's"
    assert is_believed(headers, tokens=f"{OTHER}\n{TOKEN}\n"), "while one token is replaced by another, both count"


@pytest.mark.parametrize(
    "headers",
    [
        deliveries.of_github(BODY, OTHER),
        deliveries.of_github(BODY + b" "),
        {"x-github-event": "push"},
        {"x-github-event": "push", "x-hub-signature-256": ""},
        {"x-github-event": "push", "x-hub-signature-256": "sha256="},
        {"x-github-event": "push", "x-hub-signature-256": "sha256=\udcff"},
        {"x-github-event": "push", "x-hub-signature": "sha1=" + "0" * 40},
        deliveries.of_gitea(BODY, OTHER),
        deliveries.of_gitea(BODY + b" "),
        {**deliveries.of_forgejo(BODY), "x-hub-signature-256": "sha256=" + "0" * 64},
        deliveries.of_gitlab(OTHER),
        {"x-gitlab-event": "Push Hook"},
        {"x-gitlab-event": "Push Hook", "x-gitlab-token": ""},
        {**deliveries.of_gitlab(), "webhook-signature": "v1,AAAA", "webhook-id": "1", "webhook-timestamp": "1"},
        deliveries.of_registry(f"Bearer {OTHER}"),
        deliveries.of_registry(TOKEN),
        deliveries.of_registry("Bearer"),
        deliveries.of_registry("Basic not base64"),
        deliveries.of_registry(basic(OTHER)),
        {"content-type": "application/vnd.docker.distribution.events.v1+json"},
    ],
)
def test_nobody_else_is(headers: Headers) -> None:
    assert not is_believed(headers)


class TestASignatureOfGitLab:
    def test_is_made_with_the_decoded_signing_token(self) -> None:
        assert is_believed(deliveries.of_gitlab_signed(BODY, KEY), tokens=SIGNING_TOKEN)
        assert is_believed(deliveries.of_gitlab_signed(BODY, TOKEN.encode()), tokens=TOKEN)
        assert not is_believed(deliveries.of_gitlab_signed(BODY, KEY))

    def test_is_of_that_body_id_and_time(self) -> None:
        signed = deliveries.of_gitlab_signed(BODY, KEY)
        assert not is_believed(signed, BODY + b" ", SIGNING_TOKEN)
        assert not is_believed({**signed, "webhook-id": "another"}, tokens=SIGNING_TOKEN)

    def test_may_be_one_of_several(self) -> None:
        signed = deliveries.of_gitlab_signed(BODY, KEY)
        several = {**signed, "webhook-signature": f"v1,AAAA {signed['webhook-signature']}"}
        assert is_believed(several, tokens=SIGNING_TOKEN)

    @pytest.mark.parametrize("seconds_ago", [301, -301])
    def test_ends_after_five_minutes(self, seconds_ago: float) -> None:
        assert not is_believed(deliveries.of_gitlab_signed(BODY, KEY, seconds_ago), tokens=SIGNING_TOKEN)

    @pytest.mark.parametrize("time", ["", "now", "-1", "1e9", "٣", "9" * 5000])
    def test_has_a_time(self, time: str) -> None:
        signed = deliveries.of_gitlab_signed(BODY, KEY)
        assert not is_believed({**signed, "webhook-timestamp": time}, tokens=SIGNING_TOKEN)


def test_a_token_that_is_short_enough_to_be_guessed_does_not_count() -> None:
    assert tokens_of("\n  \nshort\n  just-sixteen-chr \n") == (b"just-sixteen-chr",)
    assert tokens_of("") == ()


def test_without_a_token_nobody_is_believed() -> None:
    assert not is_believed(deliveries.of_github(BODY, ""), tokens="")
    assert not is_believed(deliveries.of_gitlab(""), tokens="")
