"""Where a part of a spec's request stands: asked only once something is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model import LongContacts
from reconciler.spec.check import contacts_file
from reconciler.spec.source import MAX_YAML, Unreadable, read_bytes
from reconciler.spec.yaml.documents import read_document
from reconciler.spec.yaml.positions import nearest, positions

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model import Spec

_FILE = ("contacts", "file")


def locate(root: Path, spec: Spec, path: tuple[str | int, ...]) -> tuple[str, int, int]:
    """Find where a part of a spec's request stands: file as the user types it, line, column.

    `path` is a path in the request, such as `("contacts", 17, "phone_number")`; where it does not
    exist, the nearest part above it counts. A contact list in a file of its own is looked up
    there, unless it lies elsewhere. Line and column are 0 when the files cannot be read any more.
    """
    try:
        data = read_bytes(root / spec.path, limit=MAX_YAML, hint="")
        document = read_document(data).document
        contacts = document.value.get("contacts") if document is not None else None
        if path[:1] == ("contacts",) and len(path) > 1 and isinstance(contacts, dict):
            return _locate_in_list(root, spec, contacts, data, path)
    except Unreadable:
        return (spec.file, 0, 0)
    return (spec.file, *nearest(positions(data, {path}), path, key=False))


def _locate_in_list(
    root: Path, spec: Spec, contacts: dict[str, Any], data: bytes, path: tuple[str | int, ...]
) -> tuple[str, int, int]:
    """Find where a contact stands in a list of its own. Raises `Unreadable`."""
    from reconciler.spec.lists.places import NoPlace  # noqa: PLC0415 - few need them
    from reconciler.spec.lists.reader import Lists  # noqa: PLC0415 - as above

    file = contacts_file(contacts)
    if file is None:
        return (spec.file, 0, 0)
    if "://" in file.file:  # not fetched again for the sake of a line
        return (spec.file, *nearest(positions(data, {_FILE}), _FILE, key=False))
    shown = spec.file.removesuffix(spec.path)
    try:
        lists = Lists(root, shown)
        return (shown + file.file, *lists.position(file, path, _number_at(spec, path)))
    except NoPlace:
        return (spec.file, 0, 0)


def _number_at(spec: Spec, path: tuple[str | int, ...]) -> str | None:
    """Give whom a path means where contacts are not in the order of their file; else None."""
    contacts, index = spec.whole.contacts, path[1]
    if isinstance(contacts, LongContacts) and isinstance(index, int) and index < len(contacts):
        return contacts[index]["phone_number"]
    return None
