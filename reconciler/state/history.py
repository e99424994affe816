"""What a state commit says, for those who read `git log`. Names, ids and counts; no contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.state.document import RequestRecord, State

_LISTED = 20
"""Requests a commit message lists; the state has them all."""


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
    lines = [f"{_subject(changes)} [skip ci]", ""]
    if why:
        lines.extend([why, ""])
    if len(changes) > 1:
        lines.extend(f"- {verb} {name}{_id(record)}" for verb, name, record, _ in changes[:_LISTED])
        if len(changes) > _LISTED:
            lines.append(f"- and {len(changes) - _LISTED} more")
        lines.append("")
    for _, name, record, campaign in changes[:_LISTED]:
        lines.append(f"Batch: {name}{_id(record)}")
        lines.append(f"Campaign: {campaign}")
        lines.append(f"Key: {record.key}")
    if spec_commit:
        lines.append(f"Spec-Commit: {spec_commit}")
    lines.append(f"Run: {token}")
    return "\n".join(lines) + "\n"


def _changes(
    before: State, after: State, touched: frozenset[str]
) -> Iterator[tuple[str, str, RequestRecord, str]]:
    for name in sorted(touched):
        known = _requests(before, name)
        current = _requests(after, name)
        for place, (record, campaign) in current.items():
            old = known.get(place, (None, ""))[0]
            if record != old:
                yield _verb(record), name, record, campaign
        for place, (record, campaign) in known.items():
            if place not in current:
                yield "Withdraw", name, record, campaign


def _requests(state: State, name: str) -> dict[tuple[int, int], tuple[RequestRecord, str]]:
    record = state.record(name)
    return {
        (generation.generation, request.part): (request, generation.campaign_id)
        for generation in (record.generations if record else ())
        for request in generation.requests
    }


def _verb(record: RequestRecord) -> str:
    if record.status is Status.CREATED:
        return "Record"
    return "Leave in doubt" if record.unknown else "Intend to create"


def _id(record: RequestRecord) -> str:
    return f" as {record.batch_id}" if record.batch_id else ""


def _subject(changes: list[tuple[str, str, RequestRecord, str]]) -> str:
    verbs = list(dict.fromkeys(verb for verb, _, _, _ in changes))
    if not verbs:
        return "Update recorded batches"
    if len(changes) == 1:
        verb, name, record, _ = changes[0]
        return f"{verb} {name}{_id(record)}"
    counts = [(verb, sum(1 for change in changes if change[0] == verb)) for verb in verbs]
    return ", ".join(
        f"{verb if i == 0 else verb.lower()} {n} {'batch' if n == 1 else 'batches'}"
        for i, (verb, n) in enumerate(counts)
    )
