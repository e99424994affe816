"""From specs, recorded state and the API's answers to a plan. Pure, and the only planner.

Order of the actions: what is in doubt first, then by name. The same inputs always give the same
plan; after everything in it was done, planning again gives nothing to do.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model import Diagnostic, Severity, Spec
from reconciler.observed import TERMINAL
from reconciler.plan.actions import Action, ActionKind, Adoption, Plan, Reason, Role
from reconciler.plan.changed import still_called
from reconciler.plan.drafting import Drafting
from reconciler.plan.drift import drift
from reconciler.plan.former import with_again
from reconciler.plan.freezing import under_freeze
from reconciler.plan.one_spec import SpecPlanner
from reconciler.plan.overlap import overlaps
from reconciler.plan.recorded import as_recorded, matches
from reconciler.plan.removed import for_removed, orphans
from reconciler.plan.settling import (
    Settled,
    StillInDoubt,
    settle,
    sort_out,
    with_adoption,
    without_released,
)
from reconciler.plan.stopped import came_to_light, stop_warnings, stopped_names
from reconciler.spec.schedule import dst_diagnostic, past_diagnostic
from reconciler.state.document import Status
from reconciler.state.index import index_of, laid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from reconciler.model import SpecSet
    from reconciler.observed import Batch
    from reconciler.plan.facts import Facts, Rules
    from reconciler.state.document import Generation, RequestRecord, State


def make_plan(
    specs: SpecSet,
    state: State,
    facts: Facts,
    rules: Rules,
    now: datetime,
    *,
    meetings: bool = True,
) -> Plan:
    """Plan what makes the API's batches be what the specs say.

    `specs` must have no errors. `now` is aware, in UTC. Specs that were not read are as recorded,
    see `reconciler.plan.unread`: all that takes a look at each name is spared them. Without
    `meetings` it is not told who is in several batches, which takes longer than all the rest.
    """
    by_name = {spec.name: spec for spec in specs.specs}
    everything = state
    state = without_released(_without(state, specs.unread), by_name, facts)
    settled = {each.name: each for each in settle(state, facts, rules, now)}
    actions = [
        *(a for each in settled.values() for a in _settling(each, by_name.get(each.name))),
        *_duplicates(everything, facts),
    ]
    stuck = {action.name for action in actions if action.kind is ActionKind.BLOCKED}
    known = _with_adoptions(state, settled.values(), now)
    movable = _movable(known, by_name)
    draft = Drafting(known, facts, rules, now, index_of(everything.batches))
    planner = SpecPlanner(draft, movable, _doubtful(known, by_name))
    diagnostics = [*specs.diagnostics, *facts.diagnostics]
    for name in sorted(set(by_name) - stuck):
        again = {r.part: r for r in settled[name].again} if name in settled else {}
        planned = planner.actions(by_name[name], again)
        actions.extend(planned)
        for action in planned:
            diagnostics.extend(_time_diagnostics(action, facts, now))
            diagnostics.extend(still_called(action))
    # Of the state as it was read, which knows them without a look at each record.
    by_hand = stopped_names(everything if specs.unread else known, known)
    repeated = 0
    if any(action.creations for action in actions) or facts.batches:
        everything = _together(everything, known, specs.unread)
        diagnostics.extend(_same_again(actions, everything))
        if meetings:
            found = overlaps(actions, specs, everything, facts, now)
            diagnostics.extend(found.diagnostics)
            repeated = 0 if rules.frozen else found.repeated
            actions = [with_again(each, found.again.get(each.name, 0)) for each in actions]
    gone = sorted(set(known.batches) - set(by_name) - set(movable.values()) - stuck)
    actions.extend(for_removed(gone, known, facts, prune=rules.prune))
    diagnostics.extend(orphans(gone, known, facts, prune=rules.prune))
    if facts.batches:
        diagnostics.extend(drift(everything, facts))
    actions.extend(came_to_light(by_hand, facts))
    diagnostics.extend(stop_warnings(by_hand))
    return Plan(
        actions=tuple(under_freeze(actions, rules.frozen)),
        diagnostics=tuple(diagnostics),
        lineage=state.lineage,
        serial=state.serial,
        offline=facts.offline,
        campaigns=facts.campaigns,
        unread=len(specs.unread),
        repeated=repeated,
    )


def _without(state: State, names: frozenset[str]) -> State:
    if not names:
        return state
    left = [name for name in state.batches if name not in names]
    return replace(state, batches={name: state.batches[name] for name in left})


def _together(everything: State, known: State, unread: frozenset[str]) -> State:
    """Give what is known of the names that were looked at, and all others as they are recorded."""
    return replace(known, batches=laid(everything.batches, known.batches)) if unread else known


def _settling(settled: Settled, spec: Spec | None) -> Iterator[Action]:
    """Tell what becomes of a name in doubt: adopted, blocked, or left to its spec's action."""
    if settled.adoptions:
        yield Action(
            kind=ActionKind.ADOPT,
            name=settled.name,
            reason=Reason.FOUND,
            role=Role.BEGUN,
            campaign_id=settled.generation.campaign_id,
            contacts=sum(adoption.contacts for adoption in settled.adoptions),
            generation=settled.generation.generation,
            spec=spec,
            adoptions=settled.adoptions,
            batch_id=settled.adoptions[0].batch.batch_id,
            message="an earlier create went through although its answer was lost; "
            "its id is recorded and nothing is created",
        )
    for part, batch in settled.extra:
        yield _cancel_duplicate(settled.name, settled.generation, part, batch.batch_id)
    doubt = next(iter(settled.in_doubt), None) or _unrepeatable(settled, spec)
    if doubt:
        yield Action(
            kind=ActionKind.BLOCKED,
            name=settled.name,
            reason=doubt.reason,
            refusal=doubt.refusal,
            campaign_id=settled.generation.campaign_id,
            contacts=sum(request.contacts for request in settled.generation.requests),
            generation=settled.generation.generation,
            spec=spec,
            message=doubt.message,
            hint=doubt.hint,
        )


