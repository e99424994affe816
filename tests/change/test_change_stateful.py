"""Two specs, months of edits, outages, deaths and an operator, drawn at random; then the promises.

Steps are drawn one after the other: a spec is edited, reverted, renamed, removed, put back, stopped
or let go on; an apply runs, dies at a drawn boundary, or meets a fault in a drawn call; somebody
pauses, cancels or skips in the console; time passes. After each step: the state is whole and knows
of every create that arrived, no key has two live batches, and nobody has ever waited in two batches
that were calling. In the end the faults are over, the operator lets go, and runs settle it: then
the plan is empty, every batch is recorded, everyone who is wanted has been called, nobody was
called again but by a spec that says `everyone`, and who was taken out by hand was left in peace.

`CHANGE_EXAMPLES=n` plays so many lives, `CHANGE_STEPS=m` of so many steps. A failure prints its
steps, and hypothesis' line that repeats it.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.change.stage import CALLED, DAYS, KILLED, NEVER, SETTLED, Stage, brief, person
from tests.proof.world import in_memory

EXAMPLES = int(os.environ.get("CHANGE_EXAMPLES") or 10)
STEPS = int(os.environ.get("CHANGE_STEPS") or 10)
POOL = 6
"""How many people each of the two specs may call."""
QUICK = 0.4
FAULTS: list[dict[str, Any]] = [
    {"operation": operation, "kind": "status", "code": 500, "when": when}
    for operation in ("create", "pause", "cancel", "resume", "contacts", "get", "list")
    for when in ("before", "after")
] + [
    {"operation": "create", "kind": "status", "code": 422},
    {"operation": "create", "kind": "reset", "when": "after"},
    {"operation": "create", "kind": "late", "seconds": 200},
    {"operation": "create", "kind": "hang", "when": "before"},
    {"operation": "pause", "kind": "status", "code": 409, "times": 3},
    {"operation": "cancel", "kind": "status", "code": 409, "times": 3},
    {"operation": "resume", "kind": "close", "when": "after"},
    {"operation": "contacts", "kind": "truncated", "times": 3},
    {"operation": "any", "kind": "status", "code": 503, "times": 8},
    {"operation": "any", "kind": "status", "code": 429, "retry_after": 0.01, "times": 4},
]


@dataclass(frozen=True)
class Content:
    """What a spec says of its batch."""

    people: tuple[int, ...]
    variant: tuple[int, ...] = ()
    lines: int = 2
    start: str | None = None


@dataclass
class Desired:
    """One spec as it stands in the checkout, `here` telling whether it does."""

    name: str
    first: int
    content: Content
    on_change: str = "remaining"
    lifecycle: str = "active"
    here: bool = True
    moved: bool = False
    before: list[Content] = field(default_factory=list)

    @property
    def pool(self) -> range:
        """Whom it may ever call."""
        return range(self.first, self.first + POOL)


which = st.integers(0, 1)
crowds = st.sets(st.integers(0, POOL - 1), min_size=1).map(sorted)


class Changes(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.top = in_memory()
        self.stage = Stage(Path(self.top.name) / "world")
        self.specs = [
            Desired(name, first, Content(tuple(range(first, first + POOL))))
            for name, first in (("one", 0), ("two", 20))
        ]
        self.everyone: set[str] = set()
        """Keys of batches that were to call all their people, whoever had been called."""
        self.paused: set[str] = set()
        for spec in self.specs:
            self.write(spec)

    # -- the specs ----------------------------------------------------------------------------

    def write(self, spec: Desired) -> None:
        """Write a spec as it stands."""
        content = spec.content
        fields: dict[str, Any] = {"concurrency_limit": content.lines}
        if content.start:
            fields["scheduled_start"] = content.start
        self.stage.spec(
            content.people,
            spec.name,
            variant=content.variant,
            reconcile={"on_change": spec.on_change, "lifecycle": spec.lifecycle},
            **fields,
        )

    def edit(self, spec: Desired, content: Content) -> None:
        """Have a spec say something else."""
        spec.before.append(spec.content)
        spec.content = content
        self.write(spec)

    def may_edit(self, number: int) -> Desired | None:
        """Give a spec that may be edited: one that is there, and whose new name is recorded.

        One that is renamed and changed in one go is another spec, whose people are called.
        """
        spec = self.specs[number]
        if spec.moved and spec.name in self.stage.state().batches:
            spec.moved = False
        return spec if spec.here and not spec.moved else None

    @rule(number=which, people=crowds, again=st.booleans())
    def calls_others(self, number: int, people: list[int], again: bool) -> None:  # noqa: FBT001 - drawn
        """Change whom a spec calls, or what some of them are told."""
        spec = self.may_edit(number)
        if spec:
            chosen = tuple(spec.first + who for who in people)
            changed: dict[str, Any] = {"variant": chosen} if again else {"people": chosen}
            self.edit(spec, replace(spec.content, **changed))

    @rule(number=which, lines=st.integers(1, 4))
    def calls_otherwise(self, number: int, lines: int) -> None:
        """Change a field."""
        spec = self.may_edit(number)
        if spec:
            self.edit(spec, replace(spec.content, lines=lines))

    @rule(number=which, ahead=st.sampled_from([None, 200, 3_600, 90_000]))
    def starts_later(self, number: int, ahead: int | None) -> None:
        """Change when it starts."""
        spec = self.may_edit(number)
        if spec:
            start = self.stage.in_time(ahead) if ahead else None
            self.edit(spec, replace(spec.content, start=start))

    @rule(number=which, back=st.integers(1, 3))
    def reverts(self, number: int, back: int) -> None:
        """Have a spec say again what it said before."""
        spec = self.may_edit(number)
        if spec and len(spec.before) >= back:
            self.edit(spec, spec.before[-back])

    @rule(
        number=which, how=st.sampled_from(["remaining", "remaining", "everyone", "added", "forbid"])
    )
    def minds_change(self, number: int, how: str) -> None:
        """Say otherwise whom a change calls."""
        spec = self.may_edit(number)
        if spec:
            spec.on_change = how
            self.write(spec)

    @rule(number=which, how=st.sampled_from(["active", "active", "paused", "cancelled"]))
    def lives(self, number: int, how: str) -> None:
        """Change a spec's lifecycle."""
        spec = self.may_edit(number)
        if spec:
            spec.lifecycle = how
            self.write(spec)

    @rule(number=which)
    def goes_or_comes(self, number: int) -> None:
        """Remove a spec, or put it back as it was."""
        spec = self.specs[number]
        if not spec.here:
            spec.here = True
            self.write(spec)
        elif self.may_edit(number) and any(each.here for each in self.specs if each is not spec):
            spec.here = False
            self.stage.remove(spec.name)

    @rule(number=which)
    def is_renamed(self, number: int) -> None:
        """Rename a spec that is recorded as it stands."""
        spec = self.may_edit(number)
        if spec is None:
            return
        plan = self.stage.start("plan", "--offline", "--detailed-exitcode").wait()
        if plan.code == 0 and spec.name in self.stage.state().batches:
            self.stage.move(spec.name, f"{spec.name}x")
            spec.name, spec.moved = f"{spec.name}x", True

    # -- the runs -----------------------------------------------------------------------------

    def run(self, *words: str, **order: Any) -> int:
        """Apply, and take note of what was to call everyone."""
        sent = len(self.stage.sandbox.log("create"))
        ended = self.stage.apply(*words, timeout=QUICK, **order)
        self.stage.let_arrive()
        spoken = {spec.name: spec.on_change for spec in self.specs}
        for entry in self.stage.sandbox.log("create")[sent:]:
            if entry.key and spoken.get(entry.name or "") == "everyone":
                self.everyone.add(entry.key)
        assert ended.code in {KILLED, 0, 1, 3, 4}, brief(ended)
        if ended.code == 0 and not self.stage.sandbox.faults.rules() and "--prune" in words:
            assert self.stage.plan("--prune") == [], brief(ended)
        note(f"exit {ended.code}")
        return ended.code

    @rule(prune=st.sampled_from([(), (), ("--prune", "--prune-limit=9")]))
    def applies(self, prune: tuple[str, ...]) -> None:
        """Apply."""
        self.run(*prune)

    @rule(kill_at=st.integers(1, 90), prune=st.sampled_from([(), ("--prune", "--prune-limit=9")]))
    def dies(self, kill_at: int, prune: tuple[str, ...]) -> None:
        """Apply, and die at a boundary."""
        self.run(*prune, kill_at=kill_at)

    @rule(fault=st.sampled_from(FAULTS), after=st.integers(0, 3))
    def fails(self, fault: dict[str, Any], after: int) -> None:
        """Have the API fail from then on, a few times."""
        self.stage.sandbox.faults.add(fault, after=after)

    @rule()
    def is_mended(self) -> None:
        """Have the API fail no more."""
        self.stage.sandbox.faults.clear()

    @rule(seconds=st.sampled_from([5, 60, 600, 3_000, 40_000]))
    def time_passes(self, seconds: int) -> None:
        """Let calls go on."""
        self.stage.pass_time(seconds)

    # -- the operator -------------------------------------------------------------------------

    def being_replaced(self) -> set[str]:
        """Give the batches that are taken apart by a change that has not come to its end."""
        records = self.stage.state().batches.values()
        ids = {i for record in records if record.replacing for i in record.replacing.olds}
        for record in records:
            requests = [r for g in record.generations for r in g.requests]
            ids |= {str(r.batch_id) for r in requests if r.cancelling}
            if any(r.in_doubt for r in requests):
                ids |= {str(r.batch_id) for r in requests}
        return ids

    @rule(choice=st.integers(0, 9), verb=st.sampled_from(["pause", "pause", "cancel", "skip"]))
    def operator_stops(self, choice: int, verb: str) -> None:
        """Pause or cancel a batch by hand, or take somebody out of it."""
        alive = [b for b in self.stage.made() if b.status in {"pending", "in_progress"}]
        if not alive:
            return
        batch = alive[choice % len(alive)]
        fates = self.stage.fates(batch).items()
        waiting = [who for who, fate in fates if fate == "pending"]
        in_time = batch.batch_id not in self.being_replaced()
        if verb == "skip" and waiting:
            self.stage.skip(batch, respected=in_time)
        elif verb == "cancel" and self.stage.control(verb, batch.batch_id) == 200:
            for who, fate in fates:
                if fate not in CALLED:
                    self.stage.skipped.setdefault(who, NEVER)
        elif verb == "pause" and self.stage.control(verb, batch.batch_id) == 200:
            self.paused.add(batch.batch_id)

    @precondition(lambda self: self.paused)
    @rule()
    def operator_lets_go(self) -> None:
        """Resume what was paused by hand, unless a newer batch has its people by now."""
        for batch_id in self.paused - self.being_replaced():
            self.stage.control("resume", batch_id)
        self.paused.clear()

    # -- the promises -------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """At any time."""
        self.stage.check_always()

    def teardown(self) -> None:
        """Settle everything, and ask for the promises; or only clean up after a failure."""
        try:
            if sys.exc_info()[0] is None:
                self.settle()
        finally:
            self.stage.close()
            self.top.cleanup()

    def settle(self) -> None:
        """End the faults, let go by hand, and apply until nothing is left."""
        self.stage.sandbox.faults.clear()
        for spec in self.specs:
            self.may_edit(self.specs.index(spec))
            if spec.on_change == "forbid":
                spec.on_change = "remaining"
                if spec.here:
                    self.write(spec)
        code = -1
        for _ in range(8):
            code = self.run()
            self.operator_lets_go()
            if code == 0:
                break
            self.stage.pass_time(SETTLED)
            for spec in self.specs:
                if spec.here and spec.content.start and not spec.moved:
                    self.edit(spec, replace(spec.content, start=None))
            if code == 3:
                self.resolve()
        assert code == 0, brief(self.stage.apply())
        self.stage.check_always()
        recorded = self.stage.state().batch_ids()
        assert all(batch.batch_id in recorded for batch in self.stage.made()), "a batch is lost"
        self.stage.check_plan()
        beset = self.stage.observer.beset(("pending", "in_progress"))
        assert not beset, f"these wait in several running batches: {beset}"
        self.stage.sandbox.advance(DAYS)
        assert not self.stage.observer.told.wrong
        problems = [problem for spec in self.specs for problem in self.problems(spec)]
        assert not problems, problems

    def resolve(self) -> None:
        """Settle by hand what waits for a person: its spec has changed since."""
        made = {batch.key: batch.batch_id for batch in self.stage.made()}
        for name, _, request in self.stage.state().requests():
            if request.in_doubt and request.key not in made:
                ended = self.stage.start("resolve", name, "--not-created").wait()
                assert ended.code in {0, 4}, ended.err
                if ended.code == 0:
                    self.stage.somebody_settled(request.key)

    def problems(self, spec: Desired) -> list[str]:
        """Say who of a spec's people was called again, or not at all."""
        told = []
        batches = [
            batch for batch in self.stage.made() if set(self.stage.fates(batch)) & set(spec.pool)
        ]
        rang = defaultdict(set)
        wanted = {batch.batch_id for batch in batches if batch.key in self.everyone}
        for dial in self.stage.sandbox.dials():
            who = person(dial.phone_number)
            rang[dial.batch_id].add(who)
            quiet = self.stage.skipped.get(who, NEVER)
            if dial.at > quiet and dial.batch_id not in wanted and who in spec.pool:
                told.append(f"person {who} was taken out by hand and called after that")
        over: set[int] = set()
        for batch in batches:
            if batch.batch_id not in wanted:
                again = over & rang[batch.batch_id]
                told += [f"person {who} was called again by {batch.name}" for who in sorted(again)]
            fates = self.stage.fates(batch)
            over |= {who for who, fate in fates.items() if fate in CALLED}
        if spec.here and spec.lifecycle == "active":
            missing = set(spec.content.people) - over - set(self.stage.skipped)
            told += [f"person {who} was forgotten" for who in sorted(missing)]
        return told


TestChanges = Changes.TestCase
TestChanges.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    # Shrinking plays a life for each attempt: worth it where somebody looks at the result.
    phases=[Phase.explicit, Phase.reuse, Phase.generate]
    + [Phase.shrink] * bool(os.environ.get("CHANGE_EXAMPLES")),
)
