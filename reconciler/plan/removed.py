"""Recorded names without a spec: told, left alone, and cancelled only where asked for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model import Diagnostic, Severity
from reconciler.plan.actions import Action, ActionKind, Reason, Role
from reconciler.plan.history import leftover, living

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.plan.actions import Plan, Target
    from reconciler.plan.facts import Facts
    from reconciler.state.document import State

LARGEST_SHARE = 3
"""More than one in so many active batches is not pruned without a limit that says so."""
_MOST_NAMED = 10
"""Removed names that a refusal names."""


def for_removed(
    names: Iterable[str], state: State, facts: Facts, *, prune: bool
) -> Iterator[Action]:
    """Plan what becomes of removed specs' batches: with `prune` those that may call are cancelled.

    What a newer batch took the place of is cancelled in any case: nobody is called less by it.
    """
    for name in names:
        record = state.batches[name]
        leftovers = leftover(record)
        if leftovers:
            yield _cancel(
                name,
                state,
                leftovers,
                Reason.REPLACED,
                "a newer batch took its place, and an earlier run ended before it was cancelled",
                role=Role.BEGUN,
            )
        done = {target.batch_id for target in leftovers}
        alive = tuple(t for t in living(record, facts.batches) if t.batch_id not in done)
        if prune and alive:
            yield _cancel(
                name,
                state,
                alive,
                Reason.REMOVED,
                "its spec was removed: nobody who still waits is called",
            )


def orphans(
    names: Iterable[str], state: State, facts: Facts, *, prune: bool
) -> Iterator[Diagnostic]:
    """Tell of removed specs whose batches may still call."""
    for name in names:
        alive = living(state.batches[name], facts.batches)
        if alive and not prune:
            ids = ", ".join(target.batch_id for target in alive)
            yield Diagnostic(
                Severity.WARNING,
                "",
                0,
                0,
                name,
                f"orphaned: no spec any more; its batch {ids} is left alone",
                "put the spec back, or cancel it: reconciler apply --prune",
            )


def too_many_pruned(plan: Plan, state: State, limit: int | None) -> str | None:
    """Say why a plan prunes too much at once, and which batches; None when it does not.

    An empty checkout or a wrong directory looks like removed specs. `limit` is how many batches a
    person said may go.
    """
    pruned = count_pruned(plan)
    active = sum(len(living(record, {})) for record in state.batches.values())
    if limit is not None and pruned > limit:
        return (
            f"{pruned} batches would be cancelled, and --prune-limit allows {limit}: {_named(plan)}"
        )
    if limit is None and pruned * LARGEST_SHARE > active:
        return (
            f"{pruned} of {active} recorded active batches would be cancelled, more than a third "
            f"at once: {_named(plan)}"
        )
    return None


def count_pruned(plan: Plan) -> int:
    """Count the batches that a plan cancels because their specs were removed."""
    return sum(len(action.targets) for action in _pruning(plan))


def _pruning(plan: Plan) -> Iterator[Action]:
    return (action for action in plan.actions if action.reason is Reason.REMOVED)


def _named(plan: Plan) -> str:
    """Name what is pruned, shortened where it is much."""
    named = [
        f"{action.name} ({', '.join(target.batch_id for target in action.targets)})"
        for action in _pruning(plan)
    ]
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {more:,} more names" if more > 0 else "")


def _cancel(
    name: str,
    state: State,
    targets: tuple[Target, ...],
    reason: Reason,
    message: str,
    *,
    role: Role = Role.SPEC,
) -> Action:
    current = state.batches[name].current
    return Action(
        kind=ActionKind.CANCEL,
        name=name,
        reason=reason,
        role=role,
        campaign_id=current.campaign_id,
        contacts=sum(request.contacts for request in current.requests),
        generation=current.generation,
        batch_id=targets[-1].batch_id,
        targets=targets,
        message=message,
    )
