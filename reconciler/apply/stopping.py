"""Stopping by hand: finding what may be calling of some names, and pausing or cancelling it.

For an emergency: one batch that cannot be reached keeps no other from being stopped, and what
cannot be read is taken for calling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.apply.concurrent import concurrently
from reconciler.apply.errands import is_gone, skipped_in
from reconciler.apply.facts import known_keys
from reconciler.apply.lookup import Lookup, Wanted
from reconciler.errors import ApiError
from reconciler.model import Lifecycle
from reconciler.observed import TERMINAL
from reconciler.plan.history import living

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.ports import BatchApi
    from reconciler.state.document import State


class Target(Struct, frozen=True):
    """A batch that may be calling; `found` tells that its id is recorded nowhere yet.

    `status` is the API's, None where it could not be read.
    """

    name: str
    batch_id: str
    status: str | None = None
    found: bool = False


class Unknown(Struct, frozen=True):
    """A request of which nobody can say whether it made a batch, and why not."""

    name: str
    part: int
    why: str


class Found(Struct, frozen=True):
    """What there is to stop, and what is not known of it."""

    targets: tuple[Target, ...]
    unknown: tuple[Unknown, ...] = ()


class Stop(Struct, frozen=True):
    """How stopping one batch ended; no problem means that it does not begin calls any more.

    `skipped` are the contacts that had been skipped before it was cancelled, None if not read.
    """

    target: Target
    problem: str = ""
    skipped: tuple[str, ...] | None = None


def find(state: State, names: Iterable[str], api: BatchApi, parallelism: int) -> Found:
    """Find what may be calling of some names. Does not raise for the API."""
    chosen = [name for name in names if name in state.batches]
    batches = [
        (name, target.batch_id, _campaign(state, name, target.generation))
        for name in chosen
        for target in living(state.batches[name], {})
    ]
    doubts = [
        (name, request.part, _wanted(state, name, request.part))
        for name in chosen
        for request in state.batches[name].current.requests
        if request.in_doubt
    ]
    lookup = Lookup(api, known_keys(state), parallelism=parallelism)
    campaigns = sorted({c for _, _, c in batches} | {w.campaign_id for _, _, w in doubts})

    def look(campaign_id: str) -> _Looked:
        wanted = [each for _, _, each in doubts if each.campaign_id == campaign_id]
        return _look(api, lookup, campaign_id, wanted)

    looked = dict(zip(campaigns, concurrently(look, campaigns, parallelism), strict=True))
    targets = [
        Target(name, batch_id, status)
        for name, batch_id, campaign_id in batches
        if (status := looked[campaign_id].statuses.get(batch_id)) not in TERMINAL
    ]
    unknown = []
    for name, part, wanted in doubts:
        seen = looked[wanted.campaign_id]
        ids = seen.found.get(wanted.key, ())
        targets.extend(
            Target(name, each, seen.statuses.get(each), found=True)
            for each in ids
            if seen.statuses.get(each) not in TERMINAL
        )
        if not ids:
            unknown.append(Unknown(name, part, seen.problem or "no batch of it is listed yet"))
    return Found(tuple(targets), tuple(unknown))


class _Looked(Struct, frozen=True):
    statuses: Mapping[str, str | None]
    found: Mapping[str, tuple[str, ...]]
    problem: str = ""


def _look(api: BatchApi, lookup: Lookup, campaign_id: str, wanted: list[Wanted]) -> _Looked:
    """Read a campaign's list once, and through it for keys in doubt if there are any."""
    try:
        statuses = {row.batch_id: row.status for row in api.listing(campaign_id).rows}
    except ApiError as error:
        return _Looked({}, {}, error.message)
    if not wanted:
        return _Looked(statuses, {})
    sighting = lookup.look(campaign_id, wanted)
    found = {key: tuple(b.batch_id for b in each) for key, each in sighting.found.items()}
    statuses |= {b.batch_id: b.status for each in sighting.found.values() for b in each}
    return _Looked(statuses, found, sighting.problem)


def stop(
    targets: Iterable[Target], lifecycle: Lifecycle, api: BatchApi, parallelism: int
) -> list[Stop]:
    """Pause or cancel batches, several at a time. Does not raise for the API."""
    return concurrently(lambda target: _stop(target, lifecycle, api), targets, parallelism)


def _stop(target: Target, lifecycle: Lifecycle, api: BatchApi) -> Stop:
    batch_id = target.batch_id
    skipped = None
    try:
        if lifecycle is Lifecycle.CANCELLED:
            skipped = _who_was_skipped(batch_id, api)
            api.cancel(batch_id)
        elif target.status != "paused":
            api.pause(batch_id)
    except ApiError as error:
        return Stop(target, "" if is_gone(batch_id, api) else error.message, skipped)
    except Exception as error:  # noqa: BLE001 - told, and the others are stopped all the same
        return Stop(target, f"internal error: {type(error).__name__}", skipped)
    return Stop(target, "", skipped)


def _who_was_skipped(batch_id: str, api: BatchApi) -> tuple[str, ...] | None:
    """Read who is skipped: after the cancel that cannot be told from being cancelled."""
    try:
        return skipped_in(batch_id, api)
    except ApiError:
        return None  # the calls are stopped all the same


def _campaign(state: State, name: str, number: int) -> str:
    generations = state.batches[name].generations
    return next(each.campaign_id for each in generations if each.generation == number)


def _wanted(state: State, name: str, part: int) -> Wanted:
    generation = state.batches[name].current
    request = next(each for each in generation.requests if each.part == part)
    return Wanted(request.key, generation.campaign_id, request.contacts, request.first_attempted_at)
