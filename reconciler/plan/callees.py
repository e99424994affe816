"""Who of a changed spec's people is called, given how they fared in the batches before it. Pure.

The arithmetic is over keyed sets of phone numbers, so 100,000 contacts take a fraction of a second.
Of a list that is too long to be held nothing but whom the API names is kept.
What it promises, across any chain of generations: with `remaining` and `added` nobody who was
reached, exhausted or skipped by hand is called again, and nobody who is owed a call is left out.
Where the API says something this version does not know, a person counts as called.
"""

from __future__ import annotations

from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from reconciler.model import LongContacts, OnChange, masked
from reconciler.observed import IN_FLIGHT
from reconciler.plan.actions import ContactChanges, RunningOn
from reconciler.plan.progress import KNOWN, WAITING
from reconciler.values import shown_without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Contact, Request
    from reconciler.observed import BatchContact

_SKIPPED = "skipped"
_EXAMPLES = 3


class Standing(Enum):
    """How a person stands after one batch."""

    OWED = "owed"
    """Still to be called: waiting there, or left out because we cancelled that batch."""
    IN_FLIGHT = "in flight"
    """A call is being placed or going on."""
    SKIPPED = "skipped"
    """Left out by a person."""
    CALLED = "called"
    """Reached, or exhausted, or in a status this version does not know."""


class Roll(Struct, frozen=True):
    """Everyone in one earlier batch. `cancelled` tells that it was cancelled by us.

    Then its contacts read `skipped` because of that, but for those whose ids are in `not_owed`;
    before that every status speaks for itself.
    """

    batch_id: str
    contacts: tuple[BatchContact, ...]
    cancelled: bool = False
    not_owed: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return shown_without(self, "contacts")

    def standing(self, contact: BatchContact) -> Standing:
        """Tell how one of its people stands."""
        status = contact.status
        if self.cancelled and contact.contact_id in self.not_owed:
            return Standing.CALLED
        if status == _SKIPPED:
            return Standing.OWED if self.cancelled else Standing.SKIPPED
        if status in WAITING:
            return Standing.OWED
        return Standing.IN_FLIGHT if status in IN_FLIGHT else Standing.CALLED

    def in_flight(self) -> int:
        """Count the calls under way."""
        return sum(self.standing(contact) is Standing.IN_FLIGHT for contact in self.contacts)

    def to_remember(self) -> tuple[str, ...]:
        """Give the contact ids that must not count as owed once this batch is cancelled.

        Cancelling makes `skipped` of those who wait and of those who are being dialled; who was
        skipped by hand before reads the same.
        """
        kept = (Standing.SKIPPED, Standing.IN_FLIGHT)
        return tuple(
            contact.contact_id
            for contact in self.contacts
            if (self.cancelled and contact.contact_id in self.not_owed)
            or self.standing(contact) in kept
        )


class Share(Struct, frozen=True, kw_only=True):
    """Who is called by a new generation: the contacts of each of its requests, in their order.

    `called` counts the spec's people whom an earlier batch has reached, exhausted, skipped by hand
    or is just calling; `again` counts those of them who are called all the same. `odd` counts
    contact statuses that this version does not know, by their text.
    """

    contacts: tuple[Sequence[Contact], ...]
    called: int
    again: int
    changes: ContactChanges
    odd: Mapping[str, int]

    def __repr__(self) -> str:
        return shown_without(self, "contacts")

    @property
    def to_call(self) -> int:
        """How many people are called."""
        return sum(len(part) for part in self.contacts)


def share(requests: Sequence[Request], rolls: Sequence[Roll], on_change: OnChange) -> Share:
    """Work out who is called. `rolls` are all batches before, the oldest first."""
    standings = _standings(rolls)
    done = {number for number, standing in standings.items() if standing is not Standing.OWED}
    match on_change:
        case OnChange.EVERYONE:
            left_out: set[str] = set()
        case OnChange.ADDED:
            left_out = done | {
                c.phone_number for roll in rolls if not roll.cancelled for c in roll.contacts
            }
        case OnChange.REMAINING | OnChange.FORBID:
            left_out = done
        case _:
            assert_never(on_change)
    called = sum(number in done for request in requests for number in numbers_of(request.contacts))
    return Share(
        contacts=tuple(without(request.contacts, left_out) for request in requests),
        called=called,
        again=called if on_change is OnChange.EVERYONE else 0,
        changes=_changes(requests, rolls, done),
        odd=_odd(rolls),
    )


def running_on(requests: Sequence[Request], rolls: Sequence[Roll]) -> RunningOn:
    """Count whom batches that are left alone may still call, other than the spec says."""
    calling = {
        contact.phone_number: contact.call_variables
        for roll in rolls
        for contact in roll.contacts
        if roll.standing(contact) in {Standing.OWED, Standing.IN_FLIGHT}
    }
    outdated = 0
    for request in requests:
        for contact in request.contacts if calling else ():
            now = contact["call_variables"]
            outdated += calling.pop(contact["phone_number"], None) not in (None, now)
    return RunningOn(removed=len(calling), outdated=outdated, batches=len(rolls))


def numbers_of(contacts: Sequence[Contact]) -> Iterator[str]:
    """Give the phone number of each contact."""
    if isinstance(contacts, LongContacts):
        return chain.from_iterable(contacts.numbers())
    return (contact["phone_number"] for contact in contacts)


def without(contacts: Sequence[Contact], left_out: set[str]) -> Sequence[Contact]:
    """Give the contacts that have none of these numbers."""
    if isinstance(contacts, LongContacts):
        return contacts.without(left_out)
    return tuple(contact for contact in contacts if contact["phone_number"] not in left_out)


def _standings(rolls: Iterable[Roll]) -> dict[str, Standing]:
    """Tell how everyone stands: who is not owed a call after any batch is not owed one at all."""
    standings: dict[str, Standing] = {}
    for roll in rolls:
        for contact in roll.contacts:
            if standings.get(contact.phone_number, Standing.OWED) is Standing.OWED:
                standings[contact.phone_number] = roll.standing(contact)
    return standings


def _changes(requests: Sequence[Request], rolls: Sequence[Roll], done: set[str]) -> ContactChanges:
    """Compare the spec's people with those of the batches it takes the place of.

    Whom an earlier generation called is not in the last batch, and is no addition for that.
    """
    before: dict[str, Mapping[str, object] | None] = {}
    alive: set[str] = set()
    for roll in rolls:
        before.update((person.phone_number, person.call_variables) for person in roll.contacts)
        if not roll.cancelled:
            alive.update(person.phone_number for person in roll.contacts)
    alive = alive or set(before)
    added, changed = [], []
    for request in requests:
        for contact in request.contacts:
            number = contact["phone_number"]
            if number not in alive and number not in done:
                added.append(number)
            elif before.get(number) not in (None, contact["call_variables"]):
                changed.append(number)
    for request in requests:
        alive.difference_update(numbers_of(request.contacts))
    removed = sorted(alive)
    examples = [
        f"{sign}{masked(number)}"
        for sign, found in (("+ ", added), ("- ", removed), ("~ ", changed))
        for number in found[:_EXAMPLES]
    ]
    return ContactChanges(
        added=len(added), removed=len(removed), changed=len(changed), examples=tuple(examples)
    )


def _odd(rolls: Iterable[Roll]) -> dict[str, int]:
    odd: dict[str, int] = {}
    for roll in rolls:
        for contact in roll.contacts:
            if contact.status not in KNOWN:
                text = contact.status or "(none)"
                odd[text] = odd.get(text, 0) + 1
    return dict(sorted(odd.items()))
