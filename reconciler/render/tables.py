"""Recorded state as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.plan.stopped import how_stopped
from reconciler.policy.wording import people

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.state.document import Audit, NameRecord, RequestRecord, State


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells; the last column is not padded."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


STATE_HEAD = ("NAME", "GENERATION", "STATUS", "BATCH", "CONTACTS", "CAMPAIGN")
NOTHING = "Nothing is recorded yet.\n"


def state_cells(state: State) -> list[tuple[str, ...]]:
    """Give a row for every request of each name's current generation."""
    return [
        (
            name,
            str(record.current.generation),
            request.status.value,
            request.batch_id or ("(in doubt)" if request.in_doubt else "(nobody left to call)"),
            f"{request.contacts:,}",
            record.current.campaign_id,
        )
        for name, record in sorted(state.batches.items())
        for request in record.current.requests
    ]


def state_table(state: State) -> str:
    """List every request of each name's current generation."""
    rows = state_cells(state)
    return columns([STATE_HEAD, *rows]) if rows else NOTHING


def record_text(name: str, record: NameRecord) -> str:
    """Show everything recorded under a name, newest generation first."""
    lines = [f"{name}, lifecycle {record.lifecycle}"]
    begun = record.replacing
    if begun is not None:
        lines.append(
            f"generation {begun.generation} is taking the place of "
            f"{', '.join(begun.olds) or 'nothing'} ({begun.on_change}) since "
            f"{begun.begun_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    if record.stopped is not None:
        lines.append(how_stopped(record.stopped))
        lines.extend(f"also by hand: {_decision(each)}" for each in record.stopped.audit)
    for generation in reversed(record.generations):
        commit = f" at commit {generation.source.commit[:12]}" if generation.source.commit else ""
        lines.append(
            f"\ngeneration {generation.generation}, campaign {generation.campaign_id}, "
            f"from {generation.source.path}{commit}"
        )
        for request in generation.requests:
            lines.extend(f"  {label:<10} {text}" for label, text in _request_facts(request))
    return "\n".join(lines) + "\n"


def _request_facts(request: RequestRecord) -> Iterator[tuple[str, str]]:
    none = "not known: in doubt" if request.in_doubt else "none: nobody was left to call"
    spec = f" of {request.spec_contacts:,} in the spec" if request.spec_contacts else ""
    yield "batch", f"{request.batch_id or none} ({people(request.contacts)}{spec})"
    yield "status", request.status.value
    yield "key", request.key
    yield "digest", request.digest
    if request.attempt:
        yield (
            "attempted",
            f"{request.attempted_at:%Y-%m-%d %H:%M:%S} UTC, attempt {request.attempt}",
        )
    if request.unknown:
        yield "in doubt", request.unknown
    if request.recorded_at and request.recorded_by:
        yield "recorded", f"{request.recorded_at:%Y-%m-%d %H:%M:%S} UTC ({request.recorded_by})"
    if request.cancelled_at:
        kept = f"; {len(request.not_owed):,} of it not to be called again" * bool(request.not_owed)
        yield "cancelled", f"{request.cancelled_at:%Y-%m-%d %H:%M:%S} UTC, by us{kept}"
    for decision in request.audit:
        yield "by hand", _decision(decision)
    if request.duplicates:
        yield "cancelled", f"second batches of this key: {', '.join(request.duplicates)}"


def _decision(decision: Audit) -> str:
    reason = f": {decision.why}" if decision.why else ""
    return f"{decision.at:%Y-%m-%d %H:%M} UTC, {decision.who} {decision.said}{reason}"
