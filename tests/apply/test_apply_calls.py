"""The ledger of calls through whole runs: before each POST it holds whom that POST calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.apply.calls import CallLog
from reconciler.apply.recorder import Recorder
from reconciler.errors import StateError, StateMoved
from reconciler.policy.keyed import LedgerKey
from reconciler.state.calls import CallLedger
from reconciler.state.document import Status
from tests.apply.doubles import (
    BUSY,
    CRASH,
    LOST,
    NEVER,
    REFUSED,
    MemoryStore,
    Paths,
    World,
    endings,
)
from tests.core.builders import in_doubt, spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.apply.engine import Engine
    from reconciler.apply.report import Report
    from reconciler.model import Spec
    from reconciler.plan.actions import Plan
    from reconciler.state.document import State

KEY = LedgerKey(b"nobody's key, and quite long enough for it")
WEEK = timedelta(days=7)
FIRST, SECOND = spec(contents=1, n=4), spec(contents=2, n=4)


class Storing(MemoryStore):
    """A store with files beside its state."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.files: dict[str, bytes] = {}
        self.puts: list[str] = []
        self._laid: dict[str, bytes | None] = {}

    def beside(self) -> Iterable[tuple[str, bytes]]:
        """Give the files as stored."""
        return self.files.items()

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Store files with the next state."""
        self._laid = dict(files)

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
        """Store both, or neither."""
        stored = super().save(state, touched=touched, why=why)
        self.puts += self._laid
        for name, data in self._laid.items():
            if data is None:
                self.files.pop(name, None)
            else:
                self.files[name] = data
        self._laid = {}
        return stored


class Counting(World):
    """A world whose runs keep a ledger of calls, which is checked at every POST and in the end."""

    def __init__(self, on: State | None = None, **script: list[str]) -> None:
        super().__init__(on, **script)
        self.store: Storing = Storing(self.store.last)
        self.api.before_create = self._check_calls

    def _check_calls(self, key: str, body: dict[str, object]) -> None:
        self._check_create(key, body)
        contacts = body["contacts"]
        assert isinstance(contacts, list)
        launch = self.ledger().launches.get(key)
        if launch is None or not {*KEY.of(contacts)} <= {*launch.hashes}:
            self.violations.append("people are called who are not in the ledger")

    def ledger(self) -> CallLedger:
        """Read the ledger as stored."""
        return CallLedger.read(self.store.beside(), KEY.id)

    def engine(self, plan: Plan) -> Engine:
        """Give an engine that keeps a ledger."""
        engine = super().engine(plan)
        engine._recorder._calls = CallLog(self.ledger(), KEY, self.store, WEEK)
        return engine

    def check(self) -> None:
        """Hold what must hold after every run: who may have been called is in the ledger."""
        super().check()
        launches = self.ledger().launches
        standing = {
            r.key
            for _, _, r in self.store.last.requests()
            if r.status is not Status.COMPLETE and r.released_at is None
        }
        assert standing <= set(launches)
        for key in self.api.creates:
            made = [batch for batch in self.api.batches.values() if batch.key == key]
            recent = [b for b in made if b.created_at and b.created_at >= self.clock.now() - WEEK]
            assert bool(recent) <= (key in launches)


def numbers(of: Spec) -> list[int]:
    """Give the hashes of a spec's people."""
    return list(KEY.of(of.requests[0].contacts))


def apply(world: World, *of: Spec) -> Report:
    """Apply specs."""
    return world.apply(*of)


@pytest.mark.parametrize("step", ["created", LOST, NEVER, CRASH, BUSY, REFUSED])
def test_whatever_becomes_of_a_create(step: str) -> None:
    """Who may have been called is in the ledger; whom nobody called is not."""
    world = Counting(welcome=[step])
    apply(world, FIRST)
    launches = world.ledger().launches
    if step == REFUSED:
        assert not launches
        assert not world.store.files
    else:
        assert [list(each.hashes) for each in launches.values()] == [numbers(FIRST)]


def test_a_create_that_is_begun_again() -> None:
    """One that never arrived is sent again, is in the ledger once, and counts from then on."""
    world = Counting(welcome=[NEVER])
    apply(world, FIRST)
    world.clock.pass_by(3_600)
    assert endings(apply(world, FIRST)) == {"welcome create": "created"}
    (launch,) = world.ledger().launches.values()
    assert launch.at == world.store.last.batches["welcome"].current.requests[0].attempted_at
    assert list(launch.hashes) == numbers(FIRST)


def test_each_launch_is_stored_once() -> None:
    """However often a run stores what came of others."""
    world = Counting()
    apply(world, *(spec(f"spec{n}", contents=n) for n in range(9)))
    assert len(world.store.saved) > 3
    assert sorted(world.store.puts) == sorted(world.store.files)


def test_a_changed_spec_is_another_launch() -> None:
    """Both batches may have called."""
    world = Counting()
    apply(world, FIRST)
    apply(world, SECOND)
    assert len(world.ledger().launches) == 2


def test_an_old_launch_goes_with_a_later_run() -> None:
    """The ledger holds what still counts."""
    world = Counting()
    apply(world, FIRST)
    world.clock.pass_by(8 * 86_400)
    other = spec("other", 3)
    world.store.saved.append(world.store.last.with_record("welcome", None))
    apply(world, other)
    assert list(world.ledger().launches) == [world.key_of("other")]


def test_a_scheduled_batch_counts_from_its_start() -> None:
    """It is recorded days before."""
    later = spec(scheduled_start="2026-05-15T09:00:00Z")
    world = Counting()
    apply(world, later)
    (launch,) = world.ledger().launches.values()
    assert launch.at == datetime(2026, 5, 15, 9, tzinfo=UTC)


@pytest.mark.parametrize("error", [StateMoved("somebody was first"), StateError("disk full")])
def test_an_intent_that_cannot_be_stored(error: StateError) -> None:
    """Nothing is sent, and nobody is counted."""
    world = Counting()
    world.store._fails[0] = error
    assert endings(apply(world, FIRST)) == {"welcome create": "skipped"}
    assert world.api.creates == []
    assert world.ledger().launches == {}
    apply(world, FIRST)
    assert len(world.ledger().launches) == 1


def test_what_a_person_settled_as_never_made() -> None:
    """When the spec says something else by then, its launch goes with its record."""
    world = Counting(in_doubt(FIRST, released_at=World().clock.now()))
    key = next(request.key for _, _, request in world.store.last.requests())
    log = CallLog(world.ledger(), KEY, world.store, WEEK)
    log.intend(key, FIRST.requests[0].contacts, None, world.clock.now())
    log.lay(world.clock.now())
    world.store.save(world.store.last, touched=frozenset({"welcome"}), why="")
    assert set(world.ledger().launches) == {key}
    apply(world, SECOND)
    assert set(world.ledger().launches) == {world.key_of("welcome")}


def test_without_a_limit_there_is_no_ledger() -> None:
    """A root that limits nothing keeps nothing."""
    world = World()
    store = Storing(world.store.last)
    recorder = Recorder(store, store.load(), clock=world.clock, run="run1", provenance=Paths())
    action = world.plan(FIRST).actions[0]
    recorder.intend(recorder.place(action, 1), action.creations[0])
    recorder.store()
    assert store.files == {}
