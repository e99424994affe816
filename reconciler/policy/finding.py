"""What a rule says of one launch."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """Whether a finding stops a launch, or only tells of it."""

    REFUSE = "refuse"
    WARN = "warn"
    LATER = "later"
    """Nobody can tell yet, because the API was not asked; apply will."""


class Finding(Struct, frozen=True, kw_only=True):
    """One rule's objection to one launch.

    `rule` is the rule's name, which an exception in the spec has to say. `path` is what it is
    about, as `reconciler.spec.locate.locate` takes it: `("scheduled_start",)`; empty for the spec
    as a whole. `source` cites the law or regulation that a pack has the rule from, with its date.
    Phone numbers are masked everywhere.
    """

    rule: str
    level: Level = Level.REFUSE
    message: str
    hint: str = ""
    path: tuple[str | int, ...] = ()
    source: str = ""
