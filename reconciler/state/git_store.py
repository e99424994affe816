"""State on a branch: what one machine recorded survives that machine.

The state is read from the remote's tip, and stored as a commit on it that changes only the state
file. A push that is not a fast-forward is refused by git, which makes each a compare-and-swap: of
two runs that want to act on the same state, one wins and the other plans again. Every commit holds
a token of its run, because two runs that pushed the very same commit would both seem to have won.
"""

from __future__ import annotations

import random
import re
import time
from contextlib import nullcontext
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.errors import Refused, StateError, StateMoved, StateUnusable, Superseded
from reconciler.state import codec
from reconciler.state.beside import require_bounded
from reconciler.state.calls import DIRECTORY, SUFFIX, name_of
from reconciler.state.document import State, begins
from reconciler.state.git import Git, PushFate, advice, without_secrets
from reconciler.state.history import commit_message
from reconciler.state.merge import lay_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from reconciler.ports import Clock, Ids
    from reconciler.state.git import Pushed
    from reconciler.state.store import Aside

TRIES = 12
"""How often outcomes are pushed, each time onto what the branch holds by then."""
INTENT_TRIES = 3
"""How often an intent is pushed whose fate is unclear: the very same commit, onto the same tip."""
LONGEST_PAUSE = 2.0


class Place(Struct, frozen=True, kw_only=True):
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
        self._overtaken = False
        self._pushes = 0
        self._laid: Mapping[str, bytes | None] = {}
        self._encoder = codec.Encoder()

    @property
    def where(self) -> str:
        """The place as people know it."""
        return f"{without_secrets(self.place.remote)}/{self.place.branch}:{self.place.path}"

    @property
    def has_branch(self) -> bool:
        """Whether the branch was there when it was looked at; without it everything looks new."""
        return self._tip is not None

    def load(self, aside: Aside | None = None, *, whole: bool = True) -> State:
        """Read the state at the remote's tip; a branch that is not there yet is empty.

        Raises `Refused` where that would forget a state which lies on the branch of the specs.
        """
        self._tip, self._known = self._look(aside, whole=whole)
        if self._tip is None:
            self._require_nothing_left_behind()
        self._overtaken, self._laid = False, {}
        return self._known

    def _require_nothing_left_behind(self) -> None:
        """Refuse to begin a branch anew while the state lies on that of the specs."""
        remote, branch, source = self.place.remote, self.place.branch, self.place.source_branch
        if source is None or source == branch:
            return
        tip = self.git.remote_tip(remote, source)
        if tip is None:
            return
        self.git.fetch(remote, source, tip)
        left = self._decode(self.git.file_at(tip, self.place.path))
        if count := len(left.batches):
            shown = without_secrets(remote)
            raise Refused(
                f"{shown} has no branch {branch} yet, and on {source} {count:,} "
                f"name{'s are' if count > 1 else ' is'} recorded: a state that begins anew would "
                "forget who was called",
                hint=f"bring it along: git push {shown} {tip}:refs/heads/{branch}",
            )

    def confirm(self) -> None:
        """Make sure that the file can be trusted."""
        self._encoder.confirm()

    def _look(self, aside: Aside | None = None, *, whole: bool = True) -> tuple[str | None, State]:
        """Read the remote's tip and the state there."""
        tip = self.git.remote_tip(self.place.remote, self.place.branch)
        data = None
        if tip is not None:
            self.git.fetch(self.place.remote, self.place.branch, tip)
            data = self.git.file_at(tip, self.place.path)
        return tip, self._decode(data, aside, whole=whole)

    def beside(self) -> Iterator[tuple[str, bytes]]:
        """Read the ledger of calls at the tip that was loaded; see `Beside`."""
        if self._tip is None:
            return
        found, size = self.git.files_below(self._tip, self._beside(""), SUFFIX)
        require_bounded(size)
        names, blobs = [name for name, _ in found], [blob for _, blob in found]
        yield from zip(names, self.git.blobs(blobs), strict=True)

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Put files into the next commit; see `Beside`.

        Wherever the branch is by then, for a launch is a file of its own. Two runs write the same
        one only where the second began anew what the first seemed to have left: see `_files`.
        """
        self._laid = files

    def _files(self, stored: State, parent: str | None) -> dict[str, bytes | None]:
        """Give the files that go with a state, by their paths.

        On a version that somebody else stored, a launch of another run's is that run's: ours was
        for the same request, under an intent that had expired.
        """
        laid = self._laid
        if laid and parent != self._tip:
            theirs = {name_of(r.key) for _, _, r in stored.requests() if r.run != self._run}
            laid = {name: data for name, data in laid.items() if name not in theirs}
        return {self._beside(name): data for name, data in laid.items()}

    def _beside(self, name: str) -> str:
        return str(PurePosixPath(self.place.path).parent / DIRECTORY / name)

    def require_current(self) -> None:
        """Refuse a checkout that is not what the branch of the specs has now.

        Raises `Superseded` when the branch has moved past it, `Refused` when it was never there.
        """
        head, source = self.git.head(), self.place.source_branch
        if head is None:
            raise Refused(
                "nothing is committed here, so nothing was reviewed",
                hint="commit the specs and push them, then run this again",
            )
        if source is None:
            raise Refused(
                "a detached checkout of no known branch: nobody can say whether it is current",
                hint="check the branch out, or set GITHUB_REF_NAME to its name",
            )
        tip = self.git.remote_tip(self.place.remote, source)
        if tip is None:
            raise Refused(
                f"{without_secrets(self.place.remote)} has no branch {source}",
                hint=f"push it first: git push {without_secrets(self.place.remote)} {source}",
            )
        self.git.fetch(self.place.remote, source, tip)
        if head == tip:
            return
        name = PurePosixPath(self.place.path).name
        if not self.git.is_ancestor(head, tip):
            if self.git.is_ancestor(tip, head) and not self.git.differs_beyond(tip, head, name):
                return
            raise Refused(
                f"{self.git.subject(head)}, checked out here, is not on "
                f"{without_secrets(self.place.remote)}/{source}",
                hint="push or merge it first; what is applied must be what others can see",
            )
        if self.git.differs_beyond(head, tip, name):
            newer = self.git.subject(self.git.latest_beyond(head, tip, name))
            raise Superseded(f"superseded by {newer}: nothing more is applied from this checkout")

    def moved(self) -> bool:
        """Whether the branch is not where this run saw it, or put it."""
        if self._overtaken:
            return True
        return self.git.remote_tip(self.place.remote, self.place.branch) != self._tip

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold nothing: the branch itself is what only one run can move."""
        return nullcontext()

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
        """Push the state; see `StateStore.save`.

        With new intents it is pushed onto the version that was planned against or not at all
        (`StateMoved`); outcomes are laid onto whatever the branch holds until they are in.
        """
        known = self._known or State(lineage=state.lineage)
        if begins(known, state, touched):
            return self._push_intents(known, state, touched, why)
        tip, theirs, mine, told = self._tip, known, state, ""
        for attempt in range(TRIES):
            if attempt:
                _pause(attempt)
                try:
                    tip, theirs = self._look()
                except StateError as error:  # as likely to be over in a moment as a lost push
                    told = error.message
                    continue
                mine = self._sound(lay_over(theirs, state, known, touched, self._run))
            stored = replace(mine, serial=mine.serial + 1)
            commit = self._commit(theirs, stored, tip, touched, why)
            pushed = self.git.push(self.place.remote, commit, self.place.branch)
            if self._tip_with(commit, pushed) is True:
                return self._stored(commit, stored, overtaken=tip != self._tip)
            told = _first_line(pushed.told)
            self._require_willing(pushed)
        raise StateError(
            f"what came of it could not be pushed to {self.where}, {TRIES} times in a row: {told}",
            hint="run again: reconciler apply",
        )

    def _sound(self, merged: State) -> State:
        """Give back what can be read again. Raises `StateUnusable` for a contradiction.

        It is nothing to put on a branch: nobody could go on from there.
        """
        try:
            data = self._encoder.encode(replace(merged, serial=merged.serial + 1))
            codec.decode(data, where=self.where)
        except StateUnusable as error:
            raise StateUnusable(
                f"what this run learned and what others recorded cannot both be true: "
                f"{error.message}",
                hint=f"nothing was pushed; look at: git log -p -- {self.place.path}",
            ) from error
        return merged

    def _push_intents(self, known: State, state: State, touched: frozenset[str], why: str) -> State:
        """Push intents as one commit, onto the version they were planned against."""
        self._require_not_overtaken()
        stored = replace(state, serial=state.serial + 1)
        commit = self._commit(known, stored, self._tip, touched, why)
        told = ""
        for attempt in range(INTENT_TRIES):
            if attempt:
                _pause(attempt)
            # The same commit again: however many of these pushes arrive, it is on the branch once.
            pushed = self.git.push(self.place.remote, commit, self.place.branch)
            tip = self._tip_with(commit, pushed)
            if tip is True:
                return self._stored(commit, stored, overtaken=False)
            self._require_willing(pushed)
            if tip is not False and tip != self._tip:
                raise StateMoved(f"{self.where} was moved by another run or a person")
            told = pushed.told
        raise StateError(
            f"the push to {self.where} did not go through: {_first_line(told)}", hint=advice(told)
        )

    def _require_not_overtaken(self) -> None:
        """Begin nothing more from a checkout that may have been superseded since it was planned.

        Where specs and state share a branch the push itself would tell, unless outcomes were laid
        onto somebody's commit meanwhile.
        """
        if self._overtaken:
            raise StateMoved(f"{self.where} was moved by another run or a person")
        if self.place.source_branch != self.place.branch:
            try:
                self.require_current()
            except Superseded as error:
                raise StateMoved(error.message) from error

    def _require_willing(self, pushed: Pushed) -> None:
        if pushed.fate is PushFate.REFUSED:
            raise Refused(
                f"{without_secrets(self.place.remote)} does not take the state: "
                f"{_first_line(pushed.told)}",
                hint=advice(pushed.told),
            )

    def _tip_with(self, commit: str, pushed: Pushed) -> str | bool | None:
        """Say whether a commit is on the branch, whatever its push seemed to say: True if so.

        Otherwise the tip without it (None without a branch), and False when nobody can tell.
        """
        if pushed.fate is PushFate.DONE:
            return True
        # A lost connection tells nothing, and "somebody was first" may mean an earlier try of ours.
        try:
            tip = self.git.remote_tip(self.place.remote, self.place.branch)
            if tip is None:
                return None
            self.git.fetch(self.place.remote, self.place.branch, tip)
        except StateError:
            return False
        return self.git.is_ancestor(commit, tip) or tip

    def _stored(self, commit: str, stored: State, *, overtaken: bool) -> State:
        self._tip, self._known, self._laid = commit, stored, {}
        self._overtaken = self._overtaken or overtaken
        return stored

    def _commit(
        self, before: State, stored: State, parent: str | None, touched: frozenset[str], why: str
    ) -> str:
        self._pushes += 1
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
            self._encoder.encode(stored),
            message,
            parent=parent,
            seconds=int(self._clock.now().timestamp()),
            others=self._files(stored, parent),
        )

    def _decode(
        self, data: bytes | None, aside: Aside | None = None, *, whole: bool = True
    ) -> State:
        if data is None:
            return State(lineage=self._lineage)
        return self._encoder.decode(data, where=self.where, aside=aside, whole=whole)


def _pause(attempt: int) -> None:
    """Wait a little, so that runs that met do not meet again."""
    time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.1 * 2**attempt)))  # noqa: S311 - guards nothing


def _first_line(told: str) -> str:
    """Choose the line that says why: the server's own words, else git's."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    server = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    words = [line for line in server if line] or lines
    telling = [line for line in words if re.search(r"error|fatal|rejected", line, re.IGNORECASE)]
    return (telling or words or ["no word from the server"])[0]
