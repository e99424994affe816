"""The whole product, with `TORTURE=whole` only: every boundary crossed with every fault.

A death is crossed with all faults of the API, from the boundary on at which the fault can have
struck; a stall and a race with one fault for each way in which a create can end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.schedules import (
    KILL,
    MOST_BOUNDARIES,
    NEVER,
    Step,
    crossed,
    deaths,
    first_strike,
    races,
)

if TYPE_CHECKING:
    from tests.torture.conftest import Judge

STRIPES = 2
"""A family of races is cut into so many tests, for as many workers."""


@pytest.mark.parametrize(("scenario", "fault"), deaths(), ids=str)
def test_every_death(judge: Judge, scenario: str, fault: str) -> None:
    """Wherever a run dies, and whatever the API did to it: each spec once, each batch recorded."""
    unhurt = judge(crossed(scenario, Step(NEVER, KILL, fault)))
    for at in range(first_strike(fault, unhurt.trace), MOST_BOUNDARIES):
        if not judge(crossed(scenario, Step(at, KILL, fault)), content=False).struck:
            assert at > 12, "a run has more boundaries than that"
            return
    pytest.fail("the run has no end")


@pytest.mark.parametrize("stripe", range(STRIPES))
@pytest.mark.parametrize("family", races(), ids=lambda f: "-".join(str(each) for each in f))
def test_every_race(judge: Judge, family: tuple[str, float, str], stripe: int) -> None:
    """Wherever a run is stopped while another goes to its end, and dies or goes on afterwards."""
    act, pause, fault = family
    for at in range(1 + stripe, MOST_BOUNDARIES, STRIPES):
        if not judge((Step(at, act, fault, pause),)).struck:
            assert at > 12, "a run has more boundaries than that"
            return
    pytest.fail("the run has no end")
