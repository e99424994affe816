"""A do-not-call list as the rules see it: who is on it, how old it is, and what that means.

Imports nothing that reads anything, so that a rule may look at it and stay pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import Diagnostic

_EASTERNMOST = timedelta(hours=14)
"""So much earlier than in UTC a day begins where it begins first."""


class Numbers(Protocol):
    """Phone numbers that can be looked up, exactly: nobody is taken for anybody else."""

    def __len__(self) -> int:
        """Count them, each once."""

    def common(self, numbers: Sequence[str]) -> list[int]:
        """Give those of some E.164 numbers that are on the list, without their `+`.

        Some thousand at a time, best near each other. Raises `OSError`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class DoNotCall:
    """One do-not-call list of a policy.

    `campaigns` are those it is for, None for all. `drawn` is the day it was drawn. `refuses` tells
    that nobody on it may be in a launch at all; else its people are left out. `numbers` is None
    where it could not be read, and `problems` say why. `withheld` tells that it was not opened
    because no secrets were to be used.
    """

    name: str
    drawn: date | None
    max_age: timedelta
    refuses: bool = False
    campaigns: frozenset[str] | None = None
    numbers: Numbers | None = field(default=None, repr=False)
    problems: tuple[Diagnostic, ...] = ()
    withheld: bool = False

    def is_for(self, campaign_id: str) -> bool:
        """Whether the people a campaign calls are compared with it."""
        return self.campaigns is None or campaign_id in self.campaigns

    def age(self, now: datetime) -> timedelta:
        """Give how long ago its day began in UTC; negative for a day that is still to come."""
        if self.drawn is None:
            return timedelta.max
        return now - datetime.combine(self.drawn, time(), UTC)

    def is_outdated(self, now: datetime) -> bool:
        """Whether it is older than it may be, or nobody can tell how old it is."""
        return self.age(now) > self.max_age

    def is_early(self, now: datetime) -> bool:
        """Whether its day has not begun anywhere on earth, so that the date must be wrong."""
        return self.age(now) < -_EASTERNMOST
