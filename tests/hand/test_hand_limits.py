"""Limits on how often people are called, through the command line: counted, refused, told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.model import masked
from tests.hand.conftest import NUMBER, SPEC

if TYPE_CHECKING:
    from tests.hand.conftest import Bench

SECRET = "a key of nobody's, and quite long enough"  # noqa: S105 - opens nothing
POLICY = "policy:\n  frequency: {calls: 1, within: 1d}\n"


@pytest.fixture
def limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a root with a limit of one call a day, and its key in the environment."""
    (bench.root / "reconciler.yaml").write_text(POLICY, "utf-8")
    monkeypatch.setenv("RECONCILER_LEDGER_KEY", SECRET)
    return bench


def another(bench: Bench, name: str, plan: str) -> None:
    """Put another spec of the same person into the root."""
    spec = SPEC.replace("callee_name: Rajesh Sharma", f"callee_name: Rajesh, plan: {plan}")
    (bench.root / f"{name}.yaml").write_text(spec, "utf-8")


def test_a_second_batch_of_the_same_person_is_refused(limited: Bench) -> None:
    """One call is within the limit, the next is not, and an unchanged spec is not in its way."""
    assert limited.run("apply", "--yes")[0] == 0
    assert len(list((limited.root / "ledger").iterdir())) == 1
    assert limited.run("apply", "--yes")[0] == 0
    another(limited, "again", "gold")
    status, said = limited.run("apply", "--yes")
    assert status == 4
    assert "1 person has had 1 call in 1 day" in said
    assert masked(NUMBER) not in said
    assert SECRET not in said
    assert len(limited.sandbox.batches()) == 1
    assert len(list((limited.root / "ledger").iterdir())) == 1


def test_two_batches_of_one_plan(limited: Bench) -> None:
    """Who comes first in the plan goes out, the other is refused: not both, and not neither."""
    another(limited, "again", "gold")
    status, said = limited.run("apply", "--yes")
    assert status == 4
    assert "1 person has had 1 call in 1 day" in said
    assert len(limited.sandbox.batches()) == 1


def test_without_the_key(limited: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is launched, and whoever plans is told why."""
    monkeypatch.delenv("RECONCILER_LEDGER_KEY")
    for words in (("plan",), ("apply", "--yes")):
        assert "RECONCILER_LEDGER_KEY is not set" in limited.run(*words)[1]
    assert limited.run("apply", "--yes")[0] == 4
    assert not limited.sandbox.batches()


def test_a_limit_that_is_new(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of the days before are missing in the ledger, until it is made anew."""
    assert bench.run("apply", "--yes")[0] == 0
    (bench.root / "reconciler.yaml").write_text(POLICY.replace("calls: 1", "calls: 2"), "utf-8")
    monkeypatch.setenv("RECONCILER_LEDGER_KEY", SECRET)
    another(bench, "again", "gold")
    status, said = bench.run("apply", "--yes")
    assert status == 4
    assert "does not say whom welcome called" in said
    assert "ledger rebuild" in said
    assert bench.run("ledger", "rebuild")[0] == 0
    assert bench.run("apply", "--yes")[0] == 0
    another(bench, "more", "silver")
    assert bench.run("apply", "--yes")[0] == 4
    assert len(bench.sandbox.batches()) == 2
