"""Properties of plans over any small world: what is recorded, what exists, and what specs say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.apply.recorder import Recorder
from reconciler.model import Lifecycle, OnChange
from reconciler.plan.actions import ActionKind, Plan, Reason
from reconciler.plan.facts import Facts, Rules
from reconciler.plan.planner import make_plan
from reconciler.state.document import RecordedBy, State
from tests.apply.doubles import ManualClock, MemoryStore, Paths
from tests.core.builders import (
    LINEAGE,
    LONG_AGO,
    NOW,
    batch,
    created,
    creating,
    recorded,
    spec,
    specs,
)

if TYPE_CHECKING:
    import random

    from reconciler.model import Spec
    from reconciler.observed import Batch
    from reconciler.state.document import RequestRecord

NAMES = ["a", "b", "c", "d"]
CONTENTS = st.integers(1, 3)
CALLS = {ActionKind.CREATE, ActionKind.REPLACE}
CARRIED_OUT = {ActionKind.CREATE, ActionKind.ADOPT, ActionKind.MOVE}


@dataclass
class SmallWorld:
    """A state, the batches that exist, the specs, and whether lists can be read to their end."""

    state: State = field(default_factory=lambda: State(lineage=LINEAGE, serial=7))
    batches: dict[str, Batch] = field(default_factory=dict)
    specs: list[Spec] = field(default_factory=list)
    complete: bool = True
    rules: Rules = field(default_factory=Rules)

    def facts(self) -> Facts:
        """Give what a look at the API shows."""
        wanted = {
            r.key
            for _, _, r in self.state.requests()
            if r.in_doubt or (r.watch_until is not None and r.watch_until > NOW)
        }
        found = {
            key: tuple(b for b in self.batches.values() if b.key == key)
            for key in sorted(wanted)
            if any(b.key == key for b in self.batches.values())
        }
        absent = frozenset(wanted - set(found)) if self.complete else frozenset()
        return Facts(found=found, absent=absent)

    def plan(self) -> Plan:
        """Plan."""
        return make_plan(specs(*self.specs), self.state, self.facts(), self.rules, NOW)

    def carry_out(self, plan: Plan) -> None:
        """Do what a plan says, with an API where everything succeeds."""
        store = MemoryStore(self.state)
        recorder = Recorder(store, self.state, clock=ManualClock(), run="run", provenance=Paths())
        for action in plan.pending:
            match action.kind:
                case ActionKind.CREATE:
                    for creation in action.creations:
                        place = recorder.place(action, creation.request.part)
                        recorder.intend(place, creation)
                        made = f"new_{len(self.batches)}"
                        record = recorder.record(place)
                        assert record is not None
                        self.batches[made] = batch(record, made, age=timedelta(0))
                        recorder.created(place, made, RecordedBy.CREATED)
                case ActionKind.ADOPT:
                    for adoption in action.adoptions:
                        place = recorder.place(action, adoption.part)
                        recorder.adopt(place, adoption, RecordedBy.FOUND)
                case ActionKind.MOVE:
                    assert action.moved_from is not None
                    assert action.spec is not None
                    recorder.move(action.moved_from, action.name, action.spec)
                case ActionKind.CANCEL if action.reason is Reason.DUPLICATE:
                    assert action.batch_id is not None
                    recorder.duplicate(recorder.place(action, action.part), action.batch_id)
                    ended = replace(self.batches[action.batch_id], status="cancelled")
                    self.batches[action.batch_id] = ended
                case _:
                    pass
        recorder.store()
        self.state = store.last


@st.composite
def worlds(draw: st.DrawFn) -> SmallWorld:
    """Give any small world."""
    world = SmallWorld(
        complete=draw(st.booleans()),
        rules=Rules(hold=draw(st.sampled_from([False, False, True]))),
    )
    for name in NAMES:
        kind = draw(st.sampled_from(["none", "none", "created", "watched", "doubt", "released"]))
        if kind != "none":
            of = spec(name, draw(CONTENTS))
            record = draw(records(of, kind))
            world.state = world.state.with_record(name, recorded(record, of=of))
            ages = st.integers(0, 300).map(lambda minutes: timedelta(minutes=minutes))
            most = 0 if kind == "created" else 2
            extra = draw(st.lists(ages, max_size=most))
            if record.batch_id is not None and draw(st.booleans()):
                world.batches[record.batch_id] = batch(record, record.batch_id, age=draw(ages))
            for i, age in enumerate(extra):
                made = batch(record, f"{name}_{i}", age=age)
                status = draw(st.sampled_from(["in_progress", "cancelled", "completed"]))
                world.batches[made.batch_id] = replace(made, status=status)
    for name in NAMES:
        if draw(st.booleans()):
            world.specs.append(
                spec(
                    name,
                    draw(CONTENTS),
                    lifecycle=draw(st.sampled_from([Lifecycle.ACTIVE, *Lifecycle])),
                    on_change=draw(st.sampled_from(OnChange)),
                )
            )
    return world


@st.composite
def records(draw: st.DrawFn, of: Spec, kind: str) -> RequestRecord:
    """Give a record of a kind."""
    if kind == "created":
        return created(of)
    if kind == "watched":
        return created(of, watch_until=NOW + timedelta(hours=1))
    attempted = draw(st.sampled_from([LONG_AGO, NOW]))
    released = NOW if kind == "released" else None
    return creating(of, attempted_at=attempted, released_at=released)


many = settings(max_examples=250, deadline=None)


@many
@given(worlds())
def test_what_is_carried_out_is_not_planned_again(world: SmallWorld) -> None:
    """After a plan was done, only what this version refuses or waits for is left, for good."""
    first = world.plan()
    world.carry_out(first)
    second = world.plan()
    for action in second.pending:
        event(f"left over: {action.kind} {action.reason}")
    assert [a for a in second.pending if a.kind in CARRIED_OUT] == []
    assert [a for a in second.pending if a.reason is Reason.DUPLICATE] == []
    world.carry_out(second)
    assert world.plan().essence() == second.essence()


@many
@given(worlds())
def test_no_name_in_doubt_is_created(world: SmallWorld) -> None:
    """Only a proven absence, with time to settle over, or a person's word leads to another try."""
    facts = world.facts()
    for action in world.plan().actions:
        for creation in action.creations:
            record = world.state.record(action.name)
            doubtful = [r for r in record.current.requests if r.in_doubt] if record else []
            for request in doubtful:
                if request.key in facts.found:
                    continue  # it was there all along, and its spec has changed since
                proven = request.key in facts.absent and request.attempted_at == LONG_AGO
                assert request.released_at or (proven and not world.rules.hold)
            assert creation.key not in facts.found


