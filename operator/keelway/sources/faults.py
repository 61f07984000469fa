"""What went wrong with a tenant's URL, as errors of `keelway.errors`: pure, used by `guard.py`.

Messages name the server as scheme, host and port only: a path or a query may carry a token.
"""

import socket
import ssl

import httpcore
import httpx

from keelway.budget import retry_after
from keelway.errors import Forbidden, KeelwayError, NotFound, Terminal, Transient, Waiting

_DEFAULT_PORTS = {"https": 443, "http": 80}


def port_of(url: httpx.URL) -> int:
    """The port that a URL leads to, its scheme's own included."""
    return url.port or _DEFAULT_PORTS[url.scheme]


def origin_of(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials belong to (RFC 6454)."""
    return url.scheme, url.host, port_of(url)


def host_of(url: httpx.URL) -> str:
    """host[:port] as image references have it, so that a server of both kinds has one name."""
    return url.netloc.decode("ascii")


def shown(url: httpx.URL) -> str:
    """The URL as messages may show it."""
    port = "" if port_of(url) == _DEFAULT_PORTS[url.scheme] else f":{port_of(url)}"
    return f"{url.scheme}://{url.host}{port}"


def invalid_url(detail: str) -> Terminal:
    """The spec's URL is none that can be fetched."""
    return Terminal("InvalidUrl", f"The URL {detail}. Write it as https://host/path.")


def insecure(where: str) -> Terminal:
    """Plain http, where nothing protects the content."""
    return Terminal("InsecureUrl", f"{where} plain http, which anyone on the way can change. Use https.")


def insecure_redirect(url: httpx.URL) -> Waiting:
    """A redirect to plain http: the server's fault, not the URL's."""
    return Waiting(
        "InsecureUrl",
        f"{shown(url)} redirects to plain http, which anyone on the way can change. "
        "Have that server redirect to https, or use another URL.",
    )


def address_refused(host: str, address: str, kind: str, *, is_literal: bool) -> Terminal | Waiting:
    """The host leads to a range that tenants must not reach: an address for good, a name while the DNS says so."""
    cause = f"{host} is a {kind} address" if host == address else f"{host} leads to {address}, a {kind} address"
    message = f"{cause}. Use a public host, or have the administrator add its network to KEELWAY_ALLOWED_NETWORKS."
    return Terminal("AddressRefused", message) if is_literal else Waiting("AddressRefused", message)


def of_redirect(error: Terminal) -> Waiting:
    """Where a server redirects to is its own doing, which no change of the spec cures."""
    return Waiting(error.reason, error.message)


def timed_out(url: httpx.URL) -> Transient:
    """The server was silent for too long, or took too long for all of it."""
    return Transient("TimedOut", f"{shown(url)} did not answer in time. It is tried again; check that server.")


def too_large(url: httpx.URL, max_bytes: int) -> Terminal:
    """The body went past its bound."""
    return Terminal("ResponseTooLarge", f"{shown(url)} sent over {max_bytes} bytes. Use a smaller source.")


def bad_redirect(url: httpx.URL, what: str) -> Waiting:
    """A redirect that is not followed."""
    return Waiting("UnexpectedRedirect", f"{shown(url)} {what}. Use the URL that it leads to.")


def not_resolved(host: str, error: Exception) -> KeelwayError:
    """getaddrinfo failed: for good (no such name) or for now (no answer)."""
    if isinstance(error, TimeoutError) or getattr(error, "errno", None) == socket.EAI_AGAIN:
        return Transient("HostNotFound", f"The DNS did not answer for {host}. It is tried again.")
    return Waiting("HostNotFound", f"The host {host} was not found. Correct the URL, or check the DNS.")


def refused_by_server(response: httpx.Response, with_credentials: bool) -> KeelwayError:
    """The error for an answer other than 200."""
    status = response.status_code
    where = shown(response.url)
    if status in (401, 403):
        given = "the source's credentials" if with_credentials else "a request without credentials"
        message = f"{where} refused {given} ({status}). Name a Secret that may read it."
        return Forbidden("Unauthorized", message)
    if status in (404, 410):
        hint = "" if with_credentials else ", or name a Secret if it is private"
        return NotFound("NotFound", f"{where} has nothing at the URL ({status}). Correct the URL{hint}.")
    wait = retry_after(response.headers)
    if status == 429:
        return Waiting("RateLimited", f"{where} limits the rate of requests. It is tried again later.", wait)
    if status >= 500:
        message = f"{where} answered {status}. It is tried again; check that server."
        return Transient("ServerFailed", message, wait)
    return Waiting("UnexpectedAnswer", f"{where} answered {status}. Check that the URL is the right one.")


def translated(error: Exception, url: httpx.URL) -> Exception:
    """The error for a foreign exception of a connection; itself, where it is none."""
    where = shown(url)
    tls = _tls_cause(error)
    if isinstance(error, KeelwayError):
        return error
    if isinstance(error, httpcore.TimeoutException | TimeoutError):
        return timed_out(url)
    if isinstance(tls, ssl.SSLCertVerificationError):
        message = f"The certificate of {where} was refused: {tls.verify_message}. Renew or correct it."
        return Waiting("TlsFailed", message)
    if tls is not None:
        return Waiting("TlsFailed", f"No TLS with {where}: {tls.reason}. Check that the port speaks https.")
    if isinstance(error, httpcore.ConnectError | OSError):
        message = f"Nothing accepts connections at {where}. Check the URL and the host."
        return Waiting("ConnectionFailed", message)
    if isinstance(error, httpcore.NetworkError | httpcore.ProtocolError):
        return Transient("ConnectionFailed", f"The connection to {where} broke. It is tried again.")
    return error


def _tls_cause(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
