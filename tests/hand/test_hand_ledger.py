"""`ledger`: shown in counts alone, and made anew from what the API knows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from reconciler.policy.keyed import LedgerKey
from reconciler.state.calls import CallLedger
from reconciler.state.file import FileStore
from reconciler.system import RandomIds
from tests.hand.conftest import NUMBER

if TYPE_CHECKING:
    from tests.hand.conftest import Bench

SECRET = "a key of nobody's, and quite long enough"  # noqa: S105 - opens nothing
KEY = LedgerKey(SECRET.encode())
POLICY = "policy:\n  frequency: {calls: 3, within: 7d}\n"


@pytest.fixture
def called(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a root whose batch was created before anybody asked how often people are called."""
    assert bench.run("apply", "--yes")[0] == 0
    (bench.root / "reconciler.yaml").write_text(POLICY, "utf-8")
    monkeypatch.setenv("RECONCILER_LEDGER_KEY", SECRET)
    return bench


def ledger(bench: Bench, key: LedgerKey = KEY) -> CallLedger:
    """Read the ledger."""
    store = FileStore(bench.root / "state.json", ids=RandomIds())
    return CallLedger.read(store.beside(), key.id)


def test_a_ledger_is_made_from_what_the_api_knows(called: Bench) -> None:
    """Everybody in the recorded batch is in it, at the time of the batch, as a keyed hash."""
    status, said = called.run("ledger", "rebuild")
    assert (status, said) == (0, "1 launch, 1 call\n")
    request = called.request()
    (launch,) = ledger(called).launches.values()
    assert launch.request == request["key"]
    assert launch.at.isoformat()[:19] == request["attempted_at"][:19]
    assert launch.hashes == KEY.hashed([NUMBER])
    written = b"".join(path.read_bytes() for path in (called.root / "ledger").iterdir())
    for plain in (NUMBER, NUMBER[1:]):
        assert plain.encode() not in written
        assert hashlib.sha256(plain.encode()).digest()[:8] not in written
    assert SECRET.encode() not in written
    assert SECRET not in said


def test_what_is_shown(called: Bench) -> None:
    """Counts and days; it takes no key to see them."""
    assert called.run("ledger", "show")[1] == "0 launches, 0 calls of at most 10,000,000\n"
    called.run("ledger", "rebuild")
    status, said = called.run("ledger", "show")
    assert status == 0
    assert said.startswith("1 launch, 1 call of at most 10,000,000, from 20")


def test_a_ledger_that_is_damaged(called: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, and made anew; so is one of another key."""
    called.run("ledger", "rebuild")
    (path,) = (called.root / "ledger").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    (called.root / "ledger" / "rk1_stray.calls").write_bytes(b"x")
    status, said = called.run("ledger", "show")
    assert status == 4
    assert "reconciler" in said
    assert "ledger rebuild" in said
    assert called.run("ledger", "rebuild")[0] == 0
    assert len(ledger(called).launches) == 1
    other = "another key, and quite as long as that"
    monkeypatch.setenv("RECONCILER_LEDGER_KEY", other)
    assert called.run("ledger", "rebuild")[0] == 0
    assert len(ledger(called, LedgerKey(other.encode())).launches) == 1


def test_a_batch_that_is_gone(called: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whom it called: what the ledger says is kept, else a person decides."""
    from reconciler.api.client import HttpBatchApi  # noqa: PLC0415 - as slow as everywhere

    called.run("ledger", "rebuild")
    monkeypatch.setattr(HttpBatchApi, "batch", lambda *_: None)
    assert called.run("ledger", "rebuild") == (0, "1 launch, 1 call\n")
    for path in (called.root / "ledger").iterdir():
        path.unlink()
    status, said = called.run("ledger", "rebuild")
    assert status == 4
    assert "--leave-out-gone" in said
    assert not list((called.root / "ledger").iterdir())
    status, said = called.run("ledger", "rebuild", "--leave-out-gone")
    assert status == 0
    assert "nobody is counted" in said
    assert "1 launch, 0 calls" in said


def test_what_no_ledger_can_be_made_without(called: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and a limit that asks for it."""
    monkeypatch.delenv("RECONCILER_LEDGER_KEY")
    status, said = called.run("ledger", "rebuild")
    assert status == 4
    assert "RECONCILER_LEDGER_KEY is not set" in said
    monkeypatch.setenv("RECONCILER_LEDGER_KEY", SECRET)
    (called.root / "reconciler.yaml").unlink()
    status, said = called.run("ledger", "rebuild")
    assert status == 4
    assert "no limit asks" in said
