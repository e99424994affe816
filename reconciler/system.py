"""The real clock and the real ids, the adapters of two ports; and reading much at once."""

from __future__ import annotations

import gc
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from reconciler.ports import Clock

# A laptop's lid or a suspended virtual machine stops CLOCK_MONOTONIC; a lease must not stop.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks. Wall-clock times are whole milliseconds, as state keeps them."""

    def now(self) -> datetime:
        """Give the wall-clock time, aware, in UTC."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def elapsed(self) -> float:
        """Give seconds on a clock that runs on through suspension."""
        return time.clock_gettime(_ELAPSED)


class ServerClock:
    """The API's clock, as far as it told it: what several machines agree on.

    Machines disagree about the time, and intents of one are judged by another. `skew` gives how far
    the API is ahead of this machine.
    """

    def __init__(self, clock: Clock, skew: Callable[[], timedelta]) -> None:
        self._clock = clock
        self._skew = skew

    def now(self) -> datetime:
        """Give the time by the API's clock, aware, in UTC."""
        return self._clock.now() + self._skew()

    def elapsed(self) -> float:
        """Give this machine's elapsed seconds; durations need no agreement."""
        return self._clock.elapsed()


class RandomIds:
    """Ids of 128 random bits."""

    def unique(self) -> str:
        """Give 32 hexadecimal digits."""
        return os.urandom(16).hex()  # what the module `secrets` gives, without its import


@contextmanager
def without_gc() -> Iterator[None]:
    """Keep the garbage collector from walking all that was just read, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
