"""Faults that make lists blind or poor."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reconciler.sandbox import Sandbox

LISTS = pytest.mark.parametrize(
    ("operation", "path"),
    [("list", "/batches/"), ("campaign_batches", "/campaigns/cmp_abc123/batches")],
)


@pytest.fixture
def ids(api: Any) -> list[str]:
    """Give ten batches in the order that an honest list shows them."""
    for _ in range(10):
        api.create(1, metadata={"team": "renewals"})
    listed: list[str] = api.listed()
    return listed


def _ids(api: Any, path: str, **query: Any) -> list[str]:
    return [row["batch_id"] for row in api.get(path, **query).json()]


@LISTS
def test_cap(sandbox: Sandbox, api: Any, ids: list[str], operation: str, path: str) -> None:
    """Pages hold fewer rows than asked for, though more follow."""
    sandbox.faults.add(operation=operation, kind="cap", rows=3, times=None)
    assert _ids(api, path, limit=5) == ids[:3]
    assert _ids(api, path, limit=5, skip=3) == ids[3:6]


@LISTS
def test_ignore_skip(sandbox: Sandbox, api: Any, ids: list[str], operation: str, path: str) -> None:
    """Every page is the first one."""
    sandbox.faults.add(operation=operation, kind="ignore_skip", times=None)
    assert _ids(api, path, limit=4, skip=4) == ids[:4]


@LISTS
def test_repeat_rows(sandbox: Sandbox, api: Any, ids: list[str], operation: str, path: str) -> None:
    """Pages overlap: each begins with the end of the one before."""
    sandbox.faults.add(operation=operation, kind="repeat_rows", rows=2, times=None)
    assert _ids(api, path, limit=4) == ids[:4]
    assert _ids(api, path, limit=4, skip=4) == ids[2:6]


@LISTS
def test_empty_list(sandbox: Sandbox, api: Any, ids: list[str], operation: str, path: str) -> None:
    """A list that should have rows has none."""
    sandbox.faults.add(operation=operation, kind="empty_list")
    assert _ids(api, path) == []
    assert _ids(api, path) == ids


def test_shuffle(sandbox: Sandbox, api: Any, ids: list[str]) -> None:
    """Each request has another order, so that pages overlap and miss rows."""
    sandbox.faults.add(operation="list", kind="shuffle", times=None)
    first, second = api.listed(), api.listed()
    assert sorted(first) == sorted(second) == sorted(ids)
    assert first != second
    assert len({*api.listed(limit=5), *api.listed(limit=5, skip=5)}) < 10


def test_shuffle_within_a_page(sandbox: Sandbox, api: Any, ids: list[str]) -> None:
    """Shuffling within pages leaves each row on its page."""
    sandbox.faults.add(operation="list", kind="shuffle", within="page", times=None)
    page = api.listed(limit=5, skip=5)
    assert sorted(page) == sorted(ids[5:])
    assert page != ids[5:]


@pytest.mark.usefixtures("ids")
def test_with_metadata(sandbox: Sandbox, api: Any) -> None:
    """Rows may carry the metadata that the documentation does not promise."""
    sandbox.faults.add(operation="list", kind="with_metadata")
    assert api.get("/batches/", limit=1).json()[0]["metadata"] == {"team": "renewals"}
    assert "metadata" not in api.get("/batches/", limit=1).json()[0]


@pytest.mark.usefixtures("ids")
def test_drop_fields(sandbox: Sandbox, api: Any) -> None:
    """Rows may lack fields; together with other faults upon rows."""
    sandbox.faults.add(operation="list", kind="drop_fields")
    sandbox.faults.add(operation="list", kind="cap", rows=1)
    (row,) = api.get("/batches/").json()
    assert not {"total_contacts", "created_at"} & set(row)
    assert row["batch_id"]


def test_naive_created_at(sandbox: Sandbox, api: Any, ids: list[str]) -> None:
    """created_at may come without an offset, in the time of some place."""
    sandbox.faults.add(kind="naive_created_at", times=None, timezone="Asia/Kolkata")
    for row in (api.get("/batches/", limit=1).json()[0], api.batch(ids[0])):
        moment = datetime.fromisoformat(row["created_at"])
        assert moment.tzinfo is None
        gap = moment - sandbox.now().replace(tzinfo=None)
        assert round(gap.total_seconds()) == 5.5 * 3600
