"""Killed at every step of a changed spec: SIGKILL at each boundary of the run, then runs as usual.

By default each scene dies at some of its steps, every `STRIDE`th; which ones moves on by one each
day and from scene to scene. `CHANGE_SLICE=n` repeats a day, `CHANGE_FULL=1` dies at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.change.scenes import SCENES, Scene
from tests.change.schedules import FULL, SLICE, staged
from tests.change.stage import KILLED, brief
from tests.proof.world import told

if TYPE_CHECKING:
    from collections.abc import Callable

STRIDE = 1 if FULL else 41
MOST = 400
"""No run has so many steps."""


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_death_at_every_step(record_property: Callable[[str, object], None], scene: Scene) -> None:
    """Wherever the run dies: nobody is called twice, nobody is forgotten, all ends as it should."""
    with staged() as stage:
        scene.set(stage)
        back = stage.keep()
        first = 1 + (SLICE + 7 * SCENES.index(scene)) % STRIDE
        for deaths, number in enumerate(range(first, MOST, STRIDE)):
            back()
            ended = stage.apply(*scene.words, kill_at=number, **scene.order)
            last = ended.trace[-1] if ended.trace else "nothing"
            with told(f"{scene.name}: died at boundary {number}, {last}; CHANGE_SLICE={SLICE}"):
                if ended.code != KILLED:
                    assert ended.code == scene.code, brief(ended)
                    assert scene.fewest <= len(ended.trace) < number
                stage.let_arrive()
                stage.check_always()
                scene.mend(stage)
                stage.converge(*scene.words, **scene.order)
                scene.check(stage)
            if ended.code != KILLED:
                record_property("deaths", deaths)
                return
    pytest.fail("the run has no end")
