"""The launches of one plan, counted one after the other: each as if those before it had called.

Judged for itself, each of two batches of the same people would be within the limit, and both
together would not. And once both are recorded, each would see the other and neither could go out.
So who comes first in the plan goes out, and whoever comes after is refused with the plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.model import OnChange
from reconciler.policy.finding import Finding, Level
from reconciler.policy.frequency import RULE, begin_of, over, too_many
from reconciler.state.calls import CallLedger, Launch

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence

    from reconciler.model import Contact
    from reconciler.plan.actions import Action
    from reconciler.policy.case import Case
    from reconciler.policy.frequency import Frequency, Limit
    from reconciler.state.document import State


@dataclass(frozen=True, slots=True)
class _Taken:
    """One launch: the hashes of each of its requests by key, and which requests do not count."""

    hashes: dict[str, array[int]]
    besides: frozenset[str]
    problem: str = ""


@dataclass
class Counting:
    """Counts the launches of one plan. Findings may be asked for in several threads at once."""

    frequency: Frequency
    _taken: dict[str, _Taken] = field(default_factory=dict)
    _planned: CallLedger | None = None
    _keys: frozenset[str] = frozenset()
    _closed: bool = False

    def take(
        self, name: str, contacts: dict[str, Sequence[Contact]], besides: frozenset[str]
    ) -> None:
        """Take a launch in before it is judged: the contacts of each of its requests by key.

        `besides` are the keys of requests that do not count; see `continued`.
        """
        key = self.frequency.key
        if key is None or not self.frequency.limits:
            return
        try:
            hashes = {request: key.of(part) for request, part in contacts.items()}
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            self._taken[name] = _Taken({}, besides, f"the contacts cannot be read: {why}")
        else:
            self._taken[name] = _Taken(hashes, besides)

    def findings(self, case: Case, limits: Sequence[Limit]) -> Iterator[Finding]:
        """Say whom a launch would call too often: with those before it, as long as plans are made.

        After `close`, against what is recorded: those of this plan have been held to each other.
        """
        if not limits:
            return
        asked, taken = self.frequency, self._taken.get(case.name)
        problem = asked.problem or (taken.problem if taken else "")
        if problem or taken is None or asked.ledger is None:
            level = Level.WARN if case.offline else Level.REFUSE
            message = problem or "nobody looked how often people were called"
            yield Finding(rule=RULE, level=level, message=message, hint=asked.hint)
            return
        ledger, besides = asked.ledger, taken.besides | taken.hashes.keys()
        if self._closed:
            besides |= self._keys
        else:
            ledger = self._planned or ledger
        hashes = list(taken.hashes.values())
        for limit in limits:
            yield from over(limit, hashes, ledger, begin_of(case), besides)
        yield from too_many(hashes, ledger, besides)

    def launched(self, case: Case) -> None:
        """Count a launch of the plan that nothing refuses, for those after it."""
        taken, ledger = self._taken.get(case.name), self.frequency.ledger
        if taken is None or ledger is None:
            return
        if self._planned is None:
            self._planned = CallLedger(ledger.launches.values())
        for request, hashes in taken.hashes.items():
            self._planned.put(Launch(request, begin_of(case), hashes))
        self._keys |= taken.hashes.keys()

    def close(self) -> None:
        """Say that the plan is made: from now on launches are judged right before they are sent."""
        self._planned, self._closed = None, True


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
