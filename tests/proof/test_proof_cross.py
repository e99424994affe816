"""Every end of a create, at every request of a run, crossed with a death at every step.

By default each end meets the deaths of some steps only, every `STRIDE`th. Which ones moves on by
one each day, and from one end and request to the next, so that all have had their turn after
`STRIDE` days; `PROOF_SLICE=n` repeats a day, and `PROOF_FULL=1` goes through all of them at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.test_proof_kills import FAULTS, MOST, survive
from tests.proof.world import KILLED, SLICE, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.proof.world import World

POSITIONS = 3
STRIDE = 1 if os.environ.get("PROOF_FULL") else 41
QUICK = 0.5
"""GRAINE_TIMEOUT where a request has to run into it."""


@dataclass(frozen=True)
class End:
    """A way in which a create can end: what brings it about, one after the other.

    `code` is the exit status of a run that lives to tell of it, `ever` how many batches the key may
    have had in the end.
    """

    code: int
    rules: Sequence[Mapping[str, Any]]
    ever: int = 1
    order: Mapping[str, Any] = field(default_factory=dict)


def status(code: int, when: str = "before", **fields: Any) -> dict[str, Any]:
    """Give a fault that answers with a status."""
    return {"kind": "status", "code": code, "when": when, **fields}


def lost(kind: str, when: str) -> dict[str, Any]:
    """Give a fault that answers with nothing."""
    return {"kind": kind, "when": when}


BUSY = status(429, retry_after=0.01)
REFUSED = (400, 401, 403, 404, 405, 409, 413, 422)
ENDS: Mapping[str, End] = {
    # The batch is there: told, or found by its key.
    "no fault": End(0, FAULTS["no fault"]),
    "500 after": End(0, FAULTS["500 after"]),
    "garbled": End(0, FAULTS["garbled"]),
    "reset after": End(0, [lost("reset", "after")]),
    "closed after": End(0, [lost("close", "after")]),
    "no answer after": End(0, [lost("hang", "after")], order={"timeout": QUICK}),
    "no id": End(0, [{"kind": "no_batch_id"}]),
    "another count": End(0, [{"kind": "wrong_total", "total": 7}]),
    "doubled": End(0, [{"kind": "doubled"}, lost("reset", "after")], ever=2),
    # It is not, or not yet, and nobody can say so.
    "500 before": End(3, FAULTS["500 before"]),
    "late": End(3, FAULTS["late"]),
    "redirect": End(3, [status(307)]),
    "reset before": End(3, [lost("reset", "before")]),
    "closed before": End(3, [lost("close", "before")]),
    "no answer before": End(3, [lost("hang", "before")], order={"timeout": QUICK}),
    "500 before, then refused": End(3, [status(500), status(422)]),
    # It is not, and the answer says so: the intent is taken back.
    **{f"refused with {code}": End(1, [status(code)]) for code in REFUSED},
    "busy": End(0, [BUSY, BUSY]),
    "busy for long": End(1, [status(429, retry_after=60)]),
    "busy, then refused": End(1, [BUSY, status(422)]),
    "busy, then reset after": End(0, [BUSY, lost("reset", "after")]),
    "busy, then reset before": End(3, [BUSY, lost("reset", "before")]),
}
CROSS = [(end, position) for end in ENDS for position in range(POSITIONS)]


@pytest.mark.parametrize(("end", "position"), CROSS)
def test_death_amid_every_end_of_a_create(
    make_world: Callable[..., World],
    request: pytest.FixtureRequest,
    end: str,
    position: int,
) -> None:
    """Whatever a create came to, and wherever the run dies: nothing twice, nothing lost."""
    how = ENDS[end]
    deaths = 0
    for number in range(1 + (SLICE + CROSS.index((end, position))) % STRIDE, MOST, STRIDE):
        world = make_world(POSITIONS)
        match = {"name": world.names[position]}
        world.sandbox.faults.add_all(
            [{**rule, "operation": "create", "match": match} for rule in how.rules]
        )
        ended = world.apply(kill_at=number, **how.order)
        with told(f"{end} at request {position + 1}, died at boundary {number}"):
            if ended.code != KILLED:
                assert number > len(ended.trace), "it should have died"
                assert ended.code == how.code, ended.err
                world.check_records()
                request.node.user_properties.append(("deaths", deaths))
                return
            deaths += 1
            world.let_arrive()
            survive(world, ever=how.ever, **how.order)
    pytest.fail("the run has no end")
