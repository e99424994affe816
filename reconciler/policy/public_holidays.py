"""Public holidays of countries and of parts of them, from the `holidays` package.

Installed with the extra `hours`, imported when the first day is looked up. What that package does
not know is an error here, never a working day.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from reconciler.spec.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

_MOST_SHOWN = 5
_ISO = len("IN")


class NoCalendar(Exception):  # noqa: N818 - says what there is not
    """Nobody can say which days are holidays; `hint` says what can be done."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def installed() -> bool:
    """Tell whether the package is there."""
    return importlib.util.find_spec("holidays") is not None


def holiday(code: str, day: date) -> str | None:
    """Give the name of the public holiday that a day is in `IN`, or in `US-CA`; None if it is none.

    Raises `NoCalendar`.
    """
    return _holidays(code, day.year).get(day)


@lru_cache(maxsize=1024)
def _holidays(code: str, year: int) -> Mapping[date, str]:
    """Give a year's public holidays with their names, those that are moved included."""
    import holidays  # noqa: PLC0415 - 70 ms, for those who need it

    country, _, part = code.partition("-")
    try:
        calendar: Any = holidays.country_holidays(
            country, subdiv=part or None, years=year, expand=False, language="en_US"
        )
    except RuntimeError:  # of which its answer for an unknown country or part is a kind
        raise _unknown(holidays, country, part) from None
    if not calendar.start_year <= year <= calendar.end_year:
        raise NoCalendar(
            f"the public holidays of {code} are known from {calendar.start_year} to "
            f"{calendar.end_year}, not in {year}"
        )
    return MappingProxyType(dict(calendar.items()))


def _unknown(library: Any, country: str, part: str) -> NoCalendar:
    known: dict[str, list[str]] = library.list_supported_countries()
    parts = known.get(country)
    if parts is None:
        meant = did_you_mean(country, [code for code in known if len(code) == _ISO])
        what = f"no public holidays are known of `{country}`"
        return NoCalendar(what, f"did you mean `{meant}`?" if meant else "write ISO codes: `IN`")
    some = ", ".join(f"`{country}-{each}`" for each in parts[:_MOST_SHOWN])
    hint = f"write `{country}`" + (f", or a part of it: {some}, …" if some else "")
    return NoCalendar(f"no part `{part}` is known of `{country}`", hint)
