"""A long state file looked through a piece at a time, by as many processes as there are.

What is found is the same as if all of it had been read and written again at once: each piece is
what some version of ours writes, the pieces follow each other in order, and no key and no batch is
in two of them. What a plan asks of records that are at rest is found on the way, so who only plans
need not have them all.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson

from reconciler.state.index import marks_of
from reconciler.state.layout import (
    AFTER,
    BEFORE,
    BETWEEN,
    FORMAT_VERSION,
    around,
    batches_of,
    parse,
    text,
)
from reconciler.state.sound import are_sound
from reconciler.state.summary import Rest, is_lively, rest_of
from reconciler.system import without_gc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.state.document import NameRecord
    from reconciler.state.index import Marks

_PIECE = 100_000
"""Bytes that are looked through together: what they hold fits into a processor's cache."""
_QUICK = msgspec.json.Encoder(order="sorted")


class Piece(NamedTuple):
    """Where a piece of a file lies: from which byte to which."""

    start: int
    stop: int


class Cut(NamedTuple):
    """A file cut into pieces, and what stands around them."""

    lineage: str
    serial: int
    pieces: Sequence[Piece]


class Found(NamedTuple):
    """What a sound piece holds: names in order, `lively` ones, hashes of all batch ids."""

    names: list[str]
    lively: list[str]
    rest: Rest
    marks: Marks
    ids: array[int]


def cut(data: bytes) -> Cut | None:
    """Cut a file into pieces; None where we write otherwise, or no batch at all."""
    try:
        end = data.rindex(AFTER)
        after = data[end:]
        head = parse(b'{\n  "batches": {}' + after[len(AFTER) :])
    except (ValueError, RecursionError):
        return None
    _, written = around(head.lineage, head.serial, head.tool_version, any_batches=True)
    if head.version != FORMAT_VERSION or after != written or not data.startswith(BEFORE):
        return None
    pieces = []
    start = len(BEFORE)
    while start < end:
        stop = data.find(BETWEEN, start + _PIECE, end)
        stop = end if stop < 0 else stop
        pieces.append(Piece(start, stop))
        start = stop + len(BETWEEN)
    return Cut(head.lineage, head.serial, pieces) if start == end + len(BETWEEN) else None


class Look:
    """Looks a file through, a piece at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __call__(self, piece: Piece) -> Found | None:
        """Give what a piece holds; None where it is not sound, or not as we write it.

        No is no verdict: what is wrong, if anything, `codec.decode` says.
        """
        return look_through(self._data[piece.start : piece.stop])

    def read(self, piece: Piece) -> dict[str, NameRecord]:
        """Give the records of a sound piece."""
        return batches_of(self._data[piece.start : piece.stop])


def look_through(raw: bytes) -> Found | None:
    """Give what the text of some batches holds; None as `Look` does."""
    keys: list[str] = []
    ids: list[str] = []
    try:
        with without_gc():
            batches = batches_of(raw)
            if not _is_text(batches, raw) or not are_sound(batches, keys, ids):
                return None
            # Forks hash alike. Two that only hash alike are looked at slowly, like two that are.
            return Found(
                list(batches),
                [name for name, record in batches.items() if is_lively(record)],
                rest_of(batches),
                marks_of(batches, keys),
                array("q", map(hash, ids)),
            )
    except (ValueError, RecursionError, TypeError):  # so are all errors of parsing
        return None


def follow_each_other(found: Sequence[Found]) -> bool:
    """Whether sound pieces, in their order, are a sound whole."""
    last = ""
    keys: set[int] = set()
    ids: set[int] = set()
    many_keys = many_ids = 0
    for piece in found:
        if piece.names[0] <= last:
            return False
        last = piece.names[-1]
        keys.update(piece.marks.keys)
        ids.update(piece.ids)
        many_keys += len(piece.marks.keys)
        many_ids += len(piece.ids)
    return len(keys) == many_keys and len(ids) == many_ids


def _is_text(batches: Mapping[str, NameRecord], raw: bytes) -> bool:
    """Whether batches would be written like this.

    Another encoder writes the same in half the time, but for some numbers and for what is nested
    deeply, which only the users' own fields can hold. Those are written by both, as deep as they
    are; where the two differ, ours counts.
    """
    whole = msgspec.json.format(_QUICK.encode({"batches": batches}), indent=2)
    free = [[[[[g.fields for record in batches.values() for g in record.generations]]]]]
    ours = orjson.dumps(free, option=orjson.OPT_SORT_KEYS)
    if whole == b"%b%b%b\n}" % (BEFORE, raw, AFTER) and ours == _QUICK.encode(free):
        return True
    return text(batches) == raw
