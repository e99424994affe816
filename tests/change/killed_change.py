"""The fork server of `tests.proof.killed_apply`, for changed specs.

Beside the boundaries there, these are before and after each pause, resume and read of contacts. And
there are more ways to break the product, for `test_change_bites`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from reconciler.apply import preparing
from reconciler.apply.preparing import Preparation, Prepared
from reconciler.apply.reactions import Reactions
from reconciler.apply.recorder import Recorder
from reconciler.apply.replacing import Replacer
from reconciler.observed import Unknown
from reconciler.plan import callees, changed, history
from reconciler.plan.callees import Roll, Standing
from reconciler.plan.history import made
from tests.proof import killed_apply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.proof.killed_apply import Patch

API_CALLS = (*killed_apply.API_CALLS, "pause", "resume", "batch_contacts")


def _impatient() -> Iterator[Patch]:
    """Look again at once whether calls are still in flight."""
    yield preparing, "_FIRST_PAUSE", lambda _: 0.001
    yield preparing, "_LONGEST_PAUSE", lambda _: 0.002


def _does_nothing(_: Any) -> Callable[..., None]:
    return lambda *_, **__: None


def _reads_before_it_pauses(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Read who is owed a call while the old batch still calls."""

    def outer(self: Preparation) -> Any:
        early = {
            each.batch_id: Roll(each.batch_id, self.api.batch_contacts(each.batch_id))
            for each in made(self.record)
        }
        end = inner(self)
        if not isinstance(end, Prepared) or self.action.replacement is None:
            return end
        requests = [creation.request for creation in self.action.creations]
        rolls = [early[batch_id] for batch_id in early]
        return replace(end, share=callees.share(requests, rolls, self.action.replacement.on_change))

    return outer


def _cancels_first(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Cancel the old batches before the new one is asked for."""

    def outer(self: Replacer, begun: Any, prepared: Any) -> None:
        for target in begun.replacement.olds:
            self.workers.api.cancel(target.batch_id)
        inner(self, begun, prepared)

    return outer


def _takes_us_for_a_person(_: Any) -> Callable[..., Standing]:
    """Take who was skipped because we cancelled a batch for skipped by hand."""
    own = Roll.standing

    def outer(self: Roll, contact: Any) -> Standing:
        return own(replace(self, cancelled=False), contact)

    return outer


def _resumes_in_doubt(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Resume the old batch although the new one may exist."""

    def outer(self: Reactions, job: Any, outcome: Any) -> None:
        if isinstance(outcome, Unknown):
            self.replacing.fell_through(job.action, job.place.part)
        inner(self, job, outcome)

    return outer


def _resumes_always(_: Any) -> Callable[..., None]:
    """Resume the old batches although a part of the new generation is there."""

    def outer(self: Replacer, action: Any, _part: int) -> None:
        begun = self._begun.pop(id(action), None)
        for target in begun.replacement.olds if begun else ():
            self.workers.api.resume(target.batch_id)

    return outer


def _never_refused(_: Any) -> Callable[..., None]:
    return lambda *_: None


SABOTAGE: Mapping[str, tuple[Patch, ...]] = {
    "nothing is journalled": ((Recorder, "begin_replacing", _does_nothing),),
    "nobody waits until it is quiet": ((Roll, "in_flight", lambda _: lambda _self: 0),),
    "read before it is paused": ((Preparation, "_run", _reads_before_it_pauses),),
    "cancelled before it is created": ((Replacer, "_create", _cancels_first),),
    "not owed is forgotten": ((Recorder, "remember_not_owed", _does_nothing),),
    "our cancel is not recorded": ((Recorder, "set_out_to_cancel", _does_nothing),),
    "skipped by us is skipped by hand": ((Roll, "standing", _takes_us_for_a_person),),
    "resumed while in doubt": ((Reactions, "_on_outcome", _resumes_in_doubt),),
    "resumed beside a part": ((Replacer, "fell_through", _resumes_always),),
    "not resumed": ((Replacer, "fell_through", _does_nothing),),
    "a pause by hand is not seen": (
        (Preparation, "_require_running", _never_refused),
        (changed.ChangePlanner, "_refused", _never_refused),
    ),
    "what is being cancelled counts as cancelled": (
        (history.Made, "cancelling", lambda _: property(lambda _made: False)),
    ),
    "old batches are left": ((Replacer, "_cancel_olds", _does_nothing),),
}
"""Ways to break the product: see `test_change_bites`."""


def serve() -> None:
    """Serve as `killed_apply` does, with more boundaries."""
    importlib.import_module("deepdiff")  # so that no fork has to
    waits = killed_apply._impatient

    def impatient(*how: Any, **named: Any) -> Iterator[Patch]:
        yield from waits(*how, **named)
        yield from _impatient()

    killed_apply._impatient = impatient
    killed_apply.API_CALLS = API_CALLS  # type: ignore[assignment] # a longer one
    killed_apply.SABOTAGE = {**killed_apply.SABOTAGE, **SABOTAGE}
    killed_apply.serve()


if __name__ == "__main__":
    serve()
