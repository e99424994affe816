"""The table of a plan's comment, and what is folded below it: one row, one fold an action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.plan.actions import ActionKind
from reconciler.render.cells import HEADINGS, Cell, Look, row
from reconciler.render.escape import code, html_code, markdown
from reconciler.render.markdown_parts import cell, prose
from reconciler.render.telling import (
    again_of,
    again_words,
    batches_of,
    contact_words,
    people_words,
    shown_changes,
    value_words,
)
from reconciler.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from reconciler.plan.actions import Action, Plan
    from reconciler.plan.estimate import Estimate

HEAD = f"| {' | '.join(HEADINGS)} |\n|:--|:--|--:|:--|:--|:--|"
_SIGNS = {
    ActionKind.CREATE: "🟢",
    ActionKind.REPLACE: "🟡",
    ActionKind.PAUSE: "⏸️",
    ActionKind.RESUME: "▶️",
    ActionKind.CANCEL: "🔴",
    ActionKind.MOVE: "➡️",
    ActionKind.ADOPT: "📎",
    ActionKind.FORGET: "⚪",
    ActionKind.NONE: "⚪",
    ActionKind.BLOCKED: "⛔",
}
_MOST_CHANGES = 50
"""Changed fields of one spec that are shown."""


def rows(
    actions: Iterable[Action], plan: Plan, now: datetime, estimates: Mapping[str, Estimate]
) -> Iterator[str]:
    """Give the table's rows, in the order of `actions`."""
    for action in actions:
        kind, *others = row(action, plan, now, estimates.get(action.name))
        cells = [f"{_SIGNS[action.kind]}&nbsp;{kind.main}", *map(_cell, others)]
        yield f"| {' | '.join(cells)} |"


def _cell(of: Cell) -> str:
    match of.look:
        case Look.CODE:
            main = code(of.main)
        case Look.STRONG:
            main = f"**{markdown(of.main)}**"
        case Look.PLAIN:
            main = markdown(of.main)
    alarm = f"<br>**{markdown(of.alarm)}**" if of.alarm else ""
    return cell(f"{main}{alarm}", *map(markdown, of.small))


def details(action: Action) -> str:
    """Give what is folded: what changes, what is touched and why. Empty where the row says all."""
    # Why something is blocked stands above everything.
    blocked = action.kind is ActionKind.BLOCKED
    told = [*_changes(action), *([] if blocked else _reasons(action))]
    if not told:
        return ""
    parts = []
    fields = [change for change in shown_changes(action) if change.field != "contacts"]
    if fields:
        parts.append(counted(len(fields), "field"))
    if action.contact_changes or len(fields) < len(action.changes):
        parts.append("contacts")
    what = f": {' and '.join(parts)}" if parts else ""
    summary = f"{action.kind.value} {html_code(action.name)}{what}"
    return "\n".join([f"<details><summary>{summary}</summary>", "", *told, "", "</details>"])


def _changes(action: Action) -> Iterator[str]:
    changes = shown_changes(action)
    if not changes:
        return
    yield "| field | before | after |"
    yield "|:--|:--|:--|"
    for change in changes[:_MOST_CHANGES]:
        before, after = (_value(value, change.field) for value in (change.before, change.after))
        yield f"| {code(value_words(change.field))} | {before} | {after} |"
    if len(changes) > _MOST_CHANGES:
        yield f"| and {counted(len(changes) - _MOST_CHANGES, 'field')} more | | |"
    yield ""


def _reasons(action: Action) -> Iterator[str]:
    if again_of(action):
        yield f"- **{markdown(again_words(action))}**"
    if action.callees is not None:
        yield f"- people: {people_words(action)}"
    if action.contact_changes:
        yield f"- contacts: {markdown(contact_words(action.contact_changes))}"
    if action.replacement is not None and action.replacement.reverts_to is not None:
        generation = action.replacement.reverts_to
        yield f"- **a revert**: the spec says again what generation {generation} said"
    label, touched = batches_of(action)
    if touched:
        yield f"- {label} {', '.join(code(batch_id) for batch_id in touched)}"
    yield from (f"- {prose(text)}" for text in (action.message, action.hint) if text)


def _value(value: object, field: str) -> str:
    if field == "contacts" and isinstance(value, int):
        return code(f"{value:,}")  # a count, and nothing that stands in the spec
    return "*absent*" if value is None else code(value_words(value))
