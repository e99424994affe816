"""The one retry rule, for what is safe to send again. Creates never come here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import threading

    from reconciler.ports import Clock


class Patience(Struct, frozen=True):
    """How often and how long: `tries` in all, `first` seconds before the second, then doubling.

    No further try starts when it would be later than `longest` seconds after the first.
    """

    tries: int = 4
    first: float = 0.5
    longest: float = 30.0


class Turn:
    """The tries of one call."""

    def __init__(self, patience: Patience, clock: Clock, stop: threading.Event) -> None:
        self._patience = patience
        self._clock = clock
        self._stop = stop
        self._began = clock.elapsed()
        self._waited = 0.0
        self._used = 1

    def again(self, asked: float | None) -> bool:
        """Wait, and tell whether to try again; `asked` is what `Retry-After` said, in seconds.

        Half to all of the step is waited, so that many callers do not come back in one moment.
        """
        if self._used >= self._patience.tries:
            return False
        step = self._patience.first * 2 ** (self._used - 1)
        spread = random.uniform(0.5, 1)  # noqa: S311 - spreading load needs no secrecy
        delay = asked if asked is not None else step * spread
        spent = max(self._waited, self._clock.elapsed() - self._began)
        if spent + delay > self._patience.longest or self._stop.wait(delay):
            return False
        self._waited += delay
        self._used += 1
        return True
