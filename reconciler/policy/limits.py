"""How many may be called: in a batch, by a run, in a day; and who has to agree. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.policy.finding import Finding
from reconciler.policy.wording import people, verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.policy.case import Case
    from reconciler.spec.config.policy import Policy


def batch_contacts(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a batch of more people than one may have."""
    limit = policy.max_contacts.batch if policy.max_contacts else None
    largest = max(case.parts, default=0)
    if limit is not None and largest > limit:
        yield Finding(
            rule="max_contacts.batch",
            message=f"{people(largest)} in one batch; at most {limit:,} are allowed",
            hint=f"call fewer, or cut the list: `reconcile: {{split: {{max_contacts: {limit}}}}}`"
            if limit
            else "no batch may call anybody here",
            path=("contacts",),
        )


def apply_contacts(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse to call more people in one run than is allowed: all, since picking is not ours."""
    limit = policy.max_contacts.apply if policy.max_contacts else None
    if limit is not None and case.people and case.totals.people > limit:
        yield Finding(
            rule="max_contacts.apply",
            message=f"this run would call {people(case.totals.people)}; "
            f"at most {limit:,} are allowed at once",
            hint="merge some of the specs later, or raise the limit in reconciler.yaml",
        )


def day_contacts(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse to call more people within any 24 hours than is allowed."""
    limit = policy.max_contacts.day if policy.max_contacts else None
    all_told = case.totals.recent + case.totals.people
    if limit is not None and case.people and all_told > limit:
        yield Finding(
            rule="max_contacts.day",
            message=f"this run would call {people(case.totals.people)}, after "
            f"{case.totals.recent:,} in the last 24 hours; at most {limit:,} a day are allowed",
            hint="run apply again tomorrow, or raise the limit in reconciler.yaml",
        )


def batches(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse to create more batches in one run than is allowed."""
    limit = policy.max_batches
    if limit is not None and case.people and case.totals.batches > limit:
        yield Finding(
            rule="max_batches",
            message=f"this run would create {case.totals.batches:,} "
            f"{'batch' if case.totals.batches == 1 else 'batches'}; at most {limit:,} "
            f"{verb(limit)} allowed at once",
            hint="merge some of the specs later, or raise the limit in reconciler.yaml",
        )


def approval(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a large spec that not enough people approved by name.

    All of its people count, also those whom this launch leaves alone: a spec does not become small
    by being launched a piece at a time.
    """
    asked = policy.approval
    count = max(case.people, case.spec_people)
    if asked is None or not case.people or count <= asked.above:
        return
    named = case.clearance.approved_by
    counting = [name for name in named if not asked.approvers or name in asked.approvers]
    if len(counting) >= asked.needed:
        return
    missing = asked.needed - len(counting)
    who = f", from: {', '.join(asked.approvers)}" if asked.approvers else ""
    others = [name for name in named if name not in counting]
    yield Finding(
        rule="approval",
        message=f"{people(count)} {verb(count)} more than {asked.above:,}, and "
        f"{missing} more approval{'s' * (missing > 1)} {verb(missing)} needed{who}"
        + (f"; {', '.join(others)} cannot give it" if others else ""),
        hint="who approves adds the name: `reconcile: {approved_by: […]}`",
        path=("reconcile", "approved_by"),
    )
