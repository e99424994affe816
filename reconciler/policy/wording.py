"""Small words that all rules' messages need, and renderers too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def people(count: int) -> str:
    """Say a number of people: `1 person`, `12,000 people`."""
    return f"{count:,} {'person' if count == 1 else 'people'}"


def verb(count: int, one: str = "is", more: str = "are") -> str:
    """Choose a verb's form."""
    return one if count == 1 else more


def span(duration: timedelta) -> str:
    """Say a duration in its two largest units: `1 day 4 hours`."""
    left = max(0, round(duration.total_seconds()))
    said = []
    for unit, seconds in _UNITS:
        number, left = divmod(left, seconds)
        if number:
            said.append(f"{number:,} {unit}{'s' * (number > 1)}")
    return " ".join(said[:2]) or "no time"
