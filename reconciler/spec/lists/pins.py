"""Pinning a spec's contact list: what it is now, and the spec with that written in.

Promises: of the spec nothing else is touched, not a byte; what would be written is read again and
compared before anybody sees it; and only a list without mistakes is pinned.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml.events import SequenceEndEvent

from reconciler.errors import InvalidSpecs
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.lists.places import FIELD, NoPlace, place_of, shown
from reconciler.spec.model_errors import model_problems
from reconciler.spec.names import normalised
from reconciler.spec.problems import Path, Problem, printable
from reconciler.spec.source import MAX_YAML, Unreadable, stored_bytes, without_bom
from reconciler.spec.yaml.documents import diagnose, read_document
from reconciler.spec.yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.spec.lists.reader import Lists

_PINS = ("sha256", "count")


@dataclass(frozen=True, slots=True)
class Pinning:
    """One spec and its list. `written` are the pins as they stand in the spec, by field.

    `path` is the spec's below the root, `listed` where the list lies, as it may be shown; `sha256`
    and `count` are the list's own; `data` are the spec's bytes.
    """

    path: str
    listed: str
    written: dict[str, str]
    sha256: str
    count: int
    data: bytes

    @property
    def stale(self) -> bool:
        """Whether the spec says something else of the list than what it is, or nothing."""
        return bool(self._changes())

    def pinned(self) -> bytes:
        """Give the spec's bytes with what its list is now. Raises `Unpinnable`."""
        changes = self._changes()
        body = without_bom(self.data)
        text = body.decode("utf-8")
        for start, end, new in sorted(_edits(body, changes), reverse=True):
            text = text[:start] + new + text[end:]
        new_body = text.encode("utf-8")
        if _value(new_body) != _with_pins(_value(body), changes):
            raise Unpinnable
        return self.data[: len(self.data) - len(body)] + new_body

    def _changes(self) -> dict[str, str]:
        found = {"sha256": self.sha256, "count": str(self.count)}
        return {
            name: new for name, new in found.items() if self.written.get(name, "").lower() != new
        }


class Unpinnable(Exception):  # noqa: N818 - says what it is
    """A spec is written in a way that cannot be edited by position alone."""


def pinning(lists: Lists, path: str) -> Pinning | None:
    """Read a spec and its list; None where its contacts stand in the spec itself.

    Raises `InvalidSpecs` with everything that is wrong with the list, or keeps it from being found.
    """
    file = printable(os.path.join(lists.shown, path))  # noqa: PTH118 - keeps the root as typed
    try:
        data = stored_bytes(lists.root / path, limit=MAX_YAML, hint="")
    except Unreadable as error:
        raise InvalidSpecs(diagnose([error.problem], b"", file)) from None
    body = without_bom(data)
    reading = read_document(body)
    if reading.document is None or reading.problems:
        raise InvalidSpecs(diagnose(reading.problems, body, file))
    contacts = reading.document.value.get("contacts")
    if not isinstance(contacts, dict):
        return None
    try:
        written = {name: str(contacts[name]) for name in _PINS if name in contacts}
        unpinned = {name: value for name, value in contacts.items() if name not in _PINS}
        named = ContactsFile.model_validate(unpinned).plain()
        place = place_of(lists.root, path, named.file)
        taken = lists.taken(place, named)
        taken.require_readable()
    except ValidationError as error:
        problems = [_below_contacts(one) for one in model_problems(error, ContactsFile)]
        raise InvalidSpecs(diagnose(problems, body, file)) from None
    except (NoPlace, Unreadable) as error:
        problem = error.problem
        at_the_file = Problem(problem.path or FIELD, problem.message, problem.hint)
        raise InvalidSpecs(diagnose([at_the_file], body, file)) from None
    read = taken.read
    if read.diagnostics:
        raise InvalidSpecs(read.diagnostics)
    return Pinning(path, shown(named.file), written, taken.sha256, len(read.contacts), data)


def worth_pinning(lists: Lists, path: str) -> bool:
    """Tell whether a spec has a pin, or needs one because its list lies elsewhere.

    A spec that cannot be read has none; other commands tell what is wrong with it.
    """
    contacts = _said(lists, path).get("contacts")
    if not isinstance(contacts, dict):
        return False
    return any(name in contacts for name in _PINS) or "://" in str(contacts.get("file", ""))


def own_name(lists: Lists, path: str) -> str | None:
    """Give the name that a spec gives itself, as it counts; None where its path is its name."""
    tool = _said(lists, path).get("reconcile")
    name = tool.get("name") if isinstance(tool, dict) else None
    return None if name is None else normalised(str(name))


