"""Drift: where the API's batches are not as they are recorded. Told, and never undone. Pure.

An operator who pauses or cancels a batch in the vendor's console has a reason, and knows more than
a spec that was merged last week. So nothing here becomes an action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model import Diagnostic, Lifecycle, Severity
from reconciler.plan.history import cancelling, living

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from reconciler.observed import Batch
    from reconciler.plan.facts import Facts
    from reconciler.state.document import NameRecord, State


def drift(state: State, facts: Facts) -> Iterator[Diagnostic]:
    """Tell of every recorded batch that the API shows otherwise, as far as it was asked."""
    odd = {
        batch_id
        for batch_id, batch in facts.batches.items()
        if batch is None or batch.status in {"paused", "cancelled"}
    }
    for name in sorted(state.batches):
        record = state.batches[name]
        if _is_usual(record, odd):
            continue
        ours = cancelling(record)
        for target in living(record, {}):
            if target.batch_id not in facts.batches or target in ours:
                continue
            batch = facts.batches[target.batch_id]
            said = _difference(name, record, target.batch_id, batch, facts)
            if said:
                message, hint = said
                yield Diagnostic(Severity.WARNING, "", 0, 0, name, message, hint)


def _is_usual(record: NameRecord, odd: Container[str]) -> bool:
    """Whether a name is as most are, so that none of its batches can have drifted. Costs little.

    It is active, and none of its batches is `odd`: gone, paused or cancelled.
    """
    if record.lifecycle is not Lifecycle.ACTIVE or record.stopped is not None:
        return False
    for generation in record.generations:
        for request in generation.requests:
            if request.batch_id in odd:
                return False
    return True


def _difference(
    name: str, record: NameRecord, batch_id: str, batch: Batch | None, facts: Facts
) -> tuple[str, str] | None:
    if batch is None:
        return (
            f"drift: the API does not know batch {batch_id} any more",
            "ask the vendor what became of it; its record is kept",
        )
    by_hand = record.stopped
    ours = record.replacing.paused if record.replacing else ()
    if by_hand is not None and batch.status == "in_progress" and batch_id in by_hand.batches:
        return (
            f"drift: batch {batch_id} is calling, although it was stopped by hand",
            f"stop it again: reconciler stop {name}; or leave it to whoever resumed it",
        )
    if by_hand is not None and batch.status == "paused":
        return None  # that it was stopped is told of the name
    campaign = facts.campaigns.get(batch.campaign_id or "")
    held = campaign is not None and campaign.status == "paused"
    match record.lifecycle, batch.status:
        case Lifecycle.ACTIVE, "paused" if held and batch_id not in ours:
            return (
                f"batch {batch_id} is paused, and so is its campaign {batch.campaign_id}",
                "to go on, resume the campaign in the console, and the batch if it stays paused",
            )
        case Lifecycle.ACTIVE, "paused" if batch_id not in ours:
            return (
                f"drift: batch {batch_id} is paused, and no spec asked for it; it is left as it is",
                "to keep it so, say `lifecycle: paused`; to go on, resume it in the console",
            )
        case ((Lifecycle.ACTIVE | Lifecycle.PAUSED), "cancelled"):
            return (
                f"drift: batch {batch_id} was cancelled by somebody else; nobody in it is called",
                "say `lifecycle: cancelled` in the spec, or remove the spec",
            )
        case ((Lifecycle.PAUSED | Lifecycle.CANCELLED), "in_progress"):
            return (
                f"drift: batch {batch_id} is calling, and its record says {record.lifecycle}",
                f"stop it in the vendor's console: batch {batch_id}",
            )
    return None
