"""Finding out what became of creates that got no answer, while the others go on.

One thread looks through each campaign for all keys wanted there, again and again with growing
pauses, until each is found or its time is over. What it sees goes into the run's queue.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.apply.sending import Event, Seen

if TYPE_CHECKING:
    import queue

    from reconciler.apply.lookup import Lookup, Wanted
    from reconciler.apply.recorder import Place
    from reconciler.ports import Clock

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0


class Search(Struct, frozen=True):
    """A key being looked for, until `deadline` (of `Clock.elapsed`).

    With `own`, the id that is known already, only a second batch counts as having seen something.
    """

    place: Place
    wanted: Wanted
    deadline: float
    own: str | None = None


class Verifier:
    """Looks for keys on a thread of its own. `add` may be called at any time."""

    def __init__(
        self,
        lookup: Lookup,
        *,
        clock: Clock,
        stop: threading.Event,
        events: queue.SimpleQueue[Event],
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._stop = stop
        self._events = events
        self._searches: dict[str, Search] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, search: Search) -> None:
        """Look for one more key, beginning at once."""
        with self._changed:
            self._searches[search.wanted.key] = search
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="verify", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        known: set[str] = set()
        while True:
            with self._changed:
                while not self._searches:
                    self._changed.wait()
                searches = dict(self._searches)
            if not searches.keys() <= known:
                pause = FIRST_PAUSE  # somebody new: an answer may be a moment away
            known = set(searches)
            self._look(searches)
            self._stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _look(self, searches: dict[str, Search]) -> None:
        by_campaign: dict[str, list[Search]] = defaultdict(list)
        for search in searches.values():
            by_campaign[search.wanted.campaign_id].append(search)
        for campaign_id, group in by_campaign.items():
            try:
                sighting = self._lookup.look(campaign_id, [search.wanted for search in group])
                found, problem = sighting.found, sighting.problem
            except Exception as error:  # noqa: BLE001 - a search that fails has seen nothing
                found, problem = {}, f"internal error: {type(error).__name__}"
            for search in group:
                batches = found.get(search.wanted.key, ())
                if all(batch.batch_id == search.own for batch in batches):
                    batches = ()
                over = self._stop.is_set() or self._clock.elapsed() >= search.deadline
                if batches or over:
                    self._end(search)
                    self._events.put(Seen(search.place, search.wanted.key, batches, problem))

    def _end(self, search: Search) -> None:
        with self._changed:
            self._searches.pop(search.wanted.key, None)