def _unrepeatable(settled: Settled, spec: Spec | None) -> StillInDoubt | None:
    """Say when a request may be created again but its contents are gone: state has no contacts."""
    cut = as_recorded(spec, settled.generation) if spec else None
    contents = {request.part: request.digest for request in cut.requests} if cut else {}
    if all(contents.get(record.part) == record.digest for record in settled.again):
        return None
    what = "its spec was removed" if spec is None else "its spec was changed"
    return StillInDoubt(
        Reason.IN_DOUBT,
        f"a create was begun and no batch of it is listed; meanwhile {what}, so it cannot be "
        "created again as it was",
        f"look into the vendor's console, then: reconciler resolve {settled.name} --not-created",
    )


def _duplicates(state: State, facts: Facts) -> Iterator[Action]:
    """Find second batches of keys that are known to be created and are still watched."""
    for name, generation, record in state.requests() if facts.found else ():
        found = [
            batch
            for batch in facts.found.get(record.key, ())
            if batch.digest in {None, record.digest}
        ]
        if record.status is Status.COMPLETE:
            # Nobody was left to call, and then an earlier attempt arrived after all.
            for batch in found:
                if batch.status not in TERMINAL or batch.batch_id not in record.duplicates:
                    yield _cancel_duplicate(name, generation, record.part, batch.batch_id)
        if record.status is not Status.CREATED or not found:
            continue
        keep, extra = sort_out(record, found)
        if keep.batch_id != record.batch_id:
            yield _adopt_older(name, generation, record, keep)
        for batch in extra:
            yield _cancel_duplicate(name, generation, record.part, batch.batch_id)


def _adopt_older(name: str, generation: Generation, record: RequestRecord, keep: Batch) -> Action:
    adoption = Adoption(record.part, keep, record.key, record.digest, record.contacts)
    return Action(
        kind=ActionKind.ADOPT,
        name=name,
        reason=Reason.DUPLICATE,
        role=Role.DUPLICATE,
        campaign_id=generation.campaign_id,
        contacts=record.contacts,
        generation=generation.generation,
        adoptions=(adoption,),
        batch_id=keep.batch_id,
        message=f"an older batch of the same key came to light; it is kept instead of "
        f"{record.batch_id}",
    )


