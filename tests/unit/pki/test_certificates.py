"""What the certificates of the build boundary promise, judged by a real TLS handshake where one can judge."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from keelway.pki import certificates
from keelway.pki.certificates import KeyPair

NAME = "buildkitd-0.buildkitd.keelway-buildkit.svc"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return certificates.new_authority(NOW)


@pytest.fixture(scope="module")
def server(authority: KeyPair) -> KeyPair:
    return certificates.issue_server(authority, [NAME], NOW)


async def handshake(
    directory: Path, authority: KeyPair, server: KeyPair, client: KeyPair | None, name: str = NAME
) -> bytes:
    """One mutual TLS conversation as buildkitd and buildctl have it; what the server said, if anything.

    Under TLS 1.3 the client's side of the handshake is over before the server judges its certificate: a
    refused client sees a closed connection. A client that refuses the server raises ssl.SSLError.
    """

    def context(purpose: ssl.Purpose, pair: KeyPair | None, role: str) -> ssl.SSLContext:
        made = ssl.create_default_context(purpose, cadata=authority.certificate.decode())
        made.verify_mode = ssl.CERT_REQUIRED
        if pair is not None:
            path = directory / f"{role}.pem"
            path.write_bytes(pair.certificate + pair.key)
            made.load_cert_chain(path)
        return made

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"build")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(
        answer, "127.0.0.1", 0, ssl=context(ssl.Purpose.CLIENT_AUTH, server, "server")
    )
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context(ssl.Purpose.SERVER_AUTH, client, "client"), server_hostname=name
        )
        try:
            return await reader.read()
        except (ssl.SSLError, ConnectionError):
            return b""
        finally:
            writer.close()


def test_a_build_and_the_daemon_trust_each_other(tmp_path: Path, authority: KeyPair, server: KeyPair) -> None:
    client = certificates.issue_client(authority, "hello-7-0a1b2c3d", timedelta(hours=1), NOW)
    assert asyncio.run(handshake(tmp_path, authority, server, client)) == b"build"


def test_nobody_gets_in_without_a_certificate(tmp_path: Path, authority: KeyPair, server: KeyPair) -> None:
    assert asyncio.run(handshake(tmp_path, authority, server, None)) == b""


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, authority: KeyPair, server: KeyPair) -> None:
    stranger = certificates.issue_client(certificates.new_authority(NOW), "x", timedelta(hours=1), NOW)
    assert asyncio.run(handshake(tmp_path, authority, server, stranger)) == b""


def test_an_expired_client_certificate_is_refused(tmp_path: Path, authority: KeyPair, server: KeyPair) -> None:
    old = certificates.issue_client(authority, "x", timedelta(hours=1), NOW - timedelta(hours=2))
    assert asyncio.run(handshake(tmp_path, authority, server, old)) == b""


def test_a_builds_certificate_cannot_pose_as_the_daemon(tmp_path: Path, authority: KeyPair) -> None:
    client = certificates.issue_client(authority, "x", timedelta(hours=1), NOW)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(handshake(tmp_path, authority, client, client))


def test_the_daemon_of_another_name_is_refused(tmp_path: Path, authority: KeyPair, server: KeyPair) -> None:
    client = certificates.issue_client(authority, "x", timedelta(hours=1), NOW)
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        asyncio.run(handshake(tmp_path, authority, server, client, "other.keelway-buildkit.svc"))


def test_the_server_certificate_is_renewed_at_two_thirds_of_its_year(server: KeyPair) -> None:
    assert not certificates.needs_renewal(server.certificate, NOW + timedelta(days=243))
    assert certificates.needs_renewal(server.certificate, NOW + timedelta(days=244))


def test_a_certificate_from_the_future_needs_renewal(server: KeyPair) -> None:
    assert certificates.needs_renewal(server.certificate, NOW - timedelta(days=1))


def test_what_cannot_be_read_needs_renewal() -> None:
    assert certificates.needs_renewal(b"", NOW)
    assert certificates.needs_renewal(b"-----BEGIN CERTIFICATE-----\nnonsense", NOW)


def test_a_certificate_is_good_on_a_node_whose_clock_is_behind(server: KeyPair) -> None:
    parsed = x509.load_pem_x509_certificate(server.certificate)
    assert parsed.not_valid_before_utc < NOW - timedelta(minutes=4)


def test_a_server_pair_is_judged_by_its_signer_its_names_and_its_key(authority: KeyPair, server: KeyPair) -> None:
    other = certificates.new_authority(NOW)
    mixed = KeyPair(server.certificate, certificates.issue_server(authority, [NAME], NOW).key)
    assert certificates.is_good_server(server, authority, [NAME])
    assert not certificates.is_good_server(server, other, [NAME])
    assert not certificates.is_good_server(server, authority, [NAME, "one-more"])
    assert not certificates.is_good_server(mixed, authority, [NAME])
    assert not certificates.is_good_server(KeyPair(b"", b""), authority, [NAME])


def test_an_authority_is_sound_only_with_its_own_key(authority: KeyPair, server: KeyPair) -> None:
    assert certificates.is_sound_authority(authority)
    assert not certificates.is_sound_authority(KeyPair(authority.certificate, certificates.new_authority(NOW).key))
    assert not certificates.is_sound_authority(server)
    assert not certificates.is_sound_authority(KeyPair(b"", b""))


def test_a_long_job_name_still_makes_a_certificate(authority: KeyPair) -> None:
    pair = certificates.issue_client(authority, "n" * 63 + "-0a1b2c3d", timedelta(hours=1), NOW)
    assert x509.load_pem_x509_certificate(pair.certificate).subject.rfc4514_string() == f"CN={'n' * 63}-"


def test_a_key_never_shows_in_a_log(authority: KeyPair) -> None:
    assert "PRIVATE" not in repr(authority)
