"""What a spec says for itself where a policy asks: approvals, consent, a last moment, exceptions.

All of it stands below `reconcile`, is not sent, and changes no digest.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from reconciler import model
from reconciler.model import Clearance
from reconciler.spec.config.rule_names import RULES
from reconciler.spec.fields import BARE, Model, Text
from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice, scheduled_start
from reconciler.spec.schedule import PATTERN as SCHEDULE_PATTERN
from reconciler.spec.yaml.scalars import fail, kind_of, text

MOST_NAMES = 100
"""Longest list of names, exceptions and the like: more is no list that anybody reviewed."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def day(value: Any) -> date:
    """Take a day, `2026-05-12`."""
    written = text(value)
    try:
        if _DAY.fullmatch(written) is None:
            raise ValueError  # noqa: TRY301 - one answer for all that is no day
        return date.fromisoformat(written)
    except ValueError:
        fail(f"is {quoted(written)} where a day is needed", "write it like `2026-05-12`")


def names(value: Any) -> tuple[str, ...]:
    """Take a list of names, each once."""
    if not isinstance(value, list):
        fail(f"is {kind_of(value)} where a list is needed", "write `[one, another]`")
    if len(value) > MOST_NAMES:
        fail(f"has {len(value):,} entries; {MOST_NAMES} are the most")
    taken = tuple(text(each).strip() for each in value)
    twice = next((each for index, each in enumerate(taken) if each in taken[:index]), None)
    if twice is not None:
        fail(f"says {quoted(twice)} twice", "each name counts once")
    return taken


def rule_name(value: Any) -> str:
    """Take the name of a rule."""
    return choice(value, list(RULES))


DAY_SCHEMA = {"type": "string", "format": "date", "examples": ["2026-05-12"]}
NAMES_SCHEMA = {"type": "array", "items": BARE, "maxItems": MOST_NAMES, "uniqueItems": True}

Day = Annotated[date, BeforeValidator(day), WithJsonSchema(DAY_SCHEMA)]
"""A day, `2026-05-12`."""
Names = Annotated[tuple[str, ...], BeforeValidator(names), WithJsonSchema(NAMES_SCHEMA)]
"""A list of names, each once."""
Moment = Annotated[
    str,
    BeforeValidator(scheduled_start),
    WithJsonSchema({"type": "string", "pattern": SCHEDULE_PATTERN}),
]
"""A time, written as `scheduled_start` is."""


class Consent(Model):
    """On what ground these people may be called, and where that can be seen."""

    basis: Text
    """The ground, in a word the policy knows: `express-written`, `existing-customer`, …"""
    evidence: Text
    """Where it is shown: a link, a ticket, a file's name. Nothing secret."""


class ExceptionFrom(Model):
    """An exception from one rule of the policy. It is shown at the top of every plan."""

    rule: Annotated[str, BeforeValidator(rule_name), WithJsonSchema({"enum": list(RULES)})]
    """The rule, by the name that a refusal says."""
    reason: Text
    """Why it does not hold here."""
    until: Day
    """The last day on which the exception holds, in UTC."""


class ClearanceFields(Model):
    """The fields of `reconcile` that a policy asks about."""

    approved_by: Names = ()
    """Who approved this batch, besides who reviewed it. A policy says when that is needed."""
    not_after: Moment | None = None
    """Launch nothing of this spec later than this. Without `Z`: in the campaign's timezone."""
    consent: Consent | None = None
    """On what ground these people may be called."""
    exceptions: Annotated[tuple[ExceptionFrom, ...], Field(max_length=MOST_NAMES)] = ()
    """Exceptions from single rules of the policy, each with its reason and its last day."""


def clearance_of(fields: ClearanceFields) -> Clearance:
    """Give what a spec says for itself as plain values."""
    return Clearance(
        approved_by=fields.approved_by,
        not_after=fields.not_after,
        consent=model.Consent(basis=fields.consent.basis, evidence=fields.consent.evidence)
        if fields.consent
        else None,
        exceptions=tuple(
            model.Waiver(rule=each.rule, reason=each.reason, until=each.until)
            for each in fields.exceptions
        ),
    )
