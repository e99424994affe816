"""Who is called by each of a chain of generations, simulated in memory against a truth kept apart.

The simulation knows of each person whether a call of theirs has come to an end, whether somebody
took them out by hand, and whether a call was in flight when their batch was cancelled. The product
sees contact statuses only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.digest import request_digest
from reconciler.model import OnChange, Request
from reconciler.observed import IN_FLIGHT, BatchContact
from reconciler.plan.actions import RunningOn
from reconciler.plan.callees import Roll, running_on, share
from reconciler.plan.progress import ENDED, WAITING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from reconciler.model import Contact
    from reconciler.plan.callees import Share

OVER = tuple(status for status in ENDED if status != "skipped")
NEXT = {
    "pending": ("pending", "dispatched"),
    "dispatched": ("dispatched", "in_progress"),
    "in_progress": ("in_progress", "retrying", "followup_scheduled", *OVER),
    "retrying": ("retrying", "dispatched"),
    "followup_scheduled": ("followup_scheduled", "dispatched"),
}
"""What can become of each status while a batch calls."""
PEOPLE = 9


@dataclass
class Simulated:
    """One batch: everybody's status, whether we cancelled it, and what was remembered then."""

    number: int
    statuses: dict[int, str]
    cancelled: bool = False
    not_owed: frozenset[str] = frozenset()

    def roll(self) -> Roll:
        """Show it as the product sees it."""
        contacts = (
            BatchContact(f"ct_{self.number}_{who}", phone(who), status)
            for who, status in self.statuses.items()
        )
        return Roll(f"bat_{self.number}", tuple(contacts), self.cancelled, self.not_owed)


@dataclass
class Life:
    """All batches of one name, and the truth about people. `pick` draws one of several."""

    pick: Callable[[Iterable[str]], str]
    batches: list[Simulated] = field(default_factory=list)
    over: set[int] = field(default_factory=set)

    @property
    def alive(self) -> list[Simulated]:
        """The batches that may call."""
        return [batch for batch in self.batches if not batch.cancelled]

    def call(self) -> None:
        """Let every running batch call for a while."""
        for batch in self.alive:
            for who, status in batch.statuses.items():
                batch.statuses[who] = self.pick(NEXT.get(status, (status,)))
                self.over |= {who} if batch.statuses[who] in OVER else set()

    def skip(self, who: int) -> None:
        """Take somebody out by hand, where they wait."""
        for batch in self.alive:
            if batch.statuses.get(who) in WAITING:
                batch.statuses[who] = "skipped"
                self.over.add(who)

    def in_flight(self) -> set[int]:
        """Give who is on the line."""
        return {
            who for b in self.alive for who, status in b.statuses.items() if status in IN_FLIGHT
        }

    def waiting(self) -> list[int]:
        """Give who waits in a running batch, as often as they do."""
        return [who for b in self.alive for who, status in b.statuses.items() if status in WAITING]

    def decide(self, spec: list[int], on_change: OnChange) -> Share:
        """Ask the product."""
        contacts: list[Contact] = [
            {"phone_number": phone(who), "call_variables": {"callee_name": "A"}} for who in spec
        ]
        request = Request(1, {}, contacts, request_digest({}, contacts))
        return share([request], [batch.roll() for batch in self.batches], on_change)

    def come_to_nothing(self) -> None:
        """Have a change remember what it read, and its create refused: the batches go on."""
        for batch in self.alive:
            batch.not_owed = frozenset(batch.roll().to_remember())

    def cancel(self) -> None:
        """Cancel the running batches for a new one."""
        for batch in self.alive:
            batch.not_owed = frozenset(batch.roll().to_remember())
            batch.cancelled = True
            for who, status in batch.statuses.items():
                if status == "in_progress":  # the call goes on, and ends somehow
                    batch.statuses[who] = self.pick((*OVER, "skipped", "in_progress"))
                elif status in {*WAITING, "dispatched"}:
                    batch.statuses[who] = "skipped"


def phone(who: int) -> str:
    """Give a person's number."""
    return f"+1555000{who:04d}"


