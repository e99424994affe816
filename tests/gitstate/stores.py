"""Stores of clones, and the records that are put into them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import structs

from reconciler.cli.git_state import git_store
from reconciler.state.document import (
    Generation,
    NameRecord,
    RecordedBy,
    RequestRecord,
    Source,
    State,
    Status,
)
from reconciler.system import RandomIds, SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.state.git_store import GitStore
    from tests.torture.gitworld import Clone

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)


def store_of(clone: Clone, run: str = "a", branch: str | None = None) -> GitStore:
    """Open the store of a clone."""
    return git_store(
        clone.root, remote="origin", branch=branch, clock=SystemClock(), ids=RandomIds(), run=run
    )


def intent(name: str, run: str = "a", **fields: Any) -> NameRecord:
    """Build the record of a name whose only request is about to be created."""
    record = RequestRecord(
        part=1,
        key=f"rk1_{name}",
        status=Status.CREATING,
        digest="v1:" + "0" * 64,
        contacts=1200,
        attempt=1,
        first_attempted_at=NOW,
        attempted_at=NOW,
        run=run,
        expires_at=NOW + timedelta(seconds=300),
    )
    return of(structs.replace(record, **fields))


def of(*requests: RequestRecord) -> NameRecord:
    """Build a name's record of requests."""
    source = Source(path="x.yaml")
    generation = Generation(
        generation=1, campaign_id="cmp_1", fields={}, source=source, requests=requests
    )
    return NameRecord(generations=(generation,))


def created(name: str, batch_id: str, run: str = "a", **fields: Any) -> NameRecord:
    """Build the record of a name whose only request is created."""
    return intent(
        name,
        run,
        status=Status.CREATED,
        batch_id=batch_id,
        recorded_at=NOW,
        recorded_by=RecordedBy.CREATED,
        expires_at=None,
        **fields,
    )


def put(
    store: GitStore,
    state: State,
    laid: Mapping[str, bytes | None] | None = None,
    /,
    **records: NameRecord,
) -> State:
    """Save some records; `laid` are files that go beside the state, or None where one goes."""
    for name, record in records.items():
        state = state.with_record(name, record)
    if laid is not None:
        store.lay(laid)
    return store.save(state, touched=frozenset(records), why="")
