"""Do-not-call lists that lie elsewhere or are encrypted: pinned, opened in memory, kept nowhere."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.spec.config.policy_suppression import Suppression
from reconciler.spec.lists.suppression_lists import read_suppressions
from reconciler.spec.yaml.scalars import Plain

if TYPE_CHECKING:
    from reconciler.spec.lists.listed import DoNotCall
    from tests.sources.conftest import Keys, Root, Store

LIST = b"phone_number\n+14155550100\n+14155550101\n"


def pins(data: bytes) -> dict[str, Any]:
    """Give what pins a list of two."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "count": "2"}


def read(root: Root, file: str, *, secrets: bool = True, **fields: str) -> DoNotCall:
    """Read one list."""
    written: dict[str, Any] = {
        name: Plain(value)
        for name, value in {"name": "dnd", "file": file, "date": "2026-11-20", **fields}.items()
    }
    rule = Suppression.model_validate(written)
    assert rule.drawn == date(2026, 11, 20)
    (found,) = read_suppressions(root.path, "batches", [rule], secrets=secrets)
    return found


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever would put any of it on a disk."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")


def test_a_list_in_a_store(root: Root, store: Store) -> None:
    """It is read whole and held in memory."""
    store.objects["/lists/dnd.csv"] = LIST
    found = read(root, "s3://lists/dnd.csv", **pins(LIST))
    assert found.problems == ()
    assert found.numbers is not None
    assert found.numbers.common(["+14155550100", "+14155550102"]) == [14155550100]


def test_a_list_in_a_store_that_is_another(root: Root, store: Store) -> None:
    """Bytes that are not the pinned ones give no list, and nothing of them is shown."""
    store.objects["/lists/dnd.csv"] = LIST + b"+14155550102\n"
    found = read(root, "s3://lists/dnd.csv", **pins(LIST))
    assert found.numbers is None
    assert "not the list that was pinned" in found.problems[0].message
    assert "5550102" not in str(found.problems)


def test_a_list_that_a_store_does_not_have(root: Root, store: Store) -> None:
    """It has no numbers, and says why."""
    assert store.objects == {}
    found = read(root, "s3://lists/dnd.csv", **pins(LIST))
    assert found.numbers is None
    assert "is not there" in found.problems[0].message


def test_an_encrypted_list(root: Root, keys: Keys) -> None:
    """Its key in the environment opens it."""
    sealed = keys.seal(LIST)
    root.write("dnd.txt.age", sealed)
    found = read(root, "dnd.txt.age", **pins(sealed))
    assert found.problems == ()
    assert found.numbers is not None
    assert len(found.numbers) == 2


def test_an_encrypted_list_for_somebody_else(root: Root, keys: Keys, other_keys: Keys) -> None:
    """Another key does not open it, and no key is shown."""
    root.write("dnd.csv.age", other_keys.seal(LIST))
    found = read(root, "dnd.csv.age")
    assert found.numbers is None
    assert "another key" in found.problems[0].message
    assert keys.secret not in str(found.problems)


def test_no_secrets_to_be_used(root: Root, store: Store, keys: Keys) -> None:
    """What lies elsewhere or is encrypted is not opened, and says so."""
    root.write("dnd.csv.age", keys.seal(LIST))
    for file in ("dnd.csv.age", "s3://lists/dnd.csv"):
        found = read(root, file, secrets=False, **pins(LIST))
        assert found.withheld
        assert found.numbers is None
    assert store.asked == []
