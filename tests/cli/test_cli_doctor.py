"""`reconciler doctor`: what it finds before the first call is ever made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli


def test_all_is_well(account: Cli, sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """Each check says what it found, and nothing is created."""
    write()
    assert account.run("doctor") == 0
    assert sandbox.batches() == []
    assert account.run("doctor", "--round-trip", "cmp_abc123") == 4
    assert account.run("doctor", "--round-trip", "cmp_abc123", "--yes") == 0
    assert [batch.status for batch in sandbox.batches()] == ["cancelled"]
    assert sandbox.dials() == []
    account.said("doctor")


def test_something_is_wrong(account: Cli, write: Callable[..., Path]) -> None:
    """What is wrong is told with what to do, and the status says so."""
    write("welcome", campaign_id="cmp_paused")
    write("hello", campaign_id="cmp_missing", first=5)
    assert account.run("doctor") == 1
    account.env(GRAINE_API_KEY="gat_wrong")
    assert account.run("doctor") == 1
    account.env(GRAINE_API_KEY="")
    assert account.run("doctor") == 1
    account.said("doctor_wrong")
