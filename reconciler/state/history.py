"""What a state commit says, for those who read `git log`. Names, ids and counts; no contacts.

A subject that says what happened, a line for each batch, and a block of trailers for programs
(`git log --format='%(trailers:key=Key)'`): for each batch `Batch`, `Campaign` and `Key`, then
`Spec-Commit`, the commit that was applied, and `Run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.model import Lifecycle
from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.state.document import NameRecord, RequestRecord, State

_LIFECYCLES = {
    Lifecycle.ACTIVE: "Make active",
    Lifecycle.PAUSED: "Pause",
    Lifecycle.CANCELLED: "End",
}
_LISTED = 20
"""Requests a commit message lists; the state has them all."""


class _Change(Struct, frozen=True):
    verb: str
    name: str
    record: RequestRecord
    campaign: str

    @property
    def batch(self) -> str:
        """The name, and the id as far as there is one."""
        told = f" as {self.record.batch_id}" if self.record.batch_id else ""
        return f"{self.name}{told}"

    @property
    def line(self) -> str:
        """The change in one line."""
        people = self.record.contacts
        return f"{self.verb} {self.batch}, {people:,} {'person' if people == 1 else 'people'}"


def commit_message(
    before: State,
    after: State,
    touched: frozenset[str],
    *,
    why: str = "",
    token: str,
    spec_commit: str | None,
) -> str:
    """Say what a state commit changes: a subject, a line a request, and trailers.

    `why` is what a person decided. `token` makes the commit unlike that of every other run.
    `[skip ci]` keeps a state commit from starting the workflow that made it.
    """
    changes = list(_changes(before, after, touched))
    listed = changes[:_LISTED]
    lines = [f"{_subject(changes)} [skip ci]", ""]
    if why:
        lines.extend([why, ""])
    if changes:
        lines.extend(f"- {change.line}" for change in listed)
        if len(changes) > _LISTED:
            lines.append(f"- and {len(changes) - _LISTED} more")
        lines.append("")
    for change in listed:
        lines.append(f"Batch: {change.batch}")
        lines.append(f"Campaign: {change.campaign}")
        lines.append(f"Key: {change.record.key}")
    if spec_commit:
        lines.append(f"Spec-Commit: {spec_commit}")
    lines.append(f"Run: {token}")
    return "\n".join(lines) + "\n"


def _changes(before: State, after: State, touched: frozenset[str]) -> Iterator[_Change]:
    for name in sorted(touched):
        known = _requests(before, name)
        current = _requests(after, name)
        for place, (record, campaign) in current.items():
            old = known.get(place, (None, ""))[0]
            if record != old:
                yield _Change(_verb(record, old), name, record, campaign)
        for place, (record, campaign) in known.items():
            if place not in current:
                yield _Change("Withdraw", name, record, campaign)
        yield from _name_changes(before.record(name), after.record(name), name)


def _name_changes(
    before: NameRecord | None, after: NameRecord | None, name: str
) -> Iterator[_Change]:
    """Say what changed about a name itself, beside its requests."""
    if before is None or after is None:
        return
    current = after.current
    verbs = []
    if after.replacing is not None and after.replacing != before.replacing:
        verbs.append("Begin to replace")
    if after.replacing is None and before.replacing is not None:
        there = current.generation == before.replacing.generation
        verbs.append("Finish replacing" if there else "Give up replacing")
    if after.stopped != before.stopped:
        verbs.append("Stop by hand" if after.stopped is not None else "Make official what stopped")
    if after.lifecycle is not before.lifecycle:
        verbs.append(_LIFECYCLES[after.lifecycle])
    for verb in verbs:
        yield _Change(verb, name, current.requests[-1], current.campaign_id)


def _requests(state: State, name: str) -> dict[tuple[int, int], tuple[RequestRecord, str]]:
    record = state.record(name)
    return {
        (generation.generation, request.part): (request, generation.campaign_id)
        for generation in (record.generations if record else ())
        for request in generation.requests
    }


def _verb(record: RequestRecord, old: RequestRecord | None) -> str:
    if record.status is Status.COMPLETE:
        return "Complete"
    if record.cancelled_at is not None and (old is None or old.cancelled_at is None):
        return "Cancel"
    if record.status is Status.CREATED:
        known = old is not None and old.batch_id == record.batch_id
        return "Update" if known else "Record"
    if record.released_at is not None:
        return "Release"
    return "Leave in doubt" if record.unknown else "Intend to create"


def _subject(changes: list[_Change]) -> str:
    verbs = list(dict.fromkeys(change.verb for change in changes))
    if not verbs:
        return "Update recorded batches"
    if len(changes) == 1:
        return f"{changes[0].verb} {changes[0].batch}"
    counts = [(verb, sum(1 for change in changes if change.verb == verb)) for verb in verbs]
    return ", ".join(
        f"{verb if i == 0 else verb.lower()} {n} {'batch' if n == 1 else 'batches'}"
        for i, (verb, n) in enumerate(counts)
    )
