"""A fork server that runs the real command in real processes, and kills them where it is told to.

Started once by the tests, with everything imported; each run is a fork of it, so a run costs
milliseconds and can still be sent SIGKILL like any process. It stays single-threaded, because only
then is forking safe. Orders come in as JSON lines on stdin, and `{"started": pid}` and
`{"ended": pid, "status": n}` go out on stdout (`status` as `subprocess` has it: -9 for SIGKILL).

An order: `arguments` (of the command), `environment`, `directory`, `out` (a path: `.out`, `.err`,
`.trace` and `.intended` are added), `clock` (seconds by which the wall clock is off), `kill_at`
(the number of the boundary to die at), `kill_on` (its name: die there the first time), `power` (die
as the machine does when the power goes: what was not synced is gone), `full_from` (the save from
which on the disk is full), `sabotage` (names of SABOTAGE).

Boundaries are crossed before and after each step by which `apply` touches the world, on whatever
thread does it. They are wrapped around the product's own functions from outside: nothing in the
product knows of this. Beside that, only waiting times are shortened.
"""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import itertools
import json
import os
import select
import signal
import ssl
import stat
import sys
import threading
import time
from datetime import timedelta
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import reconciler.cli
from reconciler.api import client as api_client
from reconciler.api import outcome
from reconciler.api.client import HttpBatchApi
from reconciler.api.retry import Patience
from reconciler.apply import retry, verifier
from reconciler.apply.engine import Engine
from reconciler.apply.lookup import Lookup, Sighting
from reconciler.apply.recorder import Recorder
from reconciler.cli import app, apply, plan, resolve  # noqa: F401 - so that no fork has to import
from reconciler.observed import Rejected, Unknown
from reconciler.plan import settling
from reconciler.plan.actions import Reason
from reconciler.state import file
from reconciler.state.file import FileStore
from reconciler.system import SystemClock
from tests.proof.witness import statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Patch = tuple[Any, str, Callable[[Any], Any]]

API_CALLS = ("create", "listing", "batch", "cancel", "campaign")
_HERE = Path(__file__)


