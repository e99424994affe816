"""What is told of a plan, in words and in order: the one source of every renderer for people.

A renderer chooses how these look and what it folds away. It does not count, and it leaves no
warning out.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.model import OnChange, Severity
from reconciler.plan.actions import ActionKind, Refusal
from reconciler.plan.estimate import not_calling
from reconciler.policy.wording import people
from reconciler.render.escape import printable, shortened
from reconciler.render.words import (
    counted,
    how_soon,
    moment,
    span,
    start,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from reconciler.model import Diagnostic
    from reconciler.plan.actions import Action, ContactChanges, FieldChange, Plan
    from reconciler.plan.estimate import Estimate

_VERBS = {
    ActionKind.CREATE: "to create",
    ActionKind.REPLACE: "to replace",
    ActionKind.PAUSE: "to pause",
    ActionKind.RESUME: "to resume",
    ActionKind.CANCEL: "to cancel",
    ActionKind.MOVE: "to move",
    ActionKind.ADOPT: "to adopt",
    ActionKind.FORGET: "to forget",
    ActionKind.BLOCKED: "blocked",
}
_ABSENT = {
    "scheduled_start": "right away",
    "concurrency_limit": "as the campaign has it",
    "max_retries_override": "as the campaign has it",
    "organization_id": "the token's own",
}
"""What the absence of a field means."""
_SHOWN = 60
"""Characters of a field's value that a plan shows."""


class Tone(Enum):
    """How much a fact wants to be seen."""

    PLAIN = "plain"
    QUIET = "quiet"
    WARNING = "warning"
    ALARM = "alarm"


class Fact(Struct, frozen=True):
    """One thing about an action, under a label of at most nine letters."""

    label: str
    text: str
    tone: Tone = Tone.PLAIN


def headline(plan: Plan) -> str:
    """Say in one line what a plan does and how many people it calls."""
    parts = summary(plan)
    if not parts:
        specs = len(plan.actions) + plan.unread
        return (
            f"Nothing to do: {counted(specs, 'spec')}, all as recorded."
            if specs
            else "Nothing to do: there is no spec here."
        )
    note = " (offline: the API was not asked)" if plan.offline else ""
    return f"Plan{note}: {', '.join(parts)}. {calls(plan)}."


def summary(plan: Plan) -> list[str]:
    """Count what there is to do: `2 to create`."""
    counts = plan.summary()
    return [f"{counts[kind]:,} {verb}" for kind, verb in _VERBS.items() if counts[kind]]


def calls(plan: Plan) -> str:
    """Say how many people a plan calls, and how soon. A sentence without its full stop."""
    waiting = resumed(plan)
    if not plan.people:
        nobody = "Nobody will be called"
        return f"Nobody new will be called, but {waiting} will be" if waiting else nobody
    told = f"{people_called(plan)} {will_be(plan)}{how_soon(plan)}"
    return f"{told}, and {waiting}" if waiting else told


def people_called(plan: Plan) -> str:
    """Say how many people a plan calls: `Up to 38 people`, `6 calls to 3 people`."""
    count = people(plan.people)
    if plan.repeated:
        count = f"{counted(plan.people, 'call')} to {people(plan.people - plan.repeated)}"
    return f"Up to {count}" if plan.at_most else count


def will_be(plan: Plan) -> str:
    """Go on after `people_called`: people are called, and calls are made."""
    return "will be made" if plan.repeated else "will be called"


def resumed(plan: Plan) -> str:
    """Say who is called because batches are resumed; nobody was asked how many still wait there."""
    actions = [action for action in plan.pending if action.kind is ActionKind.RESUME]
    if not actions:
        return ""
    batches = sum(max(1, len(action.targets)) for action in actions)
    count = sum(action.contacts for action in actions)
    return f"up to {people(count)} who still wait in {counted(batches, 'resumed batch')}"


def asked(plan: Plan) -> str:
    """Ask whether to go on, with the number of people."""
    if not plan.people:
        return f"{calls(plan)}."
    count = people_called(plan)
    again = called_again(plan)
    verb = "Make" if plan.repeated else "Call"
    told = f"{verb} {count[0].lower()}{count[1:]}{how_soon(plan)}"
    told = f"{told}, {again:,} of them AGAIN" if again else told
    return f"{told}, and {resumed(plan)}?" if resumed(plan) else f"{told}?"


def again_of(action: Action) -> int:
    """Count the people an action calls again; all of them where nobody was asked and it might."""
    callees, replacement = action.callees, action.replacement
    if callees is None or replacement is None or not callees.at_most:
        return action.again
    return action.people if replacement.on_change is OnChange.EVERYONE else action.again


def called_again(plan: Plan) -> int:
    """Count the people a plan calls again, or may call again."""
    return sum(again_of(action) for action in plan.pending)


