"""What is asked immediately before phones may ring: before each POST, and before each resume.

A plan is made, shown and agreed to minutes or hours before its last request is sent. So whatever
can forbid a call is asked once more on the sender's own thread, when nothing stands between its
answer and the request. It fails closed: a gate that cannot tell keeps the request back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from reconciler.plan.freezing import UNFREEZE

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.plan.actions import Action, Creation
    from reconciler.policy.guard import Guard
    from reconciler.ports import Brake


class Objection(Struct, frozen=True):
    """Why a request is not sent. With `everything`, nothing more is begun in this run either."""

    message: str
    hint: str = ""
    everything: bool = False


class Gate(Protocol):
    """Something that may keep a request back."""

    def refuses(self, action: Action, creation: Creation | None, now: datetime) -> Objection | None:
        """Say why a request must not be sent, None for nothing.

        Without a creation the question is whether batches of the action may be resumed. `now` is
        by the API's clock. May be asked by several threads at once.
        """


class Gates(Struct, frozen=True):
    """Several gates, asked in their order; the first objection counts. None at all is open."""

    gates: tuple[Gate, ...] = ()

    def refuses(self, action: Action, creation: Creation | None, now: datetime) -> Objection | None:
        """Ask one after the other."""
        answers = (gate.refuses(action, creation, now) for gate in self.gates)
        return next((answer for answer in answers if answer is not None), None)


class BrakeGate(Struct, frozen=True):
    """Keeps everything back while the brake is on."""

    brake: Brake

    def refuses(
        self,
        action: Action,  # noqa: ARG002 - the same for all of them
        creation: Creation | None,  # noqa: ARG002 - as above
        now: datetime,  # noqa: ARG002 - as above
    ) -> Objection | None:
        """Look at the brake."""
        return frozen(self.brake)


class PolicyGate(Struct, frozen=True):
    """Keeps back a launch that the policy refuses by now."""

    guard: Guard

    def refuses(self, action: Action, creation: Creation | None, now: datetime) -> Objection | None:
        """Judge the launch once more."""
        found = self.guard.refusals(action, now, creation) if creation is not None else ()
        if not found:
            return None
        from reconciler.policy.guard import in_words  # noqa: PLC0415 - only where it refuses

        return Objection(*in_words(self.guard.ruled(action, found)))


def frozen(brake: Brake) -> Objection | None:
    """Give what a brake that is on says of everything, None while it is off."""
    try:
        reason = brake.frozen()
    except Exception as error:  # noqa: BLE001 - who cannot tell must not let phones ring
        reason = f"nobody can tell whether it is on ({type(error).__name__})"
    if reason is None:
        return None
    return Objection(f"everything is frozen: {reason}", UNFREEZE, everything=True)


def objection(
    gate: Gate, action: Action, creation: Creation | None, now: datetime
) -> Objection | None:
    """Ask a gate. One that fails keeps the request back."""
    try:
        return gate.refuses(action, creation, now)
    except Exception as error:  # noqa: BLE001 - as above; nothing was sent
        return Objection(
            f"it could not be checked whether this may be sent ({type(error).__name__})",
            "run again: reconciler apply",
        )
