"""The repository that is planned twice, for all tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.state import codec, pieces
from tests.incremental.twins import Twins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package", autouse=True)
def however_short() -> Iterator[None]:
    """Have states looked through as long ones are, a piece of few bytes at a time."""
    before = codec._LONG, pieces._PIECE
    codec._LONG, pieces._PIECE = 0, 1_000
    yield
    codec._LONG, pieces._PIECE = before


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    """Give an empty repository, planned by what git says and by reading everything."""
    return Twins(tmp_path)
