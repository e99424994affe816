"""The proof of the proof: a product broken on purpose must not pass.

Each way to break it is a patch in the process of the run (see SABOTAGE in `killed_apply`), and each
test here goes through a scenario that the whole product survives in the other modules.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.sandbox.campaigns import campaign
from tests.proof.witness import FORGOTTEN, NOT_DURABLE, TAKEN_EARLY
from tests.proof.world import KILLED, SETTLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proof.world import World

NO_INTENT = "no intent is stored"
TOO_LATE = "intents are stored too late"
ANY_ERROR = "any error is a no"
SILENCE = "silence is a no"
BLIND = "nothing is ever found"
HASTY = "no waiting before creating again"
UNLOCKED = "the lock does nothing"
UNNOTICED = "a changed state is not noticed"
UNHEEDED = "a state that moved is not heeded"
IN_PLACE = "the state is written in place"
TWICE = "is lost|live batches|had 2 batches"
"""Of two batches one is known; whichever rule is asked first complains."""


def die_after_a_create(world: World, **order: Any) -> None:
    """Kill a run just after its first create was answered."""
    assert world.apply(kill_on="create: after", **order).code == KILLED
    world.let_arrive()


def creates_without_intents(world: World) -> None:
    """Send what is not on disk."""
    die_after_a_create(world, sabotage=[NO_INTENT])
    world.check_records()


def calls_people_again(world: World) -> None:
    """Send what is not on disk, and overlook what is there."""
    die_after_a_create(world, sabotage=[NO_INTENT])
    world.pass_time(SETTLED)
    world.converge(sabotage=[BLIND])
    world.check()


def overlooks_batches(world: World) -> None:
    """Take what exists for absent."""
    world.sandbox.faults.add(operation="create", kind="reset", when="after")
    world.apply(sabotage=[BLIND])
    world.pass_time(SETTLED)
    world.converge(sabotage=[BLIND])
    world.check()


def does_not_wait(world: World) -> None:
    """Create again while the first request is still on its way."""
    world.sandbox.faults.add(operation="create", kind="late", seconds=60)
    world.apply(sabotage=[HASTY])
    world.converge(sabotage=[HASTY])
    world.pass_time(60)
    world.check()


def runs_beside_another(world: World) -> None:
    """Settle what another run is just doing."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="before")
    first = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    world.turn_clock(SETTLED)
    second = world.apply(sabotage=[UNLOCKED])
    world.sandbox.faults.release()
    first.wait()
    assert second.code == 4
    world.converge()
    world.check()


def forgets_in_a_power_cut(world: World) -> None:
    """Store without syncing."""
    die_after_a_create(world, power=True, sabotage=[IN_PLACE])
    world.check_records()


def does_not_sync(world: World) -> None:
    """Store without syncing, with no power cut to show it.

    One spec only: of two, the second may arrive while the file is half written, which shows too.
    """
    for name in world.names[1:]:
        (world.root / f"{name}.yaml").unlink()
    assert world.apply(sabotage=[IN_PLACE]).code == 0
    world.check_records()


def creates_before_its_intent(world: World) -> None:
    """Send first and store then, where all that is left afterwards is as it should be."""
    world.sandbox.faults.add(operation="create", kind="status", code=422, times=None)
    assert world.apply(sabotage=[TOO_LATE]).code == 1
    assert world.state().batches == {}
    world.check_records()


def takes_an_error_for_a_no(world: World) -> None:
    """Take an intent back because of an answer that says nothing."""
    world.sandbox.faults.add(operation="create", kind="status", code=500, when="before")
    assert world.apply(sabotage=[ANY_ERROR]).code == 1
    world.check_records()


def takes_silence_for_a_no(world: World) -> None:
    """Take an intent back while the request is under way; that it is refused then was luck."""
    world.sandbox.faults.add(operation="create", kind="hold", when="before")
    assert world.apply(timeout=0.5, sabotage=[SILENCE]).code == 1
    world.sandbox.add_campaign(campaign("cmp_abc123", "Renewals India", status="archived"))
    world.sandbox.faults.release()
    world.let_arrive()
    assert world.sandbox.log("create")[0].status == 400
    world.check_records()


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (creates_without_intents, f"{NOT_DURABLE}: .* was not recorded"),
        (creates_before_its_intent, f"{NOT_DURABLE}: .* was not recorded"),
        (takes_an_error_for_a_no, FORGOTTEN),
        (takes_silence_for_a_no, TAKEN_EARLY),
        (calls_people_again, TWICE),
        (overlooks_batches, TWICE),
        (does_not_wait, TWICE),
        (runs_beside_another, "code=3"),
        (forgets_in_a_power_cut, NOT_DURABLE),
        (does_not_sync, f"{NOT_DURABLE}: it was not synced"),
    ],
)
def test_the_oracle_notices(world: World, broken: Callable[[World], None], complaint: str) -> None:
    """A product that does this fails the proof, and for the right reason."""
    with pytest.raises(AssertionError, match=complaint):
        broken(world)


@pytest.mark.parametrize(
    ("also", "most"), [([], 1), ([UNNOTICED], 1), ([UNHEEDED], 1), ([UNNOTICED, UNHEEDED], 2)]
)
def test_three_nets_keep_two_runs_apart(world: World, also: list[str], most: int) -> None:
    """Without the lock a changed file takes no intent, and a run ends that laid something onto it.

    Either will do; without all three there is a second batch.
    """
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="before")
    first = world.begin(parallelism=1, sabotage=also)
    world.sandbox.faults.wait_held(gate)
    world.apply(sabotage=[UNLOCKED, *also])
    world.sandbox.faults.release()
    first.wait()
    assert max(Counter(batch.name for batch in world.sandbox.batches()).values()) == most
