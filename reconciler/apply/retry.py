"""When a request that was certainly not created is tried again. The one retry rule for creates.

Only "not now" is retried: a 429, or a connection that was never made. A 429 speaks for the whole
account: it holds back every request and not only its own, and how long it lasts is counted from the
first one after the API last took anything.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.apply.sending import Job
    from reconciler.observed import Rejected
    from reconciler.ports import Clock

TOO_MANY = 429
PATIENCE = {True: 60.0, False: 10.0}
"""Seconds that an API is waited for which answers "not now", and one that is not there."""
FIRST = 0.5
LONGEST = 20.0


class Retry:
    """Decides about retries for one run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._in_a_row = 0
        self._busy_since = math.inf
        self.closed_until = 0.0
        """Until when (of `Clock.elapsed`) nothing new is sent at all."""

    def success(self) -> None:
        """Take note that the API takes requests again."""
        self._in_a_row = 0
        self._busy_since = math.inf

    @property
    def gave_up(self) -> bool:
        """Whether the API has said "not now" for so long that nothing more is tried."""
        return self.closed_until == math.inf

    def again_at(self, job: Job, rejected: Rejected) -> float | None:
        """Say when to send a rejected request again (of `Clock.elapsed`), None for never."""
        if not rejected.retry:
            return None
        now = self._clock.elapsed()
        if job.first_tried_at is None:
            job.first_tried_at = now
        job.tries += 1
        busy = rejected.status == TOO_MANY
        pause = self._pause(job.tries, rejected.retry_after)
        self._busy_since = min(self._busy_since, now) if busy else self._busy_since
        over = now + pause > (self._busy_since if busy else job.first_tried_at) + PATIENCE[busy]
        if busy:
            self._in_a_row += 1
            self.closed_until = max(self.closed_until, math.inf if over else now + pause)
        return None if over else now + pause

    def _pause(self, tries: int, asked: float | None) -> float:
        if asked is not None:
            # Not all at the same moment, and never before the time that was asked for.
            return asked + random.uniform(0, 0.1)  # noqa: S311 - spreads load, guards nothing
        backoff: float = min(FIRST * 2.0 ** (max(tries, self._in_a_row) - 1), LONGEST)
        return backoff * random.uniform(0.75, 1.25)  # noqa: S311 - as above
