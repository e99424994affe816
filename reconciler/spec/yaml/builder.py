"""The fast pass over a YAML file: plain dicts, lists and strings out of the C event stream.

Promises: it never recurses, keeps every scalar as written, and raises `Odd` on whatever it does not
take (a syntax error, a tag, an alias, a duplicate key, a contact of another shape). `Odd` says only
*that* something is odd; `spec.yaml.survey` then takes the slow way and says what and where.

Outside `contacts` a scalar without quotes comes out as `Plain`, so that `10` and `"10"` can be told
apart; below `contacts` everything is text, and nothing needs telling apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from reconciler.spec.yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, events
from reconciler.spec.yaml.scalars import Plain

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 64
"""How deep collections may nest."""

MAX_NODES = 100_000
"""How many values may stand outside `contacts`."""

MAX_CONTACTS = 2_000_000
"""How many contacts may stand in the YAML itself; real ones reach the size limit before."""

# An indicator of an anchor, alias or tag starts a token, and no token starts right after a letter
# or digit: `R&D` is safe, `R & D` gets the guarded reading.
_INDICATOR = re.compile(rb"(?<![A-Za-z0-9])[&*!]")

# YAML 1.1 takes these for line breaks, editors and YAML 1.2 do not: nobody who sees the text can
# know what it means.
LINE_SEPARATORS = ("\u0085", "\u2028", "\u2029")
_SEPARATORS = tuple(char.encode() for char in LINE_SEPARATORS)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Odd(Exception):  # noqa: N818 - not an error of anybody's: a signal to take the slow way
    """The fast pass does not take this file."""


class Document(Struct, frozen=True):
    """A YAML file's top-level mapping, and where its `scheduled_start` stands ((0, 0): nowhere)."""

    value: dict[str, Any]
    scheduled_start_at: tuple[int, int] = (0, 0)


def build(data: bytes) -> Document:
    """Build a document out of UTF-8 bytes without a BOM. Raises `Odd`."""
    if not data.isascii() and (data.startswith(_UTF_16) or any(s in data for s in _SEPARATORS)):
        raise Odd
    get = events(data)
    if (b"&" in data or b"*" in data or b"!" in data) and _INDICATOR.search(data):
        get = _guarded(get)
    try:
        return _document(get)
    except YAMLError as error:
        raise Odd from error


def _guarded(get: Callable[[], Any]) -> Callable[[], Any]:
    """Make an event source refuse anchors, aliases and tags."""

    def get_guarded() -> Any:
        event = get()
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise Odd
        return event

    return get_guarded


def _document(get: Callable[[], Any]) -> Document:  # noqa: C901 - one state machine
    """Read one whole stream: exactly one document, whose top level is a mapping."""
    for expected in (StreamStartEvent, DocumentStartEvent, MappingStartEvent):
        if type(get()) is not expected:
            raise Odd
    top: dict[str, Any] = {}
    scheduled_at = (0, 0)
    while type(event := get()) is ScalarEvent:
        key = event.value
        if key in top or key == "<<":
            raise Odd
        event = get()
        if type(event) is ScalarEvent:
            top[key] = event.value if event.style else Plain(event.value)
            if key == "scheduled_start":
                scheduled_at = (event.start_mark.line + 1, event.start_mark.column + 1)
        elif key == "contacts" and type(event) is SequenceStartEvent:
            top[key] = _contacts(get)
        else:
            top[key] = _tree(get, event)
    if type(event) is not MappingEndEvent:
        raise Odd
    for ended in (DocumentEndEvent, StreamEndEvent):
        if type(get()) is not ended:
            raise Odd
    return Document(top, scheduled_at)


def _contacts(get: Callable[[], Any]) -> list[dict[str, Any]]:  # noqa: C901 - the hot loop: calls cost
    """Read `[{key: text or {key: text}}]`, the only shape a contact list has."""
    contacts: list[dict[str, Any]] = []
    append = contacts.append
    while type(event := get()) is MappingStartEvent:
        contact: dict[str, Any] = {}
        while type(event := get()) is ScalarEvent:
            key = event.value
            if key in contact:
                raise Odd
            event = get()
            kind = type(event)
            if kind is ScalarEvent:
                contact[key] = event.value
            elif kind is MappingStartEvent:
                contact[key] = variables = {}
                while type(event := get()) is ScalarEvent:
                    name = event.value
                    event = get()
                    if type(event) is not ScalarEvent or name in variables:
                        raise Odd
                    variables[name] = event.value
                if type(event) is not MappingEndEvent or "<<" in variables:
                    raise Odd
            else:
                raise Odd
        if type(event) is not MappingEndEvent:
            raise Odd
        append(contact)
        if len(contacts) > MAX_CONTACTS:
            raise Odd
    if type(event) is not SequenceEndEvent:
        raise Odd
    return contacts


def _tree(get: Callable[[], Any], event: Any) -> Any:  # noqa: C901, PLR0912 - one state machine
    """Read any collection that `event` starts, with an explicit stack in place of recursion."""
    stack: list[tuple[Any, str]] = []
    node: Any = {} if type(event) is MappingStartEvent else []
    key = ""
    nodes = 0
    while True:
        nodes += 1
        event = get()
        kind = type(event)
        if kind is MappingEndEvent or kind is SequenceEndEvent:
            if not stack:
                return node
            node, key = stack.pop()
            continue
        if type(node) is dict:
            if kind is not ScalarEvent or event.value in node or event.value == "<<":
                raise Odd
            key = event.value
            event = get()
            kind = type(event)
        if kind is ScalarEvent:
            value: Any = event.value if event.style else Plain(event.value)
        elif kind is MappingStartEvent:
            value = {}
        elif kind is SequenceStartEvent:
            value = []
        else:
            raise Odd
        if type(node) is dict:
            node[key] = value
        else:
            node.append(value)
        if kind is not ScalarEvent:
            stack.append((node, key))
            node = value
        if len(stack) >= MAX_DEPTH or nodes > MAX_NODES:
            raise Odd
