"""Which specs need not be read: their files are what they were when they were recorded. Pure.

A record says from which bytes its spec was last read, and what lifecycle those asked for; see
`Source`. That is true of these bytes for ever, whatever was done with the batches since. So a spec
is left unread only where its files have the recorded blobs *and* what they say is what has been
done, with nothing left to do: then the planner could only say "none". Whatever is not known, in
doubt or begun is read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.state.summary import at_rest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.plan.facts import Rules
    from reconciler.state.document import State
    from reconciler.state.summary import Resting


def unread(state: State, blobs: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """Map the paths of specs that need not be read to their names.

    `blobs` says of files below the root what git calls their bytes: only of such as are in the work
    tree, regular and not modified.
    """
    blob_at = blobs.get
    rest = at_rest(state.batches)
    found = [
        (path, name)
        for name, path, blob in zip(rest.names, rest.paths, rest.blobs, strict=True)
        if blob_at(path) == blob
    ]
    ours = rules.organization_id
    found += [(each.path, each.name) for each in rest.others if _is_same(each, blobs, ours)]
    names = dict(found)
    if len(names) != len(found):
        count = Counter(path for path, _ in found)
        names = {path: name for path, name in found if count[path] == 1}
    return names


def _is_same(spec: Resting, blobs: Mapping[str, str], ours: str | None) -> bool:
    """Whether a spec's files are what they were, and it goes to the organisation it would go to."""
    if blobs.get(spec.path) != spec.blob:
        return False
    if spec.contacts_path is not None and (
        spec.contacts_blob is None or blobs.get(spec.contacts_path) != spec.contacts_blob
    ):
        return False
    return ours is None or spec.organization_id is None or spec.organization_id == ours
