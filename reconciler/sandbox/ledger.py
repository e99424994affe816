"""Between the simulation and its tables: reading a batch's progress, and writing what changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.sandbox import calling, campaigns
from reconciler.sandbox.hours import campaign_hours

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from reconciler.sandbox.bodies import Draft


def plan_of(
    draft: Draft, campaign: Mapping[str, Any], number: int, seed: int, now: float
) -> dict[str, Any]:
    """Settle at creation how the batch will call, as JSON."""
    retries = draft.fields.get("max_retries_override")
    policy = campaign["retry_policy"]
    limit = draft.fields.get("concurrency_limit") or campaign["metadata"].get("concurrency_limit")
    return {
        "seed": seed,
        "number": number,
        "total": len(draft.contacts),
        "limit": limit or campaigns.DEFAULT_CONCURRENCY,
        "start": now if draft.start is None else max(now, draft.start),
        "scheduled_start": draft.start,
        "max_retries": policy["max_retries"] if retries is None else retries,
        "cooldown": policy["cooldown_minutes"] * 60,
        "exponential": policy["strategy"] == "exponential",
        "campaign": {
            name: campaign[name] for name in ("timezone", "working_hours_enforced", "working_hours")
        },
        "scripts": draft.scripts,
    }


def settle(connection: sqlite3.Connection, now: float, campaign_id: str | None) -> None:
    """Bring every batch with something due up to `now`."""
    due = connection.execute(
        "SELECT number FROM batches WHERE next_event <= :now "
        "AND (:campaign IS NULL OR campaign_id = :campaign)",
        {"now": now, "campaign": campaign_id},
    ).fetchall()
    for row in due:
        plan, progress = load(connection, row["number"])
        effects = calling.advance(plan, progress, now)
        save(connection, plan, progress, effects)


def load(connection: sqlite3.Connection, number: int) -> tuple[calling.Plan, calling.Progress]:
    """Read how a batch calls and where it stands."""
    row = connection.execute(
        "SELECT plan, status, active, counts, progress FROM batches WHERE number = ?", (number,)
    ).fetchone()
    fixed = json.loads(row["plan"])
    saved = json.loads(row["progress"])
    plan = calling.Plan(
        seed=fixed["seed"],
        number=fixed["number"],
        total=fixed["total"],
        limit=fixed["limit"],
        start=fixed["start"],
        max_retries=fixed["max_retries"],
        cooldown=fixed["cooldown"],
        exponential=fixed["exponential"],
        hours=campaign_hours(fixed["campaign"]),
        scripts={int(position): script for position, script in fixed["scripts"].items()},
    )
    progress = calling.Progress(
        status=row["status"],
        clock=saved["clock"],
        cursor=saved["cursor"],
        active=[calling.Call(*call) for call in json.loads(row["active"])],
        queue=[calling.Again(*again) for again in saved["queue"]],
        counts=json.loads(row["counts"]),
        skipped=set(saved.get("skipped", ())),
    )
    return plan, progress


def save(
    connection: sqlite3.Connection,
    plan: calling.Plan,
    progress: calling.Progress,
    effects: calling.Effects,
) -> None:
    """Write where a batch stands now, and what changed for its contacts and in the dial log."""
    number = plan.number
    connection.execute(
        "UPDATE batches SET status = ?, next_event = ?, active = ?, counts = ?, progress = ? "
        "WHERE number = ?",
        (
            progress.status,
            calling.next_event(plan, progress),
            json.dumps(progress.active),
            json.dumps(progress.counts),
            dumped(progress),
            number,
        ),
    )
    connection.executemany(
        "UPDATE contacts SET status = ?, retry_count = ?, follow_up_count = ?, "
        "latest_retry_count = ?, last_attempted_at = ?, next_retry_at = ?, ring_at = ? "
        "WHERE position = ? AND batch = ?",
        [(*change, number) for change in effects.contacts.values()],
    )
    connection.executemany(
        "INSERT INTO dials VALUES (?, ?, ?, ?, ?, ?)",
        [(number, *dial) for dial in effects.dials],
    )
    if effects.ended_at is None:
        return
    connection.execute(
        "UPDATE contacts SET status = 'skipped', next_retry_at = NULL WHERE batch = ? "
        "AND status IN ('pending', 'retrying', 'followup_scheduled')",
        (number,),
    )
    # Dispatched calls that were dropped never rang: they leave no trace in the dial log.
    connection.execute(
        "DELETE FROM dials WHERE batch = ? AND ring_at > ?", (number, effects.ended_at)
    )
    connection.executemany(
        "UPDATE contacts SET last_attempted_at = (SELECT max(ring_at) FROM dials "
        "WHERE dials.batch = contacts.batch AND dials.position = contacts.position) "
        "WHERE batch = ? AND position = ?",
        [(number, position) for position in effects.dropped],
    )


def dumped(progress: calling.Progress) -> str:
    """Write the part of a batch's progress that has no column of its own."""
    saved = {"clock": progress.clock, "cursor": progress.cursor, "queue": progress.queue}
    return json.dumps({**saved, "skipped": sorted(progress.skipped)})
