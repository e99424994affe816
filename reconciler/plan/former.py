"""Batches that called people lately, or still do, and that no spec says any more. Pure.

Those of a spec that was changed and is as recorded are among them: whom the change took out.

A spec that was renamed and edited in one commit is a new batch: it would call everybody in the old
one again. So where the spec of a recorded batch is gone or says something else by now, the API is
asked who is in that batch and how they fared, and the plan tells who of them is called again.

The reading is bounded: nothing is read where nothing new is created, and of the batches that matter
the newest `MOST_ASKED` at most, each once. Where it is known from its spec's digest that a batch
has nobody in common with what is new (`SpecSet.met`), it is not read either. What could not be
learned is told as that.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import Diagnostic, LongContacts, Severity
from reconciler.observed import TERMINAL
from reconciler.plan.actions import Action, ActionKind, Callees
from reconciler.plan.callees import Standing
from reconciler.plan.history import made, rolls
from reconciler.plan.newcomers import Newcomers
from reconciler.plan.people import numbers, persons, some_of
from reconciler.state.index import index_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.model import SpecSet
    from reconciler.plan.facts import Facts
    from reconciler.plan.history import Made
    from reconciler.plan.newcomers import New
    from reconciler.state.document import NameRecord, State

RECENT = timedelta(days=30)
"""For how long a batch that has ended counts as one whose people were called just now."""
MOST_ASKED = 200
"""How many batches that no spec says any more are read for one plan."""
MOST_NAMED = 5
"""How many other names a warning lists."""
_DAY = timedelta(days=1)
_CALLED = frozenset({Standing.CALLED, Standing.IN_FLIGHT})


class Former(Struct, frozen=True):
    """A recorded name with recent or active batches that no spec says any more.

    `gone` tells that it has no spec at all, `earlier` that its spec is as recorded and that these
    are the batches from before its last change. `newest` is when the last of `batches` was created.
    `live` are the ids of those that are seen to call on, `over` of those that certainly do not.
    `doubtful` tells that there may be one more, whose create has no known outcome. With `by_digest`
    all of them are of the recorded spec.
    """

    name: str
    record: NameRecord
    gone: bool
    earlier: bool
    batches: tuple[Made, ...]
    newest: datetime
    live: frozenset[str]
    over: frozenset[str]
    doubtful: bool
    by_digest: bool

    def asks(self, facts: Facts) -> list[Made]:
        """Give the batches of which it is not known who is in them."""
        return [each for each in self.batches if facts.contacts.get(each.batch_id) is None]


class Met(Struct, frozen=True):
    """How many people of a new batch are in a former one; None: who was called is not known."""

    former: Former
    count: int
    called: int | None


class Meetings(Struct, frozen=True):
    """Who of new batches is in former ones.

    `met` and `again` are by new name. `again` counts the people who were called by a former batch
    and would be called by the new one. Of the `unknown` it could not be learned who is in them.
    """

    met: Mapping[str, Sequence[Met]]
    again: Mapping[str, int]
    unknown: Sequence[Former]


def to_ask(
    actions: Sequence[Action], specs: SpecSet, state: State, facts: Facts, now: datetime
) -> list[str]:
    """List the batches that the API is to be asked who is in them, the newest first.

    `facts` has the people of changed specs' own batches already: who was added follows from those.
    """
    found = formers(actions, specs, state, facts, now)
    names = {former.name for former in found}
    # What was in doubt and came to light now is not recorded yet, and as recent as anything.
    adopted = [
        adoption.batch.batch_id
        for action in actions
        if action.kind is ActionKind.ADOPT and action.name in names
        for adoption in action.adoptions
        if adoption.batch.batch_id not in facts.contacts
    ]
    if not adopted and not any(former.asks(facts) for former in found):
        return []
    new = Newcomers(actions, state, facts)
    if not new.added:
        return []
    _, apart = _by_digest(found, new, specs)
    batches = [each for one in found if one.name not in apart for each in one.asks(facts)]
    batches.sort(key=_recorded_at, reverse=True)
    return [*adopted, *(each.batch_id for each in batches)][:MOST_ASKED]


def formers(
    actions: Iterable[Action], specs: SpecSet, state: State, facts: Facts, now: datetime
) -> list[Former]:
    """Find the names whose batches matter and cannot be compared by what specs say."""
    moved = {action.moved_from for action in actions if action.moved_from}
    said = {spec.name: spec.digest for spec in specs.specs}
    unread, since = specs.unread, now - RECENT
    found = []
    for name in _candidates(unread, state, facts, since):
        record = state.batches[name]
        as_recorded = name in unread or said.get(name) == record.current.of
        if name in moved or (as_recorded and len(record.generations) == 1):
            continue
        gone = not as_recorded and name not in said
        former = _former(name, record, facts, since, gone=gone, earlier=as_recorded)
        if former is not None:
            found.append(former)
    return found


def _candidates(
    unread: frozenset[str], state: State, facts: Facts, since: datetime
) -> Iterator[str]:
    """Give all names but such as can have no former batch that matters, with hardly a record read.

    What is left unread is as recorded; and where the API was not asked, nothing is seen to call on.
    """
    recorded = index_of(state.batches)
    several = set(recorded.several)
    if several and not facts.batches:
        several.intersection_update(recorded.touched_since(since))
    return (name for name in state.batches if name in several or name not in unread)


def _former(
    name: str, record: NameRecord, facts: Facts, since: datetime, *, gone: bool, earlier: bool
) -> Former | None:
    def is_active(each: Made) -> bool:
        batch = facts.batches.get(each.batch_id)
        return batch is not None and batch.status not in TERMINAL and not each.cancelled

    def is_over(each: Made) -> bool:
        batch = facts.batches.get(each.batch_id)
        return each.cancelled or (batch is not None and batch.status in TERMINAL)

    current = record.current
    before = current.generation if earlier else None
    batches = tuple(e for e in made(record, before) if _recorded_at(e) >= since or is_active(e))
    doubtful = [
        request.attempted_at
        for generation in record.generations
        if not earlier or generation is not current
        for request in generation.requests
        if request.in_doubt and request.attempted_at >= since
    ]
    if not batches and not doubtful:
        return None
    return Former(
        name=name,
        record=record,
        gone=gone,
        earlier=earlier,
        batches=batches,
        newest=max([*map(_recorded_at, batches), *doubtful]),
        live=frozenset(each.batch_id for each in batches if is_active(each)),
        over=frozenset(each.batch_id for each in batches if is_over(each)),
        doubtful=bool(doubtful),
        by_digest=all(e.target.generation == current.generation for e in batches),
    )


def _recorded_at(each: Made) -> datetime:
    return each.record.recorded_at or each.record.attempted_at


def _by_digest(
    found: Iterable[Former], new: Newcomers, specs: SpecSet
) -> tuple[Mapping[str, Mapping[str, int]], frozenset[str]]:
    """Give what is known without asking: how many a name has in common with each new one.

    Also gives the names that have nobody in common with any.
    """
    names = frozenset(one.name for one in found if one.by_digest and not one.doubtful)
    if not names:
        return {}, names
    counts, unknown = specs.met(names, new.added)
    return counts, names.difference(counts, unknown)


def meet(new: Newcomers, found: Sequence[Former], specs: SpecSet, facts: Facts) -> Meetings:
    """Work out who of the new batches is in former ones, and who is called again by that."""
    if not found or not new.added:
        return Meetings({}, {}, ())
    kept, apart = _by_digest(found, new, specs)
    met: dict[str, list[Met]] = {}
    unknown: list[Former] = []
    ever_called: set[str] = set()
    for former in found:
        if former.name in apart:
            continue
        if facts.offline and former.name in kept:
            for name, count in kept[former.name].items():
                met.setdefault(name, []).append(Met(former, count, None))
            continue
        everyone, called = _people(former, facts)
        ever_called |= called
        if former.earlier and new.counted([frozenset(everyone)]):
            told_by_spec = _still_in(former.name, specs)
            everyone -= told_by_spec
            called -= told_by_spec
        of_them = new.counted([frozenset(called)])
        for name, count in new.counted([frozenset(everyone)]).items():
            met.setdefault(name, []).append(Met(former, count, of_them.get(name, 0)))
        others = new.added.keys() - {former.name}
        if others and (former.doubtful or former.asks(facts)):
            unknown.append(former)
    return Meetings(met, new.counted([frozenset(ever_called)]), unknown)


def _still_in(name: str, specs: SpecSet) -> frozenset[str]:
    """Give who is in a spec that is as recorded: of them it is told by that."""
    read = specs.reread([name]) if name in specs.unread else specs.specs
    for spec in read:
        if spec.name == name:
            found = numbers(spec.whole.contacts)
            if isinstance(found, LongContacts):
                return frozenset(chain.from_iterable(found.numbers()))
            return found
    return frozenset()


def _people(former: Former, facts: Facts) -> tuple[set[str], set[str]]:
    """Give everyone in a name's batches that matter, and who of them was called or is just now.

    Of a batch from before a change that is over only those matter whom it did call.
    """
    wanted = {each.batch_id for each in former.batches}
    everyone: set[str] = set()
    called: set[str] = set()
    after = former.record.current.generation + 1
    for roll in rolls(former.record, facts.contacts, before=after):
        if roll.batch_id in wanted:
            reached = {p.phone_number for p in roll.contacts if roll.standing(p) in _CALLED}
            called |= reached
            is_over = former.earlier and roll.batch_id in former.over
            everyone |= reached if is_over else {person.phone_number for person in roll.contacts}
    return everyone, called


def with_again(action: Action, again: int) -> Action:
    """Give an action that tells how many people it calls again, beside those it told of before."""
    if not again:
        return action
    callees = action.callees or Callees(to_call=action.people)
    more = replace(callees, called=callees.called + again, again=callees.again + again)
    return replace(action, callees=more)


def meeting_warnings(
    meetings: Meetings, new: Newcomers, facts: Facts, now: datetime
) -> Iterator[Diagnostic]:
    """Tell of each new batch who of it is in former ones, and of what nobody can tell."""
    for name in sorted(meetings.met):
        found = sorted(meetings.met[name], key=lambda each: (-each.count, each.former.name))
        yield _meeting_warning(new.by_name[name], found, now)
    if meetings.unknown:
        yield _unknown_warning(meetings.unknown, new, facts, now)


def _meeting_warning(new: New, found: Sequence[Met], now: datetime) -> Diagnostic:
    """Tell of one new batch who of it is in former ones, those with the most first."""
    first, *others = found
    added = " added to it" if new.action.kind is ActionKind.REPLACE else ""
    parts = [f"{persons(first.count, added)} also in {_words(first, now)}"]
    parts += [f"{each.count:,} in {_words(each, now)}" for each in others]
    return _warning(new, some_of(parts, MOST_NAMED, "; "), _what_to_do(new, first.former))


def _what_to_do(new: New, former: Former) -> str:
    file = new.action.spec.file if new.action.spec else new.name
    if former.gone and new.action.kind is ActionKind.CREATE:
        return (
            f"if {former.name} was renamed to {new.name}: set `reconcile.name: {former.name}` in "
            f"{file}, which makes it a change of {former.name}; or undo the edit, apply the "
            "rename alone, and edit after that"
        )
    return "take them out unless they are to be called again"


def _words(met: Met, now: datetime) -> str:
    former, created = met.former, age(met.former.newest, now)
    if former.earlier:
        return f"{former.name} as it was before its last change, {created} ({_fared(met)})"
    spec = "whose spec is gone" if former.gone else "whose spec has changed since"
    return f"{former.name}, {created}, {spec} ({_fared(met)})"


def _fared(met: Met) -> str:
    if met.called is None:
        return "who of them was called already is not known offline"
    some = "all" if met.called == met.count else f"{met.called:,}"
    called = f"{some} of them called already" if met.called else "none of them called yet"
    waiting = met.former.live and met.called < met.count
    return f"{called}, and it may still call the others" if waiting else called


def _unknown_warning(
    unknown: Sequence[Former], new: Newcomers, facts: Facts, now: datetime
) -> Diagnostic:
    """Say of which former batches nobody can tell whether new ones call their people again."""
    who = some_of(sorted(new.added), MOST_NAMED)
    ordered = sorted(unknown, key=lambda each: (each.newest, each.name), reverse=True)
    others = some_of([_unknown_words(each, now) for each in ordered], MOST_NAMED)
    if facts.offline:
        why = "offline it cannot be told"
        hint = "plan against the API before this is applied: it knows who was in them"
    else:
        why = "it could not be checked"
        hint = (
            "look who was in them before this is applied; if one was only renamed, set its name "
            "as `reconcile.name` in its new file"
        )
    message = f"{why} whether people of {who} were called already by {others}"
    return Diagnostic(Severity.WARNING, "", 0, 0, "", message, hint)


def _unknown_words(former: Former, now: datetime) -> str:
    spec = "spec gone" if former.gone else "spec changed since"
    doubt = ", in doubt" if former.doubtful else ""
    return f"{former.name} ({age(former.newest, now)}, {spec}{doubt})"


def age(created: datetime, now: datetime) -> str:
    """Say how long ago a batch was created."""
    days = (now - created) // _DAY
    return "created today" if days < 1 else f"created {days} day{'s' * (days > 1)} ago"


def _warning(new: New, message: str, hint: str) -> Diagnostic:
    file = new.action.spec.file if new.action.spec else ""
    return Diagnostic(Severity.WARNING, file, 0, 0, new.name, message, hint)
