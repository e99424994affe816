from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import pytest
from msgspec import structs
from msgspec.structs import replace

from reconciler.errors import StateError, StateLocked, StateMoved, StateUnusable
from reconciler.state import codec
from reconciler.state.file import FileStore
from tests.core.builders import created, creating, in_doubt, recorded, spec, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.state.document import State
    from tests.state.conftest import CountingIds

SPEC, OTHER = spec(), spec("other", 2)
DONE = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))
THEIRS = state(other=recorded(created(OTHER, "bat_2"), of=OTHER))
NAME = frozenset({"welcome"})


def write(path: Path, value: State) -> None:
    """Have somebody else store a state."""
    path.write_bytes(codec.encode(value))


def test_nothing_stored_is_an_empty_state_of_its_own(store: FileStore, path: Path) -> None:
    """No file is serial 0 of a new lineage, and reading writes nothing."""
    first, second = store.load(), store.load()
    assert (first.serial, first.batches) == (0, {})
    assert first.lineage != second.lineage
    assert not path.exists()
    assert store.where == str(path)
    store.require_current()


def test_what_is_saved_is_loaded(store: FileStore, path: Path, ids: CountingIds) -> None:
    """Each save counts the serial, and another process reads the same."""
    begun = store.load()
    stored = store.save(replace(DONE, lineage=begun.lineage, serial=0), touched=NAME, why="")
    again = store.save(stored, touched=NAME, why="")
    assert (stored.serial, again.serial) == (1, 2)
    assert FileStore(path, ids=ids).load() == again
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_save_without_a_load_does_not_overwrite(store: FileStore, path: Path) -> None:
    """A store that never read the file does not know it, so what it says is kept."""
    write(path, THEIRS)
    stored = store.save(DONE, touched=NAME, why="")
    assert set(stored.batches) == {"welcome", "other"}


def test_mode_and_link_are_kept(path: Path, ids: CountingIds) -> None:
    """Through a symbolic link the file itself is replaced, with the permissions it had."""
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    real = elsewhere / "real.json"
    write(real, THEIRS)
    real.chmod(0o640)
    path.symlink_to(real)
    store = FileStore(path, ids=ids)
    store.save(store.load(), touched=frozenset(), why="")
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert codec.decode(real.read_bytes(), where="x").serial == 8
    assert sorted(each.name for each in elsewhere.iterdir()) == ["real.json"]


def test_two_ways_to_one_file_are_one_lock(path: Path, ids: CountingIds) -> None:
    """A symbolic link is no way around the lock."""
    link = path.parent / "link.json"
    link.symlink_to(path)
    with FileStore(path, ids=ids).exclusive(), pytest.raises(StateLocked):
        FileStore(link, ids=ids).exclusive().__enter__()


def test_leftovers_of_a_crash_are_harmless(store: FileStore, path: Path) -> None:
    """A temporary file that a killed run left is written over, and never read."""
    write(path, THEIRS)
    leftover = path.with_name(".state.json.tmp")
    leftover.write_bytes(b"half a sta")
    loaded = store.load()
    assert loaded == THEIRS
    store.save(loaded, touched=frozenset(), why="")
    assert not leftover.exists()


