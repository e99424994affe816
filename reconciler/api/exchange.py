"""One request and its answer, bounded in time, with the proof of whether the request left.

HTTP libraries bound each read, not the whole: a server that drips a byte a second holds a caller
for ever, and looking a name up has no bound at all. So the request runs in another thread, and the
caller waits for it until the deadline and no longer. An exchange given up before it was
connected can never send anything afterwards: the library reports each of its steps (`trace`), and
the first report after giving up raises instead of going on. That makes "it never left" provable.
In the same place the clock is looked at for the last time, with nothing but the sending after it: a
process may be suspended anywhere, for longer than its request is wanted.

Knows nothing of the HTTP library but the names of those steps; a step it does not know counts as
"may have been sent".
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONNECTING = (
    "connect_tcp.started",
    "connect_tcp.failed",
    "start_tls.started",
    "start_tls.failed",
)
_ENDING = (".failed", "response_closed.started", "response_closed.complete")
"""What is over, and hanging up: nothing is sent by that, and who waits for the rest is told."""
_SLICE = 0.2  # seconds between two looks at `stop`

_IDLE = 0.01  # seconds; shorter than `reconciler.spec.parallel` waits for threads to end


class GivenUpError(Exception):
    """Ends the thread of an exchange that nobody waits for any more."""


class Exchange:
    """The state of one request: written by its own thread, read by the caller after `run`.

    `error` is what the library raised, None when it did not; `status` is None until an answer
    began; `body` is what arrived of it, at most `limit` bytes; `complete` tells that this is all.
    `sent` tells that the request may have left, `stopped` that `stop` ended the waiting,
    `held_back` that its time was over when it, or the rest of it, was about to leave.
    """

    def __init__(
        self,
        limit: int,
        *,
        late: Callable[[], bool] = lambda: False,
        over: Callable[[], bool] = lambda: False,
        has_body: bool = False,
    ) -> None:
        """`late` and `over` tell on a clock that no suspension stops.

        `late` is that the request must not begin to leave any more, `over` that no more of it must;
        of one without a body nothing is left to be kept back once its headers are out.
        """
        self._limit = limit
        self._late = late
        self._over = over
        self._has_body = has_body
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False
        self._last_step = ""
        self._stream: Any = None
        self._body = bytearray()
        self.sent = False
        self.too_long = False
        self.stopped = False
        self.held_back = False
        self.complete = False
        self.error: BaseException | None = None
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}

    @property
    def body(self) -> bytes:
        """What arrived of the answer's body."""
        with self._lock:
            return bytes(self._body)

    @property
    def connecting(self) -> bool:
        """Whether the last thing known is an attempt to connect: nothing was sent, nor will be."""
        return not self.sent and self._last_step.endswith(_CONNECTING)

    def run(
        self, perform: Callable[[], None], timeout: float, stop: threading.Event | None
    ) -> None:
        """Run `perform` in a thread; return when it ended, `timeout` passed or `stop` was set.

        `perform` reports through `trace`, `answered` and `take`. Whatever interrupts the waiting
        (Ctrl-C) gives the exchange up as well.
        """
        _THREADS.run(lambda: self._work(perform))
        try:
            if stop is None:
                self._done.wait(timeout)
            else:
                left = timeout
                while left > 0 and not self._done.wait(min(left, _SLICE)):
                    if stop.is_set():
                        self.stopped = True
                        break
                    left -= _SLICE
        finally:
            self._give_up()

    def trace(self, step: str, info: Mapping[str, Any]) -> None:
        """Note a step the library is about to take or took; raise if nobody waits any more."""
        with self._lock:
            if step.endswith(("connect_tcp.complete", "start_tls.complete")):
                self._stream = info.get("return_value")
            leaving = step.endswith("send_request_headers.started")
            going_on = self._has_body and step.endswith("send_request_body.started")
            if not self._given_up and (
                (leaving and self._late()) or ((leaving or going_on) and self._over())
            ):
                self.held_back = True
            if (self._given_up or self.held_back) and not step.endswith(_ENDING):
                if self._stream is not None:
                    self._stream.close()
                raise GivenUpError
            self._last_step = step
            if leaving:
                # A CONNECT only asks a proxy for the way; the request itself comes after it.
                method = getattr(info.get("request"), "method", None)
                self.sent = self.sent or method != b"CONNECT"

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note that an answer began."""
        with self._lock:
            self.status, self.headers = status, headers

    def require_wanted(self) -> None:
        """Raise if nobody waits any more: what is left of a long request is not sent then."""
        with self._lock:
            if self._given_up:
                raise GivenUpError
            if self._over():
                self.held_back = True
                raise GivenUpError

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the body; False when nobody wants more of it."""
        with self._lock:
            if self._given_up:
                return False
            room = self._limit - len(self._body)
            self._body += chunk[:room]
            self.too_long = len(chunk) > room
            return not self.too_long

    def _work(self, perform: Callable[[], None]) -> None:
        error: BaseException | None = None
        try:
            perform()
        except BaseException as raised:  # noqa: BLE001 - handed to the caller as a value
            error = raised
        with self._lock:
            if not self._given_up:
                self.error = error
                self.complete = error is None and self.status is not None and not self.too_long
        self._done.set()

    def _give_up(self) -> None:
        """Freeze what the caller sees, and hang up where the connection is known.

        It is known when it was made for this exchange. A thread on a reused connection ends when
        the server lets go of it; being a daemon, it keeps nobody from leaving.
        """
        with self._lock:
            if self._done.is_set():
                return
            self._given_up = True
            stream = self._stream
        if stream is not None:
            with contextlib.suppress(Exception):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class _Threads:
    """Threads for one exchange at a time each, which they may never be done with.

    A thread serves the next exchange that comes soon, because beginning one costs as much as a
    quick request; otherwise it ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Callable[[], None]]] = []

    def run(self, work: Callable[[], None]) -> None:
        """Have some thread do it, now; it never raises."""
        with self._lock:
            tasks = self._idle.pop() if self._idle else None
        if tasks is None:
            tasks = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(tasks,), daemon=True).start()
        tasks.put(work)

    def _serve(self, tasks: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            try:
                work = tasks.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if tasks in self._idle:
                        self._idle.remove(tasks)
                        return
                continue  # somebody is about to put something in
            work()
            del work  # what it holds is not kept while nothing is to be done
            with self._lock:
                self._idle.append(tasks)


_THREADS = _Threads()