def _said(lists: Lists, path: str) -> dict[str, Any]:
    """Give what a spec says; nothing where it cannot be read."""
    try:
        body = without_bom(stored_bytes(lists.root / path, limit=MAX_YAML, hint=""))
    except Unreadable:
        return {}
    document = read_document(body).document
    return document.value if document is not None else {}


def _below_contacts(problem: Problem) -> Problem:
    path: Path = ("contacts", *problem.path)
    return Problem(path, problem.message, problem.hint, at_key=problem.at_key)


def _value(body: bytes) -> dict[str, Any] | None:
    reading = read_document(body)
    return reading.document.value if reading.document is not None else None


def _with_pins(document: dict[str, Any] | None, changes: dict[str, str]) -> dict[str, Any] | None:
    if document is None:
        return None
    return {**document, "contacts": {**document["contacts"], **changes}}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A field below `contacts`: where it stands, in characters from the beginning of the file."""

    key: int
    start: int
    end: int
    style: str
    """How its value is quoted; empty for a plain one."""
    key_style: str


def _edits(body: bytes, changes: dict[str, str]) -> Iterator[tuple[int, int, str]]:
    """Give what is to be replaced: from, to, by what. Raises `Unpinnable`."""
    text = body.decode("utf-8")
    entries, flow = _entries(events(body))
    if "file" not in entries:
        raise Unpinnable
    missing = [name for name in changes if name not in entries]
    for name, new in changes.items():
        entry = entries.get(name)
        if entry is not None:
            quote = entry.style if name == "sha256" and entry.style in {'"', "'"} else ""
            # After `sha256:` without a value there may be no space yet.
            space = " " if entry.start == entry.end else ""
            yield entry.start, entry.end, f"{space}{quote}{new}{quote}"
    if missing:
        after = entries["sha256"] if missing == ["count"] and "sha256" in entries else None
        lines = [_line(name, changes[name], entries["file"].key_style) for name in missing]
        yield _insertion(text, after or entries["file"], lines, flow=flow)


def _line(name: str, value: str, key_style: str) -> str:
    """Write a field the way the fields beside it are written."""
    if key_style != '"':
        return f"{name}: {value}"
    return f'"{name}": "{value}"' if name == "sha256" else f'"{name}": {value}'


def _insertion(text: str, after: _Entry, lines: list[str], *, flow: bool) -> tuple[int, int, str]:
    """Say where new fields go: right after another one. Raises `Unpinnable`."""
    if flow:
        return after.end, after.end, "".join(f", {line}" for line in lines)
    begin = text.rfind("\n", 0, after.key) + 1
    indent = text[begin : after.key]
    if indent.strip(" "):
        raise Unpinnable
    # A block of text (`|`, `>`) ends where the next line begins.
    end = after.end - 1 if text[after.end - 1] == "\n" else text.find("\n", after.end)
    line_end = "\r\n" if text[:end].endswith("\r") or (end < 0 and "\r\n" in text) else "\n"
    if end < 0:
        return len(text), len(text), "".join(f"{line_end}{indent}{line}" for line in lines)
    return end + 1, end + 1, "".join(f"{indent}{line}{line_end}" for line in lines)


def _entries(get: Callable[[], Any]) -> tuple[dict[str, _Entry], bool]:
    """Find the fields below `contacts`, and whether they stand in braces."""
    for key, value in _pairs(_skipping_to_the_mapping(get)):
        if key.value == "contacts":
            if type(value) is not MappingStartEvent:
                break
            entries = {}
            for name, inner in _pairs(get):
                end = inner.end_mark.index
                if type(inner) is not ScalarEvent:
                    end = _skipped(get)
                style = str(getattr(inner, "style", None) or "")
                entries[name.value] = _Entry(
                    name.start_mark.index,
                    inner.start_mark.index,
                    end,
                    style,
                    str(name.style or ""),
                )
            return entries, bool(value.flow_style)
        if type(value) is not ScalarEvent:
            _skipped(get)
    raise Unpinnable


def _skipping_to_the_mapping(get: Callable[[], Any]) -> Callable[[], Any]:
    """Pass over what stands before the first field."""
    while type(get()) is not MappingStartEvent:
        pass
    return get


def _pairs(get: Callable[[], Any]) -> Iterable[tuple[Any, Any]]:
    """Give each key of an open mapping and the event that its value begins with."""
    while type(key := get()) is not MappingEndEvent:
        yield key, get()


def _skipped(get: Callable[[], Any]) -> int:
    """Pass over the collection that has just begun; give where it ends."""
    depth = 1
    while depth:
        event = get()
        if type(event) in {MappingEndEvent, SequenceEndEvent}:
            depth -= 1
        elif type(event) is not ScalarEvent:
            depth += 1
    return int(event.end_mark.index)
