"""What the schedules of changed specs have in common: how many are played, and where."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.change.stage import Stage
from tests.proof.world import in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = bool(os.environ.get("CHANGE_FULL"))
"""Whether all schedules are played, and not only the slice of today."""
SLICE = int(os.environ.get("CHANGE_SLICE") or time.time() // 86_400)
"""Which schedules are played: others each day."""


@contextmanager
def staged() -> Iterator[Stage]:
    """Give an empty stage."""
    with in_memory() as top:
        stage = Stage(Path(top) / "world")
        try:
            yield stage
        finally:
            stage.close()
