"""Lines and columns on demand: one pass over a YAML file for the few paths that are asked for.

Everything that no asked-for path goes through is skipped at the speed of the bare event stream.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import SequenceEndEvent, SequenceStartEvent, StreamEndEvent

from reconciler.spec.yaml.builder import MAX_DEPTH
from reconciler.spec.yaml.errors import at
from reconciler.spec.yaml.events import MappingEndEvent, MappingStartEvent, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.spec.problems import Path

_STARTS = (MappingStartEvent, SequenceStartEvent)
_ENDS = (MappingEndEvent, SequenceEndEvent)


class Position(Struct, frozen=True):
    """Where a value stands and where its key does (the same in a list): (line, column) each."""

    value: tuple[int, int]
    key: tuple[int, int]


def positions(data: bytes, wanted: Iterable[Path]) -> dict[Path, Position]:
    """Find the places of paths and of everything above them, as far as they exist.

    `data` is UTF-8 without a BOM. Of a repeated key the first counts. A syntax error ends the
    search: what stands before it is found.
    """
    through: set[Path] = set()
    for path in wanted:
        through.update(path[:length] for length in range(len(path) + 1))
    found: dict[Path, Position] = {}
    with suppress(YAMLError):
        _walk(events(data), through, found)
    return found


def nearest(found: dict[Path, Position], path: Path, *, key: bool) -> tuple[int, int]:
    """Give the place of a path, or of the nearest thing above it; (0, 0) when there is nothing.

    The empty path is the whole file, which has no line either.
    """
    if not path:
        return (0, 0)
    for length in range(len(path), 0, -1):
        position = found.get(path[:length])
        if position is not None:
            # What is missing in a field is best shown at the field's name.
            return position.key if key or length < len(path) else position.value
    top = found.get(())
    return top.value if top is not None else (0, 0)


def _walk(get: Callable[[], Any], through: set[Path], found: dict[Path, Position]) -> None:
    """Follow the events, with a stack of (path, next index or None for a mapping)."""
    stack: list[tuple[Path, int | None]] = []
    while len(found) < len(through) and type(event := get()) is not StreamEndEvent:
        kind = type(event)
        if kind in _ENDS:
            stack.pop()
            continue
        if not hasattr(event, "anchor"):
            continue
        key = place = at(event.start_mark)
        path: Path = ()
        if stack:
            above, index = stack[-1]
            if index is None:
                if kind in _STARTS:
                    return
                path = (*above, str(getattr(event, "value", "")))
                event = get()
                place = at(event.start_mark)
            else:
                path = (*above, index)
                stack[-1] = (above, index + 1)
        kind = type(event)
        if path in through and path not in found:
            found[path] = Position(place, key)
            if kind in _STARTS:
                stack.append((path, None if kind is MappingStartEvent else 0))
        elif kind in _STARTS and not _skip(get):
            return


def _skip(get: Callable[[], Any]) -> bool:
    """Read past a collection that has just begun; False when it is nested too deep to end soon."""
    depth = 1
    while 0 < depth <= MAX_DEPTH:
        kind = type(get())
        if kind in _STARTS:
            depth += 1
        elif kind in _ENDS:
            depth -= 1
    return depth == 0
