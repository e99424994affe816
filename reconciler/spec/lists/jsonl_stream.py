"""Very long JSONL lists, a piece at a time: what `jsonl_list` reads, without keeping it.

Most pieces of most lists are plain: an object in each line, texts and nulls in it, nothing escaped.
Such a piece is parsed at once, and its objects become lines by filling their values into a pattern,
one for all objects that have the same keys. It is shown of every piece that it is plain, never
assumed. Any other piece is read line by line, as shorter lists are.

Promises: the same contacts as `jsonl_list.read_list` gives, all of them sound, or `Odd`.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.spec.contacts import all_sound
from reconciler.spec.lists.columns import NAME, NUMBER
from reconciler.spec.lists.jsonl_list import NESTED, Names, sound_contacts
from reconciler.spec.lists.spool import NUMBER_WIDTH, Spooling, as_lines
from reconciler.spec.source import without_bom
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.spec.lists.csv_stream import Readable
    from reconciler.spec.lists.jsonl_list import Row
    from reconciler.spec.lists.list_rules import ListFile
    from reconciler.spec.lists.spool import File, Spooled

_PIECE = 1 << 20
_LONGEST_PIECE = 1 << 24
"""A line that never ends must not make one piece of the whole list."""

_NUMBERS = re.compile(r"(?:\+[1-9][0-9]{6,14}\n)*+", re.ASCII)
_BETWEEN = b"},\n{"


def read_stream(
    stream: Readable, file: ListFile, *, memory: bool = False, shelf: File | None = None
) -> Spooled:
    """Read a list, all contacts of which must be sound. With `memory`, write nothing to disk.

    The contacts are added to `shelf`, if one is given (see `Spooling`). Raises `Odd` when
    `jsonl_list.examine_list` should say what is wrong, and `OSError`.
    """
    pieces = _pieces(stream)
    spooling = Spooling(memory=memory, shelf=shelf)
    names = Names(file)
    patterns = _Patterns(names, file.call_variables)
    for piece in chain([without_bom(next(pieces, b""))], pieces):
        lines = patterns.lines(piece)
        if lines is None:
            lines = _one_by_one(piece, names)
        spooling.add(lines)
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


def _one_by_one(piece: bytes, names: Names) -> list[bytes]:
    """Read a piece line by line. Raises `Odd`."""
    contacts = sound_contacts(piece, names)
    if contacts and not all_sound(contacts):
        raise Odd
    return as_lines(contacts)


class _Patterns:
    """What the values of plain objects are filled into, to be lines for `Spooling`."""

    def __init__(self, names: Names, everybody: dict[str, str]) -> None:
        self._names = names
        self._everybody = everybody
        self._patterns: dict[tuple[str, ...], _Pattern | None] = {}

    def lines(self, piece: bytes) -> list[bytes] | None:
        """Give a line for each line of a plain piece; None when the piece is not plain.

        A key that stands in an object twice, or in it and in `call_variables`, is there once in
        the end, but its quotes are not gone: two for each key and each text, and no others.
        """
        if b"\\" in piece or b"\x7f" in piece:
            return None
        rows = _objects(piece)
        if rows is None:
            return None
        quotes = 0
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            if NESTED in row:
                inner = row.pop(NESTED)
                if type(inner) is not dict:
                    return None
                row.update(inner)
                quotes += 2
            groups.setdefault(tuple(row), []).append(row)
        lines: list[bytes] = []
        for keys, group in groups.items():
            columns = list(zip(*map(dict.values, group), strict=True))
            if any(None in column for column in columns):
                found = self._without_nulls(keys, group)
            else:
                found = self._filled(keys, columns)
            if found is None:
                return None
            quotes += 2 * len(keys) * len(group) + found[0]
            lines += found[1]
        return lines if piece.count(b'"') == quotes else None

    def _without_nulls(
        self, keys: tuple[str, ...], rows: list[Row]
    ) -> tuple[int, list[bytes]] | None:
        """Give what `_filled` gives, where some values are null."""
        for key in keys:
            self._names.learn(key)
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            said = {key: value for key, value in row.items() if value is not None}
            groups.setdefault(tuple(said), []).append(said)
        quotes = 0
        lines: list[bytes] = []
        for said_keys, group in groups.items():
            found = self._filled(said_keys, list(zip(*map(dict.values, group), strict=True)))
            if found is None:
                return None
            quotes += found[0]
            lines += found[1]
        return quotes, lines

    def _filled(
        self, keys: tuple[str, ...], columns: list[tuple[Any, ...]]
    ) -> tuple[int, list[bytes]] | None:
        """Give how many quotes stand around values, and a line for each row.

        None when a value is not a text, or a contact not sound.
        """
        if keys not in self._patterns:
            self._patterns[keys] = _Pattern.of(keys, self._names, self._everybody)
        pattern = self._patterns[keys]
        if pattern is None:
            return None
        try:
            for column in columns:
                "".join(column)
        except TypeError:
            return None
        lines = pattern.lines(columns)
        return None if lines is None else (2 * len(columns) * len(lines), lines)


class _Pattern:
    """Canonical JSON, cut where the values of objects with certain keys go.

    `cells` are the places of the values that are filled in, the number's before and after the
    others; what stands behind each of them is `between`. `name` is the place of the name, if each
    object has one of its own.
    """

    def __init__(self, between: list[str], cells: list[int], name: int | None) -> None:
        self._between = between
        self._cells = cells
        self._name = name

    @classmethod
    def of(cls, keys: tuple[str, ...], names: Names, everybody: dict[str, str]) -> _Pattern | None:
        """Make the pattern; None when what has these keys is no contact, or has two of a name."""
        places: dict[str, int] = {}
        for place, key in enumerate(keys):
            name = names.learn(key)
            if name in places or name in everybody:
                return None
            if name is not None:
                places[name] = place
        number = places.pop(NUMBER, None)
        if number is None or NAME not in places.keys() | everybody.keys():
            return None
        said = dict.fromkeys(places, "") | everybody
        between = ['{"call_variables":{']
        cells = [number]
        # In the order in which canonical JSON has them.
        for comma, name in enumerate(orjson.loads(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))):
            between[-1] += "," * bool(comma) + orjson.dumps(name).decode() + ":"
            if name in everybody:
                between[-1] += orjson.dumps(everybody[name]).decode()
            else:
                between[-1] += '"'
                cells.append(places[name])
                between.append('"')
        between[-1] += '},"phone_number":"'
        return cls([*between, '"}\n'], [*cells, number], places.get(NAME))

    def lines(self, columns: list[tuple[str, ...]]) -> list[bytes] | None:
        """Give a line for each row; None when a number or a name is not sound.

        There are no escapes in the piece, and so nothing in its texts that would need one: no line
        break either.
        """
        numbers = columns[self._cells[0]]
        if _NUMBERS.fullmatch("\n".join(numbers) + "\n") is None:
            return None
        if self._name is not None and not all(map(str.strip, columns[self._name])):
            return None
        parts = 2 * len(self._cells)
        laid = [""] * (parts * len(numbers))
        laid[::parts] = [number.ljust(NUMBER_WIDTH) for number in numbers]
        for place, (index, behind) in enumerate(zip(self._cells, self._between, strict=True)):
            if place:
                laid[2 * place :: parts] = columns[index]
            laid[2 * place + 1 :: parts] = [behind] * len(numbers)
        lines = "".join(laid).encode().split(b"\n")
        lines.pop()
        return lines


def _objects(piece: bytes) -> list[Row] | None:
    """Parse a piece at once; None unless there is an object in each line that is not blank.

    Lines are put together with line feeds between, which no text may hold. Each begins and ends
    with a brace, so if what is between two of them were within an object, a brace would stand where
    a key must; and within an array, that would be a value that is no text, which is refused later.
    So between any two lines is the end of an object; and there are as many objects as lines.
    """
    lines = [line for line in piece.split(b"\n") if line]
    if b"\r" in piece or b" \n" in piece or b"\n " in piece or b"\t" in piece:
        lines = [line for line in (line.strip(b" \t\r") for line in lines) if line]
    joined = b",\n".join(lines)
    if not joined:
        return []
    if joined.count(_BETWEEN) != len(lines) - 1 or joined[:1] != b"{" or joined[-1:] != b"}":
        return None
    try:
        rows: list[Any] = orjson.loads(b"[%b]" % joined)
    except orjson.JSONDecodeError:
        return None
    return rows if len(rows) == len(lines) and set(map(type, rows)) == {dict} else None
