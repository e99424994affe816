"""How often a number may be called within some time, by all batches of a root. Pure.

A batch counts as one call to each of its numbers, from when it begins; what the campaign tries
again is the campaign's matter. Where the ledger of calls cannot be read, or its key is not there,
nobody can say how often somebody was called, and nothing is launched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError
from reconciler.policy.finding import Finding
from reconciler.policy.keyed import ledger_key
from reconciler.policy.wording import people, span, verb
from reconciler.spec.schedule import resolve
from reconciler.state.calls import MOST, CallLedger

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from datetime import datetime

    from reconciler.policy.case import Case
    from reconciler.policy.keyed import LedgerKey
    from reconciler.state.document import Generation, RequestRecord, State

RULE = "frequency"
_MOST_SHOWN = 3
SLACK = timedelta(days=1)
"""How much longer than it counts a launch is kept: clocks of several machines differ."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many calls to a number within a time."""

    calls: int
    within: timedelta

    def __str__(self) -> str:
        return f"{self.calls:,} call{'s' * (self.calls > 1)} in {span(self.within)}"


@dataclass(frozen=True, slots=True)
class Frequency:
    """All limits of a root, and the ledger they are looked up in.

    `problem` says why there is no `key` or `ledger` that could be asked, and `hint` what to do.
    """

    limits: tuple[Limit, ...] = ()
    key: LedgerKey | None = None
    ledger: CallLedger | None = None
    problem: str = ""
    hint: str = field(default="")

    @property
    def keeps(self) -> timedelta:
        """How long a launch has to be kept."""
        return max((limit.within for limit in self.limits), default=timedelta(0)) + SLACK


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
    if not missing:
        return Frequency(limits, key, ledger)
    shown = ", ".join(missing[:_MOST_SHOWN]) + " …" * (len(missing) > _MOST_SHOWN)
    return Frequency(
        limits,
        key,
        ledger,
        problem=f"the ledger of calls does not say whom {shown} called",
        hint="make it from what the API knows: reconciler ledger rebuild",
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
