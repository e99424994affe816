"""Runners that die, stall and race; see `schedules` for what is done to them.

Every schedule stands for itself: it says what it was, and can be played again. Here some are drawn
by the seed, others each time; `test_torture_whole` plays all of them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from reconciler.sandbox.faults import parse_rule
from reconciler.sandbox.kinds import KINDS
from tests.torture.schedules import (
    KILL,
    NEVER,
    NOTHING,
    PAUSES,
    RESUME,
    WHOLE,
    Schedule,
    Step,
    drawn,
    drawn_from_the_product,
    play,
    shrunk,
)
from tests.torture.vendor import FAULTS, NOT_NOW

if TYPE_CHECKING:
    from tests.torture.conftest import Judge, Maker

SLICE = 26
"""How many schedules of the product are drawn."""
DRAWN = 80 if WHOLE else 4
"""How many lives of several steps are drawn."""


@pytest.mark.parametrize("number", range(SLICE))
def test_any_schedule(judge: Judge, torture_seed: int, number: int) -> None:
    """Whatever the API does, and whatever happens to a run: each spec once, each batch recorded."""
    dice = random.Random(f"{torture_seed} {number}")  # noqa: S311 - repeatable
    judge(drawn_from_the_product(dice))


@pytest.mark.parametrize("number", range(DRAWN))
def test_several_in_a_row(
    make_torture_world: Maker,
    judge: Judge,
    torture_seed: int,
    number: int,
    request: pytest.FixtureRequest,
) -> None:
    """Runs that die, race and stall one after the other: still each once, still none lost."""
    if request.config.getoption("--torture-seed", default=None) is not None and number:
        return  # one seed was asked for, and that is the first
    seed = torture_seed + number

    def fails(schedule: Schedule) -> bool:
        try:
            play(make_torture_world(), schedule)
        except AssertionError:
            return True
        return False

    try:
        judge(drawn(seed))
    except AssertionError as error:  # tell how to repeat it, and the shortest way to it
        error.add_note(f"again: pytest tests/torture --torture-seed={seed}")
        error.add_note(f"shortest: {shrunk(drawn(seed), fails)}")
        raise


# -- is anything missing? --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        (Step("create: after", KILL, "403 after"), Step(NEVER, NOTHING, "list: reset")),
        (Step(NEVER, NOTHING, "403 after"), Step(NEVER, NOTHING, "list: reset")),
    ],
)
def test_what_was_lost_once(judge: Judge, schedule: Schedule) -> None:
    """Schedules that made a batch twice and lost one when they were first drawn."""
    judge(schedule)


def test_every_kind_of_fault_is_there() -> None:
    """Each kind that the sandbox has for these requests strikes each of them, on both sides."""
    struck = set()
    for fault in FAULTS.values():
        for rule in map(parse_rule, fault.rules):
            whens = {rule.own["when"]} if "when" in rule.own else {"before", "after"}
            struck |= {(rule.operation, rule.kind, when) for when in whens}
    wanted = {
        (operation, name, when)
        for operation in ("create", "list", "get", "campaign", "cancel")
        for name, kind in KINDS.items()
        if operation in kind.operations
        for when in (("before", "after") if operation == "create" else ("before",))
    }
    # What a read meets before its effect it meets after it, for it has none.
    struck |= {(o, kind, "before") for o, kind, _ in struck if o != "create"}
    unheld = {
        ("campaign", "hold"),
        ("list", "hold"),
        ("get", "hold"),
        ("campaign", "naive_created_at"),
    }
    missing = {each for each in wanted - struck if each[:2] not in unheld}
    assert missing == set()
    codes = {r["code"] for f in FAULTS.values() for r in f.rules if r.get("kind") == "status"}
    assert codes >= {200, 202, 301, 400, 401, 403, 404, 408, 409, 413, 422, 500, 502, 503, *NOT_NOW}


# -- does it bite? ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sabotage", "schedule"),
    [
        ("intents are not pushed", (Step("create: after", KILL),)),
        ("nothing is ever found", (Step("create: after", KILL),)),
        ("pushes are forced", (Step("git push: before", RESUME),)),
        ("a lease has no end for its holder", (Step("save: after", RESUME, pause=PAUSES[2]),)),
        ("a lease means nothing to others", (Step("save: after", RESUME),)),
    ],
)
def test_it_bites(make_torture_world: Maker, sabotage: str, schedule: Schedule) -> None:
    """Without one of its safeguards the product breaks its promise, and that is noticed."""
    assert play(make_torture_world(), schedule).struck
    with pytest.raises(AssertionError):
        play(make_torture_world(), schedule, [sabotage])


@pytest.mark.parametrize("sabotage", [(), ("nothing is superseded",)], ids=["whole", "sabotaged"])
def test_an_old_checkout_creates_nothing(
    make_torture_world: Maker, sabotage: tuple[str, ...]
) -> None:
    """A spec that was withdrawn is not created by re-running the old workflow, unless sabotaged."""
    world = make_torture_world()
    old = world.clone()
    world.person.git("rm", "-q", "batches/spec-3.yaml")
    world.person.commit("Not this one")
    assert world.apply().code == 0
    assert world.apply(old, sabotage=list(sabotage)).code == 0
    assert [b.name for b in world.batches("spec-3")] == ["spec-3"] * len(sabotage)


def test_a_failure_is_shrunk() -> None:
    """Of a schedule that fails, the steps and circumstances that do not matter are left out."""
    matters = Step(7, RESUME, "late, close", 400.0, 700.0)
    schedule = (Step(3), matters, Step(9, "race", "hang after"))
    short = shrunk(schedule, lambda each: any(s.at == 7 and "late" in s.fault for s in each))
    assert short == (Step(7, "nothing", "late, close"),)
