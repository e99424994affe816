"""The sandbox as its users hold it: `Sandbox` in this process, `serve` in the foreground.

Starting takes a fraction of a second and stopping is immediate, also while faults hold connections
open: those are cut off.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from reconciler.sandbox.app import PREFIX, App, Settings
from reconciler.sandbox.database import Database
from reconciler.sandbox.endpoints import Endpoints
from reconciler.sandbox.faultbook import FaultBook
from reconciler.sandbox.journal import Entry, Journal
from reconciler.sandbox.oracle import Dial, KnownBatch, Oracle
from reconciler.sandbox.store import Store
from reconciler.sandbox.wire import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path
    from types import FrameType

DEFAULT_ORGANIZATION = "org_sandbox"


class Sandbox:
    """The embedded API on 127.0.0.1, in a background thread of this process.

    `database` is a file that outlives the sandbox and may be shared with other processes; None
    keeps everything in memory, until `stop`. `port` 0 picks a free one. `seed` decides how calls
    end (for a new database) and when faults with a probability strike. `speed` is simulated
    seconds per second, None for what the database has. `latency` delays every answer by so many
    real seconds. `accept_any_campaign` makes unknown campaigns appear, except `cmp_missing…`.
    `token` None accepts any that begins with `gat_`. `organization` given, requests that name
    another are refused with 403. `now` sets the simulated clock of a new database.
    """

    def __init__(
        self,
        database: Path | None = None,
        *,
        port: int = 0,
        seed: int = 0,
        speed: float | None = None,
        latency: float = 0.0,
        accept_any_campaign: bool = False,
        token: str | None = None,
        organization: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self._port = port
        self._database = Database(database, seed=seed, speed=speed, now=now)
        self._store = Store(
            self._database,
            organization=organization or DEFAULT_ORGANIZATION,
            accept_any_campaign=accept_any_campaign,
        )
        self.faults = FaultBook(self._database, seed)
        self._journal = Journal(self._database)
        self._oracle = Oracle(self._database, self._store)
        self._app = App(
            settings=Settings(token=token, latency=latency),
            database=self._database,
            store=self._store,
            endpoints=Endpoints(self._store, organization=organization),
            faults=self.faults,
            journal=self._journal,
            oracle=self._oracle,
        )
        self._running: Background | None = None

    @property
    def url(self) -> str:
        """The API's base URL, `http://127.0.0.1:PORT/api/v1`; RuntimeError before `start`."""
        return self.origin + PREFIX

    @property
    def origin(self) -> str:
        """The server's root, where `/_sandbox` is; RuntimeError before `start`."""
        if self._running is None:
            raise RuntimeError("the sandbox is not running")
        return f"http://127.0.0.1:{self._running.port}"

    def start(self) -> Self:
        """Serve; OSError when the port is taken. May be called again after nothing but `stop`."""
        if self._running is not None:
            raise RuntimeError("the sandbox is running already")
        running = Background(self._app.asgi, self._port)
        self._app.connection = running.server.connection
        running.start()
        self._running = running
        return self

    def stop(self) -> None:
        """Cut off every connection, free the port and close the database. Harmless when stopped."""
        self.disconnect()
        self._database.close()

    def disconnect(self) -> None:
        """Go offline, keeping the data: `start` brings the same API back, on the same port."""
        if self._running is not None:
            self._port = self._running.port
            self._running.stop()
            self._running = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self, operation: str | None = None) -> list[Entry]:
        """Give every request so far, in the order of arrival; of one operation, if given."""
        entries = self._journal.entries()
        return [entry for entry in entries if operation in {None, entry.operation}]

    def dials(self) -> list[Dial]:
        """Give every time that a phone rang, in order: the oracle for "nobody is called twice"."""
        return self._oracle.dials()

    def batches(self) -> list[KnownBatch]:
        """Give every batch that exists, hidden or not, the oldest first."""
        return self._oracle.batches()

    def now(self) -> datetime:
        """Give the simulated time, aware."""
        return self._oracle.now()

    def skip(self, batch_id: str, phone_number: str) -> bool:
        """Take out somebody who waits, as a person can in the console; False when nobody waits."""
        return self._oracle.skip(batch_id, phone_number)

    def advance(self, seconds: float) -> datetime:
        """Move the simulated time on; calls and late arrivals up to then have then happened."""
        return self._oracle.advance(seconds)

    def add_campaign(self, campaign: Mapping[str, Any]) -> None:
        """Put a campaign there, in the API's shape (see `reconciler.sandbox.campaigns`)."""
        self._store.add_campaign(campaign)


def serve(
    database: Path | None = None,
    *,
    port: int = 0,
    on_ready: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> None:
    """Run a sandbox in the foreground until SIGINT or SIGTERM; the main thread only.

    `on_ready` is called once with the base URL when it serves. `settings` are those of `Sandbox`.
    """
    ended = threading.Event()
    with _on_signals(ended.set), Sandbox(database, port=port, **settings) as sandbox:
        on_ready(sandbox.url)
        ended.wait()


@contextlib.contextmanager
def _on_signals(action: Callable[[], None]) -> Iterator[None]:
    """Do `action` on SIGINT and SIGTERM, and put the handlers back afterwards."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        action()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
