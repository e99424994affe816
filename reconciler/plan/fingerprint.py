"""The plan hash: what a reviewer has agreed to, in one line that fits into a comment. Pure.

Agreed to is *what is begun*: which batch is created for whom, with which fields, in place of which
generation and by which `on_change`; which names are paused, resumed, cancelled or moved. People and
fields are in it as the digests of the spec; exceptions from the policy are, in use or not. So the
hash is the same for a plan made now or in an hour, with the API asked or not (a fork has no token),
whatever order files and people stand in.

Not in it is what nobody decides in a pull request:

- counters, times of day, serials: how many of a changed spec's people have been called meanwhile,
  and which of the batches that it takes the place of have ended by themselves;
- what the API is found to have (an adoption, a second batch of a key): that calls nobody;
- the rest of what an earlier run began: it was agreed to when it began;
- what is blocked: nothing is done about it. Once it is not blocked any more, it is in the hash.

`Plan.essence`, which `apply --plan` compares, holds some of those too: a saved plan is applied
minutes later, on the same machine. A pull request is merged days later, after others were. That is
why each action has a hash of its own and the plan's is made of those: what differs can be named,
and what two pull requests agreed to can be put together (`unreviewed`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.plan.actions import ActionKind, Role

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.plan.actions import Action, Plan

VERSION = "p1"
"""Of what a hash is made of. Hashes of two versions never agree."""

_NOT_DECIDED = frozenset({ActionKind.NONE, ActionKind.BLOCKED, ActionKind.ADOPT})
_AGREED = ("action", "name", "campaign_id", "generation", "on_change")
"""What of an action's essence does not change by itself. The generation stands for the batches
before it, of which some may end meanwhile."""


def plan_hash(plan: Plan) -> str:
    """Give a plan's hash: `p1:` and 64 hexadecimal digits."""
    each = "\n".join(sorted(hashed for _, hashed in action_hashes(plan)))
    return f"{VERSION}:{hashlib.sha256(each.encode()).hexdigest()}"


def action_hashes(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Give the name and the hash (40 hexadecimal digits) of every action that begins something."""
    return tuple(
        (action.name, _hash(_agreement(action, essence)))
        for action, essence in zip(plan.pending, plan.essence(), strict=True)
        if is_decided(action)
    )


def unreviewed(plan: Plan, reviewed: Collection[str]) -> tuple[str, ...]:
    """Name what a plan would begin although no review agreed to it, sorted.

    `reviewed` are hashes of actions, out of one comment or several: see
    `reconciler.render.markers`. What was agreed to and is not planned any more is no difference:
    another run did it, or the plan says why not.
    """
    known = frozenset(reviewed)
    return tuple(sorted({name for name, hashed in action_hashes(plan) if hashed not in known}))


def is_decided(action: Action) -> bool:
    """Whether an action begins what a reviewer has to agree to."""
    if action.creations and all(creation.previous for creation in action.creations):
        return False  # the very same requests were begun by an earlier run, under the same keys
    return action.kind not in _NOT_DECIDED and action.role is Role.SPEC


def _agreement(action: Action, essence: dict[str, Any]) -> dict[str, Any]:
    agreement = {field: essence[field] for field in _AGREED}
    # Of the spec, not of what is sent: that depends on who has been called, and on which parts an
    # earlier run has created.
    return {
        **agreement,
        "digests": [action.spec.digest] if action.spec else [],
        "moved_from": action.moved_from,
        **{field: essence[field] for field in ("exceptions",) if field in essence},
    }


def _hash(agreement: dict[str, Any]) -> str:
    canonical = orjson.dumps(agreement, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(VERSION.encode() + b"\0" + canonical).hexdigest()[:40]
