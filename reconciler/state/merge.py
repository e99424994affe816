"""Two runs recorded different things: laying what one learned onto what the other stored.

Only outcomes are laid like this, never new intents. An outcome is a fact, so nothing that either
side learned may be lost: above all no batch id, and no record of theirs under our older one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.state.document import NameRecord, RequestRecord, State, Status

_WATCH = timedelta(days=1)
"""How long a key that two runs tried at the same time is looked at again."""

_Places = dict[tuple[int, int], RequestRecord]


def lay_over(theirs: State, ours: State, known: State, names: frozenset[str], run: str) -> State:
    """Lay our changes of some names since `known` onto what somebody else stored meanwhile.

    `run` is ours: of its own intents a run knows better than anybody.
    """
    merged = theirs
    for name in sorted(names):
        record = _name(theirs.record(name), ours.record(name), known.record(name), run)
        merged = merged.with_record(name, record)
    for name in sorted(names):
        # A name we moved here while they changed it there: theirs stays, one batch has one record.
        if theirs.record(name) is None and _stands_elsewhere(merged, name):
            merged = merged.with_record(name, None)
    return merged


def _name(
    theirs: NameRecord | None, ours: NameRecord | None, known: NameRecord | None, run: str
) -> NameRecord | None:
    if theirs == known:
        return ours
    t, o, k = _places(theirs), _places(ours), _places(known)
    merged = State(lineage="")
    for place in sorted({*t, *o, *k}):
        record = _request(t.get(place), o.get(place), k.get(place), run)
        side = theirs if place in t else ours
        if record is None or side is None:
            continue
        generation = next(g for g in side.generations if g.generation == place[0])
        merged = merged.with_request("", generation, record)
    result = merged.record("")
    if result is None:
        return None
    changed = ours is not None and (known is None or ours.lifecycle is not known.lifecycle)
    side = ours if theirs is None or changed else theirs
    return replace(result, lifecycle=side.lifecycle) if side else result


def _places(record: NameRecord | None) -> _Places:
    generations = record.generations if record else ()
    return {(g.generation, r.part): r for g in generations for r in g.requests}


def _request(
    theirs: RequestRecord | None,
    ours: RequestRecord | None,
    known: RequestRecord | None,
    run: str,
) -> RequestRecord | None:
    if theirs == known or (theirs is not None and theirs.in_doubt and theirs.run == run):
        return ours
    if ours is None or ours == known:
        return theirs
    if theirs is None:
        return ours
    if ours.in_doubt:
        return theirs
    if theirs.in_doubt:
        # They are creating it again, not knowing that ours exists. They learn of it the same way.
        return _watched(ours, ours)
    return _watched(theirs, ours)


def _watched(kept: RequestRecord, ours: RequestRecord) -> RequestRecord:
    """Keep one record with every id of ours, and look at its key again for a day."""
    ids = [*kept.duplicates, ours.batch_id, *ours.duplicates]
    times = [kept.watch_until, ours.watch_until]
    if kept.batch_id != ours.batch_id or kept is ours:
        times.append(ours.recorded_at + _WATCH if ours.recorded_at else None)
    return replace(
        kept,
        duplicates=tuple(dict.fromkeys(i for i in ids if i is not None and i != kept.batch_id)),
        watch_until=max((time for time in times if time is not None), default=None),
    )


def _stands_elsewhere(state: State, name: str) -> bool:
    record = state.record(name)
    mine = {r.key for r in _places(record).values() if r.status is Status.CREATED}
    return any(other != name and request.key in mine for other, _, request in state.requests())
