"""How a create ends, over real sockets. Faults: everything a server or network can do to a POST."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reconciler import __version__
from reconciler.api import client as client_module
from reconciler.api.exchange import Exchange
from reconciler.observed import Created, Rejected, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import MakeApi, MakeServer

BODY = json.dumps(
    {
        "campaign_id": "c1",
        "contacts": [
            {"phone_number": "+919876543210", "call_variables": {"callee_name": "Asha Rao"}}
        ],
    }
).encode()
KEY = "rk1_0123"


def http(status: str, body: bytes | Any, *headers: str) -> bytes:
    """Build an answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


OK = http("200 OK", {"batch_id": "bat_1", "status": "pending", "total_contacts": 1})


def sending(*pieces: bytes) -> Callable[[socket.socket, bytes], None]:
    """Answer with these bytes, whatever they are, and close."""

    def handle(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return handle


def reset(connection: socket.socket, _: bytes) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket, _: bytes) -> None:
    """Never answer."""
    connection.recv(1)  # returns when the client hangs up


def drip(head: bytes) -> Callable[[socket.socket, bytes], None]:
    """Send a head, then a byte every now and then, until the client hangs up."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        connection.settimeout(0.02)
        while True:
            connection.sendall(b"x")
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    return handle


def test_a_create_is_one_documented_post(raw_server: MakeServer, make_api: MakeApi) -> None:
    """The request holds the token, the key and the body as given, and nothing else is asked."""
    server = raw_server(sending(OK))
    assert make_api(server.url).create(BODY, KEY) == Created("bat_1", "pending", 1)
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /api/batches/ http/1.1"
    assert "authorization: bearer gat_test-token-0123456789" in lines
    assert f"idempotency-key: {KEY}" in lines
    assert "content-type: application/json" in lines
    assert f"user-agent: call-batch-reconciler/{__version__}" in lines
    assert body == BODY


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(sending(), id="closes without a word"),
        pytest.param(reset, id="resets"),
        pytest.param(sending(b"HTTP/1.1 200 OK\r\nContent-Le"), id="breaks off in the headers"),
        pytest.param(sending(OK[:-5]), id="breaks off in the body"),
        pytest.param(sending(b"SSH-2.0-OpenSSH\r\n"), id="speaks another protocol"),
        pytest.param(
            sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            id="broken chunks",
        ),
        pytest.param(
            sending(http("200 OK", b"\x1f\x8bnonsense", "Content-Encoding: gzip")),
            id="a body that does not unpack",
        ),
        pytest.param(sending(http("204 No Content", b"")), id="yes, but nothing else"),
        pytest.param(sending(http("200 OK", {"ok": True})), id="yes, but no id"),
        pytest.param(sending(http("500 Oops", {"detail": "x"})), id="500"),
        pytest.param(sending(http("503 Busy", b"", "Retry-After: 1")), id="503 with Retry-After"),
        pytest.param(sending(http("408 Timeout", b"")), id="408"),
        pytest.param(sending(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), id="101"),
    ],
)
def test_an_unclear_end_is_unknown_and_nothing_is_sent_again(
    fault: Callable[[socket.socket, bytes], None], raw_server: MakeServer, make_api: MakeApi
) -> None:
    """Whoever was asked once may have done it: nobody asks again by himself."""
    server = raw_server(fault)
    outcome = make_api(server.url).create(BODY, KEY)
    assert isinstance(outcome, Unknown)
    assert outcome.reason
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(hang, id="never answers"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Slow: "), id="drips headers"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"), id="drips a body"),
        pytest.param(drip(b"HTTP/1.1 500 Oops\r\nContent-Length: 99999\r\n\r\n"), id="drips a 500"),
    ],
)
def test_the_timeout_bounds_the_whole_answer(
    fault: Callable[[socket.socket, bytes], None], raw_server: MakeServer, make_api: MakeApi
) -> None:
    """A byte now and then does not keep a create alive past its deadline."""
    server = raw_server(fault)
    began = time.monotonic()
    outcome = make_api(server.url, timeout=0.2).create(BODY, KEY)
    assert time.monotonic() - began < 2
    assert isinstance(outcome, Unknown)
    assert len(server.requests) == 1


def test_a_drip_on_a_reused_connection_is_bounded_too(
    raw_server: MakeServer, make_api: MakeApi
) -> None:
    """The second request on a connection has the same deadline as the first."""

    def handle(connection: socket.socket, _: bytes) -> None:
        if len(server.requests) == 1:
            connection.sendall(OK)
        else:
            drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")(connection, b"")

    server = raw_server(handle, keep=True)
    api = make_api(server.url, timeout=0.3)
    assert isinstance(api.create(BODY, KEY), Created)
    assert isinstance(api.create(BODY, KEY), Unknown)
    assert len(server.requests) == 2


def test_a_create_given_up_hangs_up(raw_server: MakeServer, make_api: MakeApi) -> None:
    """Nobody listens any more, so the server is told, and the waiting thread ends."""
    hung_up = threading.Event()

    def handle(connection: socket.socket, request: bytes) -> None:
        hang(connection, request)
        hung_up.set()

    assert isinstance(make_api(raw_server(handle).url, timeout=0.1).create(BODY, KEY), Unknown)
    assert hung_up.wait(5)


def test_an_error_of_connecting_proves_nothing_once_bytes_were_sent(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two witnesses must agree that nothing left; a library may name an error oddly."""

    def send(self: Exchange, *_: object) -> None:
        self.sent = True
        self.error = httpx.ConnectError("odd")

    monkeypatch.setattr(Exchange, "run", send)
    assert isinstance(make_api("http://127.0.0.1:1").create(BODY, KEY), Unknown)


