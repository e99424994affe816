"""Where a phone number may be: its country and its timezones, from the metadata of `phonenumbers`.

What that library answers for a number takes it 20 to 50 µs, which is a minute for a long list. So
the same metadata is laid out here once for each country code and length: a number costs a
dictionary, one pattern and the longest known prefix, 2 µs in all. The answers are the library's
own, which a property test holds them to; what this layout does not cover (a trunk prefix within the
number) is asked of the library itself.

Installed with the extra `hours`, imported when the first number is looked up.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from reconciler.policy.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS = "pip install 'call-batch-reconciler[hours]'"
"""What to type where the packages behind calling hours and countries are missing."""

_UNKNOWN = "Etc/Unknown"
_NOWHERE = "001"
"""What the library calls the region of numbers that belong to no country (+800 and the like)."""
_LONGEST_CODE = 3
_SHORTEST = 8
"""Of E.164 numbers, with the `+`. What is shorter is for the library to judge."""
_SPECIAL = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
"""Kinds of numbers that say nothing of a place within their country, in the library's order."""


class Whereabouts(NamedTuple):
    """Where a number may be.

    `region` is an ISO 3166 country code, "" for a number of no country. `zones` are IANA names,
    sorted; none where nobody can tell, as for a number that is not valid.
    """

    region: str
    zones: tuple[str, ...]


NOWHERE = Whereabouts("", ())
"""What is known of something that is no number."""


def missing(rule: str) -> Finding:
    """Refuse for a rule that has to know where people are, where `phonenumbers` is missing."""
    return Finding(
        rule=rule,
        message="nobody can tell where people are: `phonenumbers` is not installed",
        hint=NEEDS,
    )


@lru_cache(maxsize=1)
def locator() -> Callable[[str], Whereabouts] | None:
    """Give the function that finds E.164 numbers; None where `phonenumbers` is not installed.

    It never raises, and is safe to call in several threads.
    """
    try:
        import phonenumbers.timezone  # noqa: PLC0415 - 35 ms, for those who need it
    except ImportError:
        return None
    return _Locator(phonenumbers).locate


def regions_of(code: str) -> tuple[str, ...]:
    """Give the countries that share a calling code, `+1`; none where nobody can tell."""
    try:
        import phonenumbers  # noqa: PLC0415 - see above
    except ImportError:
        return ()
    digits = code.removeprefix("+")
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(_code(digits), ())
    return tuple(str(region) for region in regions if region != _NOWHERE)


class _Territory(Struct, frozen=True):
    """One country's numbers of one length: how to tell that a number is its, and of which kind."""

    region: str
    leading: re.Pattern[str] | None
    kinds: re.Pattern[str] | None
    """Matches the valid numbers; those that say nothing of a place within a group."""


class _Layout(Struct, frozen=True):
    """All numbers of one country code and length."""

    digits: int
    trunk: re.Pattern[str] | None
    """What people dial before a number at home. Numbers that begin with it need the library …"""
    viable: re.Pattern[str] | None
    """… unless this matches what they are, and not what they would be without it."""
    territories: tuple[_Territory, ...]
    zones: tuple[str, ...]
    """Of the country code as a whole."""


