"""State in a file beside the specs: atomic, durable, and one apply at a time.

A save writes a temporary file in the same directory, syncs it, puts it in the place of the old one
and syncs the directory; a crash leaves the old state or the new one, whole. A lock that the
operating system drops with the process keeps two applies on one machine apart.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.errors import StateError, StateLocked, StateMoved, StateUnusable
from reconciler.state import codec
from reconciler.state.beside import read_directory
from reconciler.state.calls import DIRECTORY
from reconciler.state.document import State, begins
from reconciler.state.merge import displaced, lay_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.ports import Ids
    from reconciler.state.store import Aside

STATE_NAME = "state.json"
_PIECE = 2**20
"""Bytes of the file that are compared with what is known at once."""


class FileStore:
    """A `StateStore` in one file, whose temporary file and lock lie beside it.

    `run` is who stores: of its own intents a run knows better than what somebody else wrote there.
    """

    def __init__(self, path: Path, *, ids: Ids, run: str = "") -> None:
        self._shown = path
        # Through a symbolic link the file itself is replaced, not the link.
        self._path = Path(os.path.realpath(path))
        self._ids = ids
        self._run = run
        self._on_disk: bytes | None = None
        self._known: State | None = None
        self._encoder = codec.Encoder()
        self._laid: Mapping[str, bytes | None] = {}
        self._overtaken = False
        self._rescued = self._path.with_name(f"state.rescued-{ids.unique()[:8]}.json")

    @property
    def where(self) -> str:
        """The path as the user would type it."""
        return str(self._shown)

    def load(self, aside: Aside | None = None, *, whole: bool = True) -> State:
        """Read the file; no file is an empty state of a new lineage."""
        self._overtaken, self._laid = False, {}
        self._on_disk = self._read()
        self._known = (
            State(lineage=self._ids.unique())
            if self._on_disk is None
            else self._encoder.decode(self._on_disk, where=self.where, aside=aside, whole=whole)
        )
        return self._known

    def confirm(self) -> None:
        """Make sure that the file can be trusted."""
        self._encoder.confirm()

    def require_current(self) -> None:
        """Do nothing: beside the specs there is no other version of them to compare with."""

    def moved(self) -> bool:
        """Whether somebody else has written the file since this run read it."""
        return self._overtaken or not self._is_as_known()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock beside the file. Raises `StateLocked` at once when another run has it."""
        from filelock import FileLock, Timeout  # noqa: PLC0415 - only who stores needs it

        lock = FileLock(self._path.with_name(f".{self._path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StateLocked(
                f"another apply on this machine is working on {self.where}",
                hint="wait until it ends and run this again; it goes on where the other stopped",
            ) from None
        except OSError as error:
            raise StateError(
                f"cannot lock {self.where}: {error.strerror}",
                hint=f"check that {self._path.parent} exists and can be written",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:  # noqa: ARG002 - a file keeps no history
        """Put the state in the place of the old one, durably.

        A file that changed since this run read it (a `git pull` beside a running apply) keeps what
        it says: our outcomes are laid onto it, and new intents are refused (`StateMoved`). One that
        became unusable is not overwritten: ours is kept beside it, and `StateUnusable` says where.
        """
        current = self._on_disk if self._is_as_known() else self._read()
        known = self._known or State(lineage=state.lineage)
        # A file that was removed says nothing: planning again without it would forget every batch.
        changed = current is not None and current != self._on_disk
        if (changed or self._overtaken) and begins(known, state, touched):
            raise StateMoved(f"{self.where} was changed by somebody else meanwhile")
        if current is not None and changed:
            state = self._laid_over(current, state, known, touched)
            self._overtaken = True
        stored = replace(state, serial=state.serial + 1)
        data = self._encoder.encode(stored)
        laid, self._laid = self._laid, {}
        self._put_beside(laid)
        self._replace(self._path, data)
        self._on_disk, self._known = data, stored
        self._take_away(laid)
        return stored

    def beside(self) -> Iterator[tuple[str, bytes]]:
        """Read the ledger of calls; see `Beside`."""
        return read_directory(self._path.parent)

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Store files with the next state; see `Beside`."""
        self._laid = files

    def _put_beside(self, files: Mapping[str, bytes | None]) -> None:
        """Write files before the state that relies on them."""
        directory = self._path.parent / DIRECTORY
        for name, data in files.items():
            if data is not None:
                try:
                    directory.mkdir(exist_ok=True)
                except OSError as error:
                    raise StateError(f"cannot write {directory}: {error.strerror}") from error
                self._replace(directory / name, data)

    def _take_away(self, files: Mapping[str, bytes | None]) -> None:
        """Remove files after the state that does without them. One that stays is counted on."""
        for name, data in files.items():
            if data is None:
                with suppress(OSError):
                    (self._path.parent / DIRECTORY / name).unlink()

    def _laid_over(
        self, current: bytes, state: State, known: State, touched: frozenset[str]
    ) -> State:
        try:
            return self._together(current, state, known, touched)
        except StateUnusable as error:
            rescued = self._rescued
            self._replace(rescued, codec.encode(replace(state, serial=state.serial + 1)))
            raise StateUnusable(
                f"{self.where} changed while this run was at work and is not usable: "
                f"{error.message}",
                hint=f"nothing is lost: all that this run knows is in {rescued}; look at both, "
                f"then: mv {rescued} {self.where}",
            ) from error

    def _together(
        self, current: bytes, state: State, known: State, touched: frozenset[str]
    ) -> State:
        """Lay ours over theirs. Raises `StateUnusable` where the two cannot be one sound state."""
        theirs = self._encoder.decode(current, where=self.where)
        merged = lay_over(theirs, state, known, touched, self._run)
        # What the two say together may contradict itself, and would be refused from then on.
        data = self._encoder.encode(replace(merged, serial=merged.serial + 1))
        codec.decode(data, where=self.where)
        if displaced(state, merged, self._run):
            raise StateUnusable("it has something else where this run is creating a batch")
        return merged

    def _read(self) -> bytes | None:
        with self._telling():
            try:
                return self._path.read_bytes()
            except FileNotFoundError:
                return None

    def _is_as_known(self) -> bool:
        """Whether the file holds what this run read or wrote, looked at a piece at a time."""
        known = self._on_disk
        with self._telling():
            try:
                with self._path.open("rb", buffering=0) as file:
                    place = 0
                    while piece := file.read(_PIECE):
                        if known is None or not known.startswith(piece, place):
                            return False
                        place += len(piece)
            except FileNotFoundError:
                return known is None
        return known is not None and place == len(known)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"cannot read {self.where}: {error.strerror}",
                hint=f"check that {self.where} is a file that may be read",
            ) from error

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            with temporary.open("wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise StateError(
                f"cannot write {self.where}: {error.strerror}",
                hint="free some space or mend the permissions, then run: reconciler apply",
            ) from error
