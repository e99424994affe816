"""Certificates and proxies from the environment, and the proof that nothing left."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import ApiError
from reconciler.observed import Created, Rejected, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import MakeApi, MakeServer, RawServer

CERTIFICATE = str(Path(__file__).parent / "tls" / "loopback.pem")
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\nConnection: close\r\n\r\n{"batch_id": "b_1"}'
BODY = b'{"contacts": []}'


def over_tls(serve: Callable[[ssl.SSLSocket], None]) -> Callable[[socket.socket, bytes], None]:
    """Shake hands first, then serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    def handle(connection: socket.socket, _: bytes) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(connection, server_side=True) as secure,
        ):
            serve(secure)

    return handle


@pytest.fixture
def tls_server(raw_server: MakeServer) -> Callable[..., tuple[str, list[bytes]]]:
    """Start a TLS server that answers each request; give its URL and what it got."""

    def start(answer: bytes = ANSWER) -> tuple[str, list[bytes]]:
        got: list[bytes] = []

        def serve(secure: ssl.SSLSocket) -> None:
            data = b""
            while not data.endswith(BODY):
                data += secure.recv(65536)
            got.append(data)
            secure.sendall(answer)

        server = raw_server(over_tls(serve), raw=True)
        return f"https://127.0.0.1:{server.port}/api", got

    return start


@pytest.fixture
def proxy(raw_server: MakeServer) -> Callable[[bytes], RawServer]:
    """Start a proxy that answers CONNECT with these bytes, and tunnels when they say 200."""

    def start(answer: bytes) -> RawServer:
        def handle(connection: socket.socket, request: bytes) -> None:
            connection.sendall(answer)
            if not answer.startswith(b"HTTP/1.1 200"):
                return
            host, _, port = request.split()[1].decode().partition(":")
            with socket.create_connection((host, int(port))) as upstream:
                back = threading.Thread(target=pump, args=(upstream, connection))
                back.start()
                pump(connection, upstream)
                back.join()

        return raw_server(handle)

    return start


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until the source ends, and pass the end on."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


def hold(connection: socket.socket) -> None:
    """Read, and never answer."""
    while connection.recv(65536):
        pass


def test_a_private_authority_is_trusted_through_the_environment(
    tls_server: Callable[..., tuple[str, list[bytes]]],
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SSL_CERT_FILE is all that a company's own certificates need."""
    monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
    url, got = tls_server()
    assert make_api(url).create(BODY, "k") == Created("b_1")
    assert len(got) == 1


def test_an_untrusted_certificate_is_a_rejection_for_good(
    tls_server: Callable[..., tuple[str, list[bytes]]],
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever answers cannot show who it is: nothing is sent, and waiting does not help."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    url, got = tls_server()
    api = make_api(url)
    outcome = api.create(BODY, "k")
    assert isinstance(outcome, Rejected)
    assert not outcome.retry
    assert outcome.reason.startswith("the certificate is not trusted")
    assert "SSL_CERT_FILE" in outcome.hint
    with pytest.raises(ApiError, match="not trusted"):
        api.batch("b1")
    assert got == []


def test_a_server_that_speaks_no_tls_got_nothing(raw_server: MakeServer, make_api: MakeApi) -> None:
    """A handshake that fails comes before the request, so the request never left."""
    server = raw_server(
        lambda connection, _: connection.sendall(b"HTTP/1.1 400 X\r\n\r\n"), raw=True
    )
    outcome = make_api(f"https://127.0.0.1:{server.port}").create(BODY, "k")
    assert isinstance(outcome, Rejected)
    assert outcome.status is None
    assert outcome.retry


def test_a_handshake_that_hangs_ends_at_the_timeout(
    raw_server: MakeServer, make_api: MakeApi
) -> None:
    """The deadline covers connecting; given up there, nothing can leave later."""
    server = raw_server(lambda connection, _: hold(connection), raw=True)
    outcome = make_api(f"https://127.0.0.1:{server.port}", timeout=0.2).create(BODY, "k")
    assert isinstance(outcome, Rejected)
    assert outcome.retry


def test_a_proxy_from_the_environment_tunnels_the_request(
    tls_server: Callable[..., tuple[str, list[bytes]]],
    proxy: Callable[[bytes], RawServer],
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
) -> None:
    """HTTPS_PROXY is honoured, and the proxy does not see the token."""
    monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
    way = proxy(b"HTTP/1.1 200 Connection established\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way.port}")
    url, got = tls_server()
    assert make_api(url).create(BODY, "k") == Created("b_1")
    assert len(got) == 1
    (connect,) = way.requests
    assert connect.startswith(b"CONNECT 127.0.0.1:")
    assert token.encode() not in connect


def test_no_proxy_leads_past_the_proxy(
    tls_server: Callable[..., tuple[str, list[bytes]]],
    proxy: Callable[[bytes], RawServer],
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NO_PROXY is honoured too."""
    monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
    way = proxy(b"HTTP/1.1 403 No\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url, got = tls_server()
    assert make_api(url).create(BODY, "k") == Created("b_1")
    assert len(got) == 1
    assert way.requests == []


@pytest.mark.parametrize(
    ("answer", "retry"),
    [
        pytest.param(b"HTTP/1.1 407 Login first\r\n\r\n", False, id="wants a login"),
        pytest.param(b"HTTP/1.1 403 Forbidden\r\n\r\n", False, id="forbids the host"),
        pytest.param(b"HTTP/1.1 503 Busy\r\n\r\n", True, id="is busy"),
    ],
)
def test_a_proxy_that_refuses_got_no_request(
    *,
    answer: bytes,
    retry: bool,
    proxy: Callable[[bytes], RawServer],
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a tunnel the request stays here; a refusal in principle is not asked again."""
    monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
    way = proxy(answer)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way.port}")
    outcome = make_api("https://api.invalid/v1").create(BODY, "k")
    assert isinstance(outcome, Rejected)
    assert outcome.retry is retry
    assert "HTTPS_PROXY" in outcome.hint
    assert all(BODY not in request for request in way.requests)


def test_a_proxy_that_hangs_up_is_unknown(
    proxy: Callable[[bytes], RawServer], make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kind of error a half-open tunnel gives is not ours to trust."""
    way = proxy(b"")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way.port}")
    assert isinstance(make_api("https://api.invalid/v1").create(BODY, "k"), Unknown)


def test_a_proxy_that_cannot_be_used_keeps_everything_here(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy URL of an unknown kind is told without its password."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:pass-word@127.0.0.1:1")
    outcome = make_api("https://api.invalid/v1").create(BODY, "k")
    assert isinstance(outcome, Rejected)
    assert not outcome.retry
    assert "HTTPS_PROXY" in outcome.hint
    assert "pass-word" not in repr(outcome)
    with pytest.raises(ApiError) as caught:
        make_api("https://api.invalid/v1").batch("b")
    assert "pass-word" not in caught.value.message


def test_this_machine_is_never_reached_through_a_proxy_in_clear(
    raw_server: MakeServer,
    proxy: Callable[[bytes], RawServer],
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTP_PROXY would carry the token off the machine unencrypted."""
    way = proxy(b"HTTP/1.1 403 No\r\n\r\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{way.port}")
    server = raw_server(lambda connection, _: connection.sendall(ANSWER))
    assert make_api(server.url).create(BODY, "k") == Created("b_1")
    assert way.requests == []