class Boundaries:
    """Counts the steps a run takes, writes each down, and dies at the one it is told to.

    `durable` is what the state file is sure to hold after a power cut: its content when its
    directory was last synced. The key of each create that is begun while that holds its intent is
    put down as `intended`.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._kill_at = order.get("kill_at")
        self._kill_on = order.get("kill_on")
        self._power = bool(order.get("power"))
        self._state = Path(order["directory"], "batches", "state.json")
        self.durable = self._state.read_bytes() if self._state.exists() else None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._trace, self._intended = (
            os.open(order["out"] + suffix, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for suffix in (".trace", ".intended")
        )

    def cross(self, name: str) -> None:
        """Cross one boundary, or die there."""
        with self._lock:
            number = next(self._numbers)
            os.write(self._trace, f"{name}\n".encode())
            if name == "sync directory: after":
                self.durable = self._state.read_bytes()
            if number == self._kill_at or name == self._kill_on:
                if self._power:
                    self._lose_what_was_not_synced()
                os.kill(os.getpid(), signal.SIGKILL)
                # Other threads may run on for a moment; this one must do nothing more.
                time.sleep(60)

    def _lose_what_was_not_synced(self) -> None:
        """Put the disk back to what was synced; `os` alone, for `Path.open` crosses boundaries."""
        for left in self._state.parent.glob(".*.tmp"):
            os.truncate(left, 0)
        if self.durable is None:
            self._state.unlink(missing_ok=True)
        else:
            # In one step: the witness looks at the file whenever a request is answered.
            back = f"{self._state}.back"
            file = os.open(back, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(file, self.durable)
            Path(back).rename(self._state)

    def around(self, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Give a wrapper that crosses a boundary before and after a function."""

        def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
            def outer(*arguments: Any, **named: Any) -> Any:
                self.cross(f"{name}: before")
                result = inner(*arguments, **named)
                self.cross(f"{name}: after")
                return result

            return outer

        return wrap

    def intended(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a create: the last look before it is sent is at what is durable."""

        def outer(api: Any, body: bytes, key: str, **named: Any) -> Any:
            with self._lock:
                if self.durable is not None and statuses(self.durable).get(key) == "creating":
                    os.write(self._intended, f"{key}\n".encode())
            return inner(api, body, key, **named)

        return outer

    def sync(self, inner: Callable[[int], None]) -> Callable[[int], None]:
        """Wrap `os.fsync`, telling a file from its directory."""

        def outer(descriptor: int) -> None:
            kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
            self.around(f"sync {kind}")(inner)(descriptor)

        return outer

    def opening(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `Path.open`: a temporary file is written in two halves with a boundary between."""
        boundaries = self

        class Halves(BufferedWriter):
            def write(self, data: Any) -> int:
                middle = len(data) // 2
                super().write(data[:middle])
                self.flush()
                boundaries.cross("write half")
                super().write(data[middle:])
                return len(data)

        def outer(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if mode == "wb" and path.suffix == ".tmp":
                boundaries.cross("open temporary: before")
                return Halves(FileIO(path, "w"))
            return inner(path, mode, *rest, **named)

        return outer

    def patches(self) -> Iterator[Patch]:
        """Give every boundary as a patch."""
        yield FileStore, "save", self.around("save")
        yield os, "fsync", self.sync
        yield Path, "open", self.opening
        yield Path, "replace", self.around("replace")
        yield HttpBatchApi, "create", self.intended
        for name in API_CALLS:
            yield HttpBatchApi, name, self.around(name)


def _impatient(busy: float = 0.3) -> Iterator[Patch]:
    """Shorten waiting, and nothing else; `busy` is for how long an API may say "not now"."""
    yield (
        api_client,
        "Patience",
        lambda _: lambda **given: Patience(**{"tries": 2, "first": 0.01, **given}),
    )
    yield retry, "FIRST", lambda _: 0.01
    yield retry, "PATIENCE", lambda _: {True: busy, False: 0.1}
    yield verifier, "FIRST_PAUSE", lambda _: 0.01


def _shifted(seconds: float) -> Iterator[Patch]:
    """Set the wall clock off by so many seconds; the clock for durations knows nothing of it."""

    def shift(now: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda clock: now(clock) + timedelta(seconds=seconds)

    if seconds:
        yield SystemClock, "now", shift


def _full_disk(first: int) -> Iterator[Patch]:
    """Let every save from the `first` on (counting from 1) fail as it does on a full disk."""
    saves = itertools.count(1)
    full = False

    def save(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*arguments: Any, **named: Any) -> Any:
            nonlocal full
            full = next(saves) >= first
            return inner(*arguments, **named)

        return outer

    def sync(inner: Callable[[int], None]) -> Callable[[int], None]:
        def outer(descriptor: int) -> None:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            inner(descriptor)

        return outer

    yield FileStore, "save", save
    yield os, "fsync", sync


def _unlocked(_: Any) -> Callable[..., Any]:
    from contextlib import nullcontext  # noqa: PLC0415 - for one sabotage

    return lambda _store: nullcontext()


def _without_intents(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Store outcomes, and never an intent."""

    def outer(store: Any, state: Any, **named: Any) -> Any:
        done = all(not record.in_doubt for _, _, record in state.requests())
        return inner(store, state, **named) if done else state

    return outer


def _intents_too_late() -> Iterator[Patch]:
    """Store an intent only when its create has been answered."""
    held: list[Callable[[], Any]] = []

    def save(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(store: Any, state: Any, **named: Any) -> Any:
            if not any(record.in_doubt for _, _, record in state.requests()):
                return inner(store, state, **named)
            held.append(lambda: inner(store, state, **named))
            return state

        return outer

    def create(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*arguments: Any, **named: Any) -> Any:
            result = inner(*arguments, **named)
            while held:
                held.pop(0)()
            return result

        return outer

    yield FileStore, "save", save
    yield HttpBatchApi, "create", create


def _any_error_is_a_no(_: Any) -> Callable[[int], bool]:
    return lambda status: status >= 400


def _silence_is_a_no(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Take a create that got no answer for one that was refused."""

    def outer(*arguments: Any, **named: Any) -> Any:
        result = inner(*arguments, **named)
        if isinstance(result, Unknown) and result.status is None:
            return Rejected(result.reason)
        return result

    return outer


def _sees_nothing(_: Any) -> Callable[..., Sighting]:
    return lambda _lookup, _campaign, wanted: Sighting(absent=frozenset(w.key for w in wanted))


def _hasty(_: Any) -> Callable[..., Any]:
    """Settle as if every attempt were old enough."""
    return lambda _name, record, facts, _rules, _now: (
        settling.CreateAgain()
        if record.key in facts.absent
        else settling.StillInDoubt(Reason.IN_DOUBT, "not seen", "")
    )


def _none(*_: Any) -> list[Any]:
    return []


def _in_place(_: Any) -> Callable[..., Any]:
    return lambda _store, path, data: path.write_bytes(data)


def _nothing(*_: Any) -> None:
    return None


def _nothing_begins(*_: Any) -> bool:
    return False


SABOTAGE: Mapping[str, tuple[Patch, ...]] = {
    "no intent is stored": ((FileStore, "save", _without_intents),),
    "intents are stored too late": tuple(_intents_too_late()),
    "any error is a no": ((outcome, "is_rejection", _any_error_is_a_no),),
    "silence is a no": ((HttpBatchApi, "create", _silence_is_a_no),),
    "nothing is ever found": (
        (Lookup, "look", _sees_nothing),
        (Lookup, "unknown", lambda _: _none),
    ),
    "no waiting before creating again": ((settling, "_absence", _hasty),),
    "the lock does nothing": ((FileStore, "exclusive", _unlocked),),
    "a changed state is not noticed": ((file, "begins", lambda _: _nothing_begins),),
    "a state that moved is not heeded": (
        (Engine, "_note_moved", lambda _: _nothing),
        (Recorder, "batch_at", lambda _: _nothing),
    ),
    "the state is written in place": ((FileStore, "_replace", _in_place),),
}
"""Ways to break the product: the proof must notice each of them."""


def _patched(patches: Iterator[Patch]) -> None:
    for owner, name, wrap in patches:
        setattr(owner, name, wrap(getattr(owner, name)))


def _begin(order: Mapping[str, Any]) -> None:
    """Have the forked process stand where the command would: streams, directory, environment."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, suffix in ((1, ".out"), (2, ".err")):
        file = os.open(order["out"] + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])


def _run(order: Mapping[str, Any]) -> int:
    """Be the command, in the forked process."""
    _begin(order)
    # Where a run is to get through after two such answers, a slow machine must not keep it from it.
    _patched(_impatient(busy=2.0))
    _patched(_shifted(order.get("clock", 0.0)))
    for name in order.get("sabotage", ()):
        _patched(iter(SABOTAGE[name]))
    if order.get("full_from"):
        _patched(_full_disk(order["full_from"]))
    _patched(Boundaries(order).patches())
    return reconciler.cli.run(order["arguments"])


def _leave(code: int) -> NoReturn:
    """End as the interpreter would (waiting for threads that it waits for), but for its cleaning.

    Taking everything imported apart again costs more than the whole run.
    """
    threading._shutdown()  # type: ignore[attr-defined] # what the interpreter itself calls first
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _warm_up() -> None:
    """Do once what every run would do again: imports, reading certificates, building validators."""
    for module in ("certifi", "encodings.idna", "filelock", "httpcore", "reconciler.api.config"):
        importlib.import_module(module)
    context = ssl.create_default_context()
    _patched(iter([(ssl, "create_default_context", lambda _: lambda *_, **__: context)]))
    os.environ["PATH"] = ""
    reconciler.cli.run(["--batches", str(_HERE.parent / "no-such-root"), "validate"])
    gc.freeze()


def _reap(alive: set[int]) -> None:
    for pid in list(alive):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            alive.remove(pid)
            _tell(ended=pid, status=os.waitstatus_to_exitcode(status))


def _tell(**fields: int) -> None:
    os.write(_REPLIES, json.dumps(fields).encode() + b"\n")


_REPLIES = 1


def serve() -> None:
    """Take orders until stdin ends."""
    global _REPLIES
    # The command writes to the usual descriptors; ours move out of its way.
    orders, _REPLIES = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _warm_up()
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    alive: set[int] = set()
    waiting = b""
    while True:
        ready, _, _ = select.select([orders, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
        _reap(alive)
        if orders not in ready:
            continue
        read = os.read(orders, 65536)
        if not read:
            return
        *lines, waiting = (waiting + read).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (orders, _REPLIES, awake, wake):
                    os.close(descriptor)
                _leave(_run(json.loads(line)))
            alive.add(pid)
            _tell(started=pid)


if __name__ == "__main__":
    serve()