@many
@given(worlds())
def test_people_of_a_batch_are_not_called_by_a_rename(world: SmallWorld) -> None:
    """Of names with the same contents, as many as lost their spec are not created anew."""
    names = {each.name for each in world.specs}
    digest_of = {each.name: each.requests[0].digest for each in world.specs}
    facts = world.facts()
    creations: dict[str, int] = {}
    known = {
        name
        for name, record in world.state.batches.items()
        if not all(
            r.released_at and r.key not in facts.found and digest_of.get(name) != r.digest
            for r in record.current.requests
        )
    }
    for action in world.plan().actions:
        if action.name not in known:
            for creation in action.creations:
                digest = creation.request.digest
                creations[digest] = creations.get(digest, 0) + 1
    for digest, n in creations.items():
        wanted = [x for x in names - known if digest_of[x] == digest]
        gone = [
            record.current.requests[0]
            for name, record in world.state.batches.items()
            if name not in names and record.current.requests[0].digest == digest
        ]
        certain = [r for r in gone if not (r.released_at and r.key not in facts.found)]
        assert n <= len(wanted) - len(certain)


@many
@given(worlds())
def test_no_id_is_forgotten_by_carrying_out_a_plan(world: SmallWorld) -> None:
    """Every recorded id stays recorded, and of every key at most one batch goes on calling."""
    before = set(world.state.batch_ids())
    world.carry_out(world.plan())
    assert before <= set(world.state.batch_ids())
    kept = {r.key: r.batch_id for _, _, r in world.state.requests() if not r.in_doubt}
    watched = {r.key for _, _, r in world.state.requests() if r.watch_until is not None}
    for made in world.batches.values():
        if made.key in watched and made.status == "in_progress":
            assert made.batch_id == kept[made.key]


@many
@given(worlds(), st.randoms(use_true_random=False))
def test_a_plan_depends_on_what_there_is_and_not_on_its_order(
    world: SmallWorld, order: random.Random
) -> None:
    """Specs in any order give the same plan, and its essence is JSON that a file keeps."""
    plan = world.plan()
    order.shuffle(world.specs)
    assert world.plan() == plan
    assert orjson.loads(orjson.dumps(plan.essence())) == plan.essence()
    assert sum(plan.summary().values()) == len(plan.actions)


@many
@given(worlds())
def test_offline_nothing_in_doubt_is_created(world: SmallWorld) -> None:
    """Without the API only what is certain is planned, and the plan says that it was offline."""
    plan = make_plan(specs(*world.specs), world.state, Facts(offline=True), world.rules, NOW)
    assert plan.offline
    for action in plan.actions:
        record = world.state.record(action.name)
        if action.kind in CALLS and record is not None:
            assert not any(r.in_doubt and not r.released_at for r in record.current.requests)
