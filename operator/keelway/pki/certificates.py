"""A small certificate authority: one CA, buildkitd's server certificate, one client certificate a build.

Pure: keys and certificates are PEM bytes in and out, the time is given by the caller, nothing is read or
written. buildkitd accepts every client that its CA has signed (mutual TLS), so a client certificate lives
as long as its Job may and no longer: there is no revocation. Extended key usage keeps a build's certificate
from posing as a daemon.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=365)

# Node clocks differ; a certificate must be good on a node whose clock is behind the operator's.
CLOCK_SKEW = timedelta(minutes=5)

# RFC 5280, upper bound of a common name.
_MAX_COMMON_NAME = 64


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM; the key is PKCS #8, unencrypted, never shown in a repr."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair(...)"


def new_authority(now: datetime) -> KeyPair:
    """A fresh self-signed CA, good for AUTHORITY_LIFETIME from `now` (aware, any zone)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("keelway build CA")
    builder = _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificate_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue_server(authority: KeyPair, names: Sequence[str], now: datetime) -> KeyPair:
    """A server certificate for the DNS `names` (at least one), good for SERVER_LIFETIME.

    Raises ValueError where `authority` is not a readable CA.
    """
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    return _issue(authority, names[0], SERVER_LIFETIME, now, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)


def issue_client(authority: KeyPair, name: str, lifetime: timedelta, now: datetime) -> KeyPair:
    """A client certificate for one build Job called `name`, good for `lifetime`.

    Raises ValueError where `authority` is not a readable CA.
    """
    return _issue(authority, name, lifetime, now, ExtendedKeyUsageOID.CLIENT_AUTH, None)


def needs_renewal(certificate: bytes, now: datetime) -> bool:
    """Whether two thirds of the certificate's life are over, it has not begun, or it cannot be read at all.

    Two thirds is the point at which cert-manager and the kubelet's rotation renew, too: the last third is
    the time there is to notice that renewing fails.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return True
    life = parsed.not_valid_after_utc - parsed.not_valid_before_utc
    # Not begun: made by a clock that was ahead.
    return not parsed.not_valid_before_utc <= now < parsed.not_valid_before_utc + life * 2 / 3


def is_sound_authority(authority: KeyPair) -> bool:
    """Whether the pair reads as a CA whose private key belongs to its certificate."""
    try:
        certificate, key = _load_authority(authority)
    except ValueError:
        return False
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    return constraints.ca and certificate.public_key() == key.public_key()


def is_good_server(server: KeyPair, authority: KeyPair, names: Sequence[str]) -> bool:
    """Whether `server` reads, was signed by `authority`, covers all `names`, and its key belongs to it."""
    try:
        certificate = x509.load_pem_x509_certificate(server.certificate)
        key = serialization.load_pem_private_key(server.key, password=None)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    covered = alternatives.get_values_for_type(x509.DNSName)
    return certificate.public_key() == key.public_key() and set(names) <= set(covered)


def _issue(
    authority: KeyPair,
    common_name: str,
    lifetime: timedelta,
    now: datetime,
    usage: x509.ObjectIdentifier,
    alternatives: x509.SubjectAlternativeName | None,
) -> KeyPair:
    signer, signer_key = _load_authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(common_name), signer.subject, key.public_key(), now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificate_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
    )
    if alternatives is not None:
        builder = builder.add_extension(alternatives, critical=False)
    return _pair(builder.sign(signer_key, hashes.SHA256()), key)


def _load_authority(authority: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = x509.load_pem_x509_certificate(authority.certificate)
    try:
        key = serialization.load_pem_private_key(authority.key, password=None)
    except TypeError as error:  # an encrypted key
        raise ValueError("the CA's private key is encrypted") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the CA's private key is not an elliptic curve key")
    return certificate, key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_MAX_COMMON_NAME])])


def _key_usage(*, certificate_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificate_sign,
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
