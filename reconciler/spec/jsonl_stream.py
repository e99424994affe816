"""Very long JSONL lists, a piece at a time: what `jsonl_list` reads, without keeping it.

Promises: the same contacts as `jsonl_list.read_list` gives, all of them sound, or `Odd`. Each line
is read by the same rules, so that a piece is only a short list.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from reconciler.spec.contacts import all_sound
from reconciler.spec.jsonl_list import Names, sound_contacts
from reconciler.spec.source import without_bom
from reconciler.spec.spool import Spooling, as_lines
from reconciler.spec.yaml import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.spec.csv_stream import Readable
    from reconciler.spec.list_model import ContactsFile
    from reconciler.spec.spool import File, Spooled

_PIECE = 1 << 20
_LONGEST_PIECE = 1 << 24
"""A line that never ends must not make one piece of the whole list."""


def read_stream(
    stream: Readable, file: ContactsFile, *, memory: bool = False, shelf: File | None = None
) -> Spooled:
    """Read a list, all contacts of which must be sound. With `memory`, write nothing to disk.

    The contacts are added to `shelf`, if one is given (see `Spooling`). Raises `Odd` when
    `jsonl_list.examine_list` should say what is wrong, and `OSError`.
    """
    pieces = _pieces(stream)
    spooling = Spooling(memory=memory, shelf=shelf)
    names = Names(file)
    for piece in chain([without_bom(next(pieces, b""))], pieces):
        contacts = sound_contacts(piece, names)
        if not contacts:
            continue  # nothing but blank lines
        if not all_sound(contacts):
            raise Odd
        spooling.add(as_lines(contacts))
    names.require_sound()
    if not spooling.count:
        raise Odd
    return spooling.sorted()


def _pieces(stream: Readable) -> Iterator[bytes]:
    """Cut a list into pieces of whole lines. Raises `Odd`."""
    left = b""
    while data := stream.read(_PIECE):
        cut = data.rfind(b"\n") + 1
        if cut:
            yield left + data[:cut]
            left = data[cut:]
        else:
            left += data
            if len(left) > _LONGEST_PIECE:
                raise Odd
    if left:
        yield left
