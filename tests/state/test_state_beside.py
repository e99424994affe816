"""The ledger of calls beside a state file: there before the state, gone after it."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.errors import StateError, StateMoved
from reconciler.state import beside, codec
from reconciler.state.calls import CallLedger, Launch, LedgerUnusable, encode, name_of
from reconciler.state.file import FileStore
from tests.core.builders import created, creating, recorded, spec, state

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
SPEC = spec()
INTENT = state(welcome=recorded(creating(SPEC), of=SPEC))
DONE = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))
NAMES = frozenset({"welcome"})


@pytest.fixture
def store(store: FileStore) -> FileStore:
    """Give a store of nothing yet, that was read."""
    store.load()
    return store


def launch(request: str) -> Launch:
    """Give a launch of three."""
    return Launch(request, NOW, array("Q", [1, 2, 3]))


def laid(*requests: str) -> dict[str, bytes | None]:
    """Write launches."""
    return {name_of(each): encode(launch(each), "key") for each in requests}


def ledger(store: FileStore) -> set[str]:
    """Read the ledger."""
    return set(CallLedger.read(store.beside(), "key").launches)


def test_what_is_laid_is_stored_with_the_state(store: FileStore, path: Path) -> None:
    """Once: the next save does not bring it back."""
    assert ledger(store) == set()
    store.lay(laid("rk1_a", "rk1_b"))
    assert not (path.parent / "ledger").exists()
    saved = store.save(INTENT, touched=NAMES, why="")
    assert ledger(store) == {"rk1_a", "rk1_b"}
    store.lay({"rk1_b.calls": None, "rk1_never.calls": None})
    saved = store.save(saved, touched=NAMES, why="")
    assert ledger(store) == {"rk1_a"}
    store.lay({"rk1_a.calls": None})
    store.load()
    store.save(saved, touched=NAMES, why="")
    assert ledger(store) == {"rk1_a"}


@pytest.mark.parametrize("dies_at", ["rk1_b.calls", "state.json"])
def test_a_run_that_dies_in_between(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """A launch may be there without its intent, never an intent without its launch."""

    class Killed(BaseException):
        pass

    whole = FileStore._replace

    def dying(self: FileStore, place: Path, data: bytes) -> None:
        if place.name == dies_at:
            raise Killed
        whole(self, place, data)

    store.lay(laid("rk1_a", "rk1_b"))
    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "_replace", dying)
        with pytest.raises(Killed):
            store.save(INTENT, touched=NAMES, why="")
    assert not path.exists()
    assert ledger(store) == ({"rk1_a"} if dies_at == "rk1_b.calls" else {"rk1_a", "rk1_b"})
    store.lay(laid("rk1_a", "rk1_b"))
    store.save(INTENT, touched=NAMES, why="")
    assert ledger(store) == {"rk1_a", "rk1_b"}


def test_what_goes_goes_last(store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the state says that a request may have called, its launch is there."""
    store.lay(laid("rk1_a"))
    saved = store.save(INTENT, touched=NAMES, why="")
    before: list[bytes] = []
    unlink = Path.unlink

    def noted(self: Path, *, missing_ok: bool = False) -> None:
        before.append(path.read_bytes())
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noted)
    store.lay({"rk1_a.calls": None})
    gone = saved.with_record("welcome", None)
    stored = store.save(gone, touched=NAMES, why="")
    assert before == [codec.encode(stored)]


def test_an_intent_that_lost_leaves_no_launch(store: FileStore, path: Path) -> None:
    """Where somebody else was first, nothing is laid."""
    path.write_bytes(codec.encode(DONE))
    store.lay(laid("rk1_a"))
    with pytest.raises(StateMoved):
        store.save(INTENT, touched=NAMES, why="")
    assert ledger(store) == set()


def test_a_place_that_cannot_be_written(store: FileStore, path: Path) -> None:
    """Then the intent is not stored either."""
    (path.parent / "ledger").write_text("in the way", "utf-8")
    store.lay(laid("rk1_a"))
    with pytest.raises(StateError, match="cannot write"):
        store.save(INTENT, touched=NAMES, why="")
    assert not path.exists()
    with pytest.raises(StateError, match="cannot read"):
        ledger(store)


def test_only_files_are_read(store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed run left half written is no launch; a link is refused, and so is too much."""
    store.lay(laid("rk1_a"))
    store.save(INTENT, touched=NAMES, why="")
    directory = path.parent / "ledger"
    (directory / ".rk1_b.calls.tmp").write_bytes(b"half")
    assert ledger(store) == {"rk1_a"}
    with monkeypatch.context() as patched:
        patched.setattr(beside, "MOST_BYTES", 10)
        with pytest.raises(LedgerUnusable, match="at most"):
            ledger(store)
    for target in ("/dev/zero", "rk1_a.calls"):
        (directory / "rk1_link.calls").symlink_to(target)
        with pytest.raises(LedgerUnusable, match="not a file"):
            ledger(store)
        (directory / "rk1_link.calls").unlink()
