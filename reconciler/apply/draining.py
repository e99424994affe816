"""Which calls in flight a run is waiting for, before old batches are replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from reconciler.plan.actions import Action


class Draining(Struct, frozen=True):
    """Calls in flight are being waited for: how many, and for how many seconds at most.

    `again` tells that it was said before, and is only said anew because time went by.
    """

    action: Action
    calls: int
    seconds: float
    again: bool = False

    def __str__(self) -> str:
        calls = "1 call that is" if self.calls == 1 else f"{self.calls:,} calls that are"
        return (
            f"{self.action.name}: its batch is paused; waiting for {calls} in flight, for at most "
            f"{self.seconds:.0f} s"
        )


class Drains(Struct):
    """The latest word on each changed spec whose calls in flight are waited for."""

    _latest: dict[int, tuple[Draining, float]] = field(default_factory=dict)

    def note(self, draining: Draining, now: float) -> None:
        """Take note of what is waited for. `now` is `Clock.elapsed`."""
        self._latest[id(draining.action)] = draining, now + draining.seconds

    def over(self, action: Action) -> None:
        """Take note that nothing of a changed spec is waited for any more."""
        self._latest.pop(id(action), None)

    def told(self, now: float) -> tuple[str, ...]:
        """Say for each of them how many calls are in flight, and how long the wait may take."""
        return tuple(
            f"{each.action.name}: {each.calls:,} {'call' if each.calls == 1 else 'calls'} still in "
            f"flight, {max(0.0, until - now):.0f} s at most"
            for each, until in self._latest.values()
            if each.calls
        )