def _with_adoptions(state: State, settled: Iterable[Settled], now: datetime) -> State:
    for each in settled:
        for adoption in each.adoptions:
            state = with_adoption(state, each.name, each.generation, adoption, now=now)
    return state


def _time_diagnostics(action: Action, facts: Facts, now: datetime) -> Iterator[Diagnostic]:
    """Tell of start times that are over, or that the clocks of the campaign's place lack."""
    if action.spec is None:
        return
    timezone = facts.timezone(action.campaign_id)
    request = action.spec.requests[0]
    if action.reason is Reason.STARTS_IN_THE_PAST:
        late = past_diagnostic(action.spec, request, now, timezone)
        if late:
            yield late
    elif action.creations:
        odd = dst_diagnostic(action.spec, request, timezone)
        if odd:
            yield odd


def _movable(state: State, by_name: Mapping[str, Spec]) -> dict[str, str]:
    """Pair new names with recorded ones that have the same contents and no spec any more.

    Several of the same contents give no certain pair. They are paired in the order of their names,
    which is right whichever it was: the same people, called once.
    """
    gone: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(state.batches) - set(by_name)):
        current = state.batches[name].current
        if not current.in_doubt:
            gone[current.of].append(name)
    pairs: dict[str, str] = {}
    for name in sorted(set(by_name) - set(state.batches)):
        candidates = gone.get(by_name[name].digest)
        if candidates:
            pairs[name] = candidates.pop(0)
    return pairs


def _doubtful(state: State, by_name: Mapping[str, Spec]) -> dict[str, str]:
    """Map digests that are in doubt to their names, but for those that their own spec still has."""
    return {
        digest: name
        for name, generation, request in state.requests()
        if request.in_doubt and not (name in by_name and matches(generation, by_name[name]))
        for digest in (request.digest, generation.of)
    }


def _same_again(actions: Collection[Action], state: State) -> Iterator[Diagnostic]:
    """Warn where what is created is the very same as another name: people are called twice.

    That is said of whole specs. Where only parts of them are the same, `overlaps` tells of people.
    """
    moved = {action.moved_from: action.name for action in actions if action.moved_from}
    creating = [(action, action.spec) for action in actions if action.creations and action.spec]
    names = _created_as({spec.digest for _, spec in creating}, actions, state) if creating else {}
    for action, spec in creating:
        same = names.setdefault(spec.digest, [])
        other = next((name for name in same if moved.get(name, name) != action.name), None)
        same.append(action.name)
        if other is not None:
            count = sum(len(creation.request.contacts) for creation in action.creations)
            yield Diagnostic(
                Severity.WARNING,
                spec.file,
                0,
                0,
                action.name,
                f"it has exactly the same contacts and fields as {other}: the same {count:,} "
                f"{'person is' if count == 1 else 'people are'} called again",
                f"remove one of the two, unless this is meant; a rename needs {other} to go",
            )


def _created_as(
    digests: Collection[str], actions: Iterable[Action], state: State
) -> dict[str, list[str]]:
    """Give for specs, by digest, the names that have a batch of the very same, in their order."""
    index = index_of(state.batches)
    parts = {creation.request.digest for action in actions for creation in action.creations}
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted({*index.recorded_as(digests), *index.created_with(parts)}):
        for each in state.batches[name].generations:
            if each.of in digests and any(r.status is Status.CREATED for r in each.requests):
                found[each.of].append(name)
    return found


def _cancel_duplicate(name: str, generation: Generation, part: int, batch_id: str) -> Action:
    return Action(
        kind=ActionKind.CANCEL,
        name=name,
        reason=Reason.DUPLICATE,
        role=Role.DUPLICATE,
        campaign_id=generation.campaign_id,
        contacts=0,
        generation=generation.generation,
        batch_id=batch_id,
        part=part,
        message="a second batch of the same key: a request that was given up arrived after all; "
        "it is cancelled at once",
    )
