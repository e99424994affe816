"""The ledger of calls on a branch: one commit with the state, and what two runs wrote together."""

from __future__ import annotations

from array import array
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.apply import verifier
from reconciler.apply.calls import CallLog
from reconciler.apply.recorder import Recorder
from reconciler.errors import StateError, StateMoved, Superseded
from reconciler.policy.keyed import LedgerKey
from reconciler.state import beside
from reconciler.state.calls import CallLedger, Launch, LedgerUnusable, encode, name_of
from reconciler.state.git import Pushed, PushFate
from tests.apply.doubles import Paths, World, endings
from tests.core.builders import spec
from tests.gitstate.stores import NOW, created, intent, put, store_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.plan.actions import Plan
    from reconciler.state.document import State
    from reconciler.state.git_store import GitStore
    from tests.torture.gitworld import GitWorld

KEY_ID = "0123456789abcdef"
KEY = LedgerKey(b"nobody's key, and quite long enough for it")

pytestmark = pytest.mark.usefixtures("surroundings")


def launch(name: str, *hashes: int) -> Launch:
    """Give a launch."""
    return Launch(f"rk1_{name}", NOW, array("Q", hashes or (1, 2, 3)))


def files(*launches: Launch) -> dict[str, bytes | None]:
    """Write launches."""
    return {name_of(each.request): encode(each, KEY_ID) for each in launches}


def ledger(store: GitStore) -> set[str]:
    """Read the ledger of the state that was loaded."""
    return set(CallLedger.read(store.beside(), KEY_ID).launches)


def test_an_intent_and_its_launch_are_one_commit(git_world: GitWorld) -> None:
    """Whoever sees the intent sees the launch; what goes, goes with the outcome."""
    store = store_of(git_world.clone())
    state = put(store, store.load(), files(launch("one"), launch("two")), one=intent("one"))
    assert git_world.git("diff-tree", "-r", "--name-status", "main^", "main").split("\n") == [
        "A\tbatches/ledger/rk1_one.calls",
        "A\tbatches/ledger/rk1_two.calls",
        "A\tbatches/state.json",
    ]
    other = store_of(git_world.clone(), "b")
    assert other.load() == state
    assert ledger(other) == {"rk1_one", "rk1_two"}
    put(store, state, {"rk1_two.calls": None, "rk1_never.calls": None}, one=created("one", "b"))
    other.load()
    assert ledger(other) == {"rk1_one"}


def test_what_was_stored_is_not_stored_again(git_world: GitWorld) -> None:
    """A launch that another run took out stays out, whatever this one saves next."""
    store, other = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(store, store.load(), files(launch("one")), one=intent("one"))
    put(other, other.load(), {"rk1_one.calls": None}, two=intent("two", "b"))
    outcome = mine.with_record("one", created("one", "bat_1"))
    store.save(outcome, touched=frozenset({"one"}), why="")
    assert ledger(store) == set()


def test_a_launch_that_another_run_began_anew_is_theirs(git_world: GitWorld) -> None:
    """Who slept until its intent had expired takes nothing out that somebody recorded since."""
    sleeper, rival = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(sleeper, sleeper.load(), files(launch("one")), one=intent("one"))
    theirs = put(rival, rival.load(), files(launch("one", 7)), one=intent("one", "b"))
    put(rival, theirs, {}, one=created("one", "bat_1", "b"))
    sleeper.lay({"rk1_one.calls": None})
    merged = sleeper.save(mine.with_record("one", None), touched=frozenset({"one"}), why="")
    assert merged.batches["one"].current.requests[0].batch_id == "bat_1"
    assert ledger(sleeper) == {"rk1_one"}
    assert CallLedger.read(sleeper.beside(), KEY_ID).launches["rk1_one"] == launch("one", 7)


