"""Counts the people of a launch, in one pass over lists of any length."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.model import LongContacts
from reconciler.policy.case import Crowd
from reconciler.policy.numbers import NOWHERE, locator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from reconciler.model import Contact


def crowd_of(
    lists: Iterable[Sequence[Contact]],
    *,
    regions: bool = False,
    zones: bool = False,
    variables: bool = False,
    within: Callable[[str], bool] | None = None,
) -> Crowd:
    """Count the people of one launch, all its lists together; only what is asked for.

    Given `within`, only those whose numbers it accepts are counted.

    No contact is kept, and streamed lists are read once. Where `phonenumbers` is not installed
    everybody counts as of no country and no known timezone, so that rules on either refuse. A
    variable has a value when there is more to it than nothing or blanks. Raises `OSError` where a
    list does.
    """
    people = 0
    places: Counter[tuple[str, tuple[str, ...]]] = Counter()
    valued: Counter[str] = Counter()
    locate = locator() if regions or zones else None
    for contacts in lists:
        if within is not None:
            numbers = _within(contacts, within, valued if variables else None)
            located = ((locate(n) if locate else NOWHERE) for n in numbers)
            before = places.total()
            places.update(located)
            people += places.total() - before
            continue
        people += len(contacts)
        if regions or zones:
            numbers = _numbers(contacts, valued if variables else None)
            places.update(map(locate, numbers) if locate else (NOWHERE for _ in numbers))
        elif variables:
            _count(contacts, valued)
    by_region: Counter[str] = Counter()
    by_zones: Counter[tuple[str, ...]] = Counter()
    for (region, where), count in places.items():
        if regions:
            by_region[region] += count
        if zones:
            by_zones[where] += count
    return Crowd(
        people=people,
        regions=by_region,
        zones=by_zones,
        places=places if regions and zones else Counter(),
        variables=valued,
    )


def _numbers(contacts: Sequence[Contact], valued: Counter[str] | None) -> Iterator[str]:
    """Give all numbers, and count the variables on the way where they are asked for."""
    if valued is None and isinstance(contacts, LongContacts):
        for block in contacts.numbers():
            yield from block
        return
    for contact in contacts:
        if valued is not None:
            _count((contact,), valued)
        yield contact["phone_number"]


def _within(
    contacts: Sequence[Contact], within: Callable[[str], bool], valued: Counter[str] | None
) -> Iterator[str]:
    """Give the numbers that are accepted, and count their variables where they are asked for."""
    if valued is None:
        yield from filter(within, _numbers(contacts, None))
        return
    for contact in contacts:
        if within(contact["phone_number"]):
            _count((contact,), valued)
            yield contact["phone_number"]


def _count(contacts: Iterable[Contact], valued: Counter[str]) -> None:
    for contact in contacts:
        valued.update(name for name, value in contact["call_variables"].items() if _says(value))


def _says(value: object) -> bool:
    """Tell whether a call variable has a value: more than nothing, or than blanks."""
    return bool(value.strip()) if isinstance(value, str) else value is not None
