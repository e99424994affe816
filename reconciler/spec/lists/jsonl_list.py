"""Contact lists in JSONL: one JSON object a line; a fast pass, and an exact one that explains.

An object's keys are the columns, and so are the keys of a `call_variables` object within it: both
forms mean the same. A number, `true` or `false` is the text as written, just as in YAML, so that
`1.10` stays `1.10`. `null` is an absent call variable. Lines without any content are skipped.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.spec.lists.columns import NUMBER, Examined, Unusable, Wording, matched, our_name
from reconciler.spec.problems import Path, Problem, quoted
from reconciler.spec.source import text_problem
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.model import Contact
    from reconciler.spec.lists.list_rules import ListFile

NESTED = "call_variables"
_WORDING = Wording(lacking="no line has the key", plural="keys")
_BLANK = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_HINT = 'each line holds one object: `{"phone_number": "+14155550123", "callee_name": "…"}`'
_CONSTANTS = {True: "true", False: "false"}

Row = dict[str, Any]


class _Bad(Exception):  # noqa: N818 - says what the line is
    """A line that is no contact; carries why, the short form of why, and the column from 1."""

    def __init__(self, message: str, hint: str, kind: str = "", column: int = 1) -> None:
        super().__init__(message)
        self.message, self.hint, self.kind, self.column = message, hint, kind or message, column


def read_list(data: bytes, file: ListFile) -> list[Contact]:
    """Read a list in which everything is as it should be; contacts are not checked here.

    `data` comes without a BOM. Raises `Odd` when `examine_list` should say what is wrong.
    """
    names = Names(file)
    contacts = sound_contacts(data, names)
    names.require_sound()
    return contacts


def sound_contacts(lines: bytes, names: Names) -> list[Contact]:
    """Give the contact of each line that has any content. Raises `Odd`."""
    if b"\x7f" in lines:
        raise Odd
    contacts = []
    try:
        for line in lines.split(b"\n"):
            if line and line.strip(b" \t\r"):
                row = _fast(line)
                contacts.append(names.contact(row) if row is not None else _slowly(line, names))
    except (_Bad, UnicodeDecodeError) as error:
        raise Odd from error
    return contacts


def examine_list(data: bytes, file: ListFile, wanted: set[Path]) -> Examined:
    """Read a list line by line, telling what is wrong with lines, and where wanted paths stand.

    Paths are as in `reconciler.spec.lists.csv_list`. A line that cannot be read is no contact.
    """
    problem = text_problem(data)
    if problem is not None:
        return Examined(problems=[problem])
    names = Names(file)
    contacts: list[Contact] = []
    examined = Examined(contacts=contacts)
    rows_wanted = {path[1] for path in wanted if len(path) > 1}
    for number, line in enumerate(data.decode("utf-8").split("\n"), start=1):
        if not line.strip(" \t\r"):
            continue
        try:
            contact = names.contact(_exact(line))
        except _Bad as bad:
            place = (number, bad.column)
            examined.problems.append(
                Problem(("contacts",), bad.message, bad.hint, bad.kind, place=place)
            )
            continue
        index = len(contacts)
        contacts.append(contact)
        if index in rows_wanted:
            _note_cells(examined, file, index, (number, line))
    try:
        names.check()
    except Unusable as error:
        return Examined(problems=[*examined.problems, error.problem])
    return examined


def find_contact(data: bytes, file: ListFile, number: str, index: int) -> Examined:
    """Find where the contact with a number stands, in a list that is sound; `index` is its own."""
    examined = Examined()
    names = Names(file)
    digits = number.encode()
    for place, line in enumerate(data.split(b"\n"), start=1):
        # With an escape in it, a line need not show the number that it holds.
        if digits not in line and b"\\" not in line:
            continue
        try:
            text = line.decode("utf-8")
            if names.contact(_exact(text))["phone_number"] == number:
                _note_cells(examined, file, index, (place, text))
                break
        except (_Bad, UnicodeDecodeError):
            break  # it is another list by now
    return examined


def _note_cells(examined: Examined, file: ListFile, index: int, line: tuple[int, str]) -> None:
    """Remember where the values of one contact stand."""
    number, text = line
    examined.cells[("contacts", index)] = (number, 1)
    for key, column in _columns(text):
        name = our_name(key, file)
        below = (NUMBER,) if name == NUMBER else (NESTED, name or key)
        examined.cells[("contacts", index, *below)] = (number, column)


class Names:
    """What the keys of a list are called here: learned line by line, checked at the end."""

    def __init__(self, file: ListFile) -> None:
        self._file = file
        self._names: dict[str, str | None] = {}

    def contact(self, row: Row) -> Contact:
        """Make a contact of a line's keys and values."""
        names = self._names
        said: dict[str, Any] = {}
        phone: Any = ""
        for key, value in row.items():
            name = names[key] if key in names else self.learn(key)
            if name == NUMBER:
                phone = "" if value is None else value
            elif name is not None and value is not None:
                said[name] = value
        said.update(self._file.call_variables)
        return {"phone_number": phone, "call_variables": said}

    def learn(self, key: str) -> str | None:
        """Give the name under which a key's values are sent; None when they are left out."""
        if key not in self._names:
            self._names[key] = our_name(key, self._file)
        return self._names[key]

    def check(self) -> None:
        """Check all the keys there were. Raises `Unusable`."""
        if self._names:
            matched(list(self._names), self._file, _WORDING, (1, 1))

    def require_sound(self) -> None:
        """Check all the keys there were. Raises `Odd`."""
        try:
            self.check()
        except Unusable as error:
            raise Odd from error