def test_an_endless_answer_is_cut_off(
    raw_server: MakeServer, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too long to be an answer is not read into memory."""
    monkeypatch.setattr(client_module, "_LONGEST_OUTCOME", 1000)
    server = raw_server(sending(http("200 OK", b" " * 5000 + b"{}")))
    outcome = make_api(server.url).create(BODY, KEY)
    assert outcome == Unknown("the answer is too long to be one", 200)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(sending(http("422 No", {"detail": "no"})[:-4]), id="breaks off"),
        pytest.param(drip(b"HTTP/1.1 422 No\r\nContent-Length: 9999\r\n\r\n"), id="drips"),
    ],
)
def test_a_rejection_counts_even_when_its_explanation_breaks_off(
    fault: Callable[[socket.socket, bytes], None], raw_server: MakeServer, make_api: MakeApi
) -> None:
    """The status line says that nothing was created."""
    outcome = make_api(raw_server(fault).url, timeout=0.3).create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.retry, outcome.reason[:8]) == (422, False, "HTTP 422")


def test_a_rejection_sent_before_the_body_was_read_is_heard(
    raw_server: MakeServer, make_api: MakeApi
) -> None:
    """A server may say 413 and stop reading; the answer is there all the same."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(http("413 Too Large", b"", "Connection: close"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    server = raw_server(handle, whole=False)
    outcome = make_api(server.url).create(b" " * 5_000_000, KEY)
    assert isinstance(outcome, Rejected)
    assert outcome.status == 413


def test_429_is_rejected_for_now(raw_server: MakeServer, make_api: MakeApi) -> None:
    """The API says how long to wait, and the caller does the waiting."""
    server = raw_server(sending(http("429 Slow", {"detail": "x"}, "Retry-After: 3")))
    outcome = make_api(server.url).create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert (outcome.retry, outcome.retry_after) == (True, 3.0)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed(raw_server: MakeServer, make_api: MakeApi) -> None:
    """The token and the contacts stay with the server that was configured."""
    other = raw_server(sending(OK))
    first = raw_server(sending(http("307 Moved", b"", f"Location: {other.url}/batches/")))
    assert isinstance(make_api(first.url).create(BODY, KEY), Unknown)
    assert other.requests == []


def test_a_refused_connection_is_rejected_for_now(make_api: MakeApi) -> None:
    """Nobody listened, so nothing left."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    outcome = make_api(f"http://127.0.0.1:{port}").create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert outcome.retry
    assert outcome.status is None
    assert "GRAINE_API_URL" in outcome.hint


def test_a_name_that_does_not_resolve_is_rejected_for_now(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address nothing left."""

    def unresolved(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    outcome = make_api("https://api.invalid").create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert outcome.retry


def test_a_connect_that_takes_too_long_never_sends_afterwards(
    raw_server: MakeServer, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given up before it was connected, the request cannot leave later, so it counts as rejected.

    A name look-up has no time limit of its own; when it ends after all, the thread that waited for
    it connects, learns that nobody waits any more, and hangs up.
    """
    server = raw_server(sending(OK))
    resolve, resume = socket.getaddrinfo, threading.Event()
    threads: list[threading.Thread] = []

    def slow(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread())
        resume.wait(5)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    outcome = make_api(server.url, timeout=0.2).create(BODY, KEY)
    resume.set()
    threads[0].join(5)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.retry) == ("no connection within 0.2 s", True)
    assert server.requests == []


def test_after_stop_nothing_is_sent(raw_server: MakeServer, make_api: MakeApi) -> None:
    """A signal that came before the request left keeps it from leaving."""
    stop = threading.Event()
    stop.set()
    server = raw_server(sending(OK))
    outcome = make_api(server.url, stop=stop).create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert outcome.retry
    assert server.requests == []


def test_a_create_under_way_is_waited_for_after_stop(
    raw_server: MakeServer, make_api: MakeApi
) -> None:
    """A signal while the answer is on its way does not make the batch unknown."""
    stop = threading.Event()

    def handle(connection: socket.socket, _: bytes) -> None:
        stop.set()
        connection.sendall(OK)

    outcome = make_api(raw_server(handle).url, stop=stop).create(BODY, KEY)
    assert isinstance(outcome, Created)


@pytest.mark.parametrize("key", ["a\r\nX-Other: 1", "clé"])
def test_a_key_that_fits_no_header_is_rejected(
    key: str, raw_server: MakeServer, make_api: MakeApi
) -> None:
    """Such a key would forge headers; nothing is sent."""
    server = raw_server(sending(OK))
    outcome = make_api(server.url).create(BODY, key)
    assert isinstance(outcome, Rejected)
    assert not outcome.retry
    assert server.requests == []


def test_a_bug_of_ours_is_unknown_and_not_an_exception(
    raw_server: MakeServer, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine records an outcome for every create, whatever breaks."""

    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(client_module, "classify_response", broken)
    outcome = make_api(raw_server(sending(OK)).url).create(BODY, KEY)
    assert outcome == Unknown("the client failed: RuntimeError")


@pytest.mark.parametrize("status", ["400 No", "500 Oops", "401 No"])
def test_no_outcome_shows_the_token_a_number_or_a_variable(
    status: str, raw_server: MakeServer, make_api: MakeApi, token: str
) -> None:
    """An API that echoes all it got learns nobody else anything."""
    said = {"detail": f"{token} sent +919876543210 for Asha Rao"}
    outcome = make_api(raw_server(sending(http(status, said))).url).create(BODY, KEY)
    assert not isinstance(outcome, Created)
    shown = repr(outcome)
    assert token not in shown
    assert "9876543210" not in shown
    assert "Asha" not in shown


def test_many_threads_share_one_client_and_its_connections(
    raw_server: MakeServer, make_api: MakeApi
) -> None:
    """Each create is sent once, whoever else is sending, and connections are reused."""
    connections: list[socket.socket] = []

    def handle(connection: socket.socket, _: bytes) -> None:
        connections.append(connection)
        connection.sendall(OK)

    server = raw_server(handle, keep=True)
    api = make_api(server.url)
    outcomes: list[object] = []

    def work() -> None:
        outcomes.extend(api.create(BODY, KEY) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Created("bat_1", "pending", 1)] * 20
    assert len(server.requests) == 20
    assert len({id(connection) for connection in connections}) <= 4


def test_an_unusable_environment_is_rejected_with_a_hint(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate file that is not there keeps everything here."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    outcome = make_api("https://127.0.0.1:1").create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert not outcome.retry
    assert "SSL_CERT_FILE" in outcome.hint
