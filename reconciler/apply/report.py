"""What an apply did, action by action, and what that means for its exit code."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct
from msgspec.structs import replace

from reconciler.errors import ExitCode
from reconciler.plan.actions import Refusal, Role

if TYPE_CHECKING:
    from reconciler.apply.gate import Objection
    from reconciler.model import Diagnostic
    from reconciler.observed import FieldProblem
    from reconciler.plan.actions import Action, Plan
    from reconciler.state.document import State


class Ending(StrEnum):
    """How an action, or one request of it, ended."""

    CREATED = "created"
    """The batch exists and its id is recorded: made now, or found."""
    REJECTED = "rejected"
    """Certainly not created."""
    UNKNOWN = "unknown"
    """In doubt: the batch may exist. Nothing is created under this name until it is settled."""
    BLOCKED = "blocked"
    """Refused by a guard; nothing was sent."""
    SKIPPED = "skipped"
    """Not begun: the run was stopped first."""
    INTERRUPTED = "interrupted"
    """Begun, and the run was stopped first: old batches are paused and the new one is not made, or
    only some of several batches are."""
    DONE = "done"
    """Carried out, and nothing was created by it (a move, a cancelled duplicate)."""
    FAILED = "failed"
    """Not carried out, and nothing was created by it."""


_LEFT = frozenset({Ending.SKIPPED, Ending.INTERRUPTED})
"""Endings of what a later run does, or goes on with."""


class Result(Struct, frozen=True, kw_only=True):
    """How one action ended. `problems` point into the request (`contacts[17].phone_number`).

    `batch_ids` are those of the action's requests that are created, in the order of their parts.
    `sent` counts the people in them, None where it is not known or not all are created: whom a
    change calls is settled when it is made, and may be other than was planned.
    """

    action: Action
    ending: Ending
    batch_ids: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    problems: tuple[FieldProblem, ...] = ()
    sent: int | None = None

    @property
    def people(self) -> int:
        """How many people are called because of this: those that were sent, else as planned."""
        return self.action.people if self.sent is None else self.sent


def with_sent(result: Result, state: State) -> Result:
    """Give a result with the people who are in its new batches, by what is recorded of these."""
    record = state.record(result.action.name)
    if record is None or result.ending is not Ending.CREATED or not result.action.creations:
        return result
    sent = [
        request.contacts
        for generation in record.generations
        for request in generation.requests
        if request.batch_id in result.batch_ids
    ]
    return replace(result, sent=sum(sent)) if len(sent) == len(result.batch_ids) else result


class Report(Struct, frozen=True, kw_only=True):
    """All results of one apply. `interrupted` tells that a signal ended it early.

    `moved` tells that somebody else stored a state first, so that what is left has to be planned
    again; `halted` that everything is refused now, so that planning again is no use. `stored` tells
    that the recorded state says something new. `complaints` are the API's about fields of requests,
    at the lines where they are mended.
    """

    plan: Plan
    results: tuple[Result, ...]
    complaints: tuple[Diagnostic, ...] = ()
    interrupted: bool = False
    moved: bool = False
    halted: bool = False
    stored: bool = False
    seconds: float = 0.0

    def followed_by(self, later: Report) -> Report:
        """Join this report and that of planning and going on after the state had moved.

        What was not carried out was planned again, so only the later report knows how it stands.
        """
        told = {_subject(result) for result in later.results}
        kept = (
            result
            for result in self.results
            if result.ending in {Ending.CREATED, Ending.DONE} and _subject(result) not in told
        )
        return replace(
            later,
            results=(*kept, *later.results),
            stored=self.stored or later.stored,
            seconds=self.seconds + later.seconds,
        )

    def without_skipped(self) -> Report:
        """Leave out what was not begun or not finished, where somebody else goes on with it."""
        done = (result for result in self.results if result.ending not in _LEFT)
        return replace(self, results=tuple(done))

    def halted_by(self, objection: Objection) -> Report:
        """Give this report where something keeps back all that was not begun."""

        def blocked(result: Result) -> Result:
            if result.ending not in _LEFT:
                return result
            parts = [objection.message]
            if result.ending is Ending.INTERRUPTED:
                parts.append(result.message)
            message = "; ".join(parts)
            return replace(result, ending=Ending.BLOCKED, message=message, hint=objection.hint)

        return replace(self, results=tuple(map(blocked, self.results)), halted=True)

    def counts(self) -> dict[str, int]:
        """Count the endings, zeros included. The one place that counts."""
        counts = Counter(result.ending for result in self.results)
        return {ending.value: counts[ending] for ending in Ending}

    @property
    def exit_code(self) -> ExitCode:
        """The command's exit status: an unknown outcome first, then failures, then refusals."""
        codes = {_code(result) for result in self.results}
        for code in (ExitCode.UNKNOWN_OUTCOME, ExitCode.FAILED, ExitCode.REFUSED):
            if code in codes:
                return code
        failed = self.interrupted or self.plan.errors
        return ExitCode.FAILED if failed else ExitCode.DONE


def _subject(result: Result) -> tuple[str, str | None]:
    """Say what a result is about: a name, or one second batch of it."""
    action = result.action
    return action.name, action.batch_id if action.role is Role.DUPLICATE else None


def _code(result: Result) -> ExitCode:
    match result.ending:
        case Ending.CREATED | Ending.DONE:
            return ExitCode.DONE
        case Ending.UNKNOWN:
            return ExitCode.UNKNOWN_OUTCOME
        case Ending.REJECTED | Ending.SKIPPED | Ending.INTERRUPTED | Ending.FAILED:
            return ExitCode.FAILED
        case Ending.BLOCKED:
            return _refusal(result.action.refusal)
        case _:
            assert_never(result.ending)


def _refusal(refusal: Refusal) -> ExitCode:
    match refusal:
        case Refusal.DOUBT:
            return ExitCode.UNKNOWN_OUTCOME
        case Refusal.MISTAKE:
            return ExitCode.FAILED
        case Refusal.GUARD | Refusal.FORBIDDEN | Refusal.CONFLICT:
            return ExitCode.REFUSED
        case _:
            assert_never(refusal)
