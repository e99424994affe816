"""What a command that plans reads of the specs: all, or only what may not be as it is recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.cli.in_git import may_be_in_git
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from reconciler.cli.session import Session
    from reconciler.model import Spec, SpecSet
    from reconciler.plan.facts import Rules
    from reconciler.state.document import State
    from reconciler.state.store import StateStore


class Reader:
    """Reads the specs of one root for planning.

    What was read once is not read again: one run goes by one version of each spec.
    """

    def __init__(self, session: Session, *, cache: bool) -> None:
        """Begin to ask git. Without `cache` everything is read."""
        self._session = session
        self._worktree = None
        self._meetings = None
        if cache and session.root.is_dir() and may_be_in_git(session.root):
            from reconciler.cli.meetings import Meetings  # noqa: PLC0415 - only to save reading
            from reconciler.cli.worktree import WorkTree  # noqa: PLC0415 - as above

            self._worktree = WorkTree(session.root)
            self._meetings = Meetings(self._worktree.directory)
        self._blobs: dict[str, str] | None = None
        self._state: State | None = None
        self._store: StateStore | None = None
        self._specs: SpecSet | None = None
        self._reread: dict[str, Spec | None] = {}

    def store(self) -> StateStore:
        """Give the store. What is wrong with the specs is told before what is wrong with that."""
        if not self._session.root.is_dir():
            self._session.specs()  # says so; and nothing is to be made there, not even a lock
        try:
            return self._session.store()
        except ReconcilerError:
            self._session.specs()
            raise

    def load(self, store: StateStore, *, whole: bool = True) -> State:
        """Read the state. What is wrong with the specs is told before what is wrong with that.

        Whether the state can be trusted may be found out until `specs` has given them. Where no
        `whole` is needed, because nobody asks about each record, few of them are read.
        """
        from reconciler.spec.parallel import aside  # noqa: PLC0415 - with the specs

        try:
            state = store.load(aside, whole=whole)
        except ReconcilerError:
            self._session.specs()
            raise
        self._store = store
        return state

    def specs(self, state: State, rules: Rules) -> SpecSet:
        """Give the specs, those left unread that say what this state has of them.

        Raises `InvalidSpecs`, and what `load` does where the state turned out not to be sound.
        """
        try:
            specs = self._specs_beside(state, rules)
        except Exception:
            self._confirm()  # of a state that is not sound anything may be wrong
            raise
        self._confirm()
        return specs

    def _confirm(self) -> None:
        if self._store is not None:
            try:
                self._store.confirm()
            except ReconcilerError:
                self._session.specs()
                raise

    def _specs_beside(self, state: State, rules: Rules) -> SpecSet:
        if self._specs is not None and state is self._state:
            return self._specs
        unread: dict[str, str] = {}

        def asked(_: Collection[str]) -> Mapping[str, str]:
            unread.update(self._unread(state, rules))
            return unread

        if self._specs is None:
            specs = self._session.specs(asked)
        else:
            specs = self._also(self._specs, asked(()))
        self._state = state
        self._reread = {}
        specs = replace(specs, reread=partial(_reread, self._session, unread, self._reread))
        if self._meetings is not None and state.batches:
            specs = replace(specs, met=partial(self._meetings.met, state))
        self._specs = specs
        return specs

    def remember(self, created: Iterable[Spec] = ()) -> None:
        """Keep for later runs who is in specs that were read, and that those may leave unread.

        That is in those `created` now, and in those that are as recorded and not long past. To be
        called when all is done and told: it takes its time, and tells of nothing.
        """
        state = self._state
        if self._meetings is None or self._specs is None or state is None:
            return
        from reconciler.plan.overlap import is_recent  # noqa: PLC0415 - with the planner

        now = self._session.clock.now()
        as_recorded = [
            spec
            for spec in (*self._specs.specs, *filter(None, self._reread.values()))
            if (record := state.record(spec.name)) is not None and record.current.of == spec.digest
            if spec.name in self._reread or is_recent(record, now)
        ]
        self._meetings.remember([*created, *as_recorded], now)

    def _unread(self, state: State, rules: Rules) -> dict[str, str]:
        """Map the paths of specs that may be left unread to their names."""
        if self._worktree is None:
            return {}
        from reconciler.plan.unread import unread  # noqa: PLC0415 - as above

        if self._blobs is None:
            self._blobs = self._worktree.blobs()
        return unread(state, self._blobs, rules)

    def _also(self, specs: SpecSet, unread: Mapping[str, str]) -> SpecSet:
        """Read those too that another version of the state does not allow to leave unread."""
        still = specs.unread & frozenset(unread.values())
        if still == specs.unread:
            return specs
        kept = {path: name for path, name in unread.items() if name in still}
        have = {spec.name for spec in specs.specs}
        more = [spec for spec in self._session.specs(lambda _: kept).specs if spec.name not in have]
        return replace(specs, specs=(*specs.specs, *more), unread=still)


def _reread(
    session: Session, unread: Mapping[str, str], had: dict[str, Spec | None], names: Iterable[str]
) -> list[Spec]:
    """Read some of the specs that were left unread; what is not sound any more is left out."""
    chosen = list(names)
    missing = set(chosen).difference(had)
    wanted = [path for path, name in unread.items() if name in missing] if missing else []
    if wanted:
        read = {spec.name: spec for spec in session.some_specs(wanted)}
        had.update((name, read.get(name)) for name in chosen if name not in had)
    return [spec for name in chosen if (spec := had[name]) is not None]
