"""The whole product, with `TORTURE=whole` only: every boundary, and every fault of the API.

A death is crossed with all faults, wherever it leaves something else behind (`TORTURE=every`: at
every boundary, which takes hours); a race with one fault for each way in which a create can end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.schedules import (
    KILL,
    NEVER,
    NOTHING,
    SCENARIOS,
    Step,
    crossed,
    deaths,
    points,
    races,
)

if TYPE_CHECKING:
    from tests.torture.conftest import Judge

STRIPES = 2
"""A family of races is cut into so many tests, for as many workers."""


@pytest.mark.parametrize(("scenario", "fault"), deaths(), ids=str)
def test_every_death(judge: Judge, scenario: str, fault: str) -> None:
    """Wherever a run dies, and whatever the API did to it: each spec once, each batch recorded."""
    unhurt = judge(crossed(scenario, Step(NEVER, NOTHING, fault)))
    for at in points(KILL, fault, unhurt.traces[len(SCENARIOS[scenario])]):
        judge(crossed(scenario, Step(at, KILL, fault)), content=False)


@pytest.mark.parametrize("stripe", range(STRIPES))
@pytest.mark.parametrize("family", races(), ids=lambda f: "-".join(str(each) for each in f))
def test_every_race(judge: Judge, family: tuple[str, str, float, str], stripe: int) -> None:
    """Wherever a run is stopped while another goes to its end, and dies or goes on afterwards."""
    scenario, act, pause, fault = family
    unhurt = judge(crossed(scenario, Step(NEVER, NOTHING, fault)))
    trace = unhurt.traces[len(SCENARIOS[scenario])]
    for at in points(act, fault, trace)[stripe::STRIPES]:
        judge(crossed(scenario, Step(at, act, fault, pause)))
