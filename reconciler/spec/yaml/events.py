"""The event stream of ruamel.yaml's C parser, with its events made in C too.

The parser makes each event by calling a class, and ruamel's are Python with up to three
constructors one above the other: half of the time that parsing a spec takes goes there. Nearly all
events are scalars or the two ends of a mapping, so for those the parser is given records with the
same fields. It looks classes up by name in its own module, which is where these are put; nobody
else in this process asks it for events. A version of ruamel.yaml that looks elsewhere gives its own
events, as slow as ever, and a test says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _ruamel_yaml  # type: ignore[import-not-found]  # written in C, without stubs
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

# Fields stand in the order in which the parser gives them.


class _Scalar(Struct, gc=False):
    anchor: str | None
    tag: str | None
    implicit: tuple[bool, bool]
    value: str
    start_mark: Any
    end_mark: Any
    style: str


class _MappingStart(Struct, gc=False):
    anchor: str | None
    tag: str | None
    implicit: bool
    start_mark: Any
    end_mark: Any
    flow_style: bool


class _MappingEnd(Struct, gc=False):
    start_mark: Any
    end_mark: Any


def events(data: bytes) -> Callable[[], Any]:
    """Give the event stream of UTF-8 bytes: each call the next event. Calls raise YAMLError."""
    get: Callable[[], Any] = _ruamel_yaml.CParser(data).get_event
    return get


def _kinds() -> tuple[Any, Any, Any]:
    """Find out what the parser gives for the start of a mapping, a scalar, the mapping's end."""
    get = events(b"{a: b}")
    _, _, start, scalar, _, end = (get() for _ in range(6))
    return type(start), type(scalar), type(end)


_ruamel_yaml.ScalarEvent = _Scalar
_ruamel_yaml.MappingStartEvent = _MappingStart
_ruamel_yaml.MappingEndEvent = _MappingEnd

MappingStartEvent, ScalarEvent, MappingEndEvent = _kinds()
"""What stands in the stream; a scalar has `value`, `style`, `anchor`, `tag` and two marks."""
