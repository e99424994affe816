"""Which specs need not be read: their files are what they were when they were recorded. Pure.

A record says from which bytes its spec was last read, and what lifecycle those asked for; see
`Source`. That is true of these bytes for ever, whatever was done with the batches since. So a spec
is left unread only where its files have the recorded blobs *and* what they say is what has been
done, with nothing left to do: then the planner could only say "none". Whatever is not known, in
doubt or begun is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.plan.facts import Rules
    from reconciler.state.document import NameRecord, State


def unread(state: State, blobs: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """Map the paths of specs that need not be read to their names.

    `blobs` says of files below the root what git calls their bytes: only of such as are in the work
    tree, regular and not modified.
    """
    found: dict[str, str] = {}
    twice: set[str] = set()
    blob_at = blobs.get
    ours = rules.organization_id
    created = Status.CREATED
    for name, record in state.batches.items():
        generation = record.generations[-1]
        source = generation.source
        path = source.path
        if source.blob is None or blob_at(path) != source.blob:
            continue
        if source.contacts_path is not None and (
            source.contacts_blob is None or blob_at(source.contacts_path) != source.contacts_blob
        ):
            continue
        # Enumerations are one object for each member, and most names have one request.
        if source.lifecycle is not record.lifecycle:
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
        if ours is not None and generation.fields.get("organization_id") not in {None, ours}:
            continue
        if path in found:
            twice.add(path)
        found[path] = name
    for path in twice:
        del found[path]
    return found


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
