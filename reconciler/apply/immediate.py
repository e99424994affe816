"""Actions that only change what is recorded: nothing is sent for them, so nothing can go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.apply.report import Ending
from reconciler.plan.actions import Role
from reconciler.state.document import RecordedBy

if TYPE_CHECKING:
    from reconciler.apply.lookup import Lookup
    from reconciler.apply.outcomes import Outcomes
    from reconciler.apply.recorder import Place, Recorder
    from reconciler.plan.actions import Action, Creation


def adopt(action: Action, recorder: Recorder, lookup: Lookup, outcomes: Outcomes) -> None:
    """Record batches that exist already."""
    lost = action.role is Role.SPEC
    for adoption in action.adoptions:
        place = recorder.place(action, adoption.part)
        recorder.adopt(place, adoption, RecordedBy.ADOPTED if lost else RecordedBy.FOUND)
        lookup.learn(adoption.batch.batch_id, adoption.key)
        outcomes.end(
            action,
            adoption.part,
            Ending.CREATED,
            batch_id=adoption.batch.batch_id,
            message=action.message,
        )


def complete(
    action: Action, creation: Creation, place: Place, recorder: Recorder, outcomes: Outcomes
) -> None:
    """Record a request all of whose people do-not-call lists leave out: it needs no batch."""
    recorder.complete(place, creation)
    outcomes.end(
        action,
        place.part,
        Ending.DONE,
        message="everybody is on a do-not-call list; no batch was created",
    )


def move(action: Action, recorder: Recorder, outcomes: Outcomes) -> None:
    """Carry a record over to the spec's new name."""
    if action.spec is None or action.moved_from is None:
        raise AssertionError(f"{action.name} moves from nowhere")
    recorder.move(action.moved_from, action.name, action.spec)
    outcomes.end(action, 1, Ending.DONE, batch_id=action.batch_id, message=action.message)
