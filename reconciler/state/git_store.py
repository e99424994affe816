"""State on a branch: what one machine recorded survives that machine.

The state is read from the remote's tip, and stored as a commit on it that changes only the state
file. A push that is not a fast-forward is refused by git, which makes each a compare-and-swap: of
two runs that want to act on the same state, one wins and the other plans again. Every commit holds
a token of its run, because two runs that pushed the very same commit would both seem to have won.
"""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.errors import Refused, StateError, StateMoved, Superseded
from reconciler.state import codec
from reconciler.state.document import State, begins, lay_onto
from reconciler.state.git import Git, PushFate, advice
from reconciler.state.history import commit_message

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from reconciler.ports import Clock, Ids
    from reconciler.state.git import Pushed

TRIES = 6
"""How often one save is pushed, each time onto what the branch holds by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where state lives: a file of a branch of a remote.

    `source_branch` is the branch the specs are merged into, None when nobody can say.
    """

    remote: str
    branch: str
    path: str
    source_branch: str | None


class GitStore:
    """A `StateStore` on a git branch. One run, one store."""

    def __init__(self, git: Git, place: Place, *, clock: Clock, ids: Ids, run: str) -> None:
        self.git = git
        self.place = place
        self._clock = clock
        self._run = run
        self._lineage = ids.unique()
        self._tip: str | None = None
        self._known: State | None = None
        self._pushes = 0

    @property
    def where(self) -> str:
        """The place as people know it."""
        return f"{self.place.remote}/{self.place.branch}:{self.place.path}"

    def load(self) -> State:
        """Read the state at the remote's tip; a branch that is not there yet is empty."""
        self._tip = self.git.remote_tip(self.place.remote, self.place.branch)
        data = None
        if self._tip is not None:
            self.git.fetch(self.place.remote, self.place.branch, self._tip)
            data = self.git.file_at(self._tip, self.place.path)
        self._known = self._decode(data)
        return self._known

    def require_current(self) -> None:
        """Refuse a checkout that is not what the branch of the specs has now.

        Raises `Superseded` when the branch has moved past it, `Refused` when it was never there.
        """
        head, source = self.git.head(), self.place.source_branch
        if head is None:
            raise Refused("nothing is committed here, so nothing was reviewed")
        if source is None:
            raise Refused(
                "a detached checkout of no known branch: nobody can say whether it is current",
                hint="check the branch out, or set GITHUB_REF_NAME to its name",
            )
        tip = self.git.remote_tip(self.place.remote, source)
        if tip is None:
            raise Refused(
                f"{self.place.remote} has no branch {source}",
                hint=f"push it first: git push {self.place.remote} {source}",
            )
        self.git.fetch(self.place.remote, source, tip)
        if head == tip:
            return
        path = self.place.path
        if not self.git.is_ancestor(head, tip):
            if self.git.is_ancestor(tip, head) and not self.git.differs_beyond(tip, head, path):
                return
            raise Refused(
                f"{self.git.subject(head)}, checked out here, is not on "
                f"{self.place.remote}/{source}",
                hint="push or merge it first; what is applied must be what others can see",
            )
        if self.git.differs_beyond(head, tip, path):
            newer = self.git.subject(self.git.latest_beyond(head, tip, path))
            raise Superseded(f"superseded by {newer}: nothing was applied from this checkout")

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold nothing: the branch itself is what only one run can move."""
        return nullcontext()

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
        """Push the state; see `StateStore.save`.

        With new intents it is pushed onto the version that was planned against or not at all
        (`StateMoved`); outcomes are laid onto whatever the branch holds until they are in.
        """
        intents = begins(self._known or State(lineage=state.lineage), state, touched)
        for attempt in range(TRIES):
            stored = replace(state, serial=state.serial + 1)
            commit = self._commit(stored, touched, why)
            pushed = self.git.push(self.place.remote, commit, self.place.branch)
            if self._is_in(commit, pushed):
                self._tip, self._known = commit, stored
                return stored
            if pushed.fate is PushFate.REFUSED:
                raise Refused(
                    f"{self.place.remote} does not take the state: {_first_line(pushed.told)}",
                    hint=advice(pushed.told),
                )
            if intents and pushed.fate is PushFate.MOVED:
                raise StateMoved(f"{self.where} was moved by another run or a person")
            if intents:
                raise StateError(
                    f"the push to {self.where} did not go through: {_first_line(pushed.told)}",
                    hint=advice(pushed.told),
                )
            time.sleep(random.uniform(0, 0.2 * 2**attempt))  # noqa: S311 - so that runs do not meet again
            state = lay_onto(self.load(), state, touched)
        raise StateError(
            f"{self.where} moved away {TRIES} times in a row, or could not be reached",
            hint="run this again: it finds by its key whatever was created",
        )

    def _is_in(self, commit: str, pushed: Pushed) -> bool:
        """Whether a commit is on the branch, whatever the push seemed to say."""
        if pushed.fate is PushFate.DONE:
            return True
        if pushed.fate is PushFate.REFUSED:
            return False
        # A lost connection tells nothing, and "somebody was first" may mean an earlier try of ours.
        try:
            tip = self.git.remote_tip(self.place.remote, self.place.branch)
            if tip is None:
                return False
            self.git.fetch(self.place.remote, self.place.branch, tip)
        except StateError:
            return False
        return self.git.is_ancestor(commit, tip)

    def _commit(self, stored: State, touched: frozenset[str], why: str) -> str:
        self._pushes += 1
        before = self._known or State(lineage=stored.lineage)
        message = commit_message(
            before,
            stored,
            touched,
            why=why,
            token=f"{self._run}-{self._pushes}",
            spec_commit=self.git.head(),
        )
        return self.git.commit_file(
            self.place.path,
            codec.encode(stored),
            message,
            parent=self._tip,
            seconds=int(self._clock.now().timestamp()),
        )

    def _decode(self, data: bytes | None) -> State:
        if data is None:
            return State(lineage=self._lineage)
        return codec.decode(data, where=self.where)


def _first_line(told: str) -> str:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "!" in line]
    return (telling or lines or ["no word from the server"])[0]
