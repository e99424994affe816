"""Killed at every step of a changed spec: SIGKILL at each boundary of the run, then runs as usual.

By default each scene dies at some of its steps, every `STRIDE`th; which ones moves on by one each
day and from scene to scene. `CHANGE_SLICE=n` repeats a day, `CHANGE_FULL=1` dies at every step.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.change.scenes import SCENES, Scene
from tests.change.stage import KILLED, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STRIDE = 1 if os.environ.get("CHANGE_FULL") else 41
SLICE = int(os.environ.get("CHANGE_SLICE") or time.time() // 86_400)
MOST = 400
"""No run has so many steps."""
MEMORY = Path("/dev/shm")  # noqa: S108 - only directories of random names are made there


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say with a failure which schedule it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


@contextmanager
def staged() -> Iterator[Stage]:
    """Give an empty stage."""
    # In memory where there is such a place: a sync to disk costs more than the rest of a run.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as top:
        stage = Stage(Path(top) / "world")
        try:
            yield stage
        finally:
            stage.close()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_death_at_every_step(record_property: Callable[[str, object], None], scene: Scene) -> None:
    """Wherever the run dies: nobody is called twice, nobody is forgotten, all ends as it should."""
    deaths = 0
    for number in range(1 + (SLICE + 7 * SCENES.index(scene)) % STRIDE, MOST, STRIDE):
        with staged() as stage:
            scene.set(stage)
            ended = stage.apply(*scene.words, kill_at=number, **scene.order)
            last = ended.trace[-1] if ended.trace else "nothing"
            with told(f"{scene.name}: died at boundary {number}, {last}; CHANGE_SLICE={SLICE}"):
                if ended.code != KILLED:
                    assert ended.code == scene.code, (ended.code, ended.out, ended.err)
                    assert scene.fewest <= len(ended.trace) < number
                stage.let_arrive()
                stage.check_always()
                scene.mend(stage)
                stage.converge(*scene.words, **scene.order)
                scene.check(stage)
            if ended.code != KILLED:
                record_property("deaths", deaths)
                return
            deaths += 1
    pytest.fail("the run has no end")