@pytest.mark.parametrize("how", ["goes on", "is stopped"])
def test_a_run_that_slept_while_another_created_leaves_its_launch(
    git_world: GitWorld, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Through whole runs: who was called by the batch that is there still stands in the ledger."""
    monkeypatch.setattr(verifier, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(verifier, "LONGEST_PAUSE", 0.001)
    sleeper, rival = Logged(git_world, "a"), Logged(git_world, "b")
    rival.api, rival.clock = sleeper.api, sleeper.clock
    slept: list[str] = []

    def sleep(key: str, _: dict[str, object]) -> None:
        if not slept:
            slept.append(key)
            sleeper.clock.pass_by(3600)
            assert endings(rival.apply(spec())) == {"welcome create": "created"}
            if how == "is stopped":
                sleeper.stop.set()

    sleeper.api.before_create = sleep
    sleeper.engine(sleeper.plan(spec())).run()
    assert len(sleeper.api.batches) == 1
    judge = store_of(git_world.clone(), "c")
    assert judge.load().batches["welcome"].current.requests[0].run == "b"
    assert set(CallLedger.read(judge.beside(), KEY.id).launches) == set(slept)


class Logged(World):
    """A world whose runs store on a branch, and keep a ledger of calls."""

    def __init__(self, world: GitWorld, run: str) -> None:
        super().__init__()
        self.branch = store_of(world.clone(), run)
        self.store = self.branch  # type: ignore[assignment]  # what it stands for
        self.lease = timedelta(seconds=300)
        self._run = run

    def _check_create(self, key: str, _body: dict[str, object]) -> None:
        self.before_create(key)

    def recorder(self, plan: Plan, state: State) -> Recorder:  # noqa: ARG002 - of the world's
        """Give the recorder of this run."""
        log = CallLog(
            CallLedger.read(self.branch.beside(), KEY.id), KEY, self.branch, timedelta(days=7)
        )
        return Recorder(
            self.store,
            state,
            clock=self.clock,
            run=self._run,
            provenance=Paths(),
            lease=self.lease,
            calls=log,
        )


@pytest.mark.parametrize("batches", [".", "a/b c/ünï", 'quo\'te "d" and \\back'])
def test_any_root_in_any_place(make_git_world: Callable[..., GitWorld], batches: str) -> None:
    """Wherever the state is, the ledger is beside it."""
    world = make_git_world(1, batches=batches)
    store = store_of(world.clone())
    put(store, store.load(), files(launch("one")), one=intent("one"))
    assert ledger(store) == {"rk1_one"}
    other = store_of(world.clone(), "b")
    other.load()
    assert ledger(other) == {"rk1_one"}


def test_what_two_runs_wrote_is_there_together(git_world: GitWorld) -> None:
    """Outcomes that are laid onto another run's commit bring their launches, and keep theirs."""
    first, second = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(first, first.load(), files(launch("one")), one=intent("one"))
    theirs = put(second, second.load(), files(launch("two")), two=intent("two", "b"))
    put(second, theirs, {}, two=created("two", "bat_2", "b"))
    merged = put(first, mine, files(launch("one", 9)), one=created("one", "bat_1"))
    assert set(merged.batches) == {"one", "two"}
    assert ledger(first) == {"rk1_one", "rk1_two"}
    read = CallLedger.read(first.beside(), KEY_ID).launches["rk1_one"]
    assert read == launch("one", 9)


def test_a_lost_race_leaves_nothing(git_world: GitWorld) -> None:
    """An intent that was not stored has no launch either, and none is stored with what comes."""
    first, second = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = first.load()
    put(second, second.load(), files(launch("two")), two=intent("two", "b"))
    with pytest.raises(StateMoved):
        put(first, mine, files(launch("one")), one=intent("one"))
    state = first.load()
    assert ledger(first) == {"rk1_two"}
    first.save(state.with_record("one", intent("one")), touched=frozenset({"one"}), why="")
    assert ledger(first) == {"rk1_two"}


def test_a_push_that_fails_is_laid_again(
    git_world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was laid for a save that failed is stored with the next, if it is laid again."""
    store = store_of(git_world.clone())
    state = store.load()
    with monkeypatch.context() as broken:
        broken.setattr(store.git, "push", lambda *_: Pushed(PushFate.UNKNOWN, "no word"))
        with pytest.raises(StateError):
            put(store, state, files(launch("one")), one=intent("one"))
    put(store, state, files(launch("one")), one=intent("one"))
    assert ledger(store) == {"rk1_one"}


def test_a_launch_is_no_change_to_the_specs(git_world: GitWorld) -> None:
    """A checkout is not superseded by what runs store, and is by anything else in its place."""
    clone = git_world.clone(depth=None)
    store = store_of(clone)
    put(store, store.load(), files(launch("one")), one=intent("one"))
    store.require_current()
    person = git_world.person
    person.git("pull", "-q")
    (person.root / "ledger" / "sneaked-in.yaml").write_text("x: 1\n", "utf-8")
    person.git("add", "-A")
    person.commit("A spec among launches")
    with pytest.raises(Superseded):
        store.require_current()


def test_only_launches_are_read(git_world: GitWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links and other files are left aside; more than a ledger can have is refused."""
    person = git_world.person
    directory = person.root / "ledger"
    (directory / "below").mkdir(parents=True)
    (directory / "below" / "rk1_deep.calls").write_bytes(b"x")
    (directory / "README.md").write_text("x", "utf-8")
    (directory / "rk1_link.calls").symlink_to("/etc/passwd")
    (directory / "rk1_one.calls").write_bytes(encode(launch("one"), KEY_ID))
    person.git("add", "-A")
    person.commit("Launches")
    store = store_of(git_world.clone())
    store.load()
    assert ledger(store) == {"rk1_one"}
    monkeypatch.setattr(beside, "MOST_BYTES", 10)
    with pytest.raises(LedgerUnusable, match="at most"):
        ledger(store)


def test_no_branch_has_no_ledger(git_world: GitWorld) -> None:
    """A state branch that is not there yet has no launches."""
    store = store_of(git_world.clone(), branch="reconciler-state")
    store.load()
    assert ledger(store) == set()
