"""How many intents may stand without an outcome.

Twice as many as there are senders keep all of them busy, as long as storing takes no longer than
sending does. Where the state is so large that they run dry meanwhile, more is recorded at once. The
price is paid by who dies then: as many requests are in doubt, and the next run looks for each.
"""

from __future__ import annotations

_SLOW = 0.05
"""Seconds. A quicker store is no reason, whatever came back meanwhile: no API is that quick."""
_WIDEST = 16
"""So many for each sender at most."""


class Window:
    """The width of one run's window, which grows where it must and stays so."""

    def __init__(self, parallelism: int, chunk: int | None) -> None:
        """Begin with two for each of `parallelism` senders, or with a `chunk` and stay there."""
        self.size = self.usual = chunk or parallelism * 2
        self._most = chunk or parallelism * _WIDEST

    def stored(self, seconds: float, *, ran_dry: bool) -> None:
        """Take note of a store, and of whether all that was under way came back meanwhile."""
        if ran_dry and seconds >= _SLOW:
            self.size = min(self.size * 2, self._most)
