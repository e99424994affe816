"""The rules of a policy by name: what refusals say, and exceptions and `warn` have to."""

from __future__ import annotations

RULES = (
    "max_contacts.batch",
    "max_contacts.apply",
    "max_contacts.day",
    "max_batches",
    "approval",
    "campaigns",
    "organizations",
    "countries",
    "call_variables",
    "scheduled_start",
    "lead_time",
    "not_after",
    "consent",
    "calling_hours",
    "holidays",
    "suppression",
    "scrubbed",
    "frequency",
)
"""Every rule, in the order in which findings are told."""
