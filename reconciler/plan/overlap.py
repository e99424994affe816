"""People of a new batch who are in another one too, active or recent. Pure.

Told and not refused: the same people may well be called about two things. It is exact. Who is in a
recorded batch stands in its spec; where that is gone or has changed since, the API was asked
(`reconciler.plan.former`). Of specs that were left unread it may be known who is in them
(`SpecSet.met`); the others are read.

Of a changed spec's people only those are told of who were added (`reconciler.plan.newcomers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.model import Diagnostic, Severity
from reconciler.observed import TERMINAL
from reconciler.plan.actions import ActionKind
from reconciler.plan.former import MOST_NAMED, RECENT, age, formers, meet, meeting_warnings
from reconciler.plan.newcomers import Newcomers, repeated_calls
from reconciler.plan.people import numbers, persons, some_of
from reconciler.state.index import index_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.model import SpecSet
    from reconciler.plan.actions import Action
    from reconciler.plan.facts import Facts
    from reconciler.plan.newcomers import Group
    from reconciler.state.document import Generation, NameRecord, State


_MOST_IN_GROUP = 10
"""How many names a warning lists of new batches with people in common."""


class Overlaps(Struct, frozen=True):
    """What there is to tell, and how many people each new batch calls again, by its name.

    `repeated` counts the calls to people whom another new batch calls too, but for one each.
    """

    diagnostics: Sequence[Diagnostic] = ()
    again: Mapping[str, int] = {}
    repeated: int = 0


def overlaps(
    actions: Sequence[Action], specs: SpecSet, state: State, facts: Facts, now: datetime
) -> Overlaps:
    """Tell of everyone who is about to be called and is in another batch of this root.

    Batches with the very same contents are not told here: see `reconciler.plan.planner`.
    """
    new = Newcomers(actions, state, facts)
    if not new.added:
        return Overlaps()
    found: dict[str, list[tuple[int, str]]] = {}
    for other, counts, old in _recorded(new, specs, state, facts, now):
        for name, count in counts.items():
            found.setdefault(name, []).append((count, f"{other}, {old}"))
    meetings = meet(new, formers(actions, specs, state, facts, now), specs, facts)
    groups = new.groups()
    diagnostics = [
        *meeting_warnings(meetings, new, facts, now),
        *(_group(each, new) for each in groups),
        *(_told(new.by_name[name].action, found[name]) for name in sorted(found)),
    ]
    contents = [each.digest for each in new.by_name.values()]
    several = groups or len(set(contents)) < len(contents)
    return Overlaps(diagnostics, meetings.again, repeated_calls(actions) if several else 0)


def _recorded(
    new: Newcomers, specs: SpecSet, state: State, facts: Facts, now: datetime
) -> Iterator[tuple[str, Mapping[str, int], str]]:
    """Give each recorded batch that matters, by name: how many of each new one it has, its age."""
    met, unknown = specs.met(specs.unread, new.added)
    shared = dict(met)
    for spec in (*specs.specs, *specs.reread(_mattering(unknown, state, facts, now))):
        name = new.moved.get(spec.name, spec.name)
        record = state.record(name)
        if record is not None and record.current.of == spec.digest:
            shared[name] = new.counted([numbers(spec.whole.contacts)])
    now_called = {old: name for name, old in new.moved.items()}
    for name in _mattering(sorted(shared), state, facts, now):
        record = state.batches[name]
        digest = record.current.of
        others = {to: n for to, n in shared[name].items() if new.by_name[to].digest != digest}
        yield now_called.get(name, name), others, age(max(_times(record)), now)


def _mattering(names: Iterable[str], state: State, facts: Facts, now: datetime) -> list[str]:
    """Give the names whose batch is told of: it is recent, or may still call."""
    since = now - RECENT
    batches, asked = state.batches, bool(facts.batches)
    if not asked:
        recent = set(index_of(batches).touched_since(since))
        names = [name for name in names if name in recent]
    found = []
    for name in names:  # all that is done with each of very many: hardly a call
        record = batches[name]
        current = record.generations[-1]
        for request in current.requests:
            created = request.recorded_at if request.batch_id else None
            if created is not None and created >= since:
                found.append(name)
                break
        else:
            if asked and _times(record) and _is_active(record, current, facts):
                found.append(name)
    return found


def is_recent(record: NameRecord, now: datetime) -> bool:
    """Whether a name's batch was created so lately that it matters even if it is over."""
    since = now - RECENT
    return any(created >= since for created in _times(record))


def _times(record: NameRecord) -> list[datetime]:
    return [r.recorded_at for r in record.current.requests if r.recorded_at and r.batch_id]


def _is_active(record: NameRecord, current: Generation, facts: Facts) -> bool:
    """Whether a batch may still call; one that nobody was asked about is taken for over."""
    if record.lifecycle == "cancelled":
        return False
    found = [facts.batches.get(request.batch_id or "") for request in current.requests]
    return any(batch is not None and batch.status not in TERMINAL for batch in found)


def _told(action: Action, others: list[tuple[int, str]]) -> Diagnostic:
    """Tell of one new batch in which others its people are, those with the most first."""
    (count, first), *rest = sorted(others, key=lambda each: (-each[0], each[1]))
    added = " added to it" if action.kind is ActionKind.REPLACE else ""
    parts = [
        f"{persons(count, added)} also in {first}",
        *(f"{count:,} in {other}" for count, other in rest),
    ]
    return Diagnostic(
        Severity.WARNING,
        action.spec.file if action.spec else "",
        0,
        0,
        action.name,
        some_of(parts, MOST_NAMED, "; "),
        "if they are not to be called about both, take them out of one",
    )


def _group(group: Group, new: Newcomers) -> Diagnostic:
    """Tell of people who are in several batches of the plan itself."""
    names = [
        f"{name} (about to be replaced)"
        if new.by_name[name].action.kind is ActionKind.REPLACE
        else name
        for name in group.names
    ]
    return Diagnostic(
        Severity.WARNING,
        "",
        0,
        0,
        "",
        f"{persons(group.count)} in more than one of the new batches: "
        f"{some_of(names, _MOST_IN_GROUP)}",
        "each of these calls them; to call them once, leave them in one",
    )
