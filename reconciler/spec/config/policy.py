"""The shape of `policy` in `reconciler.yaml`: who may be called, when, how often and how many.

Every rule is off unless it is written down. What a rule does is said in `reconciler.policy`, here
is what can be written; a policy that cannot be read as a whole is an error, so that no rule is
ever lost by a slip of the pen.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.spec.clearance import NAMES_SCHEMA, Names, names, rule_name
from reconciler.spec.config.durations import Duration, Flag
from reconciler.spec.config.policy_frequency import Frequencies
from reconciler.spec.config.policy_hours import CallingHours
from reconciler.spec.config.policy_suppression import Suppressions
from reconciler.spec.fields import Model
from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice
from reconciler.spec.yaml.scalars import at_least, fail, is_null, kind_of

PACKS = ("in-rbi", "in-trai", "us-fl", "us-regf", "us-tcpa")
"""The packs that come with the reconciler, see `reconciler.spec.config.packs`."""

_REGION = re.compile(r"[A-Z]{2}|\+[1-9][0-9]{0,3}")


_count = at_least(0, "it cannot be negative", "write 0 to allow none")
_needed = at_least(1, "at least 1 is needed", "delete it if nobody has to approve")


def _countries(value: Any) -> tuple[str, ...]:
    for country in (taken := names(value)):
        if _REGION.fullmatch(country) is None:
            fail(
                f"has {quoted(country)}, which is no country",
                'write ISO codes (`IN`) or calling codes (`"+91"`)',
            )
    return taken


def _rules(value: Any) -> tuple[str, ...]:
    return tuple(rule_name(rule) for rule in names(value))


def _packs(value: Any) -> tuple[str, ...]:
    return tuple(choice(name, list(PACKS)) for name in names(value))


class Section(Model):
    """A part of a policy. A line without a value is an error: it may be a rule that got lost."""

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            fail(f"is {kind_of(value)} where a mapping is needed", "write `field: value` lines")
        empty = [name for name, inner in value.items() if is_null(inner)]
        if empty:
            fail(
                f"says nothing for {', '.join(map(quoted, empty))}",
                "write the rule, or delete the line",
            )
        return value


Count = Annotated[int, Field(ge=0), BeforeValidator(_count)]


class MaxContacts(Section):
    """Most people who are called."""

    batch: Count | None = None
    """In one batch."""
    apply: Count | None = None
    """By one run of apply."""
    day: Count | None = None
    """By this root within any 24 hours."""


class Approval(Section):
    """When a batch needs names in its spec's `reconcile.approved_by`."""

    above: Count
    """Batches of more people than this need them."""
    approvers: Names = ()
    """Whose names count; without it, anybody's."""
    needed: Annotated[int, Field(ge=1), BeforeValidator(_needed)] = 1
    """How many are needed."""

    @model_validator(mode="after")
    def _reachable(self) -> Approval:
        if self.approvers and self.needed > len(self.approvers):
            fail(
                f"needs {self.needed} names, and only {len(self.approvers)} count",
                "add approvers, or lower `needed`",
            )
        return self


class CallVariables(Section):
    """Which call variables every contact must have, and which none may have."""

    required: Names = ()
    """Every contact has a value for each of these."""
    forbidden: Names = ()
    """No contact has a value for any of these."""


class ScheduledStart(Section):
    """When a batch may start."""

    required: Flag = False
    """Whether each batch says when it starts; one that does not calls at once."""
    lead_time: Duration | None = None
    """How long before its start a batch must be created, at least."""


class ConsentRule(Section):
    """That each spec says on what ground its people may be called (`reconcile.consent`)."""

    bases: Names = ()
    """The grounds that count; without it, any."""


class Scrubbed(Section):
    """That numbers are compared with a do-not-call list that is new enough."""

    within: Duration
    """How old the newest list for the campaign may be at most."""


class Policy(Section):
    """Who may be called, when, how often and how many. A rule that is not written is off."""

    packs: Annotated[
        tuple[str, ...],
        BeforeValidator(_packs),
        WithJsonSchema({"type": "array", "items": {"enum": list(PACKS)}, "uniqueItems": True}),
    ] = ()
    """Sets of rules that come with the reconciler; they are judged beside what is written here."""

    max_contacts: MaxContacts | None = None
    """Most people who are called, in a batch, by a run and in a day."""
    max_batches: Count | None = None
    """Most batches that one run of apply creates."""
    approval: Approval | None = None
    """From how many people on somebody has to approve besides the reviewer."""
    campaigns: Names | None = None
    """The campaigns that may call. Absent: all."""
    organizations: Names | None = None
    """The organisations that a spec may name. Absent: all."""
    countries: Annotated[
        tuple[str, ...] | None, BeforeValidator(_countries), WithJsonSchema(NAMES_SCHEMA)
    ] = None
    """The countries that may be called: ISO codes (`IN`) or calling codes (`"+91"`)."""
    call_variables: CallVariables | None = None
    """Which call variables contacts must and must not have."""
    scheduled_start: ScheduledStart | None = None
    """Whether a batch must say when it starts, and how long before."""
    consent: ConsentRule | None = None
    """That each spec says on what ground its people may be called."""
    calling_hours: CallingHours | None = None
    """When people may be called: on whose clock, and not on which holidays."""
    suppression: Suppressions = ()
    """Do-not-call lists: who is on one is left out, or stops the launch."""
    frequency: Frequencies = ()
    """Most calls to a number within some time, by all batches of this root."""
    scrubbed: Scrubbed | None = None
    """That a do-not-call list is there for each campaign, and new enough."""
    warn: Annotated[tuple[str, ...], BeforeValidator(_rules), WithJsonSchema(NAMES_SCHEMA)] = ()
    """Rules that only warn. Those of packs always refuse."""
