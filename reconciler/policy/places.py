"""Where the people of a launch may be, and which hours hold for them there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.plan.hours import zone_of
from reconciler.policy.clocks import outside
from reconciler.policy.finding import Finding
from reconciler.policy.numbers import locator, missing
from reconciler.policy.wording import people, verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from reconciler.policy.case import Case
    from reconciler.policy.clocks import Span
    from reconciler.spec.config.week import HoursRules, Week


class Group(Struct, frozen=True, kw_only=True):
    """People of one country ("" where it does not matter) and the timezones they may be in."""

    region: str
    zones: tuple[ZoneInfo, ...]
    people: int


class Limit(Struct, frozen=True, kw_only=True):
    """A week of hours on one clock, and how many people it concerns."""

    zone: ZoneInfo
    week: Week
    people: int
    of_campaign: bool = False

    def outside(self, spans: Iterable[Span]) -> list[Span]:
        """Give what of some spans is outside these hours."""
        return outside(self.zone, self.week, spans)

    def where(self) -> str:
        """Say whose clock this is."""
        if self.of_campaign:
            return f"in {self.zone.key}, the campaign's timezone"
        return f"in {self.zone.key}, where {people(self.people)} {verb(self.people)} or may be"


class Places(Struct, frozen=True, kw_only=True):
    """The people of a launch by where they may be; `lost` are those of whom nobody can tell."""

    groups: tuple[Group, ...] = ()
    lost: int = 0
    people: int = 0

    def zones(self) -> dict[ZoneInfo, int]:
        """Count the people of each timezone, those of several in each."""
        counted: dict[ZoneInfo, int] = {}
        for group in self.groups:
            for zone in group.zones:
                counted[zone] = counted.get(zone, 0) + group.people
        return counted

    def unknown(self, rule: str) -> Iterator[Finding]:
        """Refuse people of no known timezone."""
        if not self.lost:
            return
        if locator() is None:
            yield missing(rule)
            return
        yield Finding(
            rule=rule,
            message=f"nobody can tell what time it is for {self.lost:,} of {people(self.people)}: "
            "their numbers are not valid, or of no known timezone",
            hint="correct the numbers, or name the timezone to take for them: `unknown_zone` below "
            "`calling_hours`",
        )


def places_of(case: Case, rules: HoursRules) -> Places:
    """Group the people of a launch. Who was not counted by place is lost."""
    crowd = case.crowd
    places: Mapping[tuple[str, tuple[str, ...]], int] = (
        crowd.places
        if rules.needs_regions
        else {("", zones): count for zones, count in crowd.zones.items()}
    )
    groups = []
    for (region, names), count in places.items():
        zones = [zone_of(name) for name in names or rules.unknown_zones]
        known = tuple(zone for zone in zones if zone is not None)
        if known and len(known) == len(zones) and count:
            groups.append(Group(region=region, zones=known, people=count))
    found = sum(group.people for group in groups)
    return Places(groups=tuple(groups), lost=max(0, crowd.people - found), people=crowd.people)


def limits_of(case: Case, rules: HoursRules, places: Places) -> list[Limit]:
    """Give the weekly hours that hold for a launch, on each clock that matters.

    A campaign whose timezone is not known has none; the rule has to see to that.
    """
    limits = []
    if rules.callee is not None:
        limits += [
            Limit(zone=zone, week=rules.callee, people=count)
            for zone, count in places.zones().items()
        ]
    zone = zone_of(case.campaign.timezone if case.campaign else None)
    if rules.campaign is not None and zone is not None:
        limits.append(Limit(zone=zone, week=rules.campaign, people=places.people, of_campaign=True))
    return limits
