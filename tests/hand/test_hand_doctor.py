"""`reconciler doctor`: what it proves, and what it says when something is wrong."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hand.conftest import Bench


def test_all_is_well(bench: Bench) -> None:
    """Each thing that was proved has its line, and nothing is created."""
    status, said = bench.run("doctor")
    assert status == 0
    for proof in (
        "ok  git ",
        "ok  1 valid spec, 1 person",
        "ok  state in ",
        "ok  the API answers; the token is valid",
        "ok  campaign cmp_abc123",
        "ok  this machine's clock is in step",
    ):
        assert proof in said
    assert bench.sandbox.batches() == []
    assert not (bench.root / "state.json").exists()


def test_a_revoked_token_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token the API does not take is the finding, and is not printed."""
    monkeypatch.setenv("GRAINE_API_KEY", "secret-7f3a91")
    status, said = bench.run("doctor")
    assert status == 1
    assert "!!  the API does not take the token" in said
    assert "secret-7f3a91" not in said


def test_an_unknown_campaign_is_told(bench: Bench) -> None:
    """A typing error in campaign_id is found before any call."""
    spec = bench.root / "welcome.yaml"
    spec.write_text(spec.read_text().replace("cmp_abc123", "cmp_missing1"))
    status, said = bench.run("doctor")
    assert status == 1
    assert "!!  the API knows no campaign cmp_missing1" in said


def test_a_missing_schema_line_is_odd_but_no_failure(bench: Bench) -> None:
    """Editors need the line; calls do not."""
    spec = bench.root / "welcome.yaml"
    spec.write_text("".join(spec.read_text().splitlines(keepends=True)[1:]))
    status, said = bench.run("doctor")
    assert status == 0
    assert "!   no schema line in" in said


def test_a_clock_that_is_off_is_told(bench: Bench) -> None:
    """A clock hours off is worth mending, and survivable."""
    bench.sandbox.advance(7201 + 30)
    status, said = bench.run("doctor")
    assert status == 0
    assert "clock is 2 h off the API's" in said


def test_the_round_trip_proves_metadata_and_leaves_nothing_live(bench: Bench) -> None:
    """The trial batch starts in a year and is cancelled."""
    status, said = bench.run("doctor", "--round-trip", "cmp_abc123", "--yes")
    assert status == 0
    assert "ok  metadata comes back" in said
    assert [batch.status for batch in bench.sandbox.batches()] == ["cancelled"]
    assert bench.sandbox.dials() == []


def test_the_round_trip_is_agreed_to(bench: Bench) -> None:
    """Without a terminal and without --yes nothing is created."""
    assert bench.run("doctor", "--round-trip", "cmp_abc123")[0] == 4
    assert bench.sandbox.batches() == []


def test_a_trial_batch_of_unknown_fate_is_told(bench: Bench) -> None:
    """When the trial's answer is lost, the person is told what to look for."""
    bench.sandbox.faults.add({"operation": "create", "kind": "close", "when": "after"})
    status, said = bench.run("doctor", "--round-trip", "cmp_abc123", "--yes")
    assert status == 1
    assert "look in campaign cmp_abc123" in said


@pytest.fixture
def cloned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the root into a clone of a bare repository, and give the bare one."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    above = bench.root.parent
    origin = above / "origin.git"

    def git(*words: str) -> None:
        identity = ["-c", "user.name=Asha", "-c", "user.email=asha@example.com"]
        subprocess.run(
            ["git", "-C", str(above), *identity, *words], check=True, capture_output=True
        )

    git("init", "--bare", "-b", "main", str(origin))
    git("init", "-b", "main", ".")
    git("remote", "add", "origin", str(origin))
    git("add", "batches")
    git("commit", "-m", "Specs")
    git("push", "origin", "main")
    return origin


def refs(origin: Path) -> list[str]:
    """Give the names of a repository's references."""
    done = subprocess.run(
        ["git", "-C", str(origin), "for-each-ref", "--format=%(refname)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_pushing_state_is_proved_and_leaves_no_trace(bench: Bench, cloned: Path) -> None:
    """A push and a lost race are tried on a branch that is removed again."""
    status, said = bench.run("doctor", "--state", "git")
    assert status == 0
    assert "ok  pushes to origin go through, and a lost race is refused" in said
    assert refs(cloned) == ["refs/heads/main"]


def test_a_remote_that_refuses_is_told(bench: Bench, cloned: Path) -> None:
    """A server that declines the push is found before any intent depends on it."""
    hook = cloned / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    status, said = bench.run("doctor", "--state", "git")
    assert status == 1
    assert "!!  a push to origin does not go through" in said
    assert "--state-branch" in said
