"""Two runs recorded different things: laying what one learned onto what the other stored.

Only outcomes are laid like this, never new intents. An outcome is a fact, so no batch id that
either side knows is lost, and no doubt that may still become one. A record is known by its key,
wherever it stands, and in what comes out each key has one record.

Two sound states give a sound one, unless they contradict each other about a batch (one says that
it is this key's, the other that it is that key's). What comes out then is refused by the codec, and
a store must not put it in the place of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from reconciler.state.document import WATCH, Generation, NameRecord, RequestRecord, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

_Record = TypeVar("_Record", NameRecord, Generation, RequestRecord)
_APART = {"generation", "generations", "requests"}
"""What is merged by key. Every other field is believed of whoever changed it, and of us if both."""


class _Stand(Struct, frozen=True):
    """A record, and where it stands."""

    name: str
    generation: Generation
    request: RequestRecord


_Stands = dict[str, _Stand]


def lay_over(theirs: State, ours: State, known: State, names: frozenset[str], run: str) -> State:
    """Lay our changes of some names since `known` onto what somebody else stored meanwhile.

    `run` is ours: of its own intents a run knows better than anybody. Where both have other
    contents under one name, ours keep their generation's number and theirs get the next free one.
    """
    theirs, known = _moved_like_ours(theirs, ours, known, names)
    t, o, k = _by_key(theirs), _by_key(ours, names), _by_key(known, names)
    touched = {*o, *(key for key, stand in t.items() if stand.name in names)}
    became = {
        key: _request(_record(key, t), _record(key, o), _record(key, k), run) for key in touched
    }
    merged = theirs
    for name in sorted({*names, *(t[key].name for key in became if key in t)}):
        there = theirs.record(name)
        mine, before = (s.record(name) if name in names else None for s in (ours, known))
        generations = _theirs(there, became, o, k)
        _add(generations, _only_ours(name, became, t, o))
        _put_doubts_last(generations)
        merged = merged.with_record(name, _record_of(generations, there, mine, before))
    return merged


def displaced(ours: State, merged: State, run: str) -> bool:
    """Whether an intent of this run stands elsewhere now: who is at it would not find it again."""
    here = [
        _Stand(name, generation, request)
        for name, generation, request in ours.requests()
        if request.in_doubt and request.run == run
    ]
    there = _by_key(merged) if here else {}
    return any(
        stand.request.key not in there or _place(stand) != _place(there[stand.request.key])
        for stand in here
    )


def _by_key(state: State, names: frozenset[str] | None = None) -> _Stands:
    if names is not None:
        some = {name: state.batches[name] for name in sorted(names) if name in state.batches}
        state = State(lineage=state.lineage, batches=some)
    return {
        request.key: _Stand(name, generation, request)
        for name, generation, request in state.requests()
    }


def _record(key: str, stands: _Stands) -> RequestRecord | None:
    return stands[key].request if key in stands else None


def _place(stand: _Stand) -> tuple[str, int, int]:
    return stand.name, stand.generation.generation, stand.request.part


def _moved_like_ours(
    theirs: State, ours: State, known: State, names: frozenset[str]
) -> tuple[State, State]:
    """Do to theirs what we did to names: what they added under the old one goes along.

    Where they have done something else with either name, it stays as they have it.
    """
    stood = _by_key(known, names)
    for key, stand in sorted(_by_key(ours, names).items()):
        old, new = stood[key].name if key in stood else stand.name, stand.name
        if old == new or any(s.record(new) is not None for s in (known, theirs)):
            continue
        if ours.record(old) is None and theirs.record(old) is not None:
            theirs = theirs.with_record(new, theirs.record(old)).with_record(old, None)
            known = known.with_record(new, known.record(old)).with_record(old, None)
    return theirs, known


# -- one request -----------------------------------------------------------------------------------


def _request(
    theirs: RequestRecord | None,
    ours: RequestRecord | None,
    known: RequestRecord | None,
    run: str,
) -> RequestRecord | None:
    """Give what is believed of one key; None where it certainly made no batch.

    Who changed something is believed more than who did not, and a batch more than a doubt.
    """
    if theirs is not None and ours is not None:
        return _with_all_of(_of_two(theirs, ours, known, run), theirs, ours)
    if theirs is not None:
        withdrawn = theirs == known or (theirs.in_doubt and theirs.run == run)
        return None if withdrawn and _may_go(theirs) else theirs
    if ours is not None:
        # Of somebody else's intent, which we left alone, they know better; not so of our own.
        settled = ours == known and ours.run != run
        return None if settled and _may_go(ours) else ours
    return None


def _may_go(record: RequestRecord) -> bool:
    """Whether a record says of no batch that it exists, nor that none was needed."""
    return record.in_doubt and not record.duplicates


def _of_two(
    theirs: RequestRecord, ours: RequestRecord, known: RequestRecord | None, run: str
) -> RequestRecord:
    mine = theirs == known or (theirs.in_doubt and theirs.run == run)
    if theirs.in_doubt and ours.in_doubt:
        return ours if mine else theirs
    if ours.in_doubt:
        if ours.run != run or not (known is None or known.in_doubt):
            return theirs
        # What this run has sent may still make a second batch.
        until = _latest(theirs.watch_until, ours.attempted_at + WATCH)
        return replace(theirs, watch_until=until)
    if theirs.in_doubt:
        # They may be creating it again, not knowing that ours exists. They learn it the same way.
        return ours if mine else _watched(ours)
    if theirs.batch_id == ours.batch_id:
        merged = _three(theirs, ours, known)
        return replace(merged, watch_until=_latest(theirs.watch_until, ours.watch_until))
    if mine or theirs.batch_id is None:
        return ours
    return theirs if ours == known or ours.batch_id is None else _watched(theirs, ours)


def _watched(kept: RequestRecord, other: RequestRecord | None = None) -> RequestRecord:
    """Have a key looked at again for a day after our batch of it was recorded."""
    ours = other or kept
    day = ours.recorded_at + WATCH if ours.recorded_at else None
    return replace(kept, watch_until=_latest(kept.watch_until, ours.watch_until, day))


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _with_all_of(kept: RequestRecord, *records: RequestRecord) -> RequestRecord:
    """Give a record with every batch id that others have of its key, and all that people said."""
    ids = [i for record in (kept, *records) for i in (*record.duplicates, record.batch_id)]
    said = dict.fromkeys(each for record in records for each in record.audit)
    return replace(
        kept,
        duplicates=tuple(dict.fromkeys(i for i in ids if i not in {None, kept.batch_id})),
        audit=tuple(sorted(said, key=lambda each: each.at)),
    )


# -- one name --------------------------------------------------------------------------------------


def _theirs(
    there: NameRecord | None, became: Mapping[str, RequestRecord | None], o: _Stands, k: _Stands
) -> dict[int, Generation]:
    """Give their generations, with what became of each request in them."""
    generations = {}
    for generation in there.generations if there else ():
        requests = []
        merged = generation
        for request in generation.requests:
            record = became.get(request.key, request)
            if record is not None:
                requests.append(replace(record, part=request.part))
                mine, before = (
                    s[record.key].generation if record.key in s else None for s in (o, k)
                )
                merged = _three(merged, mine, before)
        if requests:
            generations[generation.generation] = replace(merged, requests=tuple(requests))
    return generations


def _only_ours(
    name: str, became: Mapping[str, RequestRecord | None], t: _Stands, ours: _Stands
) -> Iterator[Generation]:
    """Give our generations of a name, with those requests only that they do not have anywhere."""
    found: dict[int, Generation] = {}
    for key, stand in ours.items():
        record = became[key]
        if record is None or key in t or stand.name != name:
            continue
        number = stand.generation.generation
        sofar = found.get(number, replace(stand.generation, requests=()))
        found[number] = _with(sofar, (record,))
    yield from found.values()


def _add(generations: dict[int, Generation], ours: Iterable[Generation]) -> None:
    """Put generations of ours among theirs, which make room where they are about something else."""
    for mine in sorted(ours, key=lambda each: each.generation):
        there = generations.get(mine.generation)
        if there is None:
            generations[mine.generation] = mine
        elif _is_same_set(there, mine):
            generations[mine.generation] = _with(there, mine.requests)
        else:
            generations[mine.generation] = mine
            _put_after_all(generations, there)


def _is_same_set(some: Generation, others: Generation) -> bool:
    about = all(
        getattr(some, field) == getattr(others, field) for field in ("campaign_id", "fields")
    )
    return about and not {r.part for r in some.requests} & {r.part for r in others.requests}


def _put_after_all(generations: dict[int, Generation], generation: Generation) -> None:
    number = max(generations) + 1
    generations[number] = replace(generation, generation=number)


def _put_doubts_last(generations: dict[int, Generation]) -> None:
    """Make what is in doubt the current generation, for only there it is settled.

    Two that are in doubt become one: its requests are looked for like any others, and nothing is
    created under the name before each of them is settled.
    """
    doubtful = [number for number in sorted(generations) if generations[number].in_doubt]
    if not doubtful or doubtful == [max(generations)]:
        return
    *earlier, last = doubtful
    for number in earlier:
        generation = generations.pop(number)
        doubts = tuple(r for r in generation.requests if r.in_doubt)
        certain = tuple(r for r in generation.requests if not r.in_doubt)
        if certain:
            generations[number] = replace(generation, requests=certain)
        for doubt in doubts:
            free = max(r.part for r in generations[last].requests) + 1
            generations[last] = _with(generations[last], (replace(doubt, part=free),))
    if last != max(generations):
        _put_after_all(generations, generations.pop(last))


def _record_of(
    generations: Mapping[int, Generation],
    there: NameRecord | None,
    mine: NameRecord | None,
    before: NameRecord | None,
) -> NameRecord | None:
    """Give a name's record with these generations; none for none."""
    base = there or mine
    if base is None or not generations:
        return None
    ordered = tuple(generations[number] for number in sorted(generations))
    merged = replace(_three(base, mine, before), generations=ordered)
    begun = merged.replacing
    if begun is None:
        return merged
    # It goes along with its generation, and stays clear of anybody else's.
    whose = mine if mine is not None and begun == mine.replacing else base
    number = next((g for g in whose.generations if g.generation == begun.generation), None)
    keys = {request.key for request in number.requests} if number else set()
    stands = (g.generation for g in ordered if keys & {request.key for request in g.requests})
    free = max(generations) + 1 if begun.generation in generations else begun.generation
    return replace(merged, replacing=replace(begun, generation=next(stands, free)))


def _with(generation: Generation, requests: tuple[RequestRecord, ...]) -> Generation:
    every = sorted((*generation.requests, *requests), key=lambda request: request.part)
    return replace(generation, requests=tuple(every))


def _three(theirs: _Record, ours: _Record | None, known: _Record | None) -> _Record:
    """Merge field by field: ours is believed where we changed it, and else theirs."""
    if ours is None:
        return theirs
    changed = {
        field: getattr(ours, field)
        for field in ours.__struct_fields__
        if field not in _APART and (known is None or getattr(ours, field) != getattr(known, field))
    }
    return replace(theirs, **changed)
