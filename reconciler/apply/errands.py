"""Errands: pausing, resuming and cancelling batches, each told to the recorder before it is run.

A cancel is recorded before it is sent, because from then on its contacts read `skipped` on our
account and not on an operator's; so who was skipped by hand is read before that. All of them may be
sent again without harm by a later run.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reconciler.errors import ApiError, TooLate
from reconciler.observed import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.apply.gate import Objection
    from reconciler.plan.actions import Action, Target
    from reconciler.ports import BatchApi


_MOST_LATE = 3
"""How often an errand that came too late for a batch is noted anew."""


class Verb(StrEnum):
    """What is done to a batch."""

    READ = "read"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Errand(Struct, eq=False):
    """One verb for the batches of an action. `then` is told the problems, once all have ended.

    `objection` is what kept it from being run for one of them. `noted_at` is `Clock.elapsed` when
    it was last known to be what is wanted, and `late` counts for each batch how often that was too
    long ago. For the `held_back` ones of its batches nothing was sent, as the run has ended.
    """

    action: Action
    verb: Verb
    targets: tuple[Target, ...]
    then: Callable[[dict[str, str]], None]
    open: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)
    objection: Objection | None = None
    noted_at: float = 0.0
    late: Counter[str] = field(default_factory=Counter)
    held_back: int = 0

    def __post_init__(self) -> None:
        self.open = {target.batch_id for target in self.targets}

    def note_late(self, batch_id: str) -> bool:
        """Take note that nothing was sent for one batch, being late; tell whether to try again."""
        self.late[batch_id] += 1
        return self.late[batch_id] <= _MOST_LATE

    def ended(self, batch_id: str, problem: str) -> None:
        """Take note of how it went with one batch."""
        self.open.discard(batch_id)
        if problem:
            self.problems[batch_id] = problem
        if not self.open:
            self.then(self.problems)


class Errands(Struct):
    """The errands of one run: those that wait to be noted, and those that are being run."""

    waiting: list[Errand] = field(default_factory=list)
    running: list[Errand] = field(default_factory=list)

    def __iter__(self) -> Iterator[Errand]:
        return iter((*self.waiting, *self.running))

    def put(self, errand: Errand) -> None:
        """Have an errand wait for its turn."""
        self.waiting.append(errand)

    def take(self, now: float, *, only_cancels: bool) -> list[Errand]:
        """Give those whose turn it is, and that are noted at `now` (of `Clock.elapsed`)."""
        taken = [e for e in self.waiting if not only_cancels or e.verb is Verb.CANCEL]
        self.waiting = [e for e in self.waiting if only_cancels and e.verb is not Verb.CANCEL]
        for errand in taken:
            errand.noted_at = now
        return taken

    def drop(self) -> list[Errand]:
        """Take away all that wait, but for cancels: these make fewer calls."""
        dropped = [errand for errand in self.waiting if errand.verb is not Verb.CANCEL]
        self.waiting = [errand for errand in self.waiting if errand.verb is Verb.CANCEL]
        return dropped

    def renew(self, now: float) -> None:
        """Note anew, at `now`, all that are being run."""
        for errand in self.running:
            errand.noted_at = now


class Controlled(Struct, frozen=True):
    """An errand ended for one batch; `problem` is empty where the batch is as it should be.

    `skipped` are the API's contact ids of those who are, where that was read. `late` tells that
    nothing was sent, because it was noted too long ago, `held_back` that the run has ended.
    """

    errand: Errand
    batch_id: str
    problem: str = ""
    skipped: tuple[str, ...] | None = None
    objection: Objection | None = None
    late: bool = False
    held_back: bool = False


def run(
    errand: Errand,
    batch_id: str,
    api: BatchApi,
    objects: Callable[[Action], Objection | str | None],
    lease: float,
) -> Controlled:
    """Run an errand for one batch, on a sender's thread. Never raises.

    A resume makes phones ring like a create, so what `objects` to it is not done; nor is it sent
    more than `lease` seconds after it was noted, for much may have been decided since.
    """
    try:
        match errand.verb:
            case Verb.READ:
                return Controlled(errand, batch_id, skipped=skipped_in(batch_id, api))
            case Verb.CANCEL:
                api.cancel(batch_id)
            case Verb.PAUSE:
                api.pause(batch_id)
            case Verb.RESUME:
                return _resume(errand, batch_id, api, objects, lease)
    except TooLate as error:
        return Controlled(errand, batch_id, error.message, late=True)
    except ApiError as error:
        problem = "" if is_gone(batch_id, api) else error.message
        return Controlled(errand, batch_id, problem)
    except Exception as error:  # noqa: BLE001 - told as a failed errand, and run again next time
        return Controlled(errand, batch_id, f"internal error: {type(error).__name__}")
    return Controlled(errand, batch_id)


def _resume(
    errand: Errand,
    batch_id: str,
    api: BatchApi,
    objects: Callable[[Action], Objection | str | None],
    lease: float,
) -> Controlled:
    batch = api.batch(batch_id)
    if batch is not None and batch.status in TERMINAL:  # nothing is left there that could go on
        return Controlled(errand, batch_id)
    match objects(errand.action):
        case None:
            api.resume(batch_id, send_by=errand.noted_at + lease)
            return Controlled(errand, batch_id)
        case str(why):
            return Controlled(errand, batch_id, why, held_back=True)
        case objection:
            return Controlled(errand, batch_id, objection.message, objection=objection)


def skipped_in(batch_id: str, api: BatchApi) -> tuple[str, ...]:
    """Give who is skipped in a batch. A filter may be ignored."""
    contacts = api.batch_contacts(batch_id, status="skipped")
    return tuple(each.contact_id for each in contacts if each.status == "skipped")


def is_gone(batch_id: str, api: BatchApi) -> bool:
    """Whether the API knows no such batch. Asked where it would not do what was asked of it.

    That a batch is gone takes two answers which agree: one alone may be a mistake.
    """
    try:
        return api.batch(batch_id) is None
    except Exception:  # noqa: BLE001 - whatever happened, nobody has said that it is gone
        return False
