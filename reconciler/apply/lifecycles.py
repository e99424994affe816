"""Batches that are paused, resumed or cancelled without a new one taking their place.

Because a spec's lifecycle says so, because the spec is gone, or because an earlier run left them.
What is to be done becomes errands, which are recorded before they are run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reconciler.apply.errands import Errand, Errands, Verb
from reconciler.apply.report import Ending
from reconciler.model import Lifecycle
from reconciler.plan.actions import ActionKind, Role
from reconciler.plan.history import cancelling, leftover

if TYPE_CHECKING:
    from reconciler.apply.outcomes import Outcomes
    from reconciler.apply.recorder import Recorder
    from reconciler.plan.actions import Action

WHOLE = 0
"""The part under which an action's own ending stands, beside those of its requests."""


class Lifecycles(Struct):
    """The part of a run that makes batches pause, go on and end.

    `errands` are all of the run. `failed` are the names of which something there already is not as
    it should be.
    """

    recorder: Recorder
    outcomes: Outcomes
    errands: Errands = field(default_factory=Errands)
    failed: set[str] = field(default_factory=set)

    def accept(self, action: Action) -> None:
        """Take on an action that pauses, resumes or cancels batches."""
        if not action.targets:  # all of it has ended: only the record says otherwise
            self._ended(action, {})
            return
        match action.kind:
            case ActionKind.PAUSE:
                self.send(action, Verb.PAUSE)
            case ActionKind.RESUME:
                self.send(action, Verb.RESUME)
            case ActionKind.CANCEL:
                self._cancel(action)
            case _:
                raise AssertionError(f"{action.kind} controls no batch")

    def _cancel(self, action: Action) -> None:
        """Cancel batches, who is skipped in them being read before.

        Of those that an earlier run set out to cancel, nobody can tell any more who skipped whom.
        Where it cannot be read, the calls are stopped all the same.
        """
        record = self.recorder.state.record(action.name)
        known = leftover(record) + cancelling(record) if record else ()
        unread = tuple(target for target in action.targets if target not in known)
        if not unread:
            self.send(action, Verb.CANCEL)
            return
        self.errands.put(
            Errand(action, Verb.READ, unread, lambda _: self.send(action, Verb.CANCEL))
        )

    def send(self, action: Action, verb: Verb) -> None:
        """Do something to all batches of an action."""
        self.errands.put(Errand(action, verb, action.targets, partial(self._ended, action)))

    def _ended(self, action: Action, problems: dict[str, str]) -> None:
        """Record what a lifecycle, a removed spec or a left-over batch came to."""
        if problems:
            self.failed.add(action.name)
            self.outcomes.end(
                action,
                WHOLE,
                Ending.FAILED,
                message="; ".join(sorted(problems.values())),
                hint="run again: reconciler apply; or do it in the vendor's console",
            )
            return
        if action.role is Role.BEGUN:
            self.recorder.end_replacing(action.name)
        elif action.role is Role.STOPPED:
            pass  # that is recorded already
        elif action.spec is None:
            self.recorder.set_lifecycle(action.name, Lifecycle.CANCELLED)
        else:
            self.recorder.set_lifecycle(action.name, action.spec.lifecycle, action.spec)
        self.outcomes.end(action, WHOLE, Ending.DONE, batch_id=action.batch_id)
