"""The brake of one root: FREEZE and `freeze`, here and, with state in git, on the remote.

With state in git somebody stops a running apply by a push or a merge, so before each request the
remote is asked for the tip of the branch that specs are merged into: one `git ls-remote`. What lies
there is looked at once for each commit. Whatever cannot be looked at is frozen.
"""

from __future__ import annotations

import threading
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reconciler.errors import ReconcilerError
from reconciler.spec.config.freeze import FREEZE, LocalBrake, file_says, freeze_reason, parsed
from reconciler.spec.config.settings import MAX_SETTINGS
from reconciler.spec.discover import SETTINGS
from reconciler.state.git import without_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.ports import Brake
    from reconciler.state.git import Git
    from reconciler.state.git_store import Place
    from reconciler.state.store import StateStore

_LARGEST = 1024 * 1024
"""Bytes of a FREEZE in git that are read; of a larger one there is no reason to be told."""


def brake_of(root: Path, store: StateStore) -> Brake:
    """Give the brake of a root whose state a store keeps."""
    from reconciler.state.git_store import GitStore  # noqa: PLC0415 - only for state in git

    here = LocalBrake(root)
    if isinstance(store, GitStore):
        return Shared(Both(here, RemoteBrake(store.git, store.place)))
    return Shared(here)


class Both(Struct, frozen=True):
    """Two brakes, of which either is enough."""

    first: Brake
    second: Brake

    def frozen(self) -> str | None:
        """Ask the one that costs less first."""
        return self.first.frozen() or self.second.frozen()


class RemoteBrake:
    """Looks at a root at the tip of a remote's branch. Asked by one thread at a time."""

    def __init__(self, git: Git, place: Place) -> None:
        self._git = git
        self._place = place
        self._root = PurePosixPath(place.path).parent
        self._seen: tuple[str, str | None] | None = None

    def frozen(self) -> str | None:
        """Ask for the tip, and look there if it has moved."""
        remote, branch = self._place.remote, self._place.source_branch
        if branch is None:
            return "nobody can say which branch the specs are merged into"
        try:
            tip = self._git.remote_tip(remote, branch)
            if tip is None:
                return f"{without_secrets(remote)} has no branch {branch} any more"
            if self._seen is None or self._seen[0] != tip:
                self._git.fetch(remote, branch, tip)
                self._seen = tip, self._look(tip)
        except ReconcilerError as error:
            return f"nobody can tell what {without_secrets(remote)} says: {error.message}"
        return self._seen[1]

    def _look(self, tip: str) -> str | None:
        """Say what a commit's FREEZE and settings say."""
        where = f"{without_secrets(self._place.remote)}/{self._place.source_branch}:{self._root}"
        file, settings = str(self._root / FREEZE), str(self._root / SETTINGS)
        if self._git.has_entry(tip, file):
            data = self._git.linked_file_at(tip, file, limit=_LARGEST)
            return freeze_reason(where, file_says(data or b""), None)
        if not self._git.has_entry(tip, settings):
            return freeze_reason(where, None, parsed(None))
        data = self._git.linked_file_at(tip, settings, limit=MAX_SETTINGS)
        return freeze_reason(where, None, None if data is None else parsed(data))


class Shared(Struct):
    """One look for all who were waiting when it began, and never an older one.

    `waiting` is how many wait for the next one.
    """

    brake: Brake
    waiting: int = 0
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _begun: int = 0
    _ended: int = 0
    _said: str | None = None

    def frozen(self) -> str | None:
        """Wait for the next look, or take it."""
        with self._turn:
            mine = self._begun + 1
            while self._begun != self._ended and self._ended < mine:
                self.waiting += 1
                self._turn.wait()
                self.waiting -= 1
            if self._ended >= mine:
                return self._said
            self._begun = mine
        said: str | None = "the look at it broke off"
        try:
            said = self.brake.frozen()
        finally:
            with self._turn:
                self._ended, self._said = mine, said
                self._turn.notify_all()
        return said
