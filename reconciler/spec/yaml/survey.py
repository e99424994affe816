"""The slow pass over a YAML file that the fast one found odd: everything wrong, with its place.

Tags, anchors and duplicate keys are reported and read past, so that one run reports them all. What
leaves no value to go on with (a syntax error, an alias, a second document) ends the survey or
makes its document unusable. Never recurses, and stops at the same limits as the fast pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, SequenceEndEvent, StreamEndEvent

from reconciler.spec.problems import Path, Problem, quoted
from reconciler.spec.yaml.builder import MAX_CONTACTS, MAX_DEPTH, MAX_NODES, Document
from reconciler.spec.yaml.errors import at, syntax_problem
from reconciler.spec.yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, events
from reconciler.spec.yaml.scalars import Plain

_ENOUGH = 20
"""So many structural problems are reported of one file before the survey ends."""

_IN_LIST = 2
"""How many collections are open where a contact stands: the top level and the list."""

_MAX_LOOSE = 1_000
"""So many entries of `contacts` may be something else than a contact before the survey ends."""


@dataclass(slots=True)
class _Frame:
    """A collection being read: its value, its current key, and where each key was.

    `waiting` tells that the current key's value is still to come.
    """

    node: dict[str, Any] | list[Any]
    key: str = ""
    waiting: bool = False
    lines: dict[str, int] = field(default_factory=dict)
    repeated: bool = False


class _Enough(Exception):  # noqa: N818 - a signal, not an error
    """Going on would help nobody."""


def survey(data: bytes) -> tuple[Document | None, list[Problem]]:
    """Read a whole file and tell what is wrong with its YAML.

    The document is None where the problems leave nothing that is worth checking further.
    """
    surveyor = _Surveyor()
    try:
        surveyor.read(data)
    except YAMLError as error:
        surveyor.unusable(syntax_problem(error, data))
    except _Enough:
        pass
    top = surveyor.top
    if not surveyor.usable or not isinstance(top, dict):
        return None, surveyor.problems
    return Document(top, surveyor.scheduled_at), surveyor.problems


class _Surveyor:
    """The explicit stack, and what was found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.usable = True
        self.top: object = None
        self.scheduled_at = (0, 0)
        self._stack: list[_Frame] = []
        self._documents = 0
        self._nodes = 0

    def read(self, data: bytes) -> None:
        """Go through all events of one file."""
        get = events(data)
        while type(event := get()) is not StreamEndEvent:
            kind = type(event)
            if kind is DocumentStartEvent:
                self._start_document(event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._stack.pop()
            elif kind is ScalarEvent or kind is AliasEvent:
                self._node(event, None)
            elif hasattr(event, "flow_style"):
                self._node(event, {} if kind is MappingStartEvent else [])
        if not self._documents:
            self.unusable(
                Problem(
                    (),
                    "the file is empty",
                    "delete it, or write `field: value` lines; those of a spec begin with "
                    "`campaign_id:`",
                )
            )

    def unusable(self, problem: Problem) -> None:
        """Report what leaves no document to check further."""
        self.usable = False
        self._report(problem)

    def _report(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= _ENOUGH:
            self.usable = False
            raise _Enough

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self.unusable(
                Problem(
                    (),
                    "a second YAML document begins here (`---`); one file is one spec",
                    "move it to a file of its own, or delete the `---` line",
                    place=at(event.start_mark),
                )
            )
            raise _Enough

    def _node(self, event: Any, collection: dict[str, Any] | list[Any] | None) -> None:
        """Place one scalar, alias or beginning collection into what is being read."""
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.node, dict) and not frame.waiting:
            self._key(event, frame)
            return
        self._check_marks(event)
        value: object = collection
        if collection is None:
            text = event.value if type(event) is ScalarEvent else ""
            value = text if self._in_contacts() or event.style else Plain(text)
        if frame is None:
            self._top(value, event)
        else:
            self._put(frame, value, event)
        if collection is not None:
            self._stack.append(_Frame(collection))
            if len(self._stack) > MAX_DEPTH:
                self.unusable(
                    Problem(
                        (),
                        f"collections are nested more than {MAX_DEPTH} deep",
                        "flatten the value, or put it in quotes if it is meant as text",
                        place=at(event.start_mark),
                    )
                )
                raise _Enough

    def _top(self, value: object, event: Any) -> None:
        if not isinstance(value, dict):
            what = "a list" if isinstance(value, list) else "one text"
            if isinstance(value, Plain) and not value:
                what = "nothing"
            self.unusable(
                Problem(
                    (),
                    f"the file holds {what} where a mapping of fields is needed",
                    "write `field: value` lines; those of a spec begin with `campaign_id:`",
                    place=at(event.start_mark),
                )
            )
            raise _Enough
        self.top = value

    def _put(self, frame: _Frame, value: object, event: Any) -> None:
        """Give a value to its list or its key; of a repeated key the first value stays."""
        if isinstance(frame.node, list):
            frame.node.append(value)
            if self._in_contacts() and len(self._stack) == _IN_LIST:
                self._count_contact(len(frame.node), value, event)
        else:
            frame.waiting = False
            if not frame.repeated:
                frame.node[frame.key] = value
                if len(self._stack) == 1 and frame.key == "scheduled_start":
                    self.scheduled_at = at(event.start_mark)
        if not self._in_contacts():
            self._nodes += 1
            if self._nodes > MAX_NODES:
                self._too_much(event, f"more than {MAX_NODES:,} values outside of `contacts`")

    def _count_contact(self, count: int, value: object, event: Any) -> None:
        """End the survey of a list that is no list of contacts, or one that never ends."""
        if count > _MAX_LOOSE and not isinstance(value, dict):
            self._too_much(event, f"{_MAX_LOOSE:,} entries that are no contacts")
        if count > MAX_CONTACTS:
            self._too_much(event, f"more than {MAX_CONTACTS:,} contacts")

    def _too_much(self, event: Any, what: str) -> None:
        hint = "people to call belong into `contacts`, each as `- phone_number: …`"
        self.unusable(Problem((), f"the file holds {what}", hint, place=at(event.start_mark)))
        raise _Enough

    def _key(self, event: Any, frame: _Frame) -> None:
        """Take a mapping's key; anything but a scalar ends the survey."""
        self._check_marks(event)
        if type(event) is not ScalarEvent:
            self.unusable(
                Problem(
                    self._path(),
                    "a field's name is a collection or an alias where text is needed",
                    'a value in braces such as `{{name}}` needs quotes: `"{{name}}"`',
                    place=at(event.start_mark),
                )
            )
            raise _Enough
        frame.key = key = str(event.value)
        frame.waiting = True
        line, column = at(event.start_mark)
        if key == "<<" and not event.style:
            self.usable = False
            hint = "write the fields out; every spec says everything itself"
            self._report(
                Problem(self._path(), "merge keys (`<<`) are not read", hint, place=(line, column))
            )
        frame.repeated = key in frame.lines
        if frame.repeated:
            self._report(
                Problem(
                    self._path(),
                    f"{quoted(key)} stands here a second time; it is on line"
                    f" {frame.lines[key]} already",
                    "keep one of the two",
                    place=(line, column),
                )
            )
        else:
            frame.lines[key] = line

    def _check_marks(self, event: Any) -> None:
        """Report a tag, an anchor or an alias."""
        place = at(event.start_mark)
        if type(event) is AliasEvent:
            self.usable = False
            hint = "write the value out; if it is meant as text, put it in quotes"
            self._report(
                Problem(
                    self._path(),
                    f"an alias ({quoted('*' + event.anchor)}) is not read",
                    hint,
                    place=place,
                )
            )
            return
        if event.anchor is not None:
            hint = "delete the anchor; if it is meant as text, put the value in quotes"
            self._report(
                Problem(
                    self._path(),
                    f"an anchor ({quoted('&' + event.anchor)}) is not read",
                    hint,
                    place=place,
                )
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = "delete the tag; if it is meant as text, put the value in quotes"
            self._report(
                Problem(self._path(), f"a tag ({quoted(tag)}) is not read", hint, place=place)
            )

    def _in_contacts(self) -> bool:
        """Tell whether the value to come stands below a top-level `contacts`."""
        return bool(self._stack) and self._stack[0].key == "contacts"

    def _path(self) -> Path:
        steps: list[str | int] = []
        for depth, frame in enumerate(self._stack, start=1):
            if isinstance(frame.node, list):
                # What is open below was put into its list already.
                steps.append(len(frame.node) - (depth < len(self._stack)))
            elif frame.waiting or depth < len(self._stack):
                steps.append(frame.key)
        return tuple(steps)
