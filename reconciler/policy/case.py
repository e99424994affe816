"""One launch as the rules see it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from reconciler.plan.estimate import AVERAGE_CALL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, timedelta

    from reconciler.model import Clearance
    from reconciler.observed import Campaign


class Crowd(Struct, frozen=True, kw_only=True):
    """The people of a launch, counted in one pass over them, so that rules need none.

    `regions` counts them by ISO 3166 country code (`IN`), "" for a number of no country. `zones`
    counts them by the IANA timezones a number may be in; an empty tuple where nobody can tell, and
    `places` by both, where both were asked for.
    `variables` counts in how many contacts each call variable has a value.
    """

    people: int = 0
    regions: Mapping[str, int] = field(default_factory=Counter)
    zones: Mapping[tuple[str, ...], int] = field(default_factory=Counter)
    places: Mapping[tuple[str, tuple[str, ...]], int] = field(default_factory=Counter)
    variables: Mapping[str, int] = field(default_factory=Counter)


class Totals(Struct, frozen=True, kw_only=True):
    """What one run is about to launch in all: `people` in `batches`; `recent` people before it.

    `recent` are those whom this root set out to call within the 24 hours before the decision.
    """

    people: int = 0
    batches: int = 0
    recent: int = 0


class Case(Struct, frozen=True, kw_only=True):
    """One batch, or the several of one spec, about to be launched.

    `fields` are the request's but its contacts. `parts` are the people of each batch, `spec_people`
    all that the spec has. `starts_at` is when its batch begins: None where the campaign's timezone
    is not known. `now` is the moment of the decision; both are aware, in UTC. `campaign` is None
    where the API was not asked (`offline`) or knows no such campaign. `scrubs` are the days of the
    do-not-call lists that its people are compared with, `average_call` is how long a call takes.
    """

    name: str
    fields: Mapping[str, Any]
    crowd: Crowd
    clearance: Clearance
    campaign: Campaign | None
    starts_at: datetime | None
    now: datetime
    parts: tuple[int, ...] = ()
    spec_people: int = 0
    totals: Totals = Totals()
    scrubs: tuple[date, ...] = ()
    average_call: timedelta = AVERAGE_CALL
    offline: bool = False

    @property
    def campaign_id(self) -> str:
        """The campaign that calls."""
        return str(self.fields["campaign_id"])

    @property
    def organization_id(self) -> str | None:
        """The organisation the spec names, if it does."""
        value = self.fields.get("organization_id")
        return None if value is None else str(value)

    @property
    def people(self) -> int:
        """How many people are called because of this launch."""
        return sum(self.parts)

    @property
    def timezone(self) -> str | None:
        """The campaign's IANA timezone, None when it is not known."""
        return self.campaign.timezone if self.campaign else None
