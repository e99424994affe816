"""Names that a person stopped by hand: what is recorded of that, what is told, what follows. Pure.

A stop goes past the specs, because it cannot wait for a review. It holds until a spec says the same
(`lifecycle: paused` or `cancelled`); from then on it is a lifecycle like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model import Diagnostic, Lifecycle, Severity
from reconciler.plan.actions import Action, ActionKind, Reason, Role
from reconciler.plan.history import living
from reconciler.state.document import Stopped
from reconciler.state.summary import lively

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from reconciler.plan.facts import Facts
    from reconciler.state.document import Audit, NameRecord, State


def how_stopped(stopped: Stopped) -> str:
    """Say who stopped a name, when and why; goes on after "it was"."""
    by = stopped.by
    why = f" ({by.why})" if by.why else ""
    return f"{stopped.lifecycle} by hand by {by.who} on {by.at:%Y-%m-%d %H:%M} UTC{why}"


def way_back(stopped: Stopped) -> str:
    """Say how a stopped name goes on."""
    return (
        f"say `lifecycle: {stopped.lifecycle}` in the spec and apply that, which makes the stop "
        "official; then `active`, when the calls may go on"
    )


def stopped_names(state: State, known: State) -> dict[str, NameRecord]:
    """Give the names of a state that are stopped, sorted; their records as `known`, if they are."""
    names = sorted(n for n, record in lively(state.batches) if record.stopped is not None)
    return {name: known.batches.get(name, state.batches[name]) for name in names}


def stop_warnings(records: Mapping[str, NameRecord]) -> Iterator[Diagnostic]:
    """Tell of every name that is stopped, so that nobody waits for its calls."""
    for name, record in records.items():
        stopped = record.stopped
        if stopped is not None:
            message = f"it was {how_stopped(stopped)}; no apply resumes it"
            yield Diagnostic(Severity.WARNING, "", 0, 0, name, message, way_back(stopped))


def came_to_light(records: Mapping[str, NameRecord], facts: Facts) -> Iterator[Action]:
    """Plan to stop what may be calling of a stopped name and was not stopped with it.

    A request that was in doubt then and is found now, or a batch that did not obey.
    """
    for name, record in records.items():
        stopped = record.stopped
        if stopped is None:
            continue
        cancels = stopped.lifecycle is Lifecycle.CANCELLED
        targets = tuple(
            target
            for target in living(record, facts.batches)
            if target.batch_id not in stopped.batches
            and (cancels or _status(target.batch_id, facts) != "paused")
        )
        if targets:
            current = record.current
            yield Action(
                kind=ActionKind.CANCEL if cancels else ActionKind.PAUSE,
                name=name,
                reason=Reason.STOPPED_BY_HAND,
                role=Role.STOPPED,
                campaign_id=current.campaign_id,
                contacts=sum(request.contacts for request in current.requests),
                generation=current.generation,
                batch_id=targets[-1].batch_id,
                targets=targets,
                message=f"it was {how_stopped(stopped)}, and this batch of it was not stopped then",
            )


def _status(batch_id: str, facts: Facts) -> str | None:
    batch = facts.batches.get(batch_id)
    return batch.status if batch is not None else None


def _decisions(
    earlier: Stopped | None, by: Audit, lifecycle: Lifecycle
) -> tuple[Audit, tuple[Audit, ...]]:
    """Give whose decision a stop counts as, and all others.

    That is who stopped it first; a cancel after a pause is another decision. A decision that is
    recorded already is not recorded again.
    """
    if earlier is None:
        return by, ()
    if by == earlier.by or by in earlier.audit:
        return earlier.by, earlier.audit
    if earlier.lifecycle is lifecycle:
        return earlier.by, (*earlier.audit, by)
    return by, (*earlier.audit, earlier.by)


def with_stop(
    record: NameRecord,
    by: Audit,
    lifecycle: Lifecycle,
    *,
    stopped: Mapping[str, tuple[str, ...] | None],
    left: Collection[str] = (),
    now: datetime,
) -> NameRecord:
    """Give a name's record after a person stopped it.

    `stopped` are the batches that are as they should be now; for cancelled ones with the contacts
    who had been skipped before, None where nobody could read that. `left` are those that may still
    call. Who stopped it first, and why, stays known.
    """
    earlier = record.stopped.batches if record.stopped else ()
    kept = [each for each in earlier if each not in stopped and each not in left]
    first, audit = _decisions(record.stopped, by, lifecycle)
    batches = (*kept, *sorted(stopped))
    record = replace(
        record, stopped=Stopped(lifecycle=lifecycle, by=first, batches=batches, audit=audit)
    )
    if lifecycle is not Lifecycle.CANCELLED:
        return record
    generations = tuple(
        replace(
            generation,
            requests=tuple(
                replace(
                    request,
                    cancelled_at=request.cancelled_at or now,
                    cancelling=False,
                    not_owed=stopped[request.batch_id or ""] or request.not_owed,
                )
                if request.batch_id in stopped
                else request
                for request in generation.requests
            ),
        )
        for generation in record.generations
    )
    record = replace(record, generations=generations)
    return record if left else replace(record, lifecycle=lifecycle, replacing=None)
