"""While everything is frozen: what would make phones ring is refused, all else goes on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.plan.actions import Action, ActionKind, Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

UNFREEZE = (
    "to go on, take `freeze` out of reconciler.yaml and remove the file FREEZE, merge that, then: "
    "reconciler apply"
)


def under_freeze(actions: Iterable[Action], reason: str | None) -> list[Action]:
    """Give a plan's actions as they are while a root is frozen for a reason; as they are for None.

    Creating and resuming is refused. Pausing, cancelling, moving, and recording what exists call
    nobody, so they are done.
    """
    if reason is None:
        return list(actions)
    return [_blocked(a, reason) if _rings(a) else a for a in actions]


def _rings(action: Action) -> bool:
    return bool(action.creations) or action.kind is ActionKind.RESUME


def _blocked(action: Action, reason: str) -> Action:
    paused = action.replacement is not None and action.replacement.paused
    return replace(
        action,
        kind=ActionKind.BLOCKED,
        reason=Reason.FROZEN,
        refusal=Refusal.GUARD,
        creations=(),
        targets=(),
        message=f"everything is frozen: {reason}"
        + ("; the batch before it stays paused" if paused else ""),
        hint=UNFREEZE,
    )
