"""Collecting how each request ended into how each action ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.apply.report import Ending, Result
from reconciler.plan.actions import ActionKind, Reason, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.apply.preparing import Held
    from reconciler.observed import FieldProblem
    from reconciler.plan.actions import Action, Plan

# The ending of an action with several requests is the first of these that any of them has.
_WORST_FIRST = (
    Ending.UNKNOWN,
    Ending.BLOCKED,
    Ending.REJECTED,
    Ending.FAILED,
    Ending.SKIPPED,
    Ending.CREATED,
    Ending.DONE,
)


class _PartEnding(Struct, frozen=True):
    ending: Ending
    batch_id: str | None = None
    message: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    problems: tuple[FieldProblem, ...] = ()
    people: int = 0


class Outcomes:
    """Keeps the latest word on every request of every action."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, _PartEnding]] = {}
        self._names: dict[int, str] = {}
        self._cancelled: dict[tuple[str, str], str] = {}
        self._over: dict[str, str] = {}
        self._notes: dict[int, list[str]] = {}
        self._held: dict[int, dict[str, Held]] = {}

    def end(
        self,
        action: Action,
        part: int,
        ending: Ending,
        *,
        batch_id: str | None = None,
        message: str = "",
        hint: str = "",
        warnings: Sequence[str] = (),
        problems: Sequence[FieldProblem] = (),
        people: int = 0,
    ) -> None:
        """Say how one request of an action ended; a later word replaces an earlier one.

        `people` are in the batch that was created.
        """
        self._names[id(action)] = action.name
        parts = self._parts.setdefault(id(action), {})
        parts[part] = _PartEnding(
            ending, batch_id, message, hint, tuple(warnings), tuple(problems), people
        )

    def block(self, action: Action, message: str, hint: str) -> None:
        """Say that an action as a whole was refused."""
        self._parts[id(action)] = {0: _PartEnding(Ending.BLOCKED, None, message, hint)}

    def add_reason(self, action: Action, part: int, reason: str) -> None:
        """Say more about a request that stays in doubt."""
        parts = self._parts.get(id(action), {})
        known = parts.get(part)
        if known is not None and reason not in known.message:
            parts[part] = replace(known, message=f"{known.message}; {reason}")

    def add_warning(self, action: Action, warning: str) -> None:
        """Say more about an action, whatever it came to."""
        parts = self._parts.setdefault(id(action), {})
        part = min(parts, default=0)
        known = parts.get(part, _PartEnding(Ending.SKIPPED))
        parts[part] = replace(known, warnings=(*known.warnings, warning))

    def note(self, action: Action, said: str) -> None:
        """Say something of an action before anybody knows how it ends."""
        self._notes.setdefault(id(action), []).append(said)

    def held(self, held: Held) -> None:
        """Take note that the calls of an old batch are stopped for an action, or may be."""
        self._held.setdefault(id(held.action), {})[held.batch_id] = held

    def cancelled(self, name: str, batch_id: str, problem: str, over: str | None = None) -> None:
        """Say how cancelling a duplicate ended; no problem means it is over.

        `over` is its status where it had ended before.
        """
        self._cancelled[name, batch_id] = problem
        if over is not None:
            self._over[batch_id] = over

    def created_ids(self) -> list[tuple[str, str]]:
        """List the name and id of everything that is created, for the worst case."""
        return [
            (self._names[action], part.batch_id)
            for action, parts in self._parts.items()
            for part in parts.values()
            if part.ending is Ending.CREATED and part.batch_id
        ]

    def results(self, plan: Plan) -> tuple[Result, ...]:
        """Give one result an action, in the plan's order, and one a duplicate found on the way."""
        planned = tuple(self._result(action) for action in plan.pending)
        shown = {(a.name, a.batch_id) for a in plan.pending if a.role is Role.DUPLICATE}
        return (*planned, *self._found_duplicates(plan, shown))

    def _result(self, action: Action) -> Result:
        if action.kind is ActionKind.CANCEL and action.role is Role.DUPLICATE:
            return self._duplicate(
                action, self._cancelled.get((action.name, action.batch_id or ""))
            )
        numbered = dict(sorted(self._parts.get(id(action), {}).items()))
        parts = [*numbered.values()]
        ending = next(
            (e for e in _WORST_FIRST if any(p.ending is e for p in parts)), Ending.SKIPPED
        )
        telling = next((p for p in parts if p.ending is ending), _PartEnding(ending))
        message = telling.message
        created = [each for each in parts if each.ending is Ending.CREATED]
        if ending is Ending.SKIPPED and created:
            ending = Ending.INTERRUPTED
        # A change that was given up before any of its requests was begun resumes nothing.
        given_up = ending in {Ending.BLOCKED, Ending.FAILED} and not any(numbered)
        by_now = action.kind is ActionKind.REPLACE and given_up
        if (ending is Ending.SKIPPED or by_now) and (left := self._left_stopped(action)):
            ending = Ending.INTERRUPTED if ending is Ending.SKIPPED else ending
            message = f"{message}; {left}" if message else left
        if ending is not Ending.CREATED and created and len(action.creations) > 1:
            none = sum(each.ending is Ending.DONE for each in parts)  # nobody was left in these
            partly = _partly(action, created, len(action.creations) - none)
            message = f"{partly}; {message}" if message else partly
        return Result(
            action=action,
            ending=ending,
            batch_ids=tuple(p.batch_id for p in parts if p.batch_id),
            message=message,
            hint=telling.hint or _next_step(action, ending),
            warnings=(*self._notes.get(id(action), ()), *(w for p in parts for w in p.warnings)),
            problems=tuple(x for p in parts for x in p.problems),
        )

    def _left_stopped(self, action: Action) -> str:
        """Say which old batches are stopped for a change that is not made; empty for none."""
        held = {
            batch_id: ("is" if each.done else "may be", each.verb)
            for batch_id, each in self._held.get(id(action), {}).items()
        }
        for batch_id in action.replacement.held if action.replacement else ():
            held.setdefault(batch_id, ("is", "paused"))
        told = ", ".join(f"batch {each} {be} {verb}" for each, (be, verb) in held.items())
        if not told:
            return ""
        at_most = "up to " if action.callees is not None and action.callees.at_most else ""
        wait = "person waits" if action.people == 1 else "people wait"
        waiting = f", and {at_most}{action.people:,} {wait}" if action.people else ""
        return f"{told} for this change{waiting}"

    def _found_duplicates(self, plan: Plan, shown: set[tuple[str, str | None]]) -> Iterator[Result]:
        actions = {action.name: action for action in plan.pending}
        for (name, batch_id), problem in self._cancelled.items():
            if (name, batch_id) not in shown:
                action = replace(
                    actions[name],
                    kind=ActionKind.CANCEL,
                    reason=Reason.DUPLICATE,
                    role=Role.DUPLICATE,
                    batch_id=batch_id,
                    contacts=0,
                    creations=(),
                    adoptions=(),
                )
                yield self._duplicate(action, problem)

    def _duplicate(self, action: Action, problem: str | None) -> Result:
        over = self._over.get(action.batch_id or "")
        if over is not None:
            told = (
                f"batch {action.batch_id} had ended before it was found (it is {over}): people may"
            )
            return Result(
                action=action,
                ending=Ending.DONE,
                batch_ids=(action.batch_id,) if action.batch_id else (),
                message="a second batch of the same key was found; nothing is left to cancel",
                warnings=(f"{told} have been called by both",),
            )
        if problem == "":
            return Result(
                action=action,
                ending=Ending.DONE,
                batch_ids=(action.batch_id,) if action.batch_id else (),
                message="a second batch of the same key was found and is cancelled",
            )
        return Result(
            action=action,
            ending=Ending.FAILED,
            batch_ids=(action.batch_id,) if action.batch_id else (),
            message=f"a second batch of the same key is still there: {problem or 'not reached'}",
            hint=f"cancel batch {action.batch_id} in the vendor's console now, or run: "
            "reconciler apply",
        )


def _partly(action: Action, created: Sequence[_PartEnding], of: int) -> str:
    """Say how much of a spec that was cut into several batches is there."""
    people = sum(each.people for each in created)
    about = "up to " if action.callees is not None and action.callees.at_most else ""
    return (
        f"{len(created):,} of {of:,} batches are created, with {people:,} of {about}"
        f"{max(people, action.people):,} people"
    )


def _next_step(action: Action, ending: Ending) -> str:
    match ending:
        case Ending.UNKNOWN:
            return (
                "run again in a while: reconciler apply (it looks for the batch, and creates it "
                f"only once it certainly does not exist); or: reconciler resolve {action.name} "
                "--created BATCH_ID or --not-created"
            )
        case Ending.SKIPPED:
            return "nothing was sent for it; go on with: reconciler apply"
        case Ending.INTERRUPTED:
            return "run again: reconciler apply"
        case _:
            return ""
