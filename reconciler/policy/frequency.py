"""How often a number may be called within some time, by all batches of a root. Pure.

A batch counts as one call to each of its numbers, from when it begins; what the campaign tries
again is the campaign's matter. Where the ledger of calls cannot be read, or its key is not there,
nobody can say how often somebody was called, and nothing is launched.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.errors import ReconcilerError
from reconciler.model import OnChange
from reconciler.policy.finding import Finding, Level
from reconciler.policy.keyed import ledger_key
from reconciler.policy.wording import people, span, verb
from reconciler.spec.schedule import resolve
from reconciler.state.calls import MOST, CallLedger, Launch

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.model import Contact
    from reconciler.plan.actions import Action
    from reconciler.policy.case import Case
    from reconciler.policy.keyed import LedgerKey
    from reconciler.state.document import Generation, RequestRecord, State

RULE = "frequency"
_MOST_SHOWN = 3
SLACK = timedelta(days=1)
"""How much longer than it counts a launch is kept: clocks of several machines differ."""


class Limit(Struct, frozen=True):
    """At most so many calls to a number within a time."""

    calls: int
    within: timedelta

    def __str__(self) -> str:
        return f"{self.calls:,} call{'s' * (self.calls > 1)} in {span(self.within)}"


class Frequency(Struct, frozen=True):
    """All limits of a root, and the ledger they are looked up in.

    `problem` says why there is no `key` or `ledger` that could be asked, and `hint` what to do.
    `planned` is the ledger with those launches of the plan that came first and that nothing
    refuses: judged for itself, each of two batches of the same people would be within a limit.
    """

    limits: tuple[Limit, ...] = ()
    key: LedgerKey | None = None
    ledger: CallLedger | None = None
    problem: str = ""
    hint: str = ""
    planned: CallLedger | None = None

    @property
    def keeps(self) -> timedelta:
        """How long a launch has to be kept."""
        return max((limit.within for limit in self.limits), default=timedelta(0)) + SLACK

    def findings(
        self, case: Case, contacts: Iterable[Sequence[Contact]], besides: Container[str] = ()
    ) -> Iterator[Finding]:
        """Say whom a launch would call too often, `contacts` being those of each of its requests.

        `besides` are keys of requests that do not count; see `continued`.
        """
        if not self.limits:
            return
        ledger = self.ledger if self.planned is None else self.planned
        if self.problem or self.key is None or ledger is None:
            # Where nothing is about to be sent it is only told; apply refuses.
            level = Level.WARN if case.offline else Level.REFUSE
            message = self.problem or "nobody looked how often people were called"
            yield Finding(rule=RULE, level=level, message=message, hint=self.hint)
            return
        try:
            hashes = [self.key.of(part) for part in contacts]
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            yield Finding(rule=RULE, message=f"the contacts cannot be read: {why}")
            return
        for limit in self.limits:
            yield from over(limit, hashes, ledger, begin_of(case), besides)
        yield from too_many(hashes, ledger, besides)

    def launched(self, case: Case, contacts: Mapping[str, Sequence[Contact]]) -> None:
        """Count a launch of the plan that nothing refuses, for those after it in the plan.

        `contacts` are those of each of its requests, by the request's key. Raises `OSError`.
        """
        if self.limits and self.key is not None and self.planned is not None:
            for request, part in contacts.items():
                self.planned.put(Launch(request, begin_of(case), self.key.of(part)))


def continued(action: Action, state: State) -> frozenset[str]:
    """Give the keys of requests that a launch only goes on with, so that they are not in its way.

    Its own, which may have been begun before. And those of the generations before it: whom they
    have reached is not called again, and whom they have not is called in their place. Only where
    everyone is called again are those calls calls.
    """
    own = {creation.key for creation in action.creations}
    record = state.record(action.name)
    change = action.replacement
    if record is None or change is None or change.on_change is OnChange.EVERYONE:
        return frozenset(own)
    earlier = (request.key for each in record.generations for request in each.requests)
    return frozenset({*own, *earlier})


def opened(
    limits: tuple[Limit, ...],
    environ: Mapping[str, str],
    files: Callable[[], Iterable[tuple[str, bytes]]],
    state: State,
    now: datetime,
) -> Frequency:
    """Open the ledger of calls of a root, `files` being what lies beside its state.

    What keeps it from being asked is a `problem`, never an error.
    """
    try:
        key = ledger_key(environ)
        ledger = CallLedger.read(files(), key.id)
    except ReconcilerError as error:
        return Frequency(limits, problem=error.message, hint=error.hint)
    longest = max((limit.within for limit in limits), default=timedelta(0))
    missing = uncovered(state, ledger, now - longest)
    planned = CallLedger(ledger.launches.values())
    if not missing:
        return Frequency(limits, key, ledger, planned=planned)
    shown = ", ".join(missing[:_MOST_SHOWN]) + " …" * (len(missing) > _MOST_SHOWN)
    return Frequency(
        limits,
        key,
        ledger,
        problem=f"the ledger of calls does not say whom {shown} called",
        hint="make it from what the API knows: reconciler ledger rebuild",
        planned=planned,
    )


def uncovered(state: State, ledger: CallLedger, since: datetime) -> tuple[str, ...]:
    """Name what was launched since, or may have been, and is not in the ledger."""
    launches = ledger.launches
    names = {
        name: None
        for name, generation, request in state.requests()
        if request.key not in launches and may_have_called(generation, request, since)
    }
    return tuple(names)


def may_have_called(generation: Generation, request: RequestRecord, since: datetime) -> bool:
    """Whether a recorded request may have made calls since a moment, or may still make some."""
    if request.batch_id is None and (not request.in_doubt or request.released_at is not None):
        return False
    return begins_at(generation, request) + SLACK >= since


def begins_at(
    generation: Generation, request: RequestRecord, timezone: str | None = None
) -> datetime:
    """Give when a recorded request's calls begin. Of a time in an unknown timezone, within a day.

    What it took to be created counts, not when somebody adopted it.
    """
    start = generation.fields.get("scheduled_start")
    if start is None:
        return request.attempted_at
    moment, _ = resolve(str(start), timezone)
    if moment is None:
        moment, _ = resolve(str(start), "UTC")
    return max(moment, request.attempted_at) if moment else request.attempted_at


def begin_of(case: Case) -> datetime:
    """Give when the calls of a launch begin, as far as anybody knows."""
    return max(case.starts_at or case.now, case.now)


def over(
    limit: Limit,
    hashes: Iterable[array[int]],
    ledger: CallLedger,
    around: datetime,
    besides: Container[str] = (),
) -> Iterator[Finding]:
    """Refuse a launch of people who have had all calls of a limit, counted around its begin."""
    count = sum(
        ledger.called(some, limit.calls, around, limit.within, besides) for some in hashes if some
    )
    if count:
        yield Finding(
            rule=RULE,
            message=f"{people(count)} {verb(count, 'has', 'have')} had {limit}, and no more are "
            "allowed",
            hint="take them out of the contacts, or launch later",
            path=("contacts",),
        )


def too_many(
    hashes: list[array[int]], ledger: CallLedger, besides: Container[str]
) -> Iterator[Finding]:
    """Refuse what the ledger has no room for: it would have to forget somebody else."""
    held = sum(len(e.hashes) for e in ledger.launches.values() if e.request not in besides)
    more = sum(map(len, hashes))
    if held + more > MOST:
        yield Finding(
            rule=RULE,
            message=f"the ledger of calls has {held:,} entries and no room for {more:,} more: "
            f"at most {MOST:,}",
            hint="launch later, or let limits look back less far (`within`)",
        )
