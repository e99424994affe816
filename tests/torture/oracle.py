"""Who knows every batch that exists, every phone that rang and every commit that was pushed.

And what the branch said at the very moment at which a request arrived: whatever is created, paused
or cancelled must have been announced there by then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.observed import TERMINAL
from reconciler.state.document import RequestRecord, State, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.sandbox import Sandbox
    from reconciler.sandbox.journal import Entry
    from reconciler.sandbox.oracle import KnownBatch
    from tests.torture.gitworld import GitWorld

STATE_BRANCH = "reconciler-state"
WAITING = frozenset({"pending", "retrying", "followup_scheduled", "dispatched", "in_progress"})
CALLED = frozenset({"completed", "max_retries_reached", "failed"})
DAYS = 2 * 86_400


class Oracle:
    """Watches one world, and judges it."""

    def __init__(self, world: GitWorld) -> None:
        self._world = world
        self._arrived: dict[int, tuple[Entry, dict[str, str]]] = {}
        self._side_by_side: list[str] = []

    def watch(self, sandbox: Sandbox) -> None:
        """See each request when it arrives, and how things stand when it has been dealt with."""
        journal = sandbox._journal
        note = journal.update

        def noted(entry: Entry) -> None:
            note(entry)
            if entry.operation in {"pause", "cancel"} or (
                entry.operation == "create" and entry.key
            ):
                self._arrived.setdefault(entry.id, (entry, self._tips()))
            if entry.finished and self._world.versions:
                self._look(sandbox, entry)

        # The one place where every request is seen when it arrives and before it is answered.
        journal.update = noted  # type: ignore[method-assign] # see above

    def _tips(self) -> dict[str, str]:
        """Give each branch's commit, as the remote has it at this moment."""
        tips = {}
        for name in ("main", STATE_BRANCH):
            with suppress(FileNotFoundError):
                tips[name] = (self._world.remote / "refs/heads" / name).read_text("utf-8").strip()
        return tips

    def _look(self, sandbox: Sandbox, entry: Entry) -> None:
        """Take note of people who wait for a call in two batches that are calling."""
        waiting = Counter(
            contact["phone_number"]
            for batch in sandbox.batches()
            if batch.status == "in_progress"
            for contact in batch.contacts
            if contact["status"] in WAITING
        )
        if max(waiting.values(), default=0) > 1:
            self._side_by_side.append(f"{entry.operation} ({entry.id})")

    def check_announced(self, branch: str) -> None:
        """Of each request: when it arrived, what it was about was pushed, in no other version."""
        states: dict[str, State] = {}
        keys = Counter(batch.key for batch in self._world.sandbox.batches())
        # A second batch is cancelled first and recorded then: whoever looks finds it again.
        second = {b.batch_id for b in self._world.sandbox.batches() if keys[b.key] > 1}
        for entry, tips in self._arrived.values():
            commit = tips.get(branch)
            told = f"{entry.operation} {entry.key or entry.batch_id}"
            assert commit is not None, f"{told} was sent before anything was pushed"
            if commit not in states:
                states[commit] = self._world.state(commit=commit)
            state = states[commit]
            if entry.operation == "create":
                found = {r.key: r.status for _, _, r in state.requests()}.get(entry.key or "")
                sound = found is Status.CREATING
                assert sound, f"{told} was sent without a pushed intent: {found}"
            elif entry.batch_id is not None and entry.batch_id not in second:
                assert _announces(state, entry), f"{told} was not announced"

    def check(self, *, ever: int, ended: bool, branch: str) -> None:
        """Ask for every promise; see `GitWorld.check`."""
        self.check_announced(branch)
        state = self._world.state(branch)
        batches = self._world.sandbox.batches()
        recorded = state.batch_ids()
        lost = [batch.batch_id for batch in batches if batch.batch_id not in recorded]
        assert not lost, f"lost: {lost}"
        made = Counter(batch.key for batch in batches)
        assert max(made.values(), default=0) <= ever, f"made more than {ever} times: {made}"
        self._check_current(state, batches, TERMINAL if ended else {"cancelled"})
        if ever == 1:
            self._check_calls(state)

    def _check_current(
        self, state: State, batches: Sequence[KnownBatch], over: frozenset[str] | set[str]
    ) -> None:
        """Of each name one batch is there, and it is the one that is recorded."""
        current = {r.batch_id: (name, r) for name, r in _current(state)}
        earlier = {r.batch_id for _, _, r in state.requests()} - set(current)
        lively = Counter(
            batch.name
            for batch in batches
            if batch.batch_id in current
            or (batch.status not in (TERMINAL if batch.batch_id in earlier else over))
        )
        assert set(lively) == set(self._world.names), f"live: {lively}"
        assert max(lively.values()) == 1, f"live: {lively}"
        alive = {batch.batch_id: batch for batch in batches if batch.status != "cancelled"}
        for batch_id, (name, request) in current.items():
            assert batch_id in alive, f"{name} is recorded as {batch_id}"
            assert alive[batch_id].key == request.key
        assert all(record.replacing is None for record in state.batches.values())

    def _check_calls(self, state: State) -> None:
        """Two days later: whoever was reached was called by no other batch, and all were called."""
        self._world.sandbox.advance(DAYS)
        assert self._side_by_side == [], f"two batches called the same: {self._side_by_side}"
        batches = sorted(self._world.sandbox.batches(), key=lambda each: each.created_at)
        dialled = {(d.phone_number, d.batch_id) for d in self._world.sandbox.dials()}
        reached: dict[str, set[str]] = defaultdict(set)
        for batch in batches:
            for contact in batch.contacts:
                who = contact["phone_number"]
                again = reached[who] and (who, batch.batch_id) in dialled
                assert not again, f"somebody was called again by {batch.batch_id}"
                reached[who] |= {contact["status"]} & CALLED
        current = {r.batch_id for _, r in _current(state)}
        wanted = {n for b in batches if b.batch_id in current for n in b.phone_numbers}
        forgotten = sum(not reached[number] for number in wanted)
        assert not forgotten, f"{forgotten} people were never called"


def _current(state: State) -> Iterator[tuple[str, RequestRecord]]:
    for name, record in state.batches.items():
        for request in record.current.requests:
            yield name, request


def _announces(state: State, entry: Entry) -> bool:
    """Whether a state says that a batch is about to be paused or cancelled.

    Pausing one that somebody has cancelled meanwhile does nothing.
    """
    paused = {
        i for record in state.batches.values() if record.replacing for i in record.replacing.paused
    }
    if entry.operation == "pause" and entry.batch_id in paused:
        return True
    return any(
        entry.batch_id == request.batch_id and request.cancelled_at is not None
        for _, _, request in state.requests()
    )
