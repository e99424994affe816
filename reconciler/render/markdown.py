"""A plan as the comment on a pull request, in GitHub-flavoured markdown.

What a reviewer has to see comes first: how many people are called and when the first of them is,
whom it calls again, what is wrong. Then a table of actions, what changes in each (folded), and a
timeline. Everything that a person or the API wrote is escaped and stays text. A comment that would
be longer than GitHub takes says how much it leaves out; its totals count all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.model import Severity
from reconciler.plan.actions import ActionKind
from reconciler.plan.estimate import AVERAGE_CALL, not_calling
from reconciler.plan.estimate import estimate as estimated
from reconciler.plan.fingerprint import action_hashes, plan_hash
from reconciler.policy.wording import people
from reconciler.render import markers
from reconciler.render.escape import code, html_code, markdown
from reconciler.render.markdown_parts import (
    LIMIT,
    callout,
    diagnostic,
    fitting,
    remark,
    size,
)
from reconciler.render.markdown_report import report_markdown
from reconciler.render.markdown_table import HEAD, details, rows
from reconciler.render.telling import (
    again_of,
    again_warning,
    calls,
    diagnostics,
    exceptions,
    headline,
    people_called,
    resumed,
    summary,
    unchanged,
    will_be,
)
from reconciler.render.timeline import timeline
from reconciler.render.words import OVER, RIGHT_AWAY, counted, moment, soonness, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from reconciler.model import Diagnostic
    from reconciler.plan.actions import Plan
    from reconciler.plan.estimate import Estimate

__all__ = ["failure_markdown", "outdated", "plan_markdown", "report_markdown"]

_REST = 2_000
"""Characters for headings and for saying what is left out."""
_FEW = 5
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def plan_markdown(
    plan: Plan,
    now: datetime,
    *,
    root: str = "batches",
    average_call: timedelta = AVERAGE_CALL,
    limit: int = LIMIT,
) -> str:
    """Render a plan. `now` is aware, `root` as given on the command line."""
    estimates = estimated(plan, now, average_call)
    head = "\n".join(_head(plan, estimates, root))
    warnings = list(_warnings(plan))
    # Whom it calls again must be in sight, however long the rest is.
    ordered = sorted(plan.pending, key=lambda action: not again_of(action))
    table = list(rows(ordered, plan, now, estimates))
    folded = [text for action in ordered if (text := details(action))]
    chart = timeline(plan, estimates)
    foot = _foot(plan, estimates, average_call)
    room = limit - len(head) - len(chart) - len(foot) - _REST
    shown_warnings = fitting(warnings, room // 4)
    room -= size(shown_warnings)
    shown_rows = fitting(table, room * 3 // 4 if folded else room)
    shown_folded = fitting(folded, room - size(shown_rows))
    left_out = [
        counted(missing, noun)
        for missing, noun in (
            (len(warnings) - len(shown_warnings), "line of warnings"),
            (len(table) - len(shown_rows), "action"),
            (len(folded) - len(shown_folded), "list of changes"),
        )
        if missing
    ]
    blocks = [
        head,
        _left_out(left_out, root),
        "\n".join(shown_warnings).rstrip(),
        "\n".join([HEAD, *shown_rows]) if table else "",
        "\n\n".join(shown_folded),
        chart,
        foot,
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def failure_markdown(
    errors: Sequence[Diagnostic], *, root: str = "batches", limit: int = LIMIT
) -> str:
    """Render the mistakes for which no plan could be made. It carries no hash: nothing was agreed.

    `root` is as given on the command line.
    """
    lines = [diagnostic(one) for one in errors]
    shown = fitting(lines, limit - _REST)
    missing = len(lines) - len(shown)
    blocks = [
        markers.marker(markers.PLAN, root),
        f"### No plan for {code(root)}: {counted(len(lines), 'mistake')} to mend",
        "Nothing is created and nobody is called.",
        _left_out([counted(missing, "mistake")] if missing else [], root, "validate"),
        "\n".join(callout("CAUTION", shown)).rstrip(),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def outdated(comment: str, commit: str = "", *, limit: int = LIMIT) -> str:
    """Turn a plan's comment into an outdated one: struck, folded, agreeing to nothing.

    `commit` is the newer one that replaced what was planned. A comment that is outdated already
    stays as it is, and so does one that is none of ours.
    """
    first = next(markers.markers_of(comment), None)
    if first is None or first.kind != markers.PLAN:
        return comment
    body = markers.without_markers(comment).strip()
    title, _, rest = body.partition("\n")
    by = f"commit {commit[:12]}" if _COMMIT.fullmatch(commit) else "a newer commit"
    head = (
        f"{markers.Marker(markers.OUTDATED, first.root)}\n"
        f"### ~~{title.lstrip('# ').strip()}~~\n\n"
        f"**Outdated**: {by} has replaced it. Nothing below holds any more.\n\n"
        "<details><summary>The plan as it was</summary>\n\n"
    )
    tail = "\n\n</details>\n"
    room = limit - len(head) - len(tail)
    if len(rest) > room:
        # Half a table or diagram is no use to anybody.
        rest = "It is too long to be kept here."
    return f"{head}{rest.strip()}{tail}"


def _head(plan: Plan, estimates: Mapping[str, Estimate], root: str) -> Iterator[str]:
    yield markers.marker(markers.PLAN, root)
    yield markers.marker(markers.HASH, root, plan_hash(plan))
    hashes = sorted(hashed for _, hashed in action_hashes(plan))
    if len(hashes) <= markers.MOST_ACTIONS:
        yield markers.marker(markers.ACTIONS, root, *hashes)
    if not plan.pending:
        yield f"### {headline(plan)}"
        yield f"\nIn {code(root)}. Nobody is called."
        return
    yield f"### {_title(plan, estimates)}"
    soon = soonness(plan)
    if not (len(soon) == 1 and soon[0][0] == plan.people):
        mixed = [f"{people(count)} {phrase}" for count, phrase in soon]
    else:
        mixed = []
    if plan.people and resumed(plan):
        mixed.append(resumed(plan))
    rest = unchanged(plan).rstrip(".")
    todo = ", ".join([*summary(plan), *([rest] if rest else [])])
    yield f"\n{'; '.join(mixed)}<br>" if mixed else ""
    yield f"In {code(root)}: {todo}"


def _title(plan: Plan, estimates: Mapping[str, Estimate]) -> str:
    """Say how many people are called, and when the first phone rings."""
    if not plan.people:
        return calls(plan)
    return f"{people_called(plan)} {will_be(plan)}, {_first_call(plan, estimates)}"


def _first_call(plan: Plan, estimates: Mapping[str, Estimate]) -> str:
    calling = [
        action
        for action in plan.pending
        if action.people and not not_calling(plan.campaigns.get(action.campaign_id))
    ]
    if not calling:
        return "not before their campaign is active"
    at_once = [a for a in calling if a.scheduled_start is None and not a.arm_delay]
    if at_once:
        open_now = any(not estimates[action.name].outside_hours for action in at_once)
        return f"the first {RIGHT_AWAY}{'' if open_now else ' when working hours begin'}"
    known = [
        (when, action)
        for action in calling
        if (when := estimates[action.name].first_call or estimates[action.name].starts_at)
    ]
    if not known:
        return "when is not known here"
    when, action = min(known, key=lambda pair: pair[0])
    if action.arm_delay:
        return f"the first {span(action.arm_delay.total_seconds())} after this is applied"
    campaign = plan.campaigns.get(action.campaign_id)
    return f"the first on {moment(when, campaign.timezone if campaign else None)}"


def _warnings(plan: Plan) -> Iterator[str]:
    """Give the lines of what must be read before anything else, the worst first."""
    yield from callout("CAUTION", _again(plan))
    yield from callout("CAUTION", [f"- {markdown(each)}" for each in exceptions(plan)])
    told = diagnostics(plan)
    errors = [diagnostic(one) for one in told if one.severity is Severity.ERROR]
    blocked = [
        remark(f"{code(action.name)} is blocked", action.message, action.hint)
        for action in plan.pending
        if action.kind is ActionKind.BLOCKED
    ]
    yield from callout("CAUTION", [*errors, *blocked])
    others = [diagnostic(one) for one in told if one.severity is not Severity.ERROR]
    yield from callout("WARNING", [*_campaigns(plan), *others])
    if plan.offline and plan.pending:
        unknown = (
            "The API was not asked: who has been called already, the campaigns' hours and "
            "whether a batch exists are not known here."
        )
        yield from callout("NOTE", [unknown])


def _again(plan: Plan) -> list[str]:
    warning = again_warning(plan).partition(", by ")[0]
    if not warning:
        return []
    names = [code(action.name) for action in plan.pending if again_of(action)]
    told = f"**{warning}** although they were called already, by"
    if len(names) <= _FEW:
        return [f"{told} {', '.join(names)}"]
    return [told, *(f"- {name}" for name in names)]


def _campaigns(plan: Plan) -> Iterator[str]:
    """Say of each campaign that is not active how many people wait for it."""
    for campaign_id in dict.fromkeys(action.campaign_id for action in plan.pending):
        status = not_calling(plan.campaigns.get(campaign_id))
        count = sum(a.people for a in plan.pending if a.campaign_id == campaign_id)
        if status and count:
            what = f"campaign {code(campaign_id)} is {markdown(status)}"
            until = "" if status in OVER else " before it is active"
            yield f"- {what}: {people(count)} will not be called{until}"


def _left_out(what: Sequence[str], root: str, command: str = "plan") -> str:
    if not what:
        return ""
    see = code(f"reconciler --batches {root} {command}")
    return (
        f"> [!IMPORTANT]\n> **Too long for a comment: {', '.join(what)} left out.** All numbers "
        f"above count them too. See everything with {see}."
    )


def _foot(plan: Plan, estimates: Mapping[str, Estimate], average_call: timedelta) -> str:
    lines = []
    if any(of.needed is not None for of in estimates.values()):
        each = span(average_call.total_seconds())
        lines.append(
            f"Estimated with {each} a call (`average_call`), everybody called once: whoever is "
            "tried again, and whatever else the campaign calls, comes on top."
        )
    lines.append(f"Plan hash {html_code(plan_hash(plan)[:15])}")
    return f"<sub>{'<br>'.join(lines)}</sub>"
