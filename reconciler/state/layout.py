"""How a state is laid out as bytes: JSON, sorted and stable, one batch's lines apart from the next.

Nothing here judges what is read; see `reconciler.state.codec`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import orjson

from reconciler.state.document import NameRecord, Ordinal, Recorded, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORMAT_VERSION = 1
STABLE = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
BEFORE, BETWEEN, AFTER = b'{\n  "batches": {\n', b"\n    },\n", b"\n    }\n  }"
"""What stands around the batches and between two of them.

Nothing else holds these: deeper lines are indented further, and no text has a line's end in it.
"""
_AT_ONCE = 500
"""Batches that are turned into text together: more need memory, and are no faster."""


class StateFile(Recorded, frozen=True, kw_only=True):
    """The layout of `state.json`, version 1."""

    version: int
    tool_version: str
    lineage: Text
    serial: Ordinal
    batches: dict[str, NameRecord]


parse = msgspec.json.Decoder(StateFile).decode
"""Read a whole file. Raises `msgspec.DecodeError` and `RecursionError`."""
_parse_batches = msgspec.json.Decoder(dict[str, NameRecord]).decode


def around(
    lineage: str, serial: int, tool_version: str, *, any_batches: bool
) -> tuple[bytes, bytes]:
    """Give what stands before and after the batches' texts."""
    head = {
        "batches": {},
        "lineage": lineage,
        "serial": serial,
        "tool_version": tool_version,
        "version": FORMAT_VERSION,
    }
    empty = orjson.dumps(head, option=STABLE | orjson.OPT_APPEND_NEWLINE)
    if not any_batches:
        return empty, b""
    return BEFORE, AFTER + empty[len(b'{\n  "batches": {}') :]


def texts(batches: Mapping[str, NameRecord]) -> Iterator[tuple[Sequence[str], bytes]]:
    """Give batches in order, some at once: their names, and their texts with `BETWEEN` between."""
    names = sorted(batches)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        yield some, text({name: batches[name] for name in some})


def text(batches: Mapping[str, NameRecord]) -> bytes:
    """Give the text of some batches, with `BETWEEN` between."""
    whole = orjson.dumps({"batches": msgspec.to_builtins(batches)}, option=STABLE)
    return whole[len(BEFORE) : -len(AFTER + b"\n}")]


def batches_of(some: bytes) -> dict[str, NameRecord]:
    """Read the text of some batches. Raises as `parse` does."""
    return _parse_batches(b"{%b\n    }\n}" % some)
