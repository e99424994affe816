"""Do-not-call lists: who is on them is left out, or stops the launch. Pure but for what lists read.

A list is compared in blocks, with contacts in blocks, so that a million people against a million
numbers take seconds and no more memory than a few. It is exact: nobody is left out by mistake.

A list that cannot be read, or is too old, stops every launch that it is for: an outdated scrub is
no scrub. What a spec says is untouched by all of this. Only the request is shorter, and an updated
list makes no unchanged spec look changed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Container
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.errors import Refused
from reconciler.model import LongContacts, masked
from reconciler.plan.actions import LeftOut
from reconciler.policy.finding import Finding, Level
from reconciler.policy.wording import people, span, verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.model import Contact
    from reconciler.policy.case import Case
    from reconciler.spec.lists.listed import DoNotCall, Numbers

RULE = "suppression"
_BLOCK = 4_096
_FEW = 1 << 16
"""So many numbers may be held as texts, which is faster."""
_EXAMPLES = 3


class Matches(Container[str]):
    """Numbers that are on a list: eight bytes each."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.numbers = array("Q", sorted(numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, str):
            return False
        wanted = int(number)
        at = bisect_left(self.numbers, wanted)
        return at < len(self.numbers) and self.numbers[at] == wanted

    def few(self) -> frozenset[str]:
        """Give them as texts."""
        return frozenset(f"+{number}" for number in self.numbers)

    def examples(self) -> str:
        """Show a few, masked."""
        shown = ", ".join(masked(f"+{number}") for number in self.numbers[:_EXAMPLES])
        return shown + " …" * (len(self) > _EXAMPLES)


def matches(contacts: Sequence[Contact], listed: Numbers) -> Matches:
    """Find the contacts' numbers that are on a list. Raises `OSError`."""
    found = array("Q")
    for numbers in _numbers(contacts):
        found.extend(listed.common(numbers))
    return Matches(found)


def without(contacts: Sequence[Contact], *suppressed: Matches) -> Sequence[Contact]:
    """Give the contacts that are in none of these. Of a long list, a view. Raises `OSError`."""
    some = [each for each in suppressed if each]
    if not some:
        return contacts
    gone = some[0] if len(some) == 1 else Matches({n for each in some for n in each.numbers})
    chosen = gone.few() if len(gone) <= _FEW else gone
    if isinstance(contacts, LongContacts):
        return contacts.without(chosen)
    return tuple(contact for contact in contacts if contact["phone_number"] not in chosen)


def _numbers(contacts: Sequence[Contact]) -> Iterator[list[str]]:
    """Give numbers in blocks; those of a list in memory sorted, so that blocks are near."""
    if isinstance(contacts, LongContacts):
        yield from contacts.numbers()
        return
    numbers = sorted(contact["phone_number"] for contact in contacts)
    for start in range(0, len(numbers), _BLOCK):
        yield numbers[start : start + _BLOCK]


class Suppression(Struct, frozen=True):
    """All do-not-call lists of a root."""

    lists: tuple[DoNotCall, ...] = ()

    def without(
        self, campaign_id: str, contacts: Sequence[Contact], *, readable: bool = False
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Give the contacts whom no list leaves out, and how many each list leaves out.

        Who is on two lists is counted by the first. Raises `Refused` where a list cannot be asked;
        with `readable`, those that cannot be read leave nobody out.
        """
        left_out: list[LeftOut] = []
        for each in self.lists:
            if each.refuses or not each.is_for(campaign_id):
                continue
            if each.numbers is None:
                if readable:
                    continue
                raise Refused(f"the do-not-call list {each.name} cannot be read", hint=_why(each))
            try:
                kept = without(contacts, matches(contacts, each.numbers))
            except OSError as error:
                raise Refused(f"the do-not-call list {each.name}: {_said(error)}") from error
            if len(kept) < len(contacts):
                left_out.append(LeftOut(of=each.name, people=len(contacts) - len(kept)))
            contacts = kept
        return contacts, tuple(left_out)

    def findings(self, case: Case, contacts: Iterable[Sequence[Contact]] = ()) -> Iterator[Finding]:
        """Say which lists stop a launch, `contacts` being those of each of its requests.

        Those whom a list leaves out may be among the contacts, or not.
        """
        chosen = tuple(contacts)
        for each in self.lists:
            if each.is_for(case.campaign_id):
                yield from _findings(each, case, chosen)


def _findings(
    listed: DoNotCall, case: Case, contacts: tuple[Sequence[Contact], ...]
) -> Iterator[Finding]:
    if listed.numbers is None:
        # Where no secrets are to be used, apply will look, and refuse if it cannot.
        level = Level.LATER if listed.withheld and case.offline else Level.REFUSE
        message = f"the do-not-call list {listed.name} cannot be read: {_why(listed)}"
        yield Finding(rule=RULE, level=level, message=message, hint=_hint(listed))
    elif listed.refuses:
        try:
            found = [matches(part, listed.numbers) for part in contacts]
        except OSError as error:
            message = f"the do-not-call list {listed.name} cannot be read: {_said(error)}"
            yield Finding(rule=RULE, message=message)
        else:
            yield from _refusal(listed, [each for each in found if each])
    if listed.is_early(case.now):
        yield Finding(
            rule=RULE,
            message=f"the do-not-call list {listed.name} says it was drawn on {listed.drawn}, "
            "and that day is still to come",
            hint="write the day it was drawn as its `date`",
        )
    elif listed.is_outdated(case.now):
        age, most = span(listed.age(case.now)), span(listed.max_age)
        yield Finding(
            rule=RULE,
            message=f"the do-not-call list {listed.name} is too old: it was drawn on "
            f"{listed.drawn}, {age} ago, and may be {most} old",
            hint="draw a new one, and write its `date`",
        )


def _refusal(listed: DoNotCall, found: list[Matches]) -> Iterator[Finding]:
    count = sum(map(len, found))
    if count:
        yield Finding(
            rule=RULE,
            message=f"{people(count)} {verb(count)} on the do-not-call list {listed.name}: "
            f"{found[0].examples()}",
            hint="take them out of the contacts, or let `action: exclude` leave them out",
            path=("contacts",),
        )


def _why(listed: DoNotCall) -> str:
    """Say what keeps a list from being read: the first reason, and how many more there are."""
    if not listed.problems:
        return "nobody can tell why"
    first = listed.problems[0]
    place = f"{first.file}:{first.line}: " if first.line else f"{first.file}: "
    more = len(listed.problems) - 1
    return f"{place}{first.message}" + (f", and {more:,} more" if more else "")


def _hint(listed: DoNotCall) -> str:
    return listed.problems[0].hint if listed.problems else ""


def _said(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