class _Locator:
    def __init__(self, library: Any) -> None:
        from phonenumbers import tzdata  # noqa: PLC0415 - see above

        self._library = library
        self._codes: dict[int, tuple[str, ...]] = library.COUNTRY_CODE_TO_REGION_CODE
        self._layouts: dict[tuple[str, int], _Layout | None] = {}
        self._zones = {prefix: _known(zones) for prefix, zones in tzdata.TIMEZONE_DATA.items()}
        self._lengths = tuple(sorted({len(prefix) for prefix in self._zones}, reverse=True))

    def locate(self, number: str) -> Whereabouts:
        """Find one number: `+` and its digits."""
        key = (number[1 : 1 + _LONGEST_CODE], len(number))
        try:
            layout = self._layouts[key]
        except KeyError:
            layout = self._layouts[key] = self._layout(*key)
        national = number[layout.digits :] if layout is not None else ""
        if layout is None or number[0] != "+" or not (national.isascii() and national.isdigit()):
            return self._asked(number)
        if layout.trunk is not None and _has_trunk(layout, national):
            return self._asked(number)
        for territory in layout.territories:
            if territory.leading is not None and territory.leading.match(national) is None:
                continue
            kind = territory.kinds.fullmatch(national) if territory.kinds else None
            if kind is not None:
                zones = layout.zones if kind.lastindex else self._of_prefix(number[1:])
                return Whereabouts(territory.region, zones)
            if territory.leading is not None:
                return Whereabouts(territory.region, ())
        return NOWHERE

    def _of_prefix(self, digits: str) -> tuple[str, ...]:
        """Give the zones of the longest prefix that has any."""
        for length in self._lengths:
            zones = self._zones.get(digits[:length])
            if zones is not None:
                return zones
        return ()

    def _layout(self, start: str, length: int) -> _Layout | None:
        """Lay out what begins with three digits, in all `length` characters with the `+`."""
        digits = next(
            (n for n in range(1, len(start) + 1) if _code(start[:n]) in self._codes),
            None,
        )
        if digits is None or length < _SHORTEST:
            return None
        code = _code(start[:digits])
        regions = self._codes[code]
        main = self._metadata(code, regions[0])
        trunk = main.national_prefix_for_parsing if main else None
        territories = []
        for region in regions:
            metadata = self._metadata(code, region)
            if metadata is None:
                continue
            kinds = _kinds(metadata, length - 1 - digits, mobile_is_local=self._is_local(code))
            # Leading digits count only where several countries share a code.
            leading = metadata.leading_digits if len(regions) > 1 else ""
            territories.append(
                _Territory(
                    region="" if region == _NOWHERE else region,
                    leading=None if leading is None else re.compile(leading),
                    kinds=kinds,
                )
            )
        return _Layout(
            digits=1 + digits,
            trunk=re.compile(trunk) if trunk else None,
            viable=None if not main or main.national_prefix_transform_rule else _viable(main),
            territories=tuple(territories),
            zones=self._of_prefix(str(code)),
        )

    def _metadata(self, code: int, region: str) -> Any:
        metadata = self._library.PhoneMetadata
        return metadata.metadata_for_region_or_calling_code(code, region)

    def _is_local(self, code: int) -> bool:
        """Tell whether mobile numbers of a country code have a place, as in Brazil."""
        kinds = self._library.PhoneNumberType
        return bool(
            self._library.phonenumberutil.is_number_type_geographical(kinds.MOBILE, code),
        )

    def _asked(self, number: str) -> Whereabouts:
        """Ask the library itself."""
        library = self._library
        try:
            parsed = library.parse(number, None)
        except library.NumberParseException:
            return NOWHERE
        region = library.region_code_for_number(parsed) or ""
        zones = library.timezone.time_zones_for_number(parsed)
        return Whereabouts("" if region == _NOWHERE else region, _known(zones))


def _code(digits: str) -> int:
    """Read a country code; 0 for what is none."""
    plain = digits.isascii() and digits.isdigit() and not digits.startswith("0")
    return int(digits) if plain else 0


def _has_trunk(layout: _Layout, national: str) -> bool:
    """Tell whether a number may begin with what is dialled before it at home only."""
    trunk = layout.trunk.match(national) if layout.trunk else None
    if trunk is None or not trunk.end():
        return False
    viable = layout.viable
    if viable is None or viable.fullmatch(national) is None:
        return True
    return viable.fullmatch(national[trunk.end() :]) is not None


def _viable(metadata: Any) -> re.Pattern[str] | None:
    pattern = metadata.general_desc.national_number_pattern
    return re.compile(pattern) if pattern else None


def _known(zones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({zone for zone in zones if zone != _UNKNOWN}))


def _kinds(metadata: Any, length: int, *, mobile_is_local: bool) -> re.Pattern[str] | None:
    """Compile what a country's valid numbers of a length look like; see `_Territory.kinds`.

    A number that fits several kinds is of the first in the library's order: the special ones, then
    fixed lines, then mobiles. So it is one pattern, whose alternatives stand in that order.
    """
    general = _pattern(metadata.general_desc, length)
    if general is None:
        return None
    special = "|".join(
        filter(None, (_pattern(getattr(metadata, kind), length) for kind in _SPECIAL))
    )
    fixed = _pattern(metadata.fixed_line, length)
    same = metadata.same_mobile_and_fixed_line_pattern
    mobile = None if same else _pattern(metadata.mobile, length)
    alternatives = [
        f"(?P<special>{special})" if special else "",
        fixed or "",
        mobile if mobile and mobile_is_local else f"(?P<mobile>{mobile})" if mobile else "",
    ]
    either = "|".join(filter(None, alternatives))
    return re.compile(rf"(?=(?:{general})\Z)(?:{either})") if either else None


def _pattern(description: Any, length: int) -> str | None:
    """Give what the numbers of one kind look like; None where none has this length."""
    if description is None or not description.national_number_pattern:
        return None
    lengths = description.possible_length
    if lengths and length not in lengths:
        return None
    return str(description.national_number_pattern)
