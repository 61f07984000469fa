"""What went wrong with a registry, as errors of `keelway.errors`: pure, used by the modules beside it."""

import socket
import ssl
from collections.abc import Iterator

import httpx

from keelway.budget import retry_after
from keelway.errors import Forbidden, KeelwayError, NotFound, Terminal, Transient, Waiting
from keelway.registry.credentials import Login

_MAX_SAID = 200


def refused(response: httpx.Response, name: str, login: Login | None) -> KeelwayError:
    """The error for an answer that is no success; `name` is the image's, without credentials by nature."""
    status = response.status_code
    host = response.url.host
    if status in (401, 403):
        given = "the credentials given" if login is not None else "a request without credentials"
        message = f"{host} refused {given} for {name}, or it does not exist ({status}). Name a Secret that may."
        return Forbidden("Unauthorized", message)
    if status == 404:
        return NotFound("NotFound", f"{name} is not in the registry. Correct the reference, or push the image.")
    wait = retry_after(response.headers)
    if status == 429:
        return Waiting("RateLimited", f"{host} limits the rate of requests. It is tried again later.", wait)
    if status >= 500:
        message = f"{host} answered {status}. It is tried again; check the registry."
        return Transient("RegistryFailed", message, wait)
    said = _said(response)
    said = (login.redacted(said) if login is not None else said)[:_MAX_SAID]
    return Waiting("RegistryRefused", f"{host} refused {name} ({status}{said}). Check the registry's rules.")


def invalid_host(host: str) -> Terminal:
    """The reference's host looks like one, and is none."""
    return Terminal("InvalidReference", f"{host} is no registry host. Correct the reference.")


def translated(error: httpx.HTTPError, host: str) -> KeelwayError:
    """The error for a connection that failed."""
    if isinstance(error, httpx.TimeoutException):
        return timed_out(host)
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return _unknown_host(cause, host)
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"The certificate of {host} was refused: {cause.verify_message}. Renew or correct it."
            return Waiting("TlsFailed", message)
        if isinstance(cause, ssl.SSLError):
            return Waiting("TlsFailed", f"No TLS with {host}: {cause.reason}. Check that it speaks https.")
    if isinstance(error, httpx.ConnectError):
        return _nothing_there(host)
    return Transient("ConnectionFailed", f"The connection to {host} broke. It is tried again.")


def guarded(error: KeelwayError, host: str) -> KeelwayError:
    """The error for what a guarded transport met or refused: it speaks of URLs, where the spec has a reference."""
    if isinstance(error, Waiting) and error.reason == "HostNotFound":
        return _no_such_host(host)
    if isinstance(error, Waiting) and error.reason == "ConnectionFailed":
        return _nothing_there(host)
    if isinstance(error, Terminal):
        # Where a registry's name, its realm and its redirects lead is not for the spec to say.
        return Waiting(error.reason, error.message)
    return error


def timed_out(host: str) -> Transient:
    """The host was silent for too long, or took too long for all of it."""
    return Transient("TimedOut", f"{host} did not answer in time. It is tried again; check the registry.")


def bad_redirect(host: str, what: str) -> Waiting:
    """A redirect that is not followed."""
    return Waiting("UnexpectedRedirect", f"{host} {what}. Check the registry.")


def compressed(host: str) -> Waiting:
    """A body compressed although that was ruled out: nobody knows what it would inflate to."""
    message = f"{host} compresses its answers unasked. Check the registry, or the proxy before it."
    return Waiting("UnexpectedEncoding", message)


def digest_mismatch(name: str) -> Transient:
    """A body is not what its digest says: a broken registry or a broken way to it."""
    return Transient("DigestMismatch", f"The registry sent for {name} what its digest denies. It is tried again.")


def unreadable(name: str, what: str) -> Waiting:
    """The registry holds something that is no image for this cluster."""
    return Waiting("UnreadableImage", f"{name} {what}. Push an image for this platform.")


def too_many_tags(name: str) -> Waiting:
    """The list of a repository's tags goes on beyond all use."""
    return Waiting("TooManyTags", f"{name} has more tags than Keelway reads. Remove some, or use another repository.")


def _unknown_host(cause: socket.gaierror, host: str) -> KeelwayError:
    if cause.errno == socket.EAI_AGAIN:
        return Transient("HostNotFound", f"The DNS did not answer for {host}. It is tried again.")
    return _no_such_host(host)


def _no_such_host(host: str) -> Waiting:
    return Waiting("HostNotFound", f"The registry {host} was not found. Correct the reference, or the DNS.")


def _nothing_there(host: str) -> Waiting:
    message = f"Nothing accepts connections at {host}. Check the reference and the registry."
    return Waiting("ConnectionFailed", message)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(response: httpx.Response) -> str:
    """The registry's own words: {"errors": [{"code", "message"}]} (distribution-spec, "Error Codes")."""
    try:
        first = response.json()["errors"][0]
        return f": {first.get('code')} {first.get('message')}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return ""
