"""One launch as the rules see it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reconciler.model import Clearance
    from reconciler.observed import Campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The people of a launch, counted in one pass over them, so that rules need none.

    `regions` counts them by ISO 3166 country code (`IN`), "" for a number of no country. `zones`
    counts them by the IANA timezones a number may be in; an empty tuple where nobody can tell.
    `variables` counts in how many contacts each call variable has a value.
    """

    people: int = 0
    regions: Mapping[str, int] = field(default_factory=Counter)
    zones: Mapping[tuple[str, ...], int] = field(default_factory=Counter)
    variables: Mapping[str, int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One batch, or the several of one spec, about to be launched.

    `fields` are the request's but its contacts. `starts_at` is when its batch begins: None where
    the campaign's timezone is not known. `now` is the moment of the decision; both are aware, in
    UTC. `campaign` is None where the API was not asked or knows no such campaign.
    """

    name: str
    fields: Mapping[str, Any]
    crowd: Crowd
    clearance: Clearance
    campaign: Campaign | None
    starts_at: datetime | None
    now: datetime

    @property
    def campaign_id(self) -> str:
        """The campaign that calls."""
        return str(self.fields["campaign_id"])

    @property
    def organization_id(self) -> str | None:
        """The organisation the spec names, if it does."""
        value = self.fields.get("organization_id")
        return None if value is None else str(value)