def called(decided: Share) -> list[int]:
    """Give who is called."""
    return [int(c["phone_number"][-4:]) for part in decided.contacts for c in part]


steps = st.lists(
    st.one_of(
        st.just(("call", 0)),
        st.tuples(st.just("skip"), st.integers(0, PEOPLE - 1)),
        st.just(("come to nothing", 0)),
        st.tuples(
            st.sampled_from([OnChange.REMAINING, OnChange.ADDED, OnChange.EVERYONE]),
            st.sets(st.integers(0, PEOPLE - 1), min_size=1),
        ),
    ),
    min_size=2,
    max_size=14,
)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)  # a busy machine is no finding
@given(st.sets(st.integers(0, PEOPLE - 1), min_size=1), steps, st.randoms(use_true_random=False))
def test_nobody_is_called_again_and_nobody_forgotten(
    first: set[int], story: list[tuple[Any, Any]], dice: random.Random
) -> None:
    """Across any chain: whose calls are over is in no newer batch, who is owed one is in one.

    Who was reached stays so, also where `everyone` has called them again.
    """
    life = Life(lambda options: dice.choice(list(options)))
    life.batches.append(Simulated(0, dict.fromkeys(sorted(first), "pending")))
    for what, argument in story:
        if what == "call":
            life.call()
        elif what == "skip":
            life.skip(argument)
        elif what == "come to nothing":
            life.come_to_nothing()
        else:
            change(life, what, argument)
        waiting = life.waiting()
        assert len(waiting) == len(set(waiting)), "somebody waits in two running batches"


def change(life: Life, on_change: OnChange, wanted: set[int]) -> None:
    """Change the spec to these people, and hold who is called against the truth."""
    spec = sorted(wanted)
    on_the_line = life.in_flight()
    done = life.over | on_the_line
    decided = life.decide(spec, on_change)
    chosen = called(decided)
    assert len(chosen) == len(set(chosen))
    assert decided.called == len(wanted & done)
    if on_change is OnChange.EVERYONE:
        assert chosen == spec
        assert decided.again == decided.called
    else:
        assert decided.again == 0
        assert not set(chosen) & done, "called again"
        # Who was taken out of the spec stays in a batch that runs on.
        held = {who for batch in life.alive for who in batch.statuses}
        left_alone = held if on_change is OnChange.ADDED else set()
        assert set(chosen) == wanted - done - left_alone, "forgotten"
    if on_change is not OnChange.ADDED:
        life.cancel()
        life.over |= on_the_line
    life.batches.append(Simulated(len(life.batches), dict.fromkeys(chosen, "pending")))


def test_who_is_called_by_batches_that_run_on() -> None:
    """Who waits there or is on the line counts; whose calls are over, or who is kept, does not."""
    statuses = ("pending", "retrying", "followup_scheduled", "dispatched", "in_progress", *ENDED)
    there = tuple(
        BatchContact(f"ct_{who}", phone(who), status, {"callee_name": "A"})
        for who, status in enumerate(statuses)
    )
    contacts: list[Contact] = [
        {"phone_number": phone(who), "call_variables": {"callee_name": name}}
        for who, name in ((0, "A"), (3, "B"), (5, "B"), (99, "B"))
    ]
    request = Request(1, {}, contacts, request_digest({}, contacts))
    told = running_on([request], [Roll("bat_1", there)])
    assert told == RunningOn(removed=3, outdated=1, batches=1)
    assert running_on([request], []) == RunningOn(removed=0, outdated=0, batches=0)


def test_statuses_of_another_version_count_as_called() -> None:
    """What this version does not know is told, and nobody is called because of it."""
    life = Life(lambda options: next(iter(options)))
    life.batches.append(Simulated(0, {0: "pending", 1: "on_hold", 2: "", 3: "on_hold"}))
    decided = life.decide([0, 1, 2, 3], OnChange.REMAINING)
    assert called(decided) == [0]
    assert decided.odd == {"(none)": 1, "on_hold": 2}
