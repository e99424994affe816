"""Fixture files of every format there was, and ids that count."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.state import codec, layout
from reconciler.state.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator


class CountingIds:
    """Ids that nobody else has: numbers."""

    def __init__(self) -> None:
        self._numbers = count()

    def unique(self) -> str:
        """Give the next one."""
        return f"{next(self._numbers):032x}"


@pytest.fixture(scope="module")
def few_at_once() -> Iterator[None]:
    """Have batches turned into text two at a time, so that a few are enough for every seam."""
    before = layout._AT_ONCE
    layout._AT_ONCE = codec._FEW = 2
    yield
    layout._AT_ONCE = codec._FEW = before


@pytest.fixture
def ids() -> CountingIds:
    """Give ids."""
    return CountingIds()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the state lies."""
    return tmp_path / "state.json"


@pytest.fixture
def store(path: Path, ids: CountingIds) -> FileStore:
    """Give a store of nothing yet."""
    return FileStore(path, ids=ids, run="ours")


@pytest.fixture
def fixtures() -> list[Path]:
    """Give the files of format 1, which must be read for ever."""
    return sorted((Path(__file__).parent / "fixtures" / "v1").glob("*.json"))
