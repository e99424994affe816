"""Runners that die, stall and race, at every boundary; see `schedules` for what is done to them.

Every schedule stands for itself: it says what it was, and can be played again. `TORTURE=whole`
plays all of them, otherwise a slice is drawn by the seed.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.torture.schedules import (
    KILL,
    MOST_BOUNDARIES,
    PAUSES,
    RESUME,
    Played,
    Schedule,
    Step,
    drawn,
    families,
    play,
    shrunk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.torture.gitworld import GitWorld

    Maker = Callable[[], GitWorld]

WHOLE = os.environ.get("TORTURE") == "whole"
STRIPES = 4 if WHOLE else 1
"""A family is cut into so many tests, for as many workers."""
OF_A_FAMILY = 2
"""How many boundaries of a family belong to the slice."""
DRAWN = 80 if WHOLE else 4
"""How many schedules of several steps are drawn."""


def judge(make: Maker, schedule: Schedule, sabotage: Sequence[str] = ()) -> Played:
    """Play a schedule in a world of its own; a failure says which one it was."""
    try:
        return play(make(), schedule, sabotage)
    except AssertionError as error:
        error.add_note(f"schedule: {schedule}")
        raise


@pytest.mark.parametrize("stripe", range(STRIPES))
@pytest.mark.parametrize("family", families(), ids=lambda f: "-".join(str(each) for each in f))
def test_every_boundary(
    make_torture_world: Maker, torture_seed: int, family: tuple[str, float, str], stripe: int
) -> None:
    """Whatever happens to a run at whichever boundary: each spec once, each batch recorded."""
    act, pause, fault = family
    numbers: Sequence[int] = range(1 + stripe, MOST_BOUNDARIES, STRIPES)
    if not WHOLE:
        dice = random.Random(f"{torture_seed} {family}")  # noqa: S311 - repeatable
        numbers = dice.sample(range(1, 33), OF_A_FAMILY)
    for at in numbers:
        played = judge(make_torture_world, (Step(at, act, fault, pause),))
        if WHOLE and not played.struck:
            assert at > 25, "a run has more boundaries than that"
            return
    assert not WHOLE, "the run has no end"


@pytest.mark.parametrize("number", range(DRAWN))
def test_several_in_a_row(
    make_torture_world: Maker,
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
        judge(make_torture_world, drawn(seed))
    except AssertionError as error:  # tell how to repeat it, and the shortest way to it
        error.add_note(f"again: pytest tests/torture --torture-seed={seed}")
        error.add_note(f"shortest: {shrunk(drawn(seed), fails)}")
        raise


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
    matters = Step(7, RESUME, "late", 400.0, 700.0)
    schedule = (Step(3), matters, Step(9, "race", "hang"))
    short = shrunk(schedule, lambda each: any(s.at == 7 and s.fault == "late" for s in each))
    assert short == (Step(7, "nothing", "late"),)
