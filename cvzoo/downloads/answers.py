"""Servers' answers: each redirect looked at, no wait without an end."""

import threading
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from cvzoo.downloads import references
from cvzoo.preset_files import PresetError

# Seconds to connect, and between one byte and the next.
TIMEOUTS = (10, 20)
# Seconds until an answer has begun, whatever its server sends before.
BEGIN = 60
REDIRECTS = 5

_NOT_NOW = (408, 429, 500, 502, 503, 504)
_BROKEN = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)


class Unreachable(PresetError):
    """No answer, or none for now: the server, or the way to it, is at fault."""


class Broken(Exception):
    """A connection that broke, or a server that is busy: worth another try."""


class NoAnswer(Broken):
    """No connection, or silence: worth another try only if it was better before."""


def answer(session, url, headers):
    """The answer to a request, its body not read yet.

    Redirects are followed here, as `requests` reads their bodies, however long.

    Args:
        session: A `requests.Session`.
        url: What to ask for.
        headers: Of the request; `Authorization` is not sent on to another host.

    Returns:
        A `requests.Response` of status 200 or 206, to be closed by the caller.

    Raises:
        PresetError: The server refuses, or redirects to where it must not.
        Broken: The connection breaks, or the server is busy.
        NoAnswer: There is no connection, or silence.
        Unreachable: The server talks, but no answer begins.
    """
    first = url
    for _ in range(REDIRECTS + 1):
        references.check_scheme(url, first)
        response = _begun(session, url, headers)
        if not response.is_redirect:
            return _accepted(response, url)
        response.close()
        before, url = url, _redirected(session, response, url)
        if _origin(url) != _origin(before):
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
    raise PresetError(f"{first} redirects more than {REDIRECTS} times, then to {url}.")


def reading(function):
    """What a function that reads from a server gives; its errors as ours."""
    try:
        return function()
    except _BROKEN as error:
        raise _as_ours(error) from error
    # Of requests, or a file that REQUESTS_CA_BUNDLE names and that is missing.
    except OSError as error:
        raise PresetError(f"The server cannot be asked: {error}") from error


def _as_ours(error):
    """An error of a connection as `Broken`; a wrong certificate as `PresetError`."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)):
        return PresetError(
            f"The server's certificate is not trusted: {error}. Someone may be between "
            "it and you; behind a company's proxy, set REQUESTS_CA_BUNDLE."
        )
    if isinstance(error, requests.Timeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError
    ):
        return NoAnswer(str(error))
    return Broken(str(error))


def _begun(session, url, headers):
    def ask():
        # Whatever ~/.netrc has for the host is kept to ourselves.
        request = requests.Request(
            "GET", url, headers=headers, auth=lambda asked: asked
        )
        prepared = session.prepare_request(request)
        settings = session.merge_environment_settings(url, {}, True, None, None)
        adapter = session.get_adapter(prepared.url)
        return adapter.send(prepared, timeout=TIMEOUTS, **settings)

    return reading(lambda: _within(BEGIN, ask))


def _within(seconds, function):
    """What a function gives, unless that takes longer: then it is left behind.

    Timeouts of sockets begin anew with each byte, so that one header could last for
    days.
    """
    results, errors = [], []

    def run():
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise Unreachable(f"No answer began within {seconds} seconds.")
    return results[0]


def _redirected(session, response, url):
    try:
        target = session.get_redirect_target(response)
        # Nothing that could do things to a terminal gets into messages.
        return urljoin(url, requests.utils.requote_uri(target))
    except ValueError as error:
        raise PresetError(f"{url} redirects to what is no URL: {error}") from error


def _accepted(response, url):
    if response.status_code in (200, 206):
        return response
    response.close()
    status = f"{response.status_code} {response.reason!r:.100}"
    if response.status_code in _NOT_NOW:
        raise Broken(f"{url} answered {status}")
    raise PresetError(
        f"{url} answered {status}. Is the address right, and open to all? It must "
        "be that of the folder, in which metadata.json is."
    )


def _origin(url):
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
