"""Fixture files of every format there was, and ids that count."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest


class CountingIds:
    """Ids that nobody else has: numbers."""

    def __init__(self) -> None:
        self._numbers = count()

    def unique(self) -> str:
        """Give the next one."""
        return f"{next(self._numbers):032x}"


@pytest.fixture
def ids() -> CountingIds:
    """Give ids."""
    return CountingIds()


@pytest.fixture
def fixtures() -> list[Path]:
    """Give the files of format 1, which must be read for ever."""
    return sorted((Path(__file__).parent / "fixtures" / "v1").glob("*.json"))
