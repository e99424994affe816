"""What one run launches in all: how many people in how many batches, beside those of late.

A plan knows of a changed spec only about how many people it will call; how many they are is known
when they are about to be sent. Limits of a whole run go by what is known.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.policy.case import Totals
from reconciler.state.index import index_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reconciler.plan.actions import Action, Creation
    from reconciler.state.document import State

DAY = timedelta(hours=24)


class Sizes:
    """How many people each request calls, by its key. Safe to use in several threads at once."""

    def __init__(self) -> None:
        self._planned: dict[str, int] = {}
        """As the plan has it; of changed specs about."""
        self._sized: dict[str, int] = {}
        """As it was when they were about to be sent."""
        self._grown_by: dict[str, int] = {}
        """How many more that is than was planned, where it differs."""

    def planned(self, launch: Action) -> None:
        """Remember what the plan knows of a launch."""
        keys = (creation.key for creation in launch.creations)
        self._planned |= zip(keys, _parts(launch), strict=True)

    def sending(self, creation: Creation) -> None:
        """Remember how many people a request has that is about to be sent."""
        people = len(creation.request.contacts)
        self._sized[creation.key] = people
        planned = self._planned.get(creation.key, people)
        if people != planned or creation.key in self._grown_by:
            self._grown_by[creation.key] = people - planned

    def parts(self, launch: Action) -> tuple[int, ...]:
        """Give how many people each batch of a launch calls, by what is known by now."""
        keys = (creation.key for creation in launch.creations)
        parts = zip(keys, _parts(launch), strict=True)
        return tuple(self._sized.get(key, people) for key, people in parts)

    def grown(self, totals: Totals) -> Totals:
        """Give what the run launches in all, by what is known of it by now."""
        more = sum(tuple(self._grown_by.values()))
        return Totals(people=totals.people + more, batches=totals.batches, recent=totals.recent)


def _parts(launch: Action) -> list[int]:
    """Give how many people each batch calls; of a changed spec, as many as each may have."""
    parts: list[int] = []
    for creation in launch.creations:
        left = launch.people - sum(parts)
        parts.append(min(len(creation.request.contacts), left))
    return parts


def launched_of_late(state: State, now: datetime) -> dict[str, int]:
    """Give whom this root set out to call in the day before: how many, by each request's key.

    A request in doubt counts as launched; one that is now begun again counts once.
    """
    since = now - DAY
    return {
        request.key: request.contacts
        for name in index_of(state.batches).touched_since(since)
        for generation in state.batches[name].generations
        for request in generation.requests
        if request.attempted_at > since
        and request.released_at is None
        and (request.batch_id is not None or request.in_doubt)
    }


def in_all(launches: Sequence[Action], recent: Mapping[str, int]) -> Totals:
    """Count what some launches of a plan are in all, beside whom this root called of late."""
    begun_again = (recent.get(each.key, 0) for action in launches for each in action.creations)
    return Totals(
        people=sum(action.people for action in launches),
        batches=sum(len(action.creations) for action in launches),
        recent=sum(recent.values()) - sum(begun_again),
    )


def with_one_more(totals: Totals, launch: Action, recent: Mapping[str, int]) -> Totals:
    """Count one launch more."""
    begun_again = sum(recent.get(each.key, 0) for each in launch.creations)
    return Totals(
        people=totals.people + launch.people,
        batches=totals.batches + len(launch.creations),
        recent=totals.recent - begun_again,
    )