def again_warning(plan: Plan) -> str:
    """Say that a plan calls people again, how many and because of what; empty if it does not."""
    count = called_again(plan)
    if not count:
        return ""
    names = [action.name for action in plan.pending if again_of(action)]
    # Who is called again by two new batches is counted at both.
    guess = plan.repeated or any(_is_guess(action) for action in plan.pending)
    up_to = "UP TO " if guess else ""
    who = f"{up_to}{count:,} {'PERSON' if count == 1 else 'PEOPLE'}"
    return f"{who} WILL BE CALLED AGAIN, by {_list(names)}"


def exceptions(plan: Plan) -> list[str]:
    """Say which exceptions from the policy a plan makes use of: what they set aside, and why."""
    return [
        printable(
            f"EXCEPTION for {each.name} from {each.rule}, through {each.until}: {each.reason}. "
            f"Without it: {each.finding}" + (f" [{each.source}]" if each.source else "")
        )
        for each in plan.excepted
    ]


def _is_guess(action: Action) -> bool:
    return bool(again_of(action) and action.callees and action.callees.at_most)


def _list(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def facts(
    action: Action,
    plan: Plan,
    now: datetime,
    *,
    estimate: Estimate | None = None,
    average_call: timedelta | None = None,
) -> Iterator[Fact]:
    """Tell all that a person needs to agree to an action. The estimate is told if it is given."""
    if again_of(action):
        yield Fact("AGAIN", again_words(action), Tone.ALARM)
    yield from _people(action)
    campaign = plan.campaigns.get(action.campaign_id)
    if action.people:
        tone = Tone.WARNING if not_calling(campaign) else Tone.PLAIN
        yield Fact("starts", start(action, plan, now), tone)
        if estimate is not None and average_call is not None:
            yield from _estimate(estimate, average_call, campaign.timezone if campaign else None)
    yield Fact("campaign", campaign_words(action, plan))
    yield from _limits(action)
    yield from _batches(action)
    yield from _differences(action)
    yield from _reasons(action, plan)


def _differences(action: Action) -> Iterator[Fact]:
    if action.replacement is not None and action.replacement.reverts_to is not None:
        yield Fact("reverts", f"to what generation {action.replacement.reverts_to} said")
    yield from (Fact("change", change_words(change)) for change in shown_changes(action))
    if action.contact_changes:
        yield Fact("contacts", contact_words(action.contact_changes))


def _reasons(action: Action, plan: Plan) -> Iterator[Fact]:
    late = start_is_over(action, plan)
    if late is not None:
        yield Fact("where", f"{late.file}:{late.line}:{late.column}")
    for each in action.rules:
        at = f" ({each.where})" if each.where else ""
        source = f" [{each.source}]" if each.source else ""
        told = f"{each.rule}: {each.message}{source}{at}"
        yield Fact("refused", printable(told), Tone.WARNING)
        if each.hint:
            yield Fact("hint", printable(each.hint), Tone.QUIET)
    if action.rules:
        if action.replacement is not None and action.replacement.paused:
            yield Fact("why", "the batch before it stays paused meanwhile", Tone.QUIET)
        return
    if action.message:
        yield Fact("why", printable(action.message), Tone.QUIET)
    if action.hint:
        yield Fact("hint", printable(action.hint), Tone.QUIET)


def again_words(action: Action) -> str:
    """Say how many people an action calls again."""
    count = again_of(action)
    everyone = action.replacement is not None and (
        action.replacement.on_change is OnChange.EVERYONE
    )
    why = " (on_change: everyone)" if everyone else ""
    if _is_guess(action):
        return f"up to {people(count)} who may have been called already will be called again{why}"
    have = "has" if count == 1 else "have"
    return f"{people(count)} who {have} been called already will be called AGAIN{why}"


def people_words(action: Action) -> str:
    """Say who of a changed spec's people was called, is still to be, and is again."""
    callees = action.callees
    if callees is None:
        return f"{action.people:,}"
    if callees.at_most:
        return f"up to {callees.to_call:,} to call; who was called already is not known here"
    again = f"called again {callees.again:,}" if callees.again else "nobody called again"
    still = callees.to_call - callees.again
    return f"already called {callees.called:,}, still to call {still:,}, {again}"


def _people(action: Action) -> Iterator[Fact]:
    if action.creations:
        yield Fact("people", people_words(action))
        if action.left_out:
            lists = ", ".join(
                f"{each.people:,} on {printable(each.of)}" for each in action.left_out
            )
            yield Fact("left out", lists, Tone.WARNING)
    elif action.kind is ActionKind.RESUME:
        yield Fact("people", f"up to {action.contacts:,}: those who still wait are called")
    elif action.contacts:
        yield Fact("people", f"{action.contacts:,}, none of whom is called by this")


def _estimate(of: Estimate, average_call: timedelta, timezone: str | None) -> Iterator[Fact]:
    text = estimate_words(of, average_call, timezone)
    if text:
        tone = Tone.WARNING if of.outside_hours else Tone.PLAIN
        yield Fact("calls", text, tone)


def estimate_words(of: Estimate, average_call: timedelta, timezone: str | None) -> str:
    """Say about how long the calls of an action take, and until when; empty if nobody knows."""
    if of.never:
        return "none, as it stands: its campaign has no working hours in the year that follows"
    parts = []
    if of.outside_hours and of.first_call is not None:
        parts.append(f"from {moment(of.first_call, timezone)}: the start is outside working hours")
    if of.needed is not None:
        each = span(average_call.total_seconds())
        parts.append(
            f"about {span(of.needed.total_seconds())} of calling ({each} each, "
            f"{of.at_once:,} at once)"
        )
    if of.last_call is not None:
        days = f" on {len(of.windows)} days" if len(of.windows) > 1 else ""
        parts.append(f"done{days} about {moment(of.last_call, timezone)}")
    return "; ".join(parts)


def campaign_words(action: Action, plan: Plan) -> str:
    """Say which campaign: its id, name, and status if that is odd."""
    campaign = plan.campaigns.get(action.campaign_id)
    if campaign is None:
        return action.campaign_id
    status = not_calling(campaign)
    odd = f", which is {status}" if status else ""
    name = f" ({printable(campaign.name)})" if campaign.name else ""
    return f"{action.campaign_id}{name}{odd}"


def limit_words(action: Action) -> Iterator[str]:
    """Say which limits of its campaign a batch has its own of."""
    yield from (f"{fact.label} {fact.text}" for fact in _limits(action))


def _limits(action: Action) -> Iterator[Fact]:
    if not action.people:
        return
    parts = action.parts
    each = " in each" if len(parts) > 1 else ""
    if each:
        yield Fact("split", f"into {counted(len(parts), 'batch')} of up to {people(max(parts))}")
    fields = action.creations[0].request.fields
    if "concurrency_limit" in fields:
        yield Fact("at most", f"{counted(fields['concurrency_limit'], 'call')} at once{each}")
    if "max_retries_override" in fields:
        yield Fact("retries", f"at most {fields['max_retries_override']}")


def batches_of(action: Action) -> tuple[str, list[str]]:
    """Give the batches that exist and that an action is about, and what they are to it."""
    touched = [target.batch_id for target in action.targets]
    if touched:
        return "replaces" if action.kind is ActionKind.REPLACE else "batch", touched
    return "batch", [action.batch_id] if action.batch_id else []


def _batches(action: Action) -> Iterator[Fact]:
    label, touched = batches_of(action)
    if touched:
        yield Fact(label, ", ".join(touched))


def shown_changes(action: Action) -> tuple[FieldChange, ...]:
    """Give the changed fields; contacts only where nothing better is known of them."""
    if action.contact_changes is None:
        return action.changes
    return tuple(change for change in action.changes if change.field != "contacts")


def change_words(change: FieldChange) -> str:
    """Say in words how a field changed."""
    field, before, after = printable(change.field), change.before, change.after
    if field == "contacts":
        if isinstance(before, int) and isinstance(after, int):
            return f"contacts: {people(after)} instead of {before:,}"
        return f"contacts: {value_words(after)}"
    absent = _ABSENT.get(field)
    if before is None:
        return f"{field} set to {value_words(after)}{f' (was: {absent})' if absent else ''}"
    if after is None:
        return f"{field} removed, was {value_words(before)}{f' (now: {absent})' if absent else ''}"
    verb = "changed"
    if _is_number(before) and _is_number(after):
        verb = "raised" if after > before else "lowered"
    return f"{field} {verb} from {value_words(before)} to {value_words(after)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_words(value: Any, absent: str = "(absent)") -> str:
    """Show a field's value on one line, its beginning if it is long."""
    if value is None:
        return absent
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(printable(written), _SHOWN)


def contact_words(changes: ContactChanges) -> str:
    """Say how many people were added, removed and changed, with a few masked numbers."""
    parts = []
    if changes.added:
        parts.append(f"{changes.added:,} added")
    if changes.removed:
        parts.append(f"{changes.removed:,} removed")
    if changes.changed:
        parts.append(f"{changes.changed:,} with other variables")
    shown = f" ({', '.join(changes.examples)})" if changes.examples else ""
    return f"{', '.join(parts)}{shown}"


def start_is_over(action: Action, plan: Plan) -> Diagnostic | None:
    """Find the error that says of a blocked action's start what the action says too."""
    if action.refusal is not Refusal.MISTAKE or action.spec is None:
        return None
    file = action.spec.file
    found = (one for one in plan.diagnostics if one.file == file)
    return next((one for one in found if one.severity is Severity.ERROR), None)


def diagnostics(plan: Plan) -> tuple[Diagnostic, ...]:
    """Give what is wrong or odd, but for what an action tells already."""
    told = {id(start_is_over(action, plan)) for action in plan.pending}
    return tuple(one for one in plan.diagnostics if id(one) not in told)


def unchanged(plan: Plan) -> str:
    """Say how many specs are as recorded, where there is something else to do; or nothing."""
    count = plan.summary()[ActionKind.NONE]
    return f"{counted(count, 'spec')} unchanged." if count and plan.pending else ""
