"""A fork server of real commands, for state in git: killed, stopped and sabotaged where it is told.

It is the server of `tests.proof.killed_apply` with another idea of what a run is. An order has
`arguments`, `environment`, `directory`, `out` (a path: `.out`, `.err` and `.trace` are added),
`clock` (a file with the seconds by which all clocks of this world are ahead; it may change while a
run lives, as it does for a runner that was suspended), `wall` (seconds by which this run's own wall
clock is wrong), `at` (the number or name of the boundary where something is done to it), `act`
(`kill`: SIGKILL, `stop`: SIGSTOP) and `sabotage` (names of SABOTAGE).

A boundary is crossed before and after each process of git, each request to the API and each save,
on whatever thread does it. Beside that, only waiting times are shortened.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

import reconciler.cli
from reconciler.api.client import HttpBatchApi
from reconciler.apply import preparing
from reconciler.apply.lookup import Lookup, Sighting
from reconciler.apply.sending import Workers
from reconciler.cli import (  # so that no fork has to import
    adopt,  # noqa: F401 - see above
    apply,
    doctor,  # noqa: F401 - see above
    git_state,  # noqa: F401 - see above
    state,  # noqa: F401 - see above
)
from reconciler.plan import settling
from reconciler.state import git_store
from reconciler.state.document import begins
from reconciler.state.git import Git
from reconciler.state.git_store import GitStore
from reconciler.system import SystemClock
from tests.proof import killed_apply as server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.proof.killed_apply import Patch

_ACTS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_ASKS = frozenset(
    {
        "cat-file", "config", "diff-tree", "log", "ls-tree", "merge-base", "rev-parse",
        "symbolic-ref",
    }
)  # fmt: skip
"""What git is only asked on this machine: a death there is a death at the next step."""


class Crossings(server.Boundaries):
    """Counts the steps a run takes, writes each down, and acts at the one it is told to."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        super().__init__(order)
        self._at = order.get("at")
        self._act = _ACTS.get(order.get("act", "kill"))

    def cross(self, name: str) -> None:
        """Cross one boundary, or end or stop there."""
        with self._lock:
            number = next(self._numbers)
            os.write(self._trace, f"{name}\n".encode())
            if self._act and self._at in {number, name}:
                self._at = None
                os.kill(os.getpid(), self._act)
                if self._act is signal.SIGKILL:
                    time.sleep(60)  # other threads may run on for a moment; this one must not

    def git(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what runs git."""

        def outer(self_: Git, arguments: Any, *rest: Any) -> Any:
            if arguments[0] in _ASKS:
                return inner(self_, arguments, *rest)
            return self.around(f"git {arguments[0]}")(inner)(self_, arguments, *rest)

        return outer

    def patches(self) -> Iterator[Patch]:
        """Give every boundary as a patch."""
        yield Git, "_run", self.git
        yield GitStore, "save", self.around("save")
        for name in (*server.API_CALLS, "pause", "resume", "batch_contacts"):
            yield HttpBatchApi, name, self.around(name)


class _SmallDice:
    """Draws the shortest of all times to wait."""

    @staticmethod
    def uniform(_least: float, _most: float) -> float:
        """Give a moment."""
        return 0.01


def _in_no_time() -> Iterator[Patch]:
    """Shorten the waiting between two tries of runs that met."""
    yield git_store, "_pause", lambda _: lambda _: time.sleep(0.01)
    yield apply, "random", lambda _: _SmallDice
    yield preparing, "_FIRST_PAUSE", lambda _: 0.001
    yield preparing, "_LONGEST_PAUSE", lambda _: 0.002


def _clocks(order: Mapping[str, Any]) -> Iterator[Patch]:
    """Let the clocks be ahead by what a file says, and the wall clock be wrong beside that."""
    path = Path(order["clock"])

    def ahead() -> float:
        with suppress(ValueError):
            return float(path.read_text("utf-8"))
        return ahead()  # it is being written

    wall = timedelta(seconds=order.get("wall", 0.0))
    yield SystemClock, "now", lambda now: lambda self: now(self) + timedelta(seconds=ahead()) + wall
    yield SystemClock, "elapsed", lambda elapsed: lambda self: elapsed(self) + ahead()


def _without_intents(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Push outcomes, and never an intent."""

    def outer(store: Any, after: Any, **named: Any) -> Any:
        known = store._known
        if begins(known, after, named["touched"]):
            store._known = after
            return after
        return inner(store, after, **named)

    return outer


def _sees_nothing(_: Any) -> Callable[..., Sighting]:
    return lambda _lookup, _campaign, wanted: Sighting(absent=frozenset(w.key for w in wanted))


def _forced(inner: Callable[..., Any]) -> Callable[..., Any]:
    return lambda git, remote, commit, branch: inner(git, remote, f"+{commit}", branch)


def _endless(post: Callable[..., Any]) -> Callable[..., Any]:
    """Send whatever was recorded, however long ago."""

    def outer(workers: Any, job: Any) -> Any:
        workers.lease = float("inf")
        return post(workers, job)

    return outer


def _impolite(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Take the intent of a run that is alive for that of a dead one, as old as can be."""

    def outer(name: str, record: Any, facts: Any, *rest: Any) -> Any:
        if record.key in facts.absent:
            return settling.CreateAgain()
        return inner(name, replace(record, expires_at=None), facts, *rest)

    return outer


def _nothing(_: Any) -> Callable[..., None]:
    return lambda *_, **__: None


def _none(*_: Any) -> list[Any]:
    return []


SABOTAGE: Mapping[str, tuple[Patch, ...]] = {
    "intents are not pushed": ((GitStore, "save", _without_intents),),
    "nothing is ever found": (
        (Lookup, "look", _sees_nothing),
        (Lookup, "unknown", lambda _: _none),
    ),
    "pushes are forced": ((Git, "push", _forced),),
    "a lease has no end for its holder": ((Workers, "_post", _endless),),
    "a lease means nothing to others": ((settling, "verdict", _impolite),),
    "nothing is superseded": ((GitStore, "require_current", _nothing),),
}
"""Ways to break the product: the proof must notice each of them."""


def _run(order: Mapping[str, Any]) -> int:
    """Be the command, in the forked process."""
    server._begin(order)
    server._patched(server._impatient())
    server._patched(_in_no_time())
    server._patched(_clocks(order))
    for name in order.get("sabotage", ()):
        server._patched(iter(SABOTAGE[name]))
    server._patched(Crossings(order).patches())
    return reconciler.cli.run(order["arguments"])


if __name__ == "__main__":
    server._run = _run
    server.serve()
