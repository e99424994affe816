"""A start that is over is told together with everything else that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hand.conftest import Bench


def test_a_past_start_is_told_with_other_mistakes(bench: Bench) -> None:
    """Mending one mistake must not bring the next to light."""
    spec = bench.root / "welcome.yaml"
    spec.write_text(
        spec.read_text() + "scheduled_start: 2020-01-01T09:00:00Z\nconcurrency_limit: 0\n"
    )
    for words in (("validate",), ("plan",), ("apply", "--yes")):
        status, said = bench.run(*words)
        assert status == 1
        assert "welcome.yaml:6:18: error: scheduled_start: `2020-01-01T09:00:00Z` is over" in said
        assert "`concurrency_limit` is 0" in said
