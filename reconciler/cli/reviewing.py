"""What of a plan `apply` may carry out: what was reviewed, or only what an earlier run began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from reconciler.plan.actions import ActionKind, Refusal, Role
from reconciler.plan.fingerprint import action_hashes, is_decided
from reconciler.plan.newcomers import repeated_calls

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.plan.actions import Action, Plan

_DOUBTS = frozenset({Refusal.DOUBT, Refusal.CONFLICT})


def only_begun(plan: Plan) -> Plan:
    """Leave out what somebody would have to agree to: what is left calls nobody new.

    That is settling what is in doubt, cancelling second batches of a key, and going on with what
    an earlier run began and recorded.
    """
    kept = tuple(a for a in plan.actions if not is_decided(a) and not _waits_elsewhere(a))
    left = sum(1 for action in plan.pending if is_decided(action))
    if left:
        click.echo(
            f"note: --only-begun: {left} other {'action' if left == 1 else 'actions'} of the plan "
            "left to the next apply",
            err=True,
        )
    # What is wrong with a spec that is not begun now is told by the run that would begin it.
    told = tuple(each for each in plan.diagnostics if each not in plan.errors)
    repeated = repeated_calls(kept) if plan.repeated else 0
    return replace(plan, actions=kept, diagnostics=told, repeated=repeated)


def _waits_elsewhere(action: Action) -> bool:
    """Whether an action is blocked by something else than a doubt: that was never begun."""
    if action.role is Role.BEGUN:
        return False
    return action.kind is ActionKind.BLOCKED and action.refusal not in _DOUBTS


def require_reviewed_plan(session: Session, plan: Plan) -> None:
    """With `require_reviewed_plan`, refuse to begin what no merged pull request agreed to.

    Raises `Refused`. The embedded API calls nobody, so there nothing has to be reviewed.
    """
    settings = session.settings
    if not settings.require_reviewed_plan or session.options.sandbox or not action_hashes(plan):
        return
    from reconciler.github.context import Job  # noqa: PLC0415 - only where it is asked for
    from reconciler.github.reviewed import require_reviewed  # noqa: PLC0415 - as above

    agreed = require_reviewed(
        plan, str(session.root), Job.current(), author=settings.reviewed_plan_author
    )
    where = ", ".join(f"#{number}" for number in agreed)
    click.echo(f"reviewed in {where}", err=True)
