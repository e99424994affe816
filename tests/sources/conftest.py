"""Roots with lists of every kind, a double of an object store on loopback, and keys of age.

The double answers as S3 does, path style, and misbehaves as it is told: `faults` are taken one by
one, the last of them for good. It stands in for a web server too.
"""

from __future__ import annotations

import os
import ssl
import sys
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrage  # type: ignore[import-untyped]  # it has no types
import pytest

from reconciler.cli import run
from reconciler.spec.lists import remote
from reconciler.spec.load import load_specs
from tests.spec import conftest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import SpecSet

TLS = Path(__file__).parent / "tls"


class Root(conftest.Root):
    """A batches root under test, with lists beside its specs."""

    def naming(self, file: str, more: str = "", name: str = "a.yaml") -> Path:
        """Put a spec below the root that names a list; `more` are further fields of it."""
        indented = "".join(f"  {line}\n" for line in more.splitlines())
        return self.write(name, f"{conftest.HEAD}contacts:\n  file: {file}\n{indented}")

    def load(self, *, secrets: bool = True) -> SpecSet:
        """Read the root."""
        return load_specs(self.path, shown="batches", secrets=secrets)

    def said(self) -> str:
        """Read the root and give the one error there is, with its hint."""
        loaded = self.load()
        assert not loaded.specs
        (one,) = loaded.diagnostics
        return f"{one.file}:{one.line}:{one.column}: {one.field}: {one.message}; {one.hint}"

    def digest(self, name: str) -> str:
        """Read the root, in which all is sound, and give one spec's digest."""
        loaded = self.load()
        assert [one.message for one in loaded.diagnostics] == []
        return next(spec.digest for spec in loaded.specs if spec.name == name)


@dataclass
class Store:
    """What the double holds, how it misbehaves, and what it was asked."""

    url: str = ""
    server: ThreadingHTTPServer | None = None
    objects: dict[str, bytes] = field(default_factory=dict)
    """By path, with the bucket: `/lists/may.csv`."""
    faults: list[str] = field(default_factory=list)
    location: str = ""
    ranges: bool = True
    """Whether it can go on in the middle of an object."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def encrypt(self, certificate: str) -> None:
        """Serve over TLS, with one of the certificates that lie beside this file."""
        assert self.server is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / certificate)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = self.url.replace("http:", "https:")

    def fault(self) -> str:
        """Take the next fault; the last one stays."""
        if not self.faults:
            return ""
        return self.faults.pop(0) if len(self.faults) > 1 else self.faults[0]


class _Handler(BaseHTTPRequestHandler):
    """Answers for the store of its server."""

    protocol_version = "HTTP/1.1"
    store: Store

    def do_GET(self) -> None:
        """Answer, or misbehave."""
        store = self.store
        store.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        data = store.objects.get(self.path)
        match store.fault():
            case "silence":
                store.release.wait(30)
                self.close_connection = True
            case "lengthless" if data is not None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
            case status if status.isdigit():
                headers = {"Location": store.location} if store.location else {}
                self._answer(int(status), b"<Error>swordfish</Error>", headers)
            case fault:
                self._object(data, cut=fault == "cut")

    def _object(self, data: bytes | None, *, cut: bool) -> None:
        if data is None:
            self._answer(404, b"", {})
        elif "Range" in self.headers and self.store.ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
            about = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self._answer(206, data[start:], about)
        else:
            self._answer(200, data, {}, sent=len(data) // 2 if cut else None)

    def _answer(
        self, status: int, data: bytes, headers: dict[str, str], sent: int | None = None
    ) -> None:
        self.send_response(status)
        about = {"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        for name, value in {**about, **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:sent])
        if sent is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """Says nothing of a client that does not like its certificate."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of everything else."""
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what whoever runs the tests has out of them, and failures short."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "RECONCILER_AGE_")):
            monkeypatch.delenv(name)
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    quick = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5)}
    monkeypatch.setitem(remote._RETRIES, "backoff", {**quick, "base": 2})
    monkeypatch.setitem(remote._RETRIES, "max_retries", 2)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Give an empty batches root."""
    path = tmp_path / "batches"
    path.mkdir()
    return Root(path)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Serve a double of an object store, which the environment names."""
    store = Store()
    handler = type("Handler", (_Handler,), {"store": store})
    server = _Server(("127.0.0.1", 0), handler)
    store.server = server
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "swordfish")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
    yield store
    store.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Keys:
    """An age identity, as text, and what encrypts for it."""

    secret: str = field(repr=False)
    public: Any

    def seal(self, data: bytes) -> bytes:
        """Encrypt."""
        return bytes(pyrage.encrypt(data, [self.public]))


def new_keys() -> Keys:
    """Make an identity."""
    identity = pyrage.x25519.Identity.generate()
    return Keys(str(identity), identity.to_public())


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Keys:
    """Give an identity that the environment holds."""
    keys = new_keys()
    monkeypatch.setenv("RECONCILER_AGE_KEY", keys.secret)
    return keys


@pytest.fixture
def other_keys() -> Keys:
    """Give an identity that the environment does not hold."""
    return new_keys()


@pytest.fixture
def reconciler(
    root: Root, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    """Give a function that runs a command beside the root: its status, and all it said."""
    monkeypatch.chdir(root.path.parent)

    def command(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        status = run(list(arguments))
        said = capfd.readouterr()
        return status, said.out + said.err

    return command
