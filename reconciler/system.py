"""The real clock and the real ids: the adapters of two ports."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

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


class RandomIds:
    """Ids of 128 random bits."""

    def unique(self) -> str:
        """Give 32 hexadecimal digits."""
        return secrets.token_hex(16)
