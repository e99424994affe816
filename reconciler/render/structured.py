"""Plans, reports and state as JSON, for programs. The shapes are a contract: see `schemas/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from reconciler.plan.actions import ActionKind
from reconciler.plan.estimate import estimate
from reconciler.plan.fingerprint import plan_hash
from reconciler.render.diagnostics import as_json
from reconciler.render.telling import again_of, called_again
from reconciler.state.codec import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from reconciler.apply.report import Report, Result
    from reconciler.model import Diagnostic
    from reconciler.plan.actions import Action, Plan
    from reconciler.state.document import NameRecord, State

FORMAT_VERSION = "1.0"


def dumps(document: Any) -> str:
    """Give a document as indented JSON with a newline."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options).decode()


def plan_document(
    plan: Plan, *, now: datetime | None = None, average_call: timedelta | None = None
) -> dict[str, Any]:
    """Give a plan as the contract has it. `actions` lists everything but none.

    With the time and how long a call takes, it estimates when calls go out.
    """
    actions = [_action(action) for action in plan.pending]
    if now is not None and average_call is not None:
        estimates = estimate(plan, now, average_call)
        for document in actions:
            of = estimates.get(document["name"]) if document["people"] else None
            if of is not None:
                document["first_call"] = of.first_call
                document["last_call_about"] = of.last_call
    return {
        "format_version": FORMAT_VERSION,
        "plan_hash": plan_hash(plan),
        "actions": actions,
        "summary": plan.summary(),
        "people": plan.people,
        "called_again": called_again(plan),
        "at_most": plan.at_most,
        **({"repeated": plan.repeated} if plan.repeated else {}),
        "offline": plan.offline,
        "state": {"lineage": plan.lineage, "serial": plan.serial},
        "diagnostics": as_json(plan.diagnostics),
        **_exceptions(plan),
    }


def saved_plan_document(plan: Plan) -> dict[str, Any]:
    """Give a plan for `apply --plan`, with what must still hold when it is applied."""
    return {**plan_document(plan), "essence": plan.essence()}


def failure_document(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """Give a plan that could not be made because the specs have errors."""
    return {
        "format_version": FORMAT_VERSION,
        "actions": [],
        "summary": {kind.value: 0 for kind in ActionKind},
        "people": 0,
        "diagnostics": as_json(diagnostics),
    }


def validation_document(diagnostics: Sequence[Diagnostic], *, files: int) -> dict[str, Any]:
    """Give what `validate` found in so many spec files."""
    return {
        "format_version": FORMAT_VERSION,
        "diagnostics": as_json(diagnostics),
        "files": files,
    }


def report_document(report: Report) -> dict[str, Any]:
    """Give what an apply did: the plan's actions, each with its `outcome` and `batch_id`."""
    return {
        "format_version": FORMAT_VERSION,
        "actions": [_result(result) for result in report.results],
        "summary": report.plan.summary(),
        "outcomes": report.counts(),
        "interrupted": report.interrupted,
        "diagnostics": as_json([*report.plan.diagnostics, *report.complaints]),
    }


def state_document(state: State) -> dict[str, Any]:
    """Give `state list`: one row a request of each name's current generation."""
    return {
        "format_version": FORMAT_VERSION,
        "batches": [row for name in sorted(state.batches) for row in state_rows(state, name)],
    }


def state_rows(state: State, name: str) -> list[dict[str, Any]]:
    """Give the rows of one name's current generation."""
    current = state.batches[name].current
    return [
        {
            "name": name,
            "batch_id": request.batch_id,
            "status": request.status.value,
            "campaign_id": current.campaign_id,
            "contacts": request.contacts,
            "generation": current.generation,
            "key": request.key,
            "part": request.part,
        }
        for request in current.requests
    ]


def record_document(name: str, record: NameRecord) -> dict[str, Any]:
    """Give `state show`: everything recorded under a name, as state keeps it."""
    return {"format_version": FORMAT_VERSION, "name": name, **plain(record)}


def _exceptions(plan: Plan) -> dict[str, Any]:
    """Tell the exceptions from the policy; nothing where there are none."""
    told = [
        {
            "name": each.name,
            "rule": each.rule,
            "finding": each.finding,
            "reason": each.reason,
            "until": each.until.isoformat(),
            "source": each.source or None,
        }
        for each in plan.excepted
    ]
    return {"exceptions": told} if told else {}


def _action(action: Action) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": action.name,
        "action": action.kind.value,
        "reason": action.reason.value,
        "campaign_id": action.campaign_id,
        "contacts": action.contacts,
        "people": action.people,
        "requests": len(action.parts) if len(action.parts) > 1 else None,
        **_callees(action),
        "generation": action.generation,
        "scheduled_start": action.scheduled_start,
        "starts_at": action.starts_at,
        "arm_delay": action.arm_delay.total_seconds() if action.creations else 0,
        "file": action.spec.file if action.spec else None,
        "batch_id": action.batch_id,
        "targets": [target.batch_id for target in action.targets],
        "moved_from": action.moved_from,
        "replaces": _replacement(action),
        "contact_changes": _contact_changes(action),
        "changes": [
            {"field": change.field, "before": change.before, "after": change.after}
            for change in action.changes
        ],
        "rules": [
            {
                "rule": each.rule,
                "message": each.message,
                "where": each.where or None,
                "hint": each.hint,
                "source": each.source or None,
            }
            for each in action.rules
        ],
        "left_out": [{"of": each.of, "people": each.people} for each in action.left_out],
        "message": action.message,
        "hint": action.hint,
    }
    optional = (
        *("requests", "arm_delay", "batch_id", "targets", "moved_from", "replaces", "changes"),
        *("contact_changes", "rules", "left_out", "message", "hint", "file"),
    )
    return {k: v for k, v in document.items() if k not in optional or v}


def _callees(action: Action) -> dict[str, Any]:
    """Tell who of a changed spec's people is called; of any other there is nothing to tell."""
    callees = action.callees
    if callees is None:
        return {}
    counts: dict[str, Any] = {"called_again": again_of(action), "at_most": callees.at_most}
    return counts if callees.at_most else {**counts, "already_called": callees.called}


def _replacement(action: Action) -> dict[str, Any] | None:
    replacement = action.replacement
    if replacement is None:
        return None
    return {
        "on_change": replacement.on_change.value,
        "batches": [target.batch_id for target in replacement.olds],
        "reverts_to": replacement.reverts_to,
    }


def _contact_changes(action: Action) -> dict[str, Any] | None:
    changes = action.contact_changes
    if changes is None:
        return None
    return {
        "added": changes.added,
        "removed": changes.removed,
        "changed": changes.changed,
        "examples": list(changes.examples),
    }


def _result(result: Result) -> dict[str, Any]:
    document = _action(result.action)
    document["outcome"] = result.ending.value
    document["batch_id"] = next(iter(result.batch_ids), result.action.batch_id)
    document["batch_ids"] = list(result.batch_ids)
    # What happened counts now, not what was expected.
    document["people"] = result.people
    document["message"] = result.message
    document["hint"] = result.hint
    document["warnings"] = list(result.warnings)
    document["problems"] = [
        {"path": list(problem.path), "message": problem.message} for problem in result.problems
    ]
    return document
