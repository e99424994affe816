"""Doubles for the API's tests: a clock that stands still, and servers that misbehave on purpose."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import pytest

from reconciler.api.client import HttpBatchApi
from reconciler.api.config import ApiConfig
from reconciler.api.retry import Patience

if TYPE_CHECKING:
    from reconciler.ports import BatchApi

TOKEN = "gat_test-token-0123456789"  # noqa: S105 - a test's token
NOW = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)

Handler = Callable[[socket.socket], None]


class StillClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Give always the same moment."""
        return NOW

    def elapsed(self) -> float:
        """Give always the same second."""
        return 100.0


class RawServer:
    """Accepts connections and hands each one to `handle`, which may do what no HTTP server does.

    `requests` holds everything that arrived, one entry a request whose headers were complete.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[bytes] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._start(self._accept)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc] # mypy does not type a default

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._handle(connection)

    def close(self) -> None:
        """Close everything, and wait for the threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)


def read_request(connection: socket.socket, *, whole: bool = True) -> bytes:
    """Read one request, with its body if `whole`; less when the other side ends early."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    if not whole:
        return data
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return head + b"\r\n\r\n" + body


class MakeServer(Protocol):
    """Starts a raw server."""

    def __call__(
        self,
        handle: Callable[[socket.socket, bytes], None],
        *,
        whole: bool = True,
        keep: bool = False,
        raw: bool = False,
    ) -> RawServer:
        """Start one that reads a request from each connection and hands both to `handle`.

        Without `whole` only the headers are read first; with `keep` a connection serves many;
        with `raw` nothing is read.
        """


class MakeApi(Protocol):
    """Makes a client."""

    def __call__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        organization_id: str | None = None,
        stop: threading.Event | None = None,
        tries: int = 4,
    ) -> HttpBatchApi:
        """Make one that waits next to nothing between tries."""


@pytest.fixture
def raw_server() -> Iterator[MakeServer]:
    """Start servers that do anything to a connection, and stop them at the end."""
    servers: list[RawServer] = []

    def make(
        handle: Callable[[socket.socket, bytes], None],
        *,
        whole: bool = True,
        keep: bool = False,
        raw: bool = False,
    ) -> RawServer:
        def serve(connection: socket.socket) -> None:
            if raw:
                handle(connection, b"")
                return
            while request := read_request(connection, whole=whole):
                server.requests.append(request)
                handle(connection, request)
                if not keep:
                    break

        server = RawServer(serve)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def make_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeApi]:
    """Make clients in an environment without proxies, and close them at the end."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    clients: list[HttpBatchApi] = []

    def make(
        url: str,
        *,
        timeout: float = 5.0,
        organization_id: str | None = None,
        stop: threading.Event | None = None,
        tries: int = 4,
    ) -> HttpBatchApi:
        config = ApiConfig(url=url, token=TOKEN, timeout=timeout, organization_id=organization_id)
        patience = Patience(tries=tries, first=0.001)
        client = HttpBatchApi(config, clock=StillClock(), stop=stop, patience=patience)
        clients.append(client)
        port: BatchApi = client  # mypy checks here that the port is implemented
        assert port is client
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def token() -> str:
    """Give the token every client here uses."""
    return TOKEN


@pytest.fixture
def still_clock() -> StillClock:
    """Give a clock that stands still."""
    return StillClock()
