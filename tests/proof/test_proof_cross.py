"""Every end of a create, at every request of a run, crossed with a death at every step.

By default each end meets the deaths of every seventh step, beginning where its place in the list
says; `PROOF_FULL=1` goes through all of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.test_proof_kills import FAULTS, MOST, survive, told
from tests.proof.world import KILLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proof.world import World

POSITIONS = 3
STRIDE = 1 if os.environ.get("PROOF_FULL") else 7
ENDS: dict[str, Any] = {
    **FAULTS,
    "redirect": [{"kind": "status", "code": 307, "when": "before"}],
    "reset before": [{"kind": "reset", "when": "before"}],
    "reset after": [{"kind": "reset", "when": "after"}],
    "closed after": [{"kind": "close", "when": "after"}],
    "no id": [{"kind": "no_batch_id"}],
}
"""Ends that leave an intent behind; a rejection takes its own back, see `test_proof_outcomes`."""
CROSS = [(end, position) for end in sorted(ENDS) for position in range(POSITIONS)]


@pytest.mark.parametrize(("fault", "position"), CROSS)
def test_death_amid_every_end_of_a_create(
    make_world: Callable[..., World], fault: str, position: int
) -> None:
    """Whatever a create came to, and wherever the run dies: nothing twice, nothing lost."""
    first = 1 + CROSS.index((fault, position)) % STRIDE
    for number in range(first, MOST, STRIDE):
        world = make_world(POSITIONS)
        match = {"name": world.names[position]}
        world.sandbox.faults.add_all(
            [{**rule, "operation": "create", "match": match} for rule in ENDS[fault]]
        )
        ended = world.apply(kill_at=number)
        if ended.code != KILLED:
            assert number > len(ended.trace), "it should have died"
            return
        with told(f"{fault} at request {position + 1}, died at boundary {number}"):
            world.let_arrive()
            survive(world)
    pytest.fail("the run has no end")