def _fast(line: bytes) -> Row | None:
    """Read a line that is plain: texts and nulls only, no key twice. None for any other."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:  # of numbers it knows fewer than there are
        return None
    if type(row) is not dict:
        return None
    texts = len(row)
    if NESTED in row:
        inner = row.pop(NESTED)
        if type(inner) is dict:
            if not row.keys().isdisjoint(inner):
                return None
            texts += len(inner)
            row.update(inner)
        elif inner is not None:
            return None
    for value in row.values():
        if type(value) is str:
            texts += 1
        elif value is not None:
            return None
    # Of a key that stands there twice the first value is gone, but not its quotes.
    return row if b"\\" not in line and line.count(b'"') == 2 * texts else None


def _slowly(line: bytes, names: Names) -> Contact:
    """Read one line exactly. Raises `_Bad`, and `Odd` where something that is sent is no text."""
    contact = names.contact(_exact(line.decode("utf-8")))
    said = (contact["phone_number"], *contact["call_variables"].values())
    if not all(type(value) is str for value in said):
        raise Odd
    return contact


def _exact(line: str) -> Row:
    """Read one line: its keys and those of `call_variables`, values as text. Raises `_Bad`."""
    try:
        pairs = _DECODER.decode(line.strip(" \t\r"))
    except json.JSONDecodeError as error:
        column = error.pos + 1 + len(line) - len(line.lstrip(" \t"))
        said = error.msg.lower()
        raise _Bad(f"the line is not JSON: {said}", _LINE_HINT, "is not JSON", column) from None
    except RecursionError:
        raise _Bad("the line is nested too deep", "each value is one text") from None
    if not isinstance(pairs, _Pairs):
        raise _Bad("the line is not an object", _LINE_HINT)
    row: Row = {}
    for key, value in _flattened(pairs):
        if key in row:
            kind = "a key stands in the line twice"
            raise _Bad(f"{quoted(key)} stands in this line twice", "keep one of the two", kind)
        if _SURROGATE.search(key) or (isinstance(value, str) and _SURROGATE.search(value)):
            kind = "half of a character"
            raise _Bad(f"{quoted(key)} holds half of a character (`\\ud…`)", "write it anew", kind)
        row[key] = _CONSTANTS[value] if isinstance(value, bool) else value
    return row


class _Pairs(list[tuple[str, Any]]):
    """An object, with keys that may stand there twice."""


def _no_constant(name: str) -> None:
    message = f"the line is not JSON: there is no `{name}`"
    raise _Bad(message, "write `null` for nothing, or a text", "is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=_no_constant
)


def _flattened(row: _Pairs) -> Iterator[tuple[str, Any]]:
    nested = [value for key, value in row if key == NESTED]
    if len(nested) > 1:
        kind = "a key stands in the line twice"
        raise _Bad(f"`{NESTED}` stands in this line twice", "keep one of the two", kind)
    for key, value in row:
        if key != NESTED:
            yield key, value
        elif isinstance(value, _Pairs):
            yield from value
        elif value is not None:
            raise _Bad(f"`{NESTED}` is not an object", 'write `{"callee_name": "…"}`')


def _columns(line: str) -> Iterable[tuple[str, int]]:
    """Give each key of a line that is sound JSON, and the column of its value, from 1."""
    found: list[tuple[str, int]] = []
    _walk(line, line.index("{"), found)
    return found


def _walk(line: str, start: int, found: list[tuple[str, int]]) -> int:
    """Go through the object that starts here, and those it holds as `call_variables`."""
    at = _after_blanks(line, start + 1)
    while line[at] != "}":
        key, at = scanstring(line, at + 1)
        at = _after_blanks(line, _after_blanks(line, at) + 1)
        if key == NESTED and line[at] == "{":
            at = _walk(line, at, found)
        else:
            found.append((key, at + 1))
            _, at = _DECODER.raw_decode(line, at)
        at = _after_blanks(line, at)
        if line[at] == ",":
            at = _after_blanks(line, at + 1)
    return at + 1


def _after_blanks(line: str, at: int) -> int:
    blank = _BLANK.match(line, at)
    return blank.end() if blank else at
