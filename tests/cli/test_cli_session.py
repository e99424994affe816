"""What settings, options and the environment come to together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.session import Session, StateOptions

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("timeout", "option", "seconds", "reason"),
    [
        ("", None, 600, "the setting"),
        ("900", None, 900, "a request of a run that died may be under way for so long"),
        ("900", 5.0, 5, "a person who says so knows"),
    ],
)
def test_how_old_a_create_must_be(
    cli: Cli, timeout: str, option: float | None, seconds: float, reason: str
) -> None:
    """Nothing is created again while the first request may still be on its way."""
    cli.env(GRAINE_TIMEOUT=timeout)
    Path("batches").mkdir()
    rules = Session.open(Path("batches"), StateOptions()).rules(settle=option)
    assert rules.settle == timedelta(seconds=seconds), reason
