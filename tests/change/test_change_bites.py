"""The proof of the proof: a product that does not change specs as it should must not pass.

Each way to break it is a patch in the process of the run (see SABOTAGE in `killed_change`). Each
scenario is played twice: the whole product survives it, the broken one does not, for the right
reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.change import scenes
from tests.change.schedules import staged
from tests.change.stage import KILLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.change.stage import Stage


def dies_when_it_has_paused(stage: Stage, *broken: str) -> None:
    """Have a run die with the old batch paused; the next one goes on."""
    scenes.remaining(stage)
    assert stage.apply(kill_on="pause: after", sabotage=broken).code == KILLED
    stage.converge()
    stage.check_settled()


def finds_people_on_the_line(stage: Stage, *broken: str) -> None:
    """Have calls in flight that nobody answers; they are owed another one."""
    stage.observer.step = 1  # so that they still are when the batch is paused and read
    scenes.calling(stage, 3, outcomes=dict.fromkeys((0, 1), "no_answer, completed"))
    stage.spec(range(8), outcomes=dict.fromkeys((0, 1), "no_answer, completed"), variant=[7])
    assert stage.apply(sabotage=broken).code == 0
    stage.check_calls()


def has_people_called_meanwhile(stage: Stage, *broken: str) -> None:
    """Have a call end every few seconds, while the run looks and pauses."""
    short = dict.fromkeys(range(40), "invalid")
    stage.spec(range(40), concurrency_limit=1, outcomes=short)
    assert stage.apply().code == 0
    stage.spec(range(40), concurrency_limit=2, outcomes=short)
    assert stage.apply(sabotage=broken).code == 0
    stage.check_calls()


def changes(stage: Stage, *broken: str) -> None:
    """Change a spec whose batch is calling."""
    scenes.remaining(stage)
    assert stage.apply(sabotage=broken).code == 0
    stage.check_settled()


def changes_twice(stage: Stage, *broken: str) -> None:
    """Change a spec, and change it again; somebody was taken out by hand before the first."""
    scenes.calling(stage)
    stage.skip(stage.made()[0])
    scenes.change(stage)
    assert stage.apply(sabotage=broken).code == 0
    stage.spec([*scenes.CROWD, 8, 9], variant=[1])
    assert stage.apply(sabotage=broken).code == 0
    stage.check_calls()


def loses_an_answer(stage: Stage, *broken: str) -> None:
    """Have the new batch made, and its answer lost."""
    scenes.remaining(stage)
    stage.sandbox.faults.add(operation="create", kind="status", code=502, when="after")
    stage.apply(sabotage=broken)
    stage.check_always()


def is_refused(stage: Stage, *broken: str) -> None:
    """Have the new batch refused: the old one goes on."""
    scenes.rejected(stage)
    assert stage.apply(sabotage=broken).code == 1
    stage.check_always()
    assert stage.statuses() == ["in_progress"]


def is_partly_refused(stage: Stage, *broken: str) -> None:
    """Have one of several new batches refused: the old one must not go on."""
    scenes.partly_rejected(stage)
    assert stage.apply(sabotage=broken).code == 1
    stage.check_always()


def is_stopped_by_hand(stage: Stage, *broken: str) -> None:
    """Have an operator pause the batch of a changed spec: nothing goes on."""
    scenes.remaining(stage)
    assert stage.control("pause", stage.made()[0].batch_id) == 200
    assert stage.apply(sabotage=broken).code == 4
    assert stage.statuses() == ["paused"]


def cancels_and_dies(stage: Stage, *broken: str) -> None:
    """Have a run die before the cancel that it has recorded is sent."""
    scenes.cancelled(stage)
    assert stage.apply(kill_on="cancel: before").code == KILLED
    stage.converge(sabotage=broken)
    assert stage.statuses() == ["cancelled"]


@pytest.mark.parametrize(
    ("scenario", "sabotage", "complaint"),
    [
        (dies_when_it_has_paused, "nothing is journalled", "exit 4"),
        (finds_people_on_the_line, "nobody waits until it is quiet", "is owed a call"),
        (has_people_called_meanwhile, "read before it is paused", "was called by generation 2"),
        (changes, "cancelled before it is created", "cancelled too early"),
        (changes, "old batches are left", "left to do: .*replaced"),
        (changes_twice, "not owed is forgotten", "skipped by hand and called"),
        (changes_twice, "our cancel is not recorded", "is owed a call"),
        (changes_twice, "skipped by us is skipped by hand", "is owed a call"),
        (loses_an_answer, "resumed while in doubt", "waits in 2 calling batches"),
        (is_refused, "not resumed", "paused"),
        (is_partly_refused, "resumed beside a part", "waits in 2 calling batches"),
        (is_stopped_by_hand, "a pause by hand is not seen", "code=0"),
        (cancels_and_dies, "what is being cancelled counts as cancelled", "in_progress"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_oracle_notices(scenario: Callable[..., None], sabotage: str, complaint: str) -> None:
    """The whole product goes through; one that does this does not, and for the right reason."""
    with staged() as stage:
        scenario(stage)
    with staged() as stage, pytest.raises(AssertionError, match=complaint):
        scenario(stage, sabotage)
