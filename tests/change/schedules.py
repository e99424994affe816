"""What the schedules of changed specs have in common: how many are played, and where."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.change.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = bool(os.environ.get("CHANGE_FULL"))
"""Whether all schedules are played, and not only the slice of today."""
SLICE = int(os.environ.get("CHANGE_SLICE") or time.time() // 86_400)
"""Which schedules are played: others each day."""
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