def test_a_save_is_durable_before_it_returns(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before it takes its place, and the directory after."""
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        size = os.fstat(descriptor).st_size
        calls.append(f"sync {kind}" + (" whole" if kind == "file" and size == whole else ""))
        real_fsync(descriptor)

    def moved(self: Path, target: Path) -> Path:
        calls.append("replace")
        return real_replace(self, target)

    whole = len(codec.encode(replace(DONE, serial=8)))
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", moved)
    store.load()
    store.save(DONE, touched=NAME, why="")
    assert calls == ["sync file whole", "replace", "sync directory"]
    assert path.exists()


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_state(
    step: str, store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told with what to do, and the file is as it was."""
    write(path, THEIRS)
    before = path.read_bytes()
    loaded = store.load()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(StateError, match="No space left") as raised:
        store.save(loaded.with_record("welcome", DONE.record("welcome")), touched=NAME, why="")
    monkeypatch.undo()
    assert not isinstance(raised.value, StateUnusable)
    assert raised.value.hint
    assert path.read_bytes() == before
    stored = store.save(loaded.with_record("welcome", DONE.record("welcome")), touched=NAME, why="")
    assert set(stored.batches) == {"welcome", "other"}


def test_a_place_that_cannot_be_read_is_told(
    path: Path, ids: CountingIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory in the file's place and a file without permission say so."""
    path.mkdir()
    with pytest.raises(StateError, match="cannot read"):
        FileStore(path, ids=ids).load()
    path.rmdir()

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(StateError, match="Permission denied"):
        FileStore(path, ids=ids).load()


def test_a_place_that_is_not_there_cannot_be_locked_nor_saved_to(
    path: Path, ids: CountingIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing directory is an error with its cause, not a new directory."""
    store = FileStore(path.parent / "missing" / "state.json", ids=ids)
    with pytest.raises(StateError, match="cannot write"):
        store.save(DONE, touched=NAME, why="")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", denied)
    with pytest.raises(StateError, match="cannot lock") as raised, store.exclusive():
        pass
    assert "can be written" in raised.value.hint


def test_a_reader_never_sees_half_a_state(store: FileStore, path: Path, ids: CountingIds) -> None:
    """While one thread saves again and again, every read is a whole state."""
    versions = [DONE, THEIRS]
    store.load()
    store.save(DONE, touched=NAME, why="")
    over = threading.Event()

    def save() -> None:
        for i in range(60):
            store.save(versions[i % 2], touched=NAME, why="")
        over.set()

    writer = threading.Thread(target=save)
    writer.start()
    reader, reads = FileStore(path, ids=ids), 0
    while not over.is_set() or reads == 0:
        reader.load()
        reads += 1
    writer.join()
    assert reads


# -- somebody else --------------------------------------------------------------------------------


def test_what_somebody_else_stored_meanwhile_is_kept(store: FileStore, path: Path) -> None:
    """A `git pull` beside a running apply keeps its records, and ours go on top."""
    write(path, in_doubt(SPEC))
    store.load()
    write(path, replace(THEIRS, serial=40))
    stored = store.save(DONE, touched=NAME, why="")
    assert stored.serial == 41
    assert stored.batch_ids() == {"bat_1": "welcome", "bat_2": "other"}
    assert codec.decode(path.read_bytes(), where="x") == stored


@pytest.mark.parametrize("known", [DONE, in_doubt(SPEC)], ids=["an outcome", "an intent"])
def test_a_file_that_was_removed_meanwhile_is_written_again(
    known: State, store: FileStore, path: Path
) -> None:
    """Planning again without it would forget every batch, so all that this run knows is kept."""
    write(path, THEIRS)
    loaded = store.load()
    path.unlink()
    both = loaded.with_record("welcome", known.record("welcome"))
    assert store.save(both, touched=NAME, why="").serial == 8
    assert set(codec.decode(path.read_bytes(), where="x").batches) == {"welcome", "other"}


def test_new_intents_are_not_laid_onto_what_somebody_else_stored(
    store: FileStore, path: Path
) -> None:
    """They were planned without knowing of it, so the file stays and planning begins again."""
    write(path, THEIRS)
    loaded = store.load()
    write(path, replace(THEIRS, serial=40))
    before = path.read_bytes()
    intent = loaded.with_record("welcome", in_doubt(SPEC).record("welcome"))
    with pytest.raises(StateMoved):
        store.save(intent, touched=NAME, why="")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "meanwhile",
    [
        b"<<<<<<< HEAD\n",
        b"",
        codec.encode(state(other=recorded(created(OTHER, "bat_1"), of=OTHER))),
        codec.encode(state(other=recorded(creating(SPEC, key="k2", run="ours"), of=SPEC))),
    ],
    ids=["a conflict", "nothing", "our batch is another key's", "our intent stands elsewhere"],
)
def test_an_unusable_file_is_not_overwritten_and_ours_is_rescued(
    meanwhile: bytes, store: FileStore, path: Path
) -> None:
    """All that this run knows lies beside it, and the error names the file."""
    at_work = state(
        welcome=recorded(
            created(SPEC, "bat_1"),
            structs.replace(creating(SPEC, run="ours"), part=2, key="k2"),
            of=SPEC,
        )
    )
    write(path, at_work)
    store.load()
    path.write_bytes(meanwhile)
    with pytest.raises(StateUnusable) as raised:
        store.save(at_work, touched=NAME, why="")
    (rescued,) = path.parent.glob("state.rescued-*.json")
    assert path.read_bytes() == meanwhile
    assert str(rescued) in raised.value.hint
    assert codec.decode(rescued.read_bytes(), where="x").batch_ids() == {"bat_1": "welcome"}


# -- the lock -------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from reconciler.state.file import FileStore
from reconciler.system import RandomIds
with FileStore(Path(sys.argv[1]), ids=RandomIds()).exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """Give a starter of processes that hold a lock."""
    started: list[subprocess.Popen[bytes]] = []

    def start(path: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLD, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_another_process_is_kept_out_until_the_holder_is_killed(
    store: FileStore, path: Path, hold: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    """The refusal comes at once, and the lock goes with the process, however that ends."""
    holder = hold(path)
    with pytest.raises(StateLocked) as raised, store.exclusive():
        pass
    assert raised.value.hint
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    with store.exclusive():
        store.save(store.load(), touched=frozenset(), why="")


def test_a_lock_is_given_back(store: FileStore, path: Path, ids: CountingIds) -> None:
    """After the context the next may hold it, also when it ended with an error."""
    with pytest.raises(KeyboardInterrupt), store.exclusive():
        raise KeyboardInterrupt
    with FileStore(path, ids=ids).exclusive():
        pass
