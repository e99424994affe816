"""The ledger of calls on a branch: one commit with the state, and what two runs wrote together."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.git_state import git_store
from reconciler.errors import StateError, StateMoved, Superseded
from reconciler.state import beside
from reconciler.state import git_store as store_module
from reconciler.state.calls import CallLedger, Launch, LedgerUnusable, encode, name_of
from reconciler.state.document import (
    Generation,
    NameRecord,
    RecordedBy,
    RequestRecord,
    Source,
    State,
    Status,
)
from reconciler.state.git import Pushed, PushFate
from reconciler.system import RandomIds, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.state.git_store import GitStore
    from tests.torture.gitworld import Clone, GitWorld

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
KEY_ID = "0123456789abcdef"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let nothing of the user's git settings count, and no time be waited."""
    world: GitWorld = request.getfixturevalue("git_world")
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("GITHUB_REF_TYPE", "GITHUB_REF_NAME", "GITHUB_BASE_REF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(store_module, "_pause", lambda _: None)


def store_of(clone: Clone, run: str = "a", branch: str | None = None) -> GitStore:
    """Open the store of a clone."""
    return git_store(
        clone.root, remote="origin", branch=branch, clock=SystemClock(), ids=RandomIds(), run=run
    )


def record(name: str, run: str, batch_id: str | None = None) -> NameRecord:
    """Give the record of a name whose only request is begun, or has a batch."""
    request = RequestRecord(
        part=1,
        key=f"rk1_{name}",
        status=Status.CREATED if batch_id else Status.CREATING,
        digest="v1:" + "0" * 64,
        contacts=3,
        attempt=1,
        first_attempted_at=NOW,
        attempted_at=NOW,
        run=run,
        expires_at=None if batch_id else NOW + timedelta(seconds=300),
        batch_id=batch_id,
        recorded_at=NOW if batch_id else None,
        recorded_by=RecordedBy.CREATED if batch_id else None,
    )
    source = Source(path="x.yaml")
    generation = Generation(
        generation=1, campaign_id="cmp_1", fields={}, source=source, requests=(request,)
    )
    return NameRecord(generations=(generation,))


def launch(name: str, *hashes: int) -> Launch:
    """Give a launch."""
    return Launch(f"rk1_{name}", NOW, array("Q", hashes or (1, 2, 3)))


def files(*launches: Launch) -> dict[str, bytes | None]:
    """Write launches."""
    return {name_of(each.request): encode(each, KEY_ID) for each in launches}


def put(
    store: GitStore, state: State, laid: dict[str, bytes | None], **records: NameRecord
) -> State:
    """Save some records, with files beside them."""
    for name, each in records.items():
        state = state.with_record(name, each)
    store.lay(laid)
    return store.save(state, touched=frozenset(records), why="")


def ledger(store: GitStore) -> set[str]:
    """Read the ledger of the state that was loaded."""
    return set(CallLedger.read(store.beside(), KEY_ID).launches)


def test_an_intent_and_its_launch_are_one_commit(git_world: GitWorld) -> None:
    """Whoever sees the intent sees the launch; what goes, goes with the outcome."""
    store = store_of(git_world.clone())
    state = put(store, store.load(), files(launch("one"), launch("two")), one=record("one", "a"))
    assert git_world.git("diff-tree", "-r", "--name-status", "main^", "main").split("\n") == [
        "A\tbatches/ledger/rk1_one.calls",
        "A\tbatches/ledger/rk1_two.calls",
        "A\tbatches/state.json",
    ]
    other = store_of(git_world.clone(), "b")
    assert other.load() == state
    assert ledger(other) == {"rk1_one", "rk1_two"}
    put(store, state, {"rk1_two.calls": None, "rk1_never.calls": None}, one=record("one", "a", "b"))
    other.load()
    assert ledger(other) == {"rk1_one"}


def test_what_was_stored_is_not_stored_again(git_world: GitWorld) -> None:
    """A launch that another run took out stays out, whatever this one saves next."""
    store, other = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(store, store.load(), files(launch("one")), one=record("one", "a"))
    put(other, other.load(), {"rk1_one.calls": None}, two=record("two", "b"))
    outcome = mine.with_record("one", record("one", "a", "bat_1"))
    store.save(outcome, touched=frozenset({"one"}), why="")
    assert ledger(store) == set()


@pytest.mark.parametrize("batches", [".", "a/b c/ünï", 'quo\'te "d" and \\back'])
def test_any_root_in_any_place(make_git_world: Callable[..., GitWorld], batches: str) -> None:
    """Wherever the state is, the ledger is beside it."""
    world = make_git_world(1, batches=batches)
    store = store_of(world.clone())
    put(store, store.load(), files(launch("one")), one=record("one", "a"))
    assert ledger(store) == {"rk1_one"}
    other = store_of(world.clone(), "b")
    other.load()
    assert ledger(other) == {"rk1_one"}


def test_what_two_runs_wrote_is_there_together(git_world: GitWorld) -> None:
    """Outcomes that are laid onto another run's commit bring their launches, and keep theirs."""
    first, second = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(first, first.load(), files(launch("one")), one=record("one", "a"))
    theirs = put(second, second.load(), files(launch("two")), two=record("two", "b"))
    put(second, theirs, {}, two=record("two", "b", "bat_2"))
    merged = put(first, mine, files(launch("one", 9)), one=record("one", "a", "bat_1"))
    assert set(merged.batches) == {"one", "two"}
    assert ledger(first) == {"rk1_one", "rk1_two"}
    read = CallLedger.read(first.beside(), KEY_ID).launches["rk1_one"]
    assert read == launch("one", 9)


def test_a_lost_race_leaves_nothing(git_world: GitWorld) -> None:
    """An intent that was not stored has no launch either, and none is stored with what comes."""
    first, second = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = first.load()
    put(second, second.load(), files(launch("two")), two=record("two", "b"))
    with pytest.raises(StateMoved):
        put(first, mine, files(launch("one")), one=record("one", "a"))
    state = first.load()
    assert ledger(first) == {"rk1_two"}
    first.save(state.with_record("one", record("one", "a")), touched=frozenset({"one"}), why="")
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
            put(store, state, files(launch("one")), one=record("one", "a"))
    put(store, state, files(launch("one")), one=record("one", "a"))
    assert ledger(store) == {"rk1_one"}


def test_a_launch_is_no_change_to_the_specs(git_world: GitWorld) -> None:
    """A checkout is not superseded by what runs store, and is by anything else in its place."""
    clone = git_world.clone(depth=None)
    store = store_of(clone)
    put(store, store.load(), files(launch("one")), one=record("one", "a"))
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
