"""The repository that is planned twice, for all tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.incremental.twins import Twins

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    """Give an empty repository, planned by what git says and by reading everything."""
    return Twins(tmp_path)
