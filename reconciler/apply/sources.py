"""From which bytes a recorded spec was read, kept current: what lets later runs leave it unread.

A source says of a blob what is in it. That stays true whatever is done with the batches, and is
only ever written together with what was read from these very bytes; see `reconciler.plan.unread`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.model import Spec
    from reconciler.state.document import NameRecord, Source, State


class Provenance(Protocol):
    """Knows where specs come from."""

    def source(self, spec: Spec) -> Source:
        """Give a spec's path, its commit and git blobs as far as known, and what it asks for."""


def with_source(record: NameRecord, spec: Spec, provenance: Provenance) -> NameRecord:
    """Give a record that says where its spec is now, unless the current generation is of another.

    Where only the commit differs it stays as it is: many commits have the same bytes.
    """
    current = record.current
    if current.of != spec.digest:
        return record
    source = provenance.source(spec)
    if replace(source, commit=None) == replace(current.source, commit=None):
        return record
    kept = record.generations[:-1]
    return replace(record, generations=(*kept, replace(current, source=source)))


def with_sources(state: State, specs: Iterable[Spec], provenance: Provenance) -> State:
    """Give a state in which specs that are as recorded are recorded as they were read now."""
    for spec in specs:
        record = state.record(spec.name)
        if record is not None:
            now = with_source(record, spec, provenance)
            state = state if now is record else state.with_record(spec.name, now)
    return state
