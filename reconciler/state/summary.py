"""What a plan asks of all records: which are at rest, and of which something is to be done or told.

A mapping that has summed itself up answers without a look at each record.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from reconciler.state.document import Status
from reconciler.state.index import Indexed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.state.document import NameRecord


class Resting(NamedTuple):
    """A spec at rest, with its contact list, and the organisation that it names."""

    name: str
    path: str
    blob: str
    contacts_path: str | None
    contacts_blob: str | None
    organization_id: object


class Rest(NamedTuple):
    """The names that are at rest: for which the planner has nothing to do if their specs say so.

    Of most there is only a spec's path and its blob: the first three lists, side by side. `others`
    have a contact list of their own, or name an organisation.
    """

    names: list[str]
    paths: list[str]
    blobs: list[str]
    others: list[Resting]


class SummedUp(Indexed):
    """Records that know this of themselves."""

    @property
    @abstractmethod
    def rest(self) -> Rest:
        """The names at rest."""

    @property
    @abstractmethod
    def lively(self) -> list[str]:
        """The names that `is_lively` is true of, in their order."""


def at_rest(batches: Mapping[str, NameRecord]) -> Rest:
    """Give the names at rest that say from which bytes their specs were read."""
    return batches.rest if isinstance(batches, SummedUp) else rest_of(batches)


def lively(batches: Mapping[str, NameRecord]) -> Iterator[tuple[str, NameRecord]]:
    """Walk the names that `is_lively` is true of."""
    if isinstance(batches, SummedUp):
        return ((name, batches[name]) for name in batches.lively)
    return ((name, record) for name, record in batches.items() if is_lively(record))


def is_lively(record: NameRecord) -> bool:
    """Whether a request is in doubt or watched for a second batch, or a person stopped the name."""
    if record.stopped is not None:
        return True
    creating = Status.CREATING
    for generation in record.generations:
        for request in generation.requests:
            if request.watch_until is not None or request.status is creating:
                return True
    return False


def rest_of(batches: Mapping[str, NameRecord]) -> Rest:
    """Look at each record for whether it is at rest."""
    rest = Rest([], [], [], [])
    names, paths, blobs = rest.names.append, rest.paths.append, rest.blobs.append
    created = Status.CREATED
    for name, record in batches.items():
        generation = record.generations[-1]
        source = generation.source
        # Enumerations are one object for each member, and most names have one request.
        if source.blob is None or source.lifecycle is not record.lifecycle:
            continue
        requests = generation.requests
        simple = (
            len(requests) == len(record.generations) == 1
            and requests[0].status is created
            and not requests[0].cancelling
            and record.replacing is None
            and generation.parts is None
        )
        if not (simple or _is_at_rest(record)):
            continue
        organization = generation.fields.get("organization_id")
        if source.contacts_path is None and organization is None:
            names(name)
            paths(source.path)
            blobs(source.blob)
        else:
            lists = source.contacts_path, source.contacts_blob
            rest.others.append(Resting(name, source.path, source.blob, *lists, organization))
    return rest


def _is_at_rest(record: NameRecord) -> bool:
    """Whether all of the current generation is there, and nothing is begun, undone or in doubt."""
    current = record.generations[-1]
    if record.replacing is not None or len(current.requests) != (current.parts or 1):
        return False
    for generation in record.generations:
        for request in generation.requests:
            if request.status is Status.CREATING or request.cancelling:
                return False
    return True
